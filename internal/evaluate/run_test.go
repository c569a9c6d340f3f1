package evaluate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/epsilon"
	"github.com/praetor-engine/praetor/internal/learn/logistic"
)

// market is a simulated truth: three offers whose rewards depend on the customer's
// age and segment.
type market struct{ rng *rand.Rand }

var offers = []string{"a", "b", "c"}

func (m *market) customer() decision.Row {
	segment := []string{"gold", "silver"}[m.rng.IntN(2)]
	return decision.Row{{Name: "age", Kind: decision.Number, Num: m.rng.NormFloat64()}, {Name: "segment", Kind: decision.Text, Text: segment}}
}

// chance is the true probability of a reward.
func chance(row decision.Row, offer string) float64 {
	z := -1 + 2*row[0].Num // most of it has nothing to do with the offer
	switch offer {
	case "a":
		z += 1.2 * row[0].Num
	case "b":
		if row[1].Text == "gold" {
			z += 1.5
		}
	case "c":
		z += 0.4 - 0.8*row[0].Num
	}
	return 1 / (1 + math.Exp(-z))
}

// policyFunc is a policy by its scores' softmax; temperature 0 is greedy.
type policyFunc func(row decision.Row, offer string) float64

func (f policyFunc) Choose(d *Decision, dst []float64) []float64 {
	total := 0.0
	for _, c := range d.Candidates {
		w := math.Exp(f(d.Row, c.OfferID))
		dst = append(dst, w)
		total += w
	}
	for i := range d.Candidates {
		dst[len(dst)-1-i] /= total
	}
	return dst
}

// greedyFunc is a policy that chooses by its scores alone.
type greedyFunc func(row decision.Row, offer string) float64

func (f greedyFunc) Choose(d *Decision, dst []float64) []float64 {
	best := 0
	for i, c := range d.Candidates {
		if f(d.Row, c.OfferID) > f(d.Row, d.Candidates[best].OfferID) {
			best = i
		}
		dst = append(dst, 0)
	}
	dst[len(dst)-len(d.Candidates)+best] = 1
	return dst
}

var (
	logging = policyFunc(func(row decision.Row, offer string) float64 {
		return map[string]float64{"a": 0.8, "b": 0, "c": -0.5 + 0.5*row[0].Num}[offer]
	})
	target = policyFunc(func(row decision.Row, offer string) float64 { return 4 * chance(row, offer) })
)

// play logs n decisions.
func (m *market) play(n int, p Policy) []Decision {
	all := make([]Decision, n)
	for i := range all {
		d := Decision{ID: fmt.Sprintf("d%d-%d", i, m.rng.Uint64()), At: int64(i), Row: m.customer()}
		for _, o := range offers {
			d.Candidates = append(d.Candidates, Candidate{OfferID: o})
		}
		chances := p.Choose(&d, nil)
		u := m.rng.Float64()
		for d.Choice = 0; d.Choice < len(chances)-1 && u >= chances[d.Choice]; d.Choice++ {
			u -= chances[d.Choice]
		}
		for j := range chances {
			d.Candidates[j].Propensity = chances[j]
		}
		if m.rng.Float64() < chance(d.Row, offers[d.Choice]) {
			d.Reward = 1
		}
		all[i] = d
	}
	return all
}

// truth is the policy's value, to a standard error of 0.0002.
func (m *market) truth(p Policy) float64 {
	d := Decision{Candidates: []Candidate{{OfferID: "a"}, {OfferID: "b"}, {OfferID: "c"}}}
	total := 0.0
	const n = 500_000
	var chances []float64
	for range n {
		d.Row = m.customer()
		chances = p.Choose(&d, chances[:0])
		for i, c := range chances {
			total += c * chance(d.Row, offers[i])
		}
	}
	return total / n
}

// Over 120 simulated logs: the estimators are unbiased within four standard errors,
// the 95 % intervals cover the truth, and the doubly robust estimate varies less
// than those that have no model.
func TestEstimatesOfASimulatedTruth(t *testing.T) {
	const logs, size = 120, 600
	truth := (&market{rand.New(rand.NewPCG(1, 1))}).truth(target)
	values, covered := map[string][]float64{}, map[string][2]int{}
	for seed := range uint64(logs) {
		m := &market{rand.New(rand.NewPCG(2, seed))}
		r, err := Run(t.Context(), m.play(size, logging), target, []string{Replay, IPS, SNIPS, DR})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Estimates {
			if e.Value == nil {
				t.Fatalf("%s: %s", e.Estimator, e.Reason)
			}
			values[e.Estimator] = append(values[e.Estimator], *e.Value)
			c := covered[e.Estimator]
			for i, in := range []*Interval{e.Interval, e.Bootstrap} {
				if in.Lower <= truth && truth <= in.Upper {
					c[i]++
				}
			}
			covered[e.Estimator] = c
		}
	}
	deviation := map[string]float64{}
	for _, name := range []string{Replay, IPS, SNIPS, DR} {
		all := values[name]
		mean := sum(all) / logs
		variance := 0.0
		for _, v := range all {
			variance += (v - mean) * (v - mean) / (logs - 1)
		}
		deviation[name] = math.Sqrt(variance)
		if tolerance := 4*deviation[name]/math.Sqrt(logs) + 0.001; math.Abs(mean-truth) > tolerance {
			t.Errorf("%s: mean %.4f, want %.4f ± %.4f", name, mean, truth, tolerance)
		}
		// Of 120 intervals of 95 %, fewer than 105 cover with a probability of 1e-3.
		for i, what := range []string{"interval", "bootstrap"} {
			if covered[name][i] < 105 {
				t.Errorf("%s: the %s covers the truth in %d of %d logs", name, what, covered[name][i], logs)
			}
		}
		t.Logf("%-7s mean %.4f (truth %.4f) sd %.4f, covered by %d and %d of %d", name, mean, truth, deviation[name], covered[name][0], covered[name][1], logs)
	}
	if deviation[DR] >= 0.97*deviation[SNIPS] || deviation[DR] >= 0.92*deviation[IPS] {
		t.Errorf("deviations %v: want that of dr below those of snips and ips", deviation)
	}
}

func TestALogThatNeverRandomises(t *testing.T) {
	m := &market{rand.New(rand.NewPCG(3, 3))}
	greedy, always := greedyFunc(chance), greedyFunc(func(_ decision.Row, offer string) float64 { return map[string]float64{"a": 1}[offer] })
	log := m.play(300, greedy)
	r, err := Run(t.Context(), log, always, Estimators)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Estimates {
		if (e.Value != nil) != (e.Estimator == Logged) {
			t.Errorf("%s of a log without support: %+v", e.Estimator, e)
		}
		if e.Estimator != Logged && !strings.Contains(e.Reason, "no support") {
			t.Errorf("%s: reason %q", e.Estimator, e.Reason)
		}
	}
	if !contains(r.Warnings, "never randomises") {
		t.Errorf("warnings %q", r.Warnings)
	}
	// Against itself it can be evaluated: all weights are 1.
	r, err = Run(t.Context(), log, greedy, Estimators)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Estimates {
		if e.Value == nil || math.Abs(*e.Value-*r.Estimates[0].Value) > 0.01 {
			t.Errorf("%s of the log's own policy = %+v, want that of the log", e.Estimator, e)
		}
	}
}

func contains(warnings []string, text string) bool {
	return slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, text) })
}

func TestWarnings(t *testing.T) {
	play := func(change func(d *Decision)) Report {
		log := (&market{rand.New(rand.NewPCG(4, 4))}).play(400, logging)
		for i := range log {
			change(&log[i])
		}
		r, err := Run(t.Context(), log, target, Estimators)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	missing := 0
	r := play(func(d *Decision) {
		if missing++; missing%4 == 0 {
			d.Candidates[d.Choice].Propensity = math.NaN()
		}
	})
	if r.Evaluated != 300 || r.Decisions != 400 || !contains(r.Warnings, "100 of 400 decisions have no propensity") {
		t.Errorf("missing propensities: %d of %d, warnings %q", r.Evaluated, r.Decisions, r.Warnings)
	}
	if r := play(func(d *Decision) { d.Candidates[d.Choice].Propensity /= 2 }); !contains(r.Warnings, "should be 1") {
		t.Errorf("wrong propensities: mean weight %v, warnings %q", r.MeanWeight, r.Warnings)
	}
	if r := play(func(d *Decision) { d.Candidates[d.Choice].Propensity = 0.0005 }); !contains(r.Warnings, "below 0.001") {
		t.Errorf("small propensities: warnings %q", r.Warnings)
	}
	if r := play(func(d *Decision) { d.Reward = 0 }); !contains(r.Warnings, "no decision has a reward") {
		t.Errorf("no rewards: warnings %q", r.Warnings)
	}
	if r := play(func(*Decision) {}); len(r.Warnings) != 0 {
		t.Errorf("a log in order: warnings %q", r.Warnings)
	}
	if r, err := Run(t.Context(), nil, target, Estimators); err != nil || r.Estimates[1].Value != nil {
		t.Errorf("an empty log: %+v, %v", r, err)
	}
}

func TestRunIsDeterministicAndEnds(t *testing.T) {
	play := func() []Decision { return (&market{rand.New(rand.NewPCG(5, 5))}).play(2000, logging) }
	a, err1 := Run(t.Context(), play(), target, Estimators)
	b, err2 := Run(t.Context(), play(), target, Estimators)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("two runs differ: %+v, %+v", a, b)
	}
	if _, err := json.Marshal(a); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, play(), target, Estimators); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	d := Decision{Row: decision.Row{{Name: "x", Kind: decision.Number, Num: 1}}, At: 10 * 24 * 3600 * 1000, Candidates: []Candidate{
		{OfferID: "a", Row: decision.Row{{Name: "price", Kind: decision.Number, Num: 3}}},
		{OfferID: "b", Row: decision.Row{{Name: "price", Kind: decision.Number, Num: 1}}},
		{OfferID: "c", Row: decision.Row{{Name: "price", Kind: decision.Number, Num: 1}}},
	}}
	view := func(l learn.Learner, err error) learn.View {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l.Publish()
	}
	cheap := view(logistic.New(learn.Spec{Type: decision.LogisticRegression}, json.RawMessage(`{"bias":0,"weights":{"price":-1}}`)))
	if got, want := PolicyOf(cheap, nil).Choose(&d, nil), []float64{0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("the cheapest, the first of two: %v, want %v", got, want)
	}
	d.Candidates[2].History = decision.Summary{Positives: 3, LastContactAt: 1}
	inputs := []string{decision.FeaturePositives}
	known := view(logistic.New(learn.Spec{Type: decision.LogisticRegression, InteractionInputs: inputs}, json.RawMessage(`{"bias":0,"weights":{"interaction.positives":1}}`)))
	if got, want := PolicyOf(known, inputs).Choose(&d, nil), []float64{0, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("the known one: %v, want %v", got, want)
	}
	arms := json.RawMessage(`{"epsilon":0.3,"arms":{"a":{"totalReward":1,"pulls":6},"b":{"totalReward":5,"pulls":6},"c":{"totalReward":1,"pulls":6}}}`)
	bandit := view(epsilon.New(learn.Spec{Type: decision.EpsilonGreedy}, arms))
	got := PolicyOf(bandit, nil).Choose(&d, []float64{7})
	if len(got) != 4 || math.Abs(got[1]+got[2]+got[3]-1) > 1e-12 || got[2] < 0.5 {
		t.Errorf("epsilon-greedy after 7: %v", got)
	}
}
