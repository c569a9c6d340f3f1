package epsilon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/arms"
	"github.com/praetor-engine/praetor/internal/wire"
)

func specOf(config string) learn.Spec {
	return learn.Spec{Type: decision.EpsilonGreedy, Config: json.RawMessage(config)}
}

func mustNew(tb testing.TB, config, state string) *Learner {
	tb.Helper()
	l, err := New(specOf(config), json.RawMessage(state))
	if err != nil {
		tb.Fatal(err)
	}
	return l.(*Learner)
}

func observe(l *Learner, offerID string, positive bool, weight float64) {
	l.Observe(&learn.Example{OfferID: offerID, Positive: positive, Weight: weight})
}

const vectorState = `{"arms":{"a":{"totalReward":65,"pulls":100},"b":{"totalReward":30,"pulls":100},"c":{"totalReward":18,"pulls":100}}}`

func TestVector(t *testing.T) {
	v := mustNew(t, `{"epsilon":0}`, vectorState).Publish().(learn.ArmView)
	out := v.ScoreArms([]string{"c", "a", "b", "new"}, rand.New(rand.NewPCG(1, 2)), nil)
	for i, want := range []learn.ArmScore{
		// The Wilson intervals to four digits.
		{OfferID: "c", Score: 0.18, Mean: 0.18, Lower: 0.1170, Upper: 0.2667},
		{OfferID: "a", Score: 0.65, Mean: 0.65, Lower: 0.5525, Upper: 0.7364},
		{OfferID: "b", Score: 0.30, Mean: 0.30, Lower: 0.2189, Upper: 0.3958},
		{OfferID: "new", Score: 1, Mean: 1, Lower: 0, Upper: 1, Propensity: 1},
	} {
		got := out[i]
		if math.Abs(got.Lower-want.Lower) > 5e-5 || math.Abs(got.Upper-want.Upper) > 5e-5 {
			t.Errorf("interval of %s = [%.4f, %.4f], want [%.4f, %.4f]", got.OfferID, got.Lower, got.Upper, want.Lower, want.Upper)
		}
		got.Lower, got.Upper = want.Lower, want.Upper
		if got != want {
			t.Errorf("score %+v, want %+v", got, want)
		}
	}
}

func TestObserve(t *testing.T) {
	l := mustNew(t, `{"epsilon":0.5,"decayRate":0.1}`, "")
	observe(l, "a", true, 2)
	observe(l, "a", false, 0.5)
	observe(l, "b", false, 1.5)
	observe(l, "", true, 1)
	v := l.Publish().(learn.ArmView)
	if got, want := fmt.Sprint(l.table.Find("a").State, l.table.Find("b").State, l.totalPulls, v.Arms()), "{2 2.5} {0 1.5} 4 [a b]"; got != want {
		t.Errorf("state %s, want %s", got, want)
	}
	if got, want := l.epsilon(), 0.5/1.4; got != want {
		t.Errorf("epsilon = %v, want %v", got, want)
	}
	observe(l, "a", true, 1e300)
	observe(l, "a", true, 1)
	if a := l.table.Find("a").State; a.pulls != arms.MaxMass || a.totalReward > a.pulls || l.totalPulls != maxTotal {
		t.Errorf("after a huge weight %+v, total %v", a, l.totalPulls)
	}
}

func TestArmsAreBounded(t *testing.T) {
	l := mustNew(t, `{"maxArms":2}`, "")
	for _, id := range []string{"a", "b", "c", "a", "c"} {
		observe(l, id, true, 1)
	}
	l.ResetArm("d", 0.5, 10)
	if got, want := fmt.Sprint(l.Publish().(learn.ArmView).Arms(), l.ignored, l.totalPulls), "[a b] 2 3"; got != want {
		t.Errorf("arms, ignored outcomes, pulls %s, want %s", got, want)
	}
}

func TestResetArm(t *testing.T) {
	l := mustNew(t, "", vectorState)
	l.ResetArm("a", 0.25, 8)
	l.ResetArm("b", 0.9, 0)
	l.ResetArm("new", 0.5, 2)
	l.ResetArm("unknown", 0.5, 0)
	v := l.Publish().(learn.ArmView)
	var got []string
	for _, id := range v.Arms() {
		got = append(got, fmt.Sprint(id, l.table.Find(id).State))
	}
	if want := "[a{2 8} b{0 0} c{18 100} new{1 2}]"; fmt.Sprint(got) != want || l.totalPulls != 300 {
		t.Errorf("arms %v, total %v, want %s, 300", got, l.totalPulls, want)
	}
}

// The state's epsilon and decayRate win over the configuration's, each alone.
func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		config, state string
		want          float64
	}{
		{``, ``, 0.1},
		{`{"epsilon":0.4}`, ``, 0.4},
		{`{"epsilon":0.4,"decayRate":1}`, `{"totalPulls":3}`, 0.1},
		{`{"epsilon":0.4}`, `{"epsilon":0}`, 0},
		{`{"epsilon":0.4}`, `{"decayRate":0.01,"arms":{"a":{"totalReward":0,"pulls":300}}}`, 0.1},
	} {
		l := mustNew(t, c.config, c.state)
		if got := l.epsilon(); got != c.want {
			t.Errorf("config %s, state %s: epsilon %v, want %v", c.config, c.state, got, c.want)
		}
		loaded, err := Load(specOf(c.config), string(l.AppendState(nil)))
		if err != nil || loaded.(*Learner).epsilon() != c.want {
			t.Errorf("config %s, state %s: loaded %v, %v", c.config, c.state, loaded, err)
		}
	}
}

// The propensity is the frequency with which the first of the greatest scores is
// that arm's.
func TestPropensityAgainstChoices(t *testing.T) {
	for _, c := range []struct {
		epsilon float64
		offers  []string
	}{{0, []string{"a", "b"}}, {0.1, []string{"b", "new", "other"}}, {0.5, []string{"c", "a", "b"}}, {1, []string{"a", "b", "c"}}} {
		v := mustNew(t, fmt.Sprintf(`{"epsilon":%v}`, c.epsilon), vectorState).Publish().(learn.ArmView)
		rng := rand.New(rand.NewPCG(1, 2))
		var out []learn.ArmScore
		const n = 50_000
		wins := make([]float64, len(c.offers))
		for range n {
			out = v.ScoreArms(c.offers, rng, out)
			best := 0
			for i := range out {
				if out[i].Score > out[best].Score {
					best = i
				}
			}
			wins[best]++
		}
		for i := range out {
			p := out[i].Propensity
			if tolerance := 5*math.Sqrt(p*(1-p)/n) + 1e-12; math.Abs(wins[i]/n-p) > tolerance {
				t.Errorf("epsilon %v, %v: %s chosen with frequency %v, propensity %v ± %v", c.epsilon, c.offers, c.offers[i], wins[i]/n, p, tolerance)
			}
		}
	}
}

func TestScore(t *testing.T) {
	v := mustNew(t, `{"epsilon":0}`, vectorState).Publish()
	var res learn.Result
	for offerID, want := range map[string]float64{"b": 0.3, "new": 1, "": 0.65} {
		v.Score(&learn.Request{OfferID: offerID, Rand: rand.New(rand.NewPCG(1, 1))}, &res)
		if res.Score != want {
			t.Errorf("Score of %q = %v, want %v", offerID, res.Score, want)
		}
	}
	empty := mustNew(t, `{"epsilon":0}`, "").Publish()
	empty.Score(&learn.Request{Rand: rand.New(rand.NewPCG(1, 1))}, &res)
	if out := empty.(learn.ArmView).ScoreArms(nil, rand.New(rand.NewPCG(1, 1)), nil); res.Score != 1 || len(out) != 0 {
		t.Errorf("without arms: score %v, want 1; %d arms", res.Score, len(out))
	}
}

func TestStateRoundTrip(t *testing.T) {
	l := mustNew(t, `{"maxArms":50}`, `{"epsilon":0.25,"arms":{"b":{"totalReward":1.5,"pulls":2}}}`)
	for i := range 200 {
		observe(l, fmt.Sprint("offer-", i%70), i%3 == 0, 0.1)
	}
	state := l.AppendState([]byte("before"))[len("before"):]
	loaded, err := Load(specOf(`{"maxArms":50}`), string(state))
	if err != nil || string(loaded.AppendState(nil)) != string(state) {
		t.Fatalf("the binary form does not round-trip: %v", err)
	}
	asJSON, err := loaded.StateJSON()
	if err != nil || string(mustNew(t, `{"maxArms":50}`, string(asJSON)).AppendState(nil)) != string(state) {
		t.Errorf("JSON %s does not round-trip: %v", asJSON, err)
	}
	small := mustNew(t, "", `{"epsilon":0.25,"totalPulls":9,"arms":{"b":{"totalReward":1.5,"pulls":2}}}`)
	const want = `{"arms":{"b":{"totalReward":1.5,"pulls":2}},"epsilon":0.25,"totalPulls":9}`
	if got, err := small.StateJSON(); err != nil || string(got) != want {
		t.Errorf("StateJSON() = %s, %v, want %s", got, err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ config, state, path string }{
		{`7`, ``, "config"},
		{`{"epsilon":1.1}`, ``, "config.epsilon"},
		{`{"decayRate":-1}`, ``, "config.decayRate"},
		{`{"maxArms":0}`, ``, "config.maxArms"},
		{``, `[]`, "modelState"},
		{``, `{"epsilon":"0.1"}`, "modelState.epsilon"},
		{``, `{"decayRate":-0.1}`, "modelState.decayRate"},
		{``, `{"totalPulls":-1}`, "modelState.totalPulls"},
		{``, `{"arms":1}`, "modelState.arms"},
		{``, `{"arms":{"a":null}}`, "modelState.arms.a.pulls"},
		{``, `{"arms":{"a":[]}}`, "modelState.arms.a"},
		{``, `{"arms":{"":{"totalReward":0,"pulls":0}}}`, "modelState.arms"},
		{``, `{"arms":{"a":{"totalReward":1}}}`, "modelState.arms.a.pulls"},
		{``, `{"arms":{"a":{"totalReward":-1,"pulls":1}}}`, "modelState.arms.a.totalReward"},
		{``, `{"arms":{"a":{"totalReward":2,"pulls":1}}}`, "modelState.arms.a.totalReward"},
		{`{"maxArms":1}`, vectorState, "modelState.arms"},
	} {
		_, err := New(specOf(c.config), json.RawMessage(c.state))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || e.Details[0].Path != c.path {
			t.Errorf("New(%s, %s): %v, want a bad request about %s", c.config, c.state, err, c.path)
		}
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	state := string(mustNew(t, "", `{"epsilon":0.5,"decayRate":1,"arms":{"a":{"totalReward":1,"pulls":2}}}`).AppendState(nil))
	for i := range len(state) {
		if _, err := Load(specOf(""), state[:i]); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("the first %d of %d bytes: %v, want ErrCorrupt", i, len(state), err)
		}
	}
	for _, damaged := range []string{"\x02" + state[1:], "\x01\x07" + state[2:], state + "x"} {
		if _, err := Load(specOf(""), damaged); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("Load(%q) = %v, want ErrCorrupt", damaged, err)
		}
	}
	if _, err := Load(specOf(`{"epsilon":7}`), state); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("bad configuration: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(string(mustNew(f, "", `{"epsilon":0.5,"decayRate":1,"arms":{"a":{"totalReward":1,"pulls":2}}}`).AppendState(nil)))
	f.Add(string(mustNew(f, "", `{"arms":{"a":{"totalReward":1e-300,"pulls":4e-300}}}`).AppendState(nil)))
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
	f.Add(`{"epsilon":0.3,"decayRate":0.001,"maxArms":5}`, vectorState)
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

func TestReadersSeeWholeArms(t *testing.T) {
	l := mustNew(t, `{"epsilon":0.2,"decayRate":0.001}`, "")
	v := l.Publish().(learn.ArmView)
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
					if out[i].Mean != 0.5 {
						t.Errorf("arm %+v, want a mean of 0.5", out[i])
						return
					}
				}
			}
		})
	}
	for i := range 5000 {
		offer := fmt.Sprint("offer-", i%(1+i/100))
		observe(l, offer, true, 1)
		observe(l, offer, false, 1)
		l.Publish()
	}
	close(done)
	readers.Wait()
}

func TestTrain(t *testing.T) {
	rows := source{}
	for i := range 100 {
		rows = append(rows, learn.Example{ID: decision.InteractionID{Index: uint64(i + 1)}, OfferID: "a", Positive: i%4 == 0, Weight: 1})
	}
	got, err := Train(t.Context(), specOf(""), rows, learn.TrainOptions{})
	if err != nil || got.State != nil || got.SampleCount != 100 || math.Abs(got.Metrics.Brier-0.1875) > 1e-12 {
		t.Errorf("Train() = %+v, %v", got, err)
	}
	if _, err := Train(t.Context(), specOf(`{"epsilon":-1}`), rows, learn.TrainOptions{}); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("Train() with a bad configuration: %v", err)
	}
}

type source []learn.Example

func (s source) Scan(_ context.Context, f func(*learn.Example) error) error {
	for i := range s {
		if err := f(&s[i]); err != nil {
			return err
		}
	}
	return nil
}

func operations(tb testing.TB) map[string]func() {
	l := mustNew(tb, "", "")
	for i := range 20 {
		observe(l, fmt.Sprintf("offer-%02d", i), true, 1)
	}
	v := l.Publish().(learn.ArmView)
	rng := rand.New(rand.NewPCG(1, 2))
	offers := v.Arms()
	var res learn.Result
	out := v.ScoreArms(offers, rng, nil)
	one, best := learn.Request{OfferID: offers[5], Rand: rng}, learn.Request{Rand: rng}
	ex := learn.Example{OfferID: offers[5], Positive: true, Weight: 1}
	return map[string]func(){
		"op=Score/offer=given":     func() { v.Score(&one, &res) },
		"op=Score/offer=best":      func() { v.Score(&best, &res) },
		"op=ScoreArms/arms=20":     func() { out = v.ScoreArms(offers, rng, out) },
		"op=ScoreArms/arms=all":    func() { out = v.ScoreArms(nil, rng, out) },
		"op=DrawArms/arms=20":      func() { out = v.DrawArms(offers, rng, out) },
		"op=Publish/changed=false": func() { l.Publish() },
		"op=Observe":               func() { l.Observe(&ex) },
		"op=ObservePublish":        func() { l.Observe(&ex); l.Publish() },
	}
}

func TestAllocations(t *testing.T) {
	for name, f := range operations(t) {
		want := 0.0
		if strings.HasSuffix(name, "ObservePublish") {
			want = 1 // the arm's new pair
		}
		if got := testing.AllocsPerRun(200, f); got > want {
			t.Errorf("%s allocates %v times, want %v", name, got, want)
		}
	}
}

func BenchmarkView(b *testing.B) {
	for name, f := range operations(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
