package neuralcf

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// market is a source with known factors: customer u takes offer i with log-odds
//
//	level + popularity_i + ⟨p_u, q_i⟩
//
// over rank hidden tastes. Everything follows from the seed.
type market struct {
	popularity []float64
	tastes     [][]float64 // of each customer
	appeals    [][]float64 // of each offer
	examples   []learn.Example
	truth      []float64 // probability of each example
}

const rank = 4

// newMarket makes rows outcomes of customers and offers. spread is the standard
// deviation of the popularity, taste that of ⟨p, q⟩.
func newMarket(customers, offers, rows int, spread, taste float64, seed uint64) *market {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := &market{popularity: make([]float64, offers), tastes: gaussian(rng, customers, 1)}
	m.appeals = gaussian(rng, offers, taste/math.Sqrt(rank))
	for i := range m.popularity {
		m.popularity[i] = spread * rng.NormFloat64()
	}
	for row := range rows {
		u, i := rng.IntN(customers), rng.IntN(offers)
		p := m.probability(u, i)
		m.truth = append(m.truth, p)
		m.examples = append(m.examples, learn.Example{
			ID: decision.InteractionID{Index: uint64(row) + 1}, CustomerID: customerID(u), OfferID: offerID(i),
			Positive: rng.Float64() < p, Weight: 1,
		})
	}
	return m
}

func gaussian(rng *rand.Rand, rows int, deviation float64) [][]float64 {
	out := make([][]float64, rows)
	for i := range out {
		for range rank {
			out[i] = append(out[i], deviation*rng.NormFloat64())
		}
	}
	return out
}

func customerID(u int) string { return fmt.Sprintf("customer-%06d", u) }
func offerID(i int) string    { return fmt.Sprintf("offer-%03d", i) }

const level = -1

func (m *market) probability(u, i int) float64 {
	z := level + m.popularity[i]
	for k, p := range m.tastes[u] {
		z += p * m.appeals[i][k]
	}
	return learn.Sigmoid(z)
}

// Scan implements learn.Source.
func (m *market) Scan(ctx context.Context, f func(*learn.Example) error) error {
	for i := range m.examples {
		ex := m.examples[i]
		if err := f(&ex); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// heldOut returns the AUC, on the held-out rows, of the truth and of the offers'
// rates in the other rows.
func (m *market) heldOut() (truth, popularity float64) {
	shown, taken := make(map[string]float64), make(map[string]float64)
	for i := range m.examples {
		if ex := &m.examples[i]; !ex.HeldOut() {
			shown[ex.OfferID]++
			taken[ex.OfferID] += ex.Label()
		}
	}
	var byTruth, byRate []learn.Scored
	for i := range m.examples {
		if ex := &m.examples[i]; ex.HeldOut() {
			byTruth = append(byTruth, learn.Scored{Score: m.truth[i], Positive: ex.Positive})
			byRate = append(byRate, learn.Scored{Score: taken[ex.OfferID] / shown[ex.OfferID], Positive: ex.Positive})
		}
	}
	return learn.AUC(byTruth), learn.AUC(byRate)
}
