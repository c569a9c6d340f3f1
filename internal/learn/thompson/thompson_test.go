package thompson

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func specOf(config string) learn.Spec {
	return learn.Spec{Type: decision.ThompsonBandit, Config: json.RawMessage(config)}
}

func mustNew(tb testing.TB, config, state string) *Learner {
	tb.Helper()
	l, err := New(specOf(config), json.RawMessage(state))
	if err != nil {
		tb.Fatal(err)
	}
	return l.(*Learner)
}

// offerName numbers offers so that their order is that of the numbers.
func offerName(i int) string { return fmt.Sprintf("offer-%04d", i) }

func stateOf(arms []shapes) string {
	s := stateJSON{Arms: map[string]armJSON{}}
	for i, a := range arms {
		s.Arms[offerName(i)] = armJSON{Alpha: a.alpha, Beta: a.beta}
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

const vectorState = `{"arms":{"travel":{"alpha":22,"beta":80},"cashback":{"alpha":65,"beta":38},"nofee":{"alpha":12,"beta":90}}}`

func TestVector(t *testing.T) {
	v := mustNew(t, "", vectorState).Publish().(learn.ArmView)
	rng := rand.New(rand.NewPCG(1, 2))
	out := v.ScoreArms([]string{"travel", "cashback", "nofee"}, rng, nil)
	if got := out[1].Propensity; !(got > 0.9999) {
		t.Errorf("P(best) of cashback = %v, want more than 0.9999", got)
	}
	t.Logf("%+v", out)
	const n = 100_000
	wins := 0
	for range n {
		out = v.DrawArms([]string{"travel", "cashback", "nofee"}, rng, out)
		if out[1].Score > out[0].Score && out[1].Score > out[2].Score {
			wins++
		}
	}
	if wins <= n*9999/10000 {
		t.Errorf("cashback best in %d of %d draws", wins, n)
	}
}

func observe(l *Learner, offerID string, at int64, positive bool, weight float64) {
	l.Observe(&learn.Example{OfferID: offerID, At: at, Positive: positive, Weight: weight})
}

func (l *Learner) armOf(offerID string) arm {
	c := l.table.Find(offerID)
	if c == nil {
		return arm{}
	}
	return c.State
}

func TestObserve(t *testing.T) {
	l := mustNew(t, `{"priorAlpha":2,"priorBeta":3}`, "")
	observe(l, "a", 5, true, 1)
	observe(l, "a", 4, false, 0.5)
	observe(l, "", 4, true, 1)
	observe(l, "b", 9, true, 1e300)
	if got, want := l.armOf("a"), (arm{alpha: 3, beta: 3.5}); got != want {
		t.Errorf("arm a = %+v, want %+v", got, want)
	}
	if got, want := l.armOf("b"), (arm{alpha: maxShape, beta: 3}); got != want {
		t.Errorf("arm b = %+v, want %+v", got, want)
	}
	if got := l.table.Len(); got != 2 {
		t.Errorf("%d arms, want 2: an outcome without an offer teaches nothing", got)
	}
}

func TestArmsAreBounded(t *testing.T) {
	l := mustNew(t, `{"maxArms":2}`, "")
	for _, id := range []string{"a", "b", "c", "a", "c"} {
		observe(l, id, 1, true, 1)
	}
	l.ResetArm("d", 0.5, 10)
	v := l.Publish().(learn.ArmView)
	if got, want := fmt.Sprint(v.Arms(), l.ignored), "[a b] 2"; got != want {
		t.Errorf("arms and ignored outcomes %s, want %s", got, want)
	}
}

// With a discount the arm is the prior plus every outcome faded by its age at
// the newest outcome, in whatever order they came.
func TestDiscount(t *testing.T) {
	const gamma, prior, day = 0.9, 1.5, 24 * 60 * 60 * 1000
	type outcome struct {
		at       int64
		positive bool
		weight   float64
	}
	rng := rand.New(rand.NewPCG(1, 2))
	outcomes := make([]outcome, 200)
	newest := int64(0)
	for i := range outcomes {
		outcomes[i] = outcome{1_700_000_000_000 + rng.Int64N(30*day), rng.IntN(3) == 0, 0.5 + rng.Float64()}
		newest = max(newest, outcomes[i].at)
	}
	alpha, beta := prior, prior
	for _, o := range outcomes {
		w := o.weight * math.Pow(gamma, float64(newest-o.at)/day)
		if o.positive {
			alpha += w
		} else {
			beta += w
		}
	}
	for _, order := range []string{"random", "ascending", "descending"} {
		switch order {
		case "ascending":
			slices.SortFunc(outcomes, func(a, b outcome) int { return cmp.Compare(a.at, b.at) })
		case "descending":
			slices.Reverse(outcomes)
		}
		l := mustNew(t, `{"priorAlpha":1.5,"priorBeta":1.5,"discount":0.9}`, "")
		for _, o := range outcomes {
			observe(l, "a", o.at, o.positive, o.weight)
			if a := l.armOf("a"); a.alpha < prior || a.beta < prior {
				t.Fatalf("%s: arm %+v is below the prior", order, a)
			}
		}
		got := l.armOf("a")
		if math.Abs(got.alpha-alpha) > 1e-9 || math.Abs(got.beta-beta) > 1e-9 || got.at != newest {
			t.Errorf("%s: arm %+v, want alpha %v, beta %v, at %d", order, got, alpha, beta, newest)
		}
	}
}

func TestDiscountStartsWithTheFirstOutcome(t *testing.T) {
	l := mustNew(t, `{"discount":0.5,"bootstrap":{"a":{"rate":0.2,"weight":10}}}`, "")
	const day, start = 24 * 60 * 60 * 1000, 1_700_000_000_000
	observe(l, "a", start, true, 1)
	if got, want := l.armOf("a"), (arm{alpha: 3, beta: 8, at: start}); got != want {
		t.Errorf("after the first outcome %+v, want %+v", got, want)
	}
	observe(l, "a", start+day, false, 1)
	if got, want := l.armOf("a"), (arm{alpha: 2, beta: 5.5, at: start + day}); got != want {
		t.Errorf("a day later %+v, want %+v", got, want)
	}
}

func TestBootstrap(t *testing.T) {
	const config = `{"bootstrap":{"a":{"rate":0.3,"weight":100},"b":{"rate":0,"weight":10}}}`
	l := mustNew(t, config, `{"arms":{"a":{"alpha":7,"beta":8},"c":{"alpha":2,"beta":2}}}`)
	if got, want := fmt.Sprint(l.armOf("a"), l.armOf("b"), l.armOf("c")), "{7 8 0} {0.01 10 0} {2 2 0}"; got != want {
		t.Errorf("arms a, b, c = %s, want %s", got, want)
	}
	l = mustNew(t, config, ``)
	if got, want := fmt.Sprint(l.armOf("a"), l.Publish().(learn.ArmView).Arms()), "{30 70 0} [a b]"; got != want {
		t.Errorf("without a state %s, want %s", got, want)
	}
}

func TestResetArm(t *testing.T) {
	l := mustNew(t, `{"priorAlpha":1,"priorBeta":4,"discount":0.9}`, vectorState)
	observe(l, "travel", 1_700_000_000_000, true, 1)
	l.ResetArm("travel", 0.25, 8)
	l.ResetArm("nofee", 0.9, 0)
	l.ResetArm("new", 0.5, 2)
	l.ResetArm("unknown", 0.5, 0)
	if got, want := fmt.Sprint(l.armOf("travel"), l.armOf("nofee"), l.armOf("new")), "{2 6 0} {1 4 0} {1 1 0}"; got != want {
		t.Errorf("travel, nofee, new = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(l.Publish().(learn.ArmView).Arms()), "[cashback new nofee travel]"; got != want {
		t.Errorf("arms %s, want %s", got, want)
	}
}

func TestPublish(t *testing.T) {
	l := mustNew(t, "", vectorState)
	v := l.Publish().(learn.ArmView)
	mean := func(id string) float64 {
		return v.DrawArms([]string{id}, rand.New(rand.NewPCG(1, 1)), nil)[0].Mean
	}
	observe(l, "new", 1, true, 1)
	if got := mean("new"); got != 0.5 {
		t.Errorf("mean before Publish = %v, want the prior's 0.5", got)
	}
	if l.Publish() != learn.View(v) {
		t.Error("Publish returned another view")
	}
	if got := mean("new"); got != 2.0/3 {
		t.Errorf("mean after Publish = %v, want 2/3", got)
	}
}

func TestScore(t *testing.T) {
	v := mustNew(t, "", vectorState).Publish()
	var res learn.Result
	const n = 20_000
	for _, c := range []struct {
		offerID string
		want    float64 // mean of the score
	}{
		{"travel", 22.0 / 102},
		{"unknown", 0.5},
		{"", 65.0 / 103}, // the best, nearly always cashback
	} {
		req := learn.Request{OfferID: c.offerID, Rand: rand.New(rand.NewPCG(1, 1))}
		sum := 0.0
		for range n {
			v.Score(&req, &res)
			sum += res.Score
		}
		// A Beta variate deviates by 0.29 at most (uniform); five standard errors.
		if got, tolerance := sum/n, 5*0.29/math.Sqrt(n); math.Abs(got-c.want) > tolerance {
			t.Errorf("mean score of offer %q = %v, want %v ± %v", c.offerID, got, c.want, tolerance)
		}
	}
	empty := mustNew(t, "", "").Publish()
	empty.Score(&learn.Request{Rand: rand.New(rand.NewPCG(1, 1))}, &res)
	if !(res.Score > 0 && res.Score < 1) {
		t.Errorf("score without arms = %v, want a draw from the prior", res.Score)
	}
	if out := empty.(learn.ArmView).ScoreArms(nil, rand.New(rand.NewPCG(1, 1)), nil); len(out) != 0 {
		t.Errorf("%d scores without arms", len(out))
	}
}

func TestTrain(t *testing.T) {
	var rows source
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		offer := i % 2
		rows = append(rows, learn.Example{
			ID: decision.InteractionID{Index: uint64(i + 1)}, OfferID: offerName(offer),
			Positive: rng.Float64() < 0.2+0.4*float64(offer), Weight: 1,
		})
	}
	rows = append(rows, learn.Example{Positive: true, Weight: 1}) // no offer
	got, err := Train(t.Context(), specOf(""), rows, learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := got.Metrics
	// Of two offers of 0.2 and 0.6 the AUC is 0.5 + (0.75·0.667 − 0.25·0.333)/2 = 0.708.
	if got.State != nil || got.SampleCount != 4000 || m.Evaluation != learn.EvaluationHoldout || math.Abs(m.AUC-0.708) > 0.05 {
		t.Errorf("Train() = %+v", got)
	}
	if len(m.Offers) != 2 || m.Offers[1].Samples != 2000 || math.Abs(m.Offers[1].Rate-0.6) > 0.06 {
		t.Errorf("offers' rates %+v", m.Offers)
	}
	if _, err := Train(t.Context(), specOf(""), source(nil), learn.TrainOptions{}); decision.KindOf(err) != decision.KindUnprocessable {
		t.Errorf("Train() without rows: %v", err)
	}
	if _, err := Train(t.Context(), specOf(`{"priorAlpha":-1}`), rows, learn.TrainOptions{}); decision.KindOf(err) != decision.KindBadRequest {
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
