package online

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// stream draws n examples with numbers, a category and a set.
func stream(n int, seed uint64) []learn.Example {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]learn.Example, n)
	for i := range out {
		age, income := 20+60*rng.Float64(), 1000*rng.ExpFloat64()
		row := decision.Row{number("age", age), number("income", income)}
		if rng.IntN(2) == 0 {
			row = append(row, member("interests", "music"))
		}
		row = append(row, member("interests", fmt.Sprint("topic-", rng.IntN(5))), text("segment", fmt.Sprint("s", rng.IntN(4))))
		out[i] = learn.Example{
			ID: decision.InteractionID{Index: uint64(i) + 1}, Row: row,
			Positive: rng.Float64() < learn.Sigmoid((age-50)/10), Weight: 0.5 + rng.Float64(),
		}
	}
	return out
}

var configs = []string{
	`{}`, `{"optimizer":"sgd"}`, `{"optimizer":"adagrad"}`, `{"optimizer":"ftrl","l1":0.1,"l2":1}`,
	`{"normalize":false,"learningRate":0.00001}`, `{"normalize":false,"optimizer":"ftrl"}`,
}

// Stopping anywhere, over either form of the state, leads to the same bytes as
// going straight on.
func TestStateRoundTripsInTheMiddle(t *testing.T) {
	examples := stream(300, 1)
	for _, config := range configs {
		spec := learn.Spec{Config: json.RawMessage(config)}
		straight := mustNew(t, config, "")
		binary, overJSON := learn.Learner(mustNew(t, config, "")), learn.Learner(mustNew(t, config, ""))
		for i := range examples {
			straight.Observe(&examples[i])
			binary.Observe(&examples[i])
			overJSON.Observe(&examples[i])
			if i%37 != 0 {
				continue
			}
			var err error
			if binary, err = Load(spec, string(binary.AppendState(nil))); err != nil {
				t.Fatal(err)
			}
			raw, err := overJSON.StateJSON()
			if err != nil {
				t.Fatal(err)
			}
			if overJSON, err = New(spec, raw); err != nil {
				t.Fatalf("%s: %v\n%s", config, err, raw)
			}
		}
		want := straight.AppendState(nil)
		if !slices.Equal(binary.AppendState(nil), want) {
			t.Errorf("%s: the state differs over its binary form", config)
		}
		if !slices.Equal(overJSON.AppendState(nil), want) {
			t.Errorf("%s: the state differs over JSON", config)
		}
	}
}

func TestProgressiveValidation(t *testing.T) {
	l := mustNew(t, "", "")
	examples := stream(2000, 2)
	for i := range examples {
		l.Observe(&examples[i])
	}
	p := l.progressive
	if p.count != 2000 || p.loss/p.weight < 0.2 || p.loss/p.weight > 0.6 {
		t.Errorf("progressive = %+v, mean loss %v; want it between 0.2 and 0.6, chance is 0.69", p, p.loss/p.weight)
	}
	raw, err := l.StateJSON()
	if err != nil || !strings.Contains(string(raw), `"progressive":{"count":2000,`) {
		t.Errorf("StateJSON() = %s, %v", raw, err)
	}
}

// A change of optimizer keeps the scores.
func TestChangeOfOptimizerKeepsTheWeights(t *testing.T) {
	l := mustNew(t, `{"optimizer":"adagrad"}`, "")
	examples := stream(500, 3)
	for i := range examples {
		l.Observe(&examples[i])
	}
	want := score(l, examples[0].Row).Score
	for _, config := range configs[:4] {
		again, err := Load(learn.Spec{Config: json.RawMessage(config)}, string(l.AppendState(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := score(again, examples[0].Row).Score; got != want {
			t.Errorf("%s: score = %v, want %v", config, got, want)
		}
		again.Observe(&learn.Example{Row: examples[0].Row, Weight: 1e-9})
		if got := score(again, examples[0].Row).Score; got < want-0.01 || got > want+0.01 {
			t.Errorf("%s: score after a tiny outcome = %v, want about %v", config, got, want)
		}
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	l := mustNew(t, "", "")
	examples := stream(20, 4)
	for i := range examples {
		l.Observe(&examples[i])
	}
	state := l.AppendState(nil)
	for n := range state {
		if _, err := Load(learn.Spec{}, string(state[:n])); err == nil {
			t.Fatalf("Load of the first %d of %d bytes succeeded", n, len(state))
		}
	}
}

func FuzzLoad(f *testing.F) {
	examples := stream(5, 5)
	for _, config := range configs {
		l := mustNew(f, config, "")
		f.Add(string(l.AppendState(nil)))
		for i := range examples {
			l.Observe(&examples[i])
		}
		f.Add(string(l.AppendState(nil)))
	}
	f.Fuzz(func(t *testing.T, state string) {
		l, err := Load(learn.Spec{}, state)
		if err != nil {
			return
		}
		for i := range examples {
			l.Observe(&examples[i])
		}
		score(l, examples[0].Row)
		again, err := Load(learn.Spec{}, string(l.AppendState(nil)))
		if err != nil {
			t.Fatalf("its own state does not load: %v", err)
		}
		if !slices.Equal(again.AppendState(nil), l.AppendState(nil)) {
			t.Fatal("the state is not canonical")
		}
	})
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(`{"optimizer":"ftrl"}`), []byte(documented))
	f.Add([]byte(`{}`), []byte(`{"weights":{"a":1,"c=x":2},"normalizer":{"a":{"mean":1,"m2":2,"weight":3}},"optimizer":{"type":"ftrl","features":{"a":{"n":1,"z":2}}}}`))
	examples := stream(3, 6)
	f.Fuzz(func(t *testing.T, config, state []byte) {
		spec := learn.Spec{Config: config}
		l, err := New(spec, state)
		if err != nil {
			return
		}
		for i := range examples {
			l.Observe(&examples[i])
		}
		raw, err := l.StateJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := New(spec, raw)
		if err != nil {
			t.Fatalf("its own state is refused: %v\n%s", err, raw)
		}
		if !slices.Equal(again.AppendState(nil), l.AppendState(nil)) {
			t.Fatalf("the state changed over JSON: %s", raw)
		}
	})
}
