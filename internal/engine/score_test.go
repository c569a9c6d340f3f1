package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

var customer = decision.Row{
	{Name: "age", Num: 38, Kind: decision.Number}, {Name: "credit_score", Num: 760, Kind: decision.Number},
	{Name: "gold", Num: 1, Kind: decision.Bool}, {Name: "income", Num: 95000, Kind: decision.Number},
	{Name: "segment", Text: "Gold", Kind: decision.Text}, {Name: "tags", Text: "a", Kind: decision.Member},
	{Name: "tags", Text: "b", Kind: decision.Member}, {Name: "tenure", Num: 7, Kind: decision.Number},
}

// scored makes models of every in-memory type that learned from such customers.
func scored(n *node) map[string]string {
	n.t.Helper()
	ids := map[string]string{}
	for kind, config := range map[decision.ModelType]string{
		decision.Scorecard: `{"rules":[{"field":"credit_score","operator":"gte","value":700,"points":25},{"field":"segment","operator":"eq","value":"Gold","points":15}]}`,
		decision.Bayesian:  `{}`, decision.LogisticRegression: `{}`, decision.ThompsonBandit: `{}`, decision.EpsilonGreedy: `{}`, decision.OnlineLearner: `{}`,
	} {
		ids[string(kind)] = n.model(string(kind), kind, "config", config).ID
	}
	ids["with history"] = n.model("with history", decision.LogisticRegression, "interactionFeatures", `{"features":["impressions","positiveRate"]}`).ID
	all := mixed(300)
	for i := range all {
		row := append(decision.Row{}, customer...)
		row[1].Num = 500 + float64(i)
		if all[i].Type == "click" {
			row[4].Text = "Silver"
		}
		all[i].Attributes = row
	}
	n.record(all...)
	for name, id := range ids {
		if name != string(decision.Scorecard) {
			n.train(id)
		}
	}
	return ids
}

func TestScoringAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	n := fresh(t)
	ids := scored(n)
	k, _, err := n.CreateKey(n.ctx, n.w(), "k", "viewer", now()+1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for what, raw := range map[string]string{"a key": k.Raw, "the operator": testOperatorKey, "nobody": "prk_unknown"} {
		key := []byte(raw)
		if got := testing.AllocsPerRun(1000, func() { n.Authenticate(key) }); got != 0 {
			t.Errorf("Authenticate() of %s: %v allocations, want 0", what, got)
		}
	}
	at := now()
	var scratch RankScratch
	var res learn.Result
	var arms []learn.ArmScore
	for name, id := range ids {
		req := learn.Request{Row: customer, CustomerID: "c0", OfferID: "o0", Rand: rand.New(rand.NewPCG(1, 2))}
		score := func() {
			s, err := n.Scorer("t1", id)
			if err != nil {
				t.Fatal(err)
			}
			arms, _ = s.Score(t.Context(), &req, at, &scratch, &res, arms[:0])
		}
		if got := testing.AllocsPerRun(1000, score); got != 0 {
			t.Errorf("%s: %v allocations for a score, want 0", name, got)
		}
		if len(req.Row) != len(customer) {
			t.Errorf("%s: the request's row has %d fields after the score, want its own %d", name, len(req.Row), len(customer))
		}
	}
}

func offers(count int) []Offer {
	all := make([]Offer, count)
	for i := range all {
		all[i] = Offer{ID: fmt.Sprintf("o%d", i), Name: "n", Attributes: number("x", float64(i))}
	}
	return all
}

func TestRankingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	n := fresh(t)
	ids := scored(n)
	all := offers(20)
	var scratch RankScratch
	var ranked []OfferScore
	rng := rand.New(rand.NewPCG(1, 2))
	at := now()
	for name, id := range ids {
		rank := func() {
			s, err := n.Scorer("t1", id)
			if err != nil {
				t.Fatal(err)
			}
			ranked = s.RankOffers(t.Context(), "c0", customer, all, at, rng, &scratch, ranked[:0])
		}
		if got := testing.AllocsPerRun(100, rank); got != 0 {
			t.Errorf("%s: %v allocations to rank 20 offers, want 0", name, got)
		}
	}
}

// Offers are ranked by score, equal ones in the order of the request; the
// offer's attributes win over the customer's, and history is shown where there
// is some.
func TestRankOffers(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression, "modelState", `{"bias":0,"weights":{"x":1}}`)
	n.record(outcome("click", "c0", "b"))
	s, err := n.Scorer("t1", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	all := []Offer{{ID: "a", Attributes: number("x", 1)}, {ID: "b"}, {ID: "c", Attributes: number("x", 3)}, {ID: "d"}}
	got := s.RankOffers(t.Context(), "c0", number("x", 2), all, now(), n.rng, &RankScratch{}, nil)
	want := []int{2, 1, 3, 0}
	for i, o := range got {
		if o.Index != want[i] || o.HasHistory != (o.Index == 1) || o.HasPropensity {
			t.Errorf("place %d = %+v, want offer %d", i, o, want[i])
		}
	}
	if got[1].History.Positives != 1 {
		t.Errorf("history of b = %+v, want one positive", got[1].History)
	}
	bandit := n.model("bandit", decision.ThompsonBandit)
	if s, err = n.Scorer("t1", bandit.ID); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, o := range s.RankOffers(t.Context(), "", nil, all, now(), n.rng, &RankScratch{}, nil) {
		sum += o.Propensity
		if !o.HasPropensity || o.HasHistory {
			t.Errorf("an offer of a bandit = %+v, want a propensity and no history without a customer", o)
		}
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("propensities sum to %v, want 1", sum)
	}
}

// A bandit asked without an offer chooses the best of its arms.
func TestBanditChoosesAnArm(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.EpsilonGreedy, "config", `{"epsilon":0}`)
	choose := func() ([]learn.ArmScore, int, float64) {
		s, err := n.Scorer("t1", m.ID)
		if err != nil {
			t.Fatal(err)
		}
		var res learn.Result
		req := learn.Request{Rand: n.rng, Explain: true}
		arms, best := s.Score(t.Context(), &req, now(), &RankScratch{}, &res, nil)
		if !req.Explain {
			t.Error("the request is changed by its score")
		}
		return arms, best, res.Score
	}
	if arms, best, _ := choose(); len(arms) != 0 || best != -1 {
		t.Errorf("without arms: %v, %d, want none", arms, best)
	}
	n.record(outcome("dismiss", "c", "a"), outcome("click", "c", "b"), outcome("click", "c", "c"), outcome("dismiss", "c", "c"))
	if arms, best, score := choose(); len(arms) != 3 || arms[best].OfferID != "b" || score != 1 {
		t.Errorf("chosen %v of %v with %v, want b with 1", best, arms, score)
	}
}

func BenchmarkScore(b *testing.B) {
	n := fresh(b)
	ids := scored(n)
	var scratch RankScratch
	var res learn.Result
	var arms []learn.ArmScore
	at := now()
	for name, id := range ids {
		b.Run("model="+name, func(b *testing.B) {
			b.ReportAllocs()
			req := learn.Request{Row: customer, CustomerID: "c0", OfferID: "o0", Rand: rand.New(rand.NewPCG(1, 2))}
			for b.Loop() {
				s, err := n.Scorer("t1", id)
				if err != nil {
					b.Fatal(err)
				}
				arms, _ = s.Score(b.Context(), &req, at, &scratch, &res, arms[:0])
			}
		})
	}
	k, _, err := n.CreateKey(n.ctx, n.w(), "k", "viewer", 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("op=authenticate", func(b *testing.B) {
		b.ReportAllocs()
		key := []byte(k.Raw)
		for b.Loop() {
			if _, ok := n.Authenticate(key); !ok {
				b.Fatal("the key does not open")
			}
		}
	})
}

// What explanations start from and their parts add up to what the score is made
// of, for every type that has them.
func TestExplanationsAddUp(t *testing.T) {
	n := fresh(t)
	n.record(mixed(300)...)
	for kind, margin := range map[decision.ModelType]func(res *learn.Result) float64{
		decision.Scorecard:          func(res *learn.Result) float64 { return res.Raw },
		decision.GradientBoosted:    func(res *learn.Result) float64 { return res.Raw },
		decision.Bayesian:           logOdds,
		decision.LogisticRegression: logOdds,
		decision.OnlineLearner:      logOdds,
	} {
		var m *catalogue.Model
		switch kind {
		case decision.GradientBoosted:
			m = n.model(string(kind), kind, "modelState", string(goldenState(t)))
		case decision.Scorecard:
			m = n.model(string(kind), kind, "config", `{"rules":[{"field":"x","operator":"gt","value":0.1,"points":10},{"field":"y","operator":"eq","value":1,"points":5}]}`)
		default:
			m = n.model(string(kind), kind)
			n.train(m.ID)
		}
		s, err := n.Scorer("t1", m.ID)
		if err != nil {
			t.Fatal(err)
		}
		var res learn.Result
		s.Score(n.ctx, &learn.Request{Row: number("x", 0.4), CustomerID: "c0", Explain: true, Rand: n.rng}, now(), &RankScratch{}, &res, nil)
		sum := res.Baseline
		for _, e := range res.Explanations {
			sum += e.Value
		}
		if want := margin(&res); !res.HasBaseline || math.Abs(sum-want) > 1e-9 || len(res.Explanations) == 0 {
			t.Errorf("%s: %v and %v add up to %v, want %v", kind, res.Baseline, res.Explanations, sum, want)
		}
	}
}

func logOdds(res *learn.Result) float64 { return math.Log(res.Score) - math.Log1p(-res.Score) }
