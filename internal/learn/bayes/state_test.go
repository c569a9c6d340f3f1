package bayes

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// states are learners with every kind of state.
func states(t testing.TB) map[string]*Learner {
	t.Helper()
	out := map[string]*Learner{
		"empty": newLearner(t, ``, ``),
		"edges": newLearner(t, ``, `{"binEdges":{"age":[30,50],"one":[]}}`),
		"hand-made": newLearner(t, ``, `{"priors":{"positive":0.3,"negative":0.7},"counts":{"samples":40,"positive":10.5,"negative":30},
			"binEdges":{"age":[30]},"likelihoods":{"age":{"positive":{"b1":0.5},"negative":{"b1":0.25}},
			"s":{"positive":{"é":0.5,"a":0.25},"negative":{"a":1,"é":1e-300}}},"calibration":{"temperature":2,"offset":-1}}`),
		"numbers": newLearner(t, ``, ``),
	}
	observe(out["numbers"], 2, true, append(decision.Row{num("x", -0.5), num("y", 1e22)}, set("z")...))
	observe(out["numbers"], 1, false, decision.Row{num("x", 1.0/3)})
	trained, err := Train(context.Background(), learn.Spec{}, market(1000, one), learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(learn.Spec{}, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	out["trained"] = l.(*Learner)
	return out
}

func TestStateRoundTrips(t *testing.T) {
	row := append(decision.Row{num("age", 31), num("income", 5e4), text("s", "é"), text("segment", "Gold"), num("x", 1.0/3)}, set("tags", "a", "t1")...)
	for name, l := range states(t) {
		t.Run(name, func(t *testing.T) {
			state := l.AppendState(nil)
			loaded, err := Load(learn.Spec{}, string(state))
			if err != nil {
				t.Fatal(err)
			}
			if got := loaded.AppendState(nil); !bytes.Equal(got, state) {
				t.Errorf("binary state after a round trip = %q, want %q", got, state)
			}
			js, err := l.StateJSON()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := New(learn.Spec{}, js)
			if err != nil {
				t.Fatalf("New(%s): %v", js, err)
			}
			if got := parsed.AppendState(nil); !bytes.Equal(got, state) {
				t.Errorf("binary state after a round trip through %s = %q, want %q", js, got, state)
			}
			want := score(l, row)
			for _, other := range []learn.Learner{loaded, parsed} {
				if got := score(other, row); got.Score != want.Score || got.Confidence != want.Confidence {
					t.Errorf("score = %v (%v), want %v (%v)", got.Score, got.Confidence, want.Score, want.Confidence)
				}
			}
			// What is learned later is the same too.
			observe(l, 3, true, row)
			observe(loaded, 3, true, row)
			if !bytes.Equal(l.AppendState(nil), loaded.AppendState(nil)) {
				t.Error("the loaded learner learns otherwise")
			}
		})
	}
}

// TestTrainedStateScoresByItsLikelihoods: priors, likelihoods and edges of a
// trained state, loaded by hand without the counts, give the same scores.
func TestTrainedStateScoresByItsLikelihoods(t *testing.T) {
	l := states(t)["trained"]
	js, err := l.StateJSON()
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(js, &state); err != nil {
		t.Fatal(err)
	}
	delete(state, "counts")
	js, err = json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	byHand := newLearner(t, ``, string(js))
	for _, ex := range market(200, one) {
		if got, want := score(byHand, ex.Row).Score, score(l, ex.Row).Score; !near(got, want) {
			t.Fatalf("score = %v, want %v", got, want)
		}
	}
}

func TestStateJSONShape(t *testing.T) {
	l := newLearner(t, `{"binEdges":{"age":[30]}}`, ``)
	observe(l, 1, true, decision.Row{num("age", 40)})
	observe(l, 2, false, decision.Row{num("age", 20)})
	got, err := l.StateJSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"priors":{"positive":0.4,"negative":0.6},` +
		`"likelihoods":{"age":{"positive":{"b0":0.3333333333333333,"b1":0.6666666666666666},"negative":{"b0":0.75,"b1":0.25}}},` +
		`"binEdges":{"age":[30]},` +
		`"counts":{"samples":3,"positive":1,"negative":2,"fields":{"age":{"kind":"bins","present":{"positive":1,"negative":2},` +
		`"positive":{"b0":0,"b1":1},"negative":{"b0":2,"b1":0}}}},` +
		`"calibration":{"temperature":1,"offset":0}}`
	if string(got) != want {
		t.Errorf("StateJSON() = %s\nwant %s", got, want)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	for name, l := range states(t) {
		state := l.AppendState(nil)
		for i := 0; i < len(state); i += max(1, len(state)/200) {
			if _, err := Load(learn.Spec{}, string(state[:i])); decision.KindOf(err) != decision.KindInternal || err == nil {
				t.Fatalf("%s: Load of %d of %d bytes = %v, want an internal error", name, i, len(state), err)
			}
		}
		if _, err := Load(learn.Spec{}, string(state)+"x"); err == nil {
			t.Errorf("%s: Load with a byte left over succeeded", name)
		}
		if _, err := Load(learn.Spec{}, "\x02"+string(state[1:])); err == nil {
			t.Errorf("%s: Load of version 2 succeeded", name)
		}
	}
	if _, err := Load(learn.Spec{Config: json.RawMessage(`7`)}, "\x01"); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("Load with a bad config = %v, want bad request", err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, l := range states(f) {
		f.Add(string(l.AppendState(nil)))
	}
	f.Fuzz(func(t *testing.T, state string) {
		l, err := Load(learn.Spec{}, state)
		if err != nil {
			return
		}
		if got := l.AppendState(nil); len(got) > len(state) {
			t.Fatalf("%d bytes grew to %d", len(state), len(got))
		}
		check(t, l)
	})
}

func FuzzNew(f *testing.F) {
	for _, l := range states(f) {
		js, err := l.StateJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(`{"laplaceSmoothingAlpha":1}`, string(js))
	}
	f.Add(`{"binEdges":{"x":[1,2]},"maxCategories":2}`, `{"counts":{"fields":{"x":{"kind":"set","positive":{"a":1},"negative":{"a":3}}}}}`)
	f.Fuzz(func(t *testing.T, config, state string) {
		l, err := New(learn.Spec{Config: json.RawMessage(config)}, json.RawMessage(state))
		if err != nil {
			if decision.KindOf(err) != decision.KindBadRequest {
				t.Fatalf("New = %v, want bad request", err)
			}
			return
		}
		check(t, l)
	})
}

// check scores, learns and encodes: nothing may panic and no score may leave
// [0, 1].
func check(t *testing.T, l learn.Learner) {
	t.Helper()
	row := append(decision.Row{num("age", 31), text("s", "é"), num("x", 0.5)}, set("z", "a")...)
	for _, positive := range []bool{true, false} {
		if got := score(l, row); !(got.Score >= 0 && got.Score <= 1 && got.Confidence >= 0 && got.Confidence <= 1) {
			t.Fatalf("score %v, confidence %v", got.Score, got.Confidence)
		}
		observe(l, 1, positive, row)
	}
	again, err := Load(learn.Spec{}, string(l.AppendState(nil)))
	if err != nil {
		t.Fatalf("Load of AppendState: %v", err)
	}
	if !bytes.Equal(again.AppendState(nil), l.AppendState(nil)) {
		t.Fatal("the state changed in a round trip")
	}
	if _, err := l.StateJSON(); err != nil {
		t.Fatal(err)
	}
}
