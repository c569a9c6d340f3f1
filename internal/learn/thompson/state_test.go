package thompson

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/wire"
)

func TestStateRoundTrip(t *testing.T) {
	for _, config := range []string{`{}`, `{"discount":0.97,"maxArms":50}`} {
		l := mustNew(t, config, vectorState)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			observe(l, offerName(rng.IntN(100)), 1_700_000_000_000+rng.Int64N(1e9), rng.IntN(4) == 0, rng.Float64()+0.1)
		}
		state := l.AppendState([]byte("before"))[len("before"):]
		loaded, err := Load(specOf(config), string(state))
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded.AppendState(nil); string(got) != string(state) {
			t.Errorf("config %s: binary round trip differs", config)
		}
		asJSON, err := loaded.StateJSON()
		if err != nil {
			t.Fatal(err)
		}
		if got := mustNew(t, config, string(asJSON)).AppendState(nil); string(got) != string(state) {
			t.Errorf("config %s: JSON round trip differs", config)
		}
	}
}

func TestStateJSON(t *testing.T) {
	l := mustNew(t, `{"discount":0.5,"maxArms":2}`, `{"arms":{"b":{"alpha":1.5,"beta":2}}}`)
	observe(l, "a", 1_700_000_000_123, true, 1)
	observe(l, "c", 1_700_000_000_123, true, 1)
	got, err := l.StateJSON()
	const want = `{"arms":{"a":{"alpha":2,"beta":1,"updatedAt":"2023-11-14T22:13:20.123Z"},"b":{"alpha":1.5,"beta":2}},"ignoredOutcomes":1}`
	if err != nil || string(got) != want {
		t.Errorf("StateJSON() = %s, %v, want %s", got, err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ config, state, path string }{
		{`[]`, ``, "config"},
		{`{"priorAlpha":0}`, ``, "config.priorAlpha"},
		{`{"priorBeta":"1"}`, ``, "config.priorBeta"},
		{`{"priorBeta":1e13}`, ``, "config.priorBeta"},
		{`{"discount":0}`, ``, "config.discount"},
		{`{"discount":1.01}`, ``, "config.discount"},
		{`{"maxArms":0}`, ``, "config.maxArms"},
		{`{"maxArms":1.5}`, ``, "config.maxArms"},
		{`{"bootstrap":[]}`, ``, "config.bootstrap"},
		{`{"bootstrap":{"":{"rate":0.5,"weight":1}}}`, ``, "config.bootstrap"},
		{`{"bootstrap":{"a":{"weight":1}}}`, ``, "config.bootstrap.a.rate"},
		{`{"bootstrap":{"a":{"rate":1.5,"weight":1}}}`, ``, "config.bootstrap.a.rate"},
		{`{"bootstrap":{"a":{"rate":0.5,"weight":0}}}`, ``, "config.bootstrap.a.weight"},
		{`{"maxArms":1,"bootstrap":{"a":{"rate":0.5,"weight":1},"b":{"rate":0.5,"weight":1}}}`, ``, "config.bootstrap"},
		{``, `"x"`, "modelState"},
		{``, `{"arms":[]}`, "modelState.arms"},
		{``, `{"arms":{"travel":7}}`, "modelState.arms.travel"},
		{``, `{"arms":{"":{"alpha":1,"beta":1}}}`, "modelState.arms"},
		{``, `{"arms":{"travel":{"beta":1}}}`, "modelState.arms.travel.alpha"},
		{``, `{"arms":{"travel":{"alpha":1,"beta":-1}}}`, "modelState.arms.travel.beta"},
		{``, `{"arms":{"travel":{"alpha":1e999,"beta":1}}}`, "modelState.arms.travel.alpha"},
		{``, `{"arms":{"travel":{"alpha":1,"beta":1,"updatedAt":"now"}}}`, "modelState.arms.travel.updatedAt"},
		{``, `{"arms":{"travel":{"alpha":1,"beta":1,"updatedAt":1}}}`, "modelState.arms.travel.updatedAt"},
		{``, `{"ignoredOutcomes":-1}`, "modelState.ignoredOutcomes"},
		{`{"maxArms":2}`, vectorState, "modelState.arms"},
	} {
		_, err := New(specOf(c.config), json.RawMessage(c.state))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || len(e.Details) != 1 || e.Details[0].Path != c.path {
			t.Errorf("New(%s, %s): %v, want a bad request about %s", c.config, c.state, err, c.path)
		}
	}
	_, err := New(specOf(`{"priorAlpha":0,"discount":2}`), json.RawMessage(`{"arms":{"travel":{"alpha":0,"beta":"x"}}}`))
	var e *decision.Error
	if !errors.As(err, &e) || len(e.Details) != 4 {
		t.Errorf("New() with four problems: %v", err)
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	state := string(mustNew(t, "", vectorState).AppendState(nil))
	for i := range len(state) {
		if _, err := Load(specOf(""), state[:i]); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("the first %d of %d bytes: %v, want ErrCorrupt", i, len(state), err)
		}
	}
	for name, damaged := range map[string]string{
		"version":   "\x02" + state[1:],
		"left over": state + "x",
		"order":     strings.Replace(state, "cashback", "zashback", 1),
	} {
		if _, err := Load(specOf(""), damaged); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if _, err := Load(specOf(`{"discount":7}`), state); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("bad configuration: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	l := mustNew(f, `{"discount":0.9}`, vectorState)
	observe(l, "travel", 1_700_000_000_000, true, 1)
	f.Add(string(l.AppendState(nil)))
	f.Add("\x01\x00\x00")
	f.Fuzz(func(t *testing.T, state string) {
		l, err := Load(specOf(""), state)
		if err != nil {
			return
		}
		again, err := Load(specOf(""), string(l.AppendState(nil)))
		if err != nil || string(again.AppendState(nil)) != string(l.AppendState(nil)) {
			t.Fatalf("the loaded state does not round-trip: %v", err)
		}
		checkScores(t, l)
	})
}

func FuzzNew(f *testing.F) {
	f.Add(`{"priorAlpha":0.001,"discount":0.9,"bootstrap":{"a":{"rate":0.5,"weight":3}}}`, vectorState)
	f.Add(``, `{"arms":{"a":{"alpha":1e-9,"beta":1e12,"updatedAt":"2023-11-14T22:13:20.123Z"}}}`)
	f.Fuzz(func(t *testing.T, config, state string) {
		l, err := New(specOf(config), json.RawMessage(state))
		if err != nil {
			if decision.KindOf(err) != decision.KindBadRequest {
				t.Fatalf("New() = %v, want a bad request", err)
			}
			return
		}
		asJSON, err := l.StateJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := New(specOf(config), asJSON)
		if err != nil || string(again.AppendState(nil)) != string(l.AppendState(nil)) {
			t.Fatalf("state %s does not round-trip: %v", asJSON, err)
		}
		checkScores(t, l)
	})
}

// checkScores checks what holds for every state.
func checkScores(t *testing.T, l learn.Learner) {
	t.Helper()
	total := 0.0
	out := l.Publish().(learn.ArmView).ScoreArms(nil, rand.New(rand.NewPCG(1, 2)), nil)
	for _, s := range out {
		if !(0 <= s.Score && s.Score <= 1 && 0 <= s.Lower && s.Lower <= s.Upper && s.Upper <= 1 && s.Propensity >= 0) {
			t.Fatalf("score %+v", s)
		}
		total += s.Propensity
	}
	if len(out) > 0 && !(total > 1-1e-9 && total < 1+1e-9) {
		t.Fatalf("propensities add up to %v", total)
	}
}

// Readers see α and β of one moment: at every publication here they are equal.
func TestReadersSeeWholeArms(t *testing.T) {
	l := mustNew(t, "", "")
	v := l.Publish().(*view)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for seed := range uint64(2) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			var out []learn.ArmScore
			for {
				select {
				case <-done:
					return
				default:
				}
				out = v.ScoreArms(nil, rng, out)
				for i := range out {
					if out[i].Mean != 0.5 || i > 0 && out[i-1].OfferID >= out[i].OfferID {
						t.Errorf("arm %+v, want a mean of 0.5", out[i])
						return
					}
				}
			}
		})
	}
	for i := range 4000 {
		offer := offerName(i % (1 + i/40))
		observe(l, offer, 1, true, 1)
		observe(l, offer, 1, false, 1)
		l.Publish()
	}
	close(done)
	readers.Wait()
	if got := len(v.Arms()); got != 100 {
		t.Errorf("%d arms, want 100", got)
	}
}

func TestAllocations(t *testing.T) {
	l := mustNew(t, "", stateOf(typicalArms(20)))
	v := l.Publish().(learn.ArmView)
	rng := rand.New(rand.NewPCG(1, 2))
	offers := append([]string{"unknown", "other"}, v.Arms()...)
	var res learn.Result
	out := v.ScoreArms(offers, rng, nil)
	one, best := learn.Request{OfferID: offers[5], Rand: rng}, learn.Request{Rand: rng}
	ex := learn.Example{OfferID: offers[5], Positive: true, Weight: 1}
	for name, f := range map[string]func(){
		"ScoreArms":       func() { out = v.ScoreArms(offers, rng, out) },
		"ScoreArms(nil)":  func() { out = v.ScoreArms(nil, rng, out) },
		"DrawArms":        func() { out = v.DrawArms(offers, rng, out) },
		"Score of offer":  func() { v.Score(&one, &res) },
		"Score of best":   func() { v.Score(&best, &res) },
		"Publish of none": func() { l.Publish() },
		"Observe":         func() { l.Observe(&ex) },
	} {
		if strings.HasPrefix(name, "Publish") {
			l.Publish()
		}
		if got := testing.AllocsPerRun(200, f); got != 0 && !raceEnabled {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

func BenchmarkView(b *testing.B) {
	l := mustNew(b, "", stateOf(typicalArms(20)))
	v := l.Publish().(learn.ArmView)
	rng := rand.New(rand.NewPCG(1, 2))
	offers := v.Arms()
	var res learn.Result
	var out []learn.ArmScore
	one, best := learn.Request{OfferID: offers[5], Rand: rng}, learn.Request{Rand: rng}
	ex := learn.Example{OfferID: offers[5], Positive: true, Weight: 1}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"op=Score/offer=given", func() { v.Score(&one, &res) }},
		{"op=Score/offer=best", func() { v.Score(&best, &res) }},
		{"op=DrawArms/arms=20", func() { out = v.DrawArms(offers, rng, out) }},
		{"op=ScoreArms/arms=20", func() { out = v.ScoreArms(offers, rng, out) }},
		{"op=Observe", func() { l.Observe(&ex) }},
		{"op=ObservePublish", func() { l.Observe(&ex); l.Publish() }},
		{"op=ObservePublishScoreArms", func() { l.Observe(&ex); l.Publish(); out = v.ScoreArms(offers, rng, out) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}
