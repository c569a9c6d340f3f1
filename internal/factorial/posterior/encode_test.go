package posterior

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/wire"
)

func TestEncoding(t *testing.T) {
	s := space(t, []int{3, 2}, []int{2}, factorial.Combination{"f0": factorial.StringOf("2"), "f1": factorial.StringOf("1")})
	for _, m := range []Model{MAB, CMAB} {
		for _, r := range []Reward{Bool, Numeric} {
			want := train(t, s, m, r, randomCounts(s, rand.New(rand.NewPCG(1, 1)), 0.8, r == Numeric), Options{Seed: 1, Bias: []float64{0.5, 0}})
			state := string(want.Append(nil))
			got, err := Decode(s, state)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("model %d, reward %d: decoded %+v, want %+v", m, r, got, want)
			}
			for n := range len(state) {
				if _, err := Decode(s, state[:n]); err == nil {
					t.Fatalf("the first %d of %d bytes were decoded", n, len(state))
				}
			}
			if _, err := Decode(s, state+"x"); !errors.Is(err, wire.ErrCorrupt) {
				t.Errorf("a byte more: %v", err)
			}
			if _, err := Decode(space(t, []int{3, 3}, []int{2}), state); err == nil {
				t.Error("decoded in another space")
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	s := space(f, []int{3, 2}, []int{2}, factorial.Combination{"f0": factorial.StringOf("2"), "f1": factorial.StringOf("1")})
	for _, m := range []Model{MAB, CMAB} {
		f.Add(string(train(f, s, m, Bool, randomCounts(s, rand.New(rand.NewPCG(1, 1)), 0.8, false), Options{Seed: 1, Draws: 64}).Append(nil)))
	}
	f.Fuzz(func(t *testing.T, state string) {
		got, err := Decode(s, state)
		if err != nil {
			return
		}
		if again := string(got.Append(nil)); again != state {
			t.Errorf("written %q, want %q", again, state)
		}
		for cell := range s.Cells() {
			for _, key := range []uint64{0, 1 << 63, 1<<64 - 1} {
				if v, p := got.Choose(cell, key); v < 0 || v >= s.Variants() || s.Excluded(v) || !(p > 0 && p <= 1) {
					t.Errorf("chose %d with %v", v, p)
				}
			}
			got.Winner(cell)
		}
	})
}
