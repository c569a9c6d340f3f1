package decision

import (
	"math"
	"slices"
	"testing"
)

func TestInteractionIDText(t *testing.T) {
	ids := []InteractionID{
		{1, 0}, {1, 1}, {1, math.MaxUint32}, {2, 0}, {31, 7}, {32, 0}, {1 << 40, 5}, {math.MaxUint64, math.MaxUint32},
	}
	var texts []string
	for _, id := range ids {
		text := id.String()
		if got, ok := ParseInteractionID(text); !ok || got != id {
			t.Errorf("ParseInteractionID(%q) = %v, %v, want %v", text, got, ok, id)
		}
		texts = append(texts, text)
	}
	if !slices.IsSorted(texts) {
		t.Errorf("texts are not in the order of the ids: %q", texts)
	}
	for i := 1; i < len(ids); i++ {
		if !ids[i-1].Less(ids[i]) || ids[i].Less(ids[i-1]) {
			t.Errorf("Less(%v, %v) is wrong", ids[i-1], ids[i])
		}
	}
	if !(InteractionID{}).IsZero() || ids[0].IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestParseInteractionIDRefuses(t *testing.T) {
	good := InteractionID{1, 2}.String()
	for _, s := range []string{"", "int_", "dec_" + good[4:], good[:len(good)-1], good + "0", "int_!" + good[5:]} {
		if got, ok := ParseInteractionID(s); ok {
			t.Errorf("ParseInteractionID(%q) = %v, want refused", s, got)
		}
	}
}

// TestHashSpreads checks that the holdout takes a fifth of consecutive ids: a
// binomial count of n = 100 000, p = 1/5 has a standard deviation of 126.5; five
// of them are allowed.
func TestHashSpreads(t *testing.T) {
	const n = 100_000
	cases := []struct {
		name string
		id   func(i int) InteractionID
	}{
		{"one outcome per entry", func(i int) InteractionID { return InteractionID{Index: uint64(i) + 1} }},
		{"many outcomes per entry", func(i int) InteractionID { return InteractionID{uint64(i/500) + 1, uint32(i % 500)} }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			held := 0
			for i := range n {
				if c.id(i).Hash()%5 == 0 {
					held++
				}
			}
			if math.Abs(float64(held)-n/5) > 5*126.5 {
				t.Errorf("%d of %d ids are held out, want about a fifth", held, n)
			}
		})
	}
}

func FuzzParseInteractionID(f *testing.F) {
	f.Add(InteractionID{7, 9}.String())
	f.Add("int_zzzzzzzzzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := ParseInteractionID(s)
		if !ok {
			return
		}
		if again, ok := ParseInteractionID(id.String()); !ok || again != id {
			t.Fatalf("ParseInteractionID(%q) = %v, which reads back as %v, %v", s, id, again, ok)
		}
	})
}
