package learners

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// tastes is a market in which customer u takes offer i with log-odds
//
//	level + popularity_i + ⟨p_u, q_i⟩
//
// over tasteRank hidden tastes, independent and normal; every fifth row is for the
// test. Everything follows from the seed.
type tastes struct {
	examples []learn.Example
	truth    []float64 // probability of each
}

// The market: 100 rows a customer, one in four of them positive.
const (
	tasteCustomers  = 1000
	tasteOffers     = 40
	tasteRows       = 100_000
	tasteRank       = 4
	tasteLevel      = -1.5
	popularitySigma = 0.5
	tasteSigma      = 1.5 // of ⟨p, q⟩
)

func newTastes(seed uint64) *tastes {
	rng := rand.New(rand.NewPCG(seed, 0))
	draw := func(n int, sigma float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = sigma * rng.NormFloat64()
		}
		return out
	}
	popularity := draw(tasteOffers, popularitySigma)
	p := draw(tasteCustomers*tasteRank, 1)
	q := draw(tasteOffers*tasteRank, tasteSigma/math.Sqrt(tasteRank))
	t := &tastes{}
	for row := range tasteRows {
		u, i := rng.IntN(tasteCustomers), rng.IntN(tasteOffers)
		z := tasteLevel + popularity[i]
		for k := range tasteRank {
			z += p[u*tasteRank+k] * q[i*tasteRank+k]
		}
		t.truth = append(t.truth, learn.Sigmoid(z))
		t.examples = append(t.examples, learn.Example{
			ID:         decision.InteractionID{Index: uint64(row) + 1},
			CustomerID: fmt.Sprintf("customer-%d", u), OfferID: fmt.Sprintf("offer-%d", i),
			Positive: rng.Float64() < t.truth[row], Weight: 1,
		})
	}
	return t
}

func isTest(row int) bool { return row%5 == 0 }

// Scan implements learn.Source with the training rows.
func (t *tastes) Scan(ctx context.Context, f func(*learn.Example) error) error {
	for i := range t.examples {
		if isTest(i) {
			continue
		}
		ex := t.examples[i]
		if err := f(&ex); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// popularity returns the offers' rates in the training rows.
func (t *tastes) popularity() map[string]float64 {
	shown, taken := map[string]float64{}, map[string]float64{}
	for i := range t.examples {
		if ex := &t.examples[i]; !isTest(i) {
			shown[ex.OfferID]++
			taken[ex.OfferID] += ex.Label()
		}
	}
	for offer, n := range shown {
		taken[offer] /= n
	}
	return taken
}

// measure measures scores of the test rows.
func (t *tastes) measure(score func(row int) float64) learn.Metrics {
	var scored []learn.Scored
	for i := range t.examples {
		if isTest(i) {
			scored = append(scored, learn.Scored{Score: score(i), Positive: t.examples[i].Positive})
		}
	}
	return learn.Measure(scored, learn.EvaluationHoldout)
}

// addTastes adds neural_cf to the bank's table: that data knows no offers.
func (m *measurement) addTastes(ctx context.Context, s *section) error {
	t := newTastes(marketSeed)
	var took []float64
	var view learn.View
	for range m.Rounds {
		trained, err := trainHere(ctx, decision.NeuralCF, "", t)
		if err != nil {
			return err
		}
		took, view = append(took, trained.total), trained.view
	}
	var res learn.Result
	ours := t.measure(func(i int) float64 {
		view.Score(&learn.Request{CustomerID: t.examples[i].CustomerID, OfferID: t.examples[i].OfferID}, &res)
		return res.Score
	})
	rates := t.popularity()
	baseline := t.measure(func(i int) float64 { return rates[t.examples[i].OfferID] })
	truth := t.measure(func(i int) float64 { return t.truth[i] })
	s.add("neural_cf, simulated tastes", "the offers' rates", fmt.Sprintf("%.4f", baseline.AUC), fmt.Sprintf("%.4f", ours.AUC),
		fmt.Sprintf("%.4f", baseline.LogLoss), fmt.Sprintf("%.4f", ours.LogLoss), "—", seconds(took))
	s.add("", "the truth", fmt.Sprintf("%.4f", truth.AUC), "", fmt.Sprintf("%.4f", truth.LogLoss), "", "—", "")
	return nil
}
