package adaptive

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
	"github.com/praetor-engine/praetor/internal/simulator"
)

const (
	days      = 180
	customers = 20_000
	// trainingVisitors come before day 0.
	trainingVisitors = 20_000
	dayMillis        = 24 * 60 * 60 * 1000
	// epochMillis is day 0: 2026-01-01.
	epochMillis = 1_767_225_600_000
)

// offerCount is that of the simulated market.
const offerCount = 8

// drifts are by offer what is added to its log-odds on a day; see the package's
// documentation.
var drifts = map[string]func(day float64) float64{
	"travel-card":   func(float64) float64 { return 0 },
	"cashback-card": func(t float64) float64 { return within(t, 60, days, -1.2) },
	"first-card":    func(t float64) float64 { return 1.5 * t / days },
	"fixed-deposit": func(t float64) float64 { return 0.8 * math.Sin(2*math.Pi*t/90) },
	"instant-saver": func(t float64) float64 { return within(t, 45, 135, -1.0) },
	"personal-loan": func(t float64) float64 { return within(t, 120, days, 1.5) },
	"home-loan":     func(float64) float64 { return 0 },
	"travel-cover":  func(t float64) float64 { return 0.8 * math.Sin(2*math.Pi*t/60) },
}

func within(t, from, to, v float64) float64 {
	if t >= from && t < to {
		return v
	}
	return 0
}

// modelKind is what the scores that are corrected come from.
type modelKind int

const (
	knowing   modelKind = iota // the customer and the offer
	blind                      // the customer alone
	mistaking                  // the offer, and another customer
	modelKinds
)

var modelNames = [...]string{
	knowing: "knows customer and offer", blind: "knows the customer only", mistaking: "mistakes the customer",
}

// visit is one visitor with everything that does not depend on what is done.
type visit struct {
	day    float64
	logits [offerCount]float64 // of acceptance without drift
	scores [modelKinds][offerCount]float64
	random int                 // an offer drawn uniformly
	draws  [offerCount]float64 // decides the outcome of each offer
	tries  float64             // below exploration: the offer is random
}

// millis is the time of the visit.
func (v *visit) millis() int64 { return epochMillis + int64(v.day*dayMillis) }

// market is one round: its visits, calm or drifting.
type market struct {
	visits   []visit
	drifting bool
}

// probability is the true probability that the visitor accepts an offer.
func (m *market) probability(v *visit, offer int) float64 {
	z := v.logits[offer]
	if m.drifting {
		z += drifts[simulator.Offers()[offer].ID](v.day)
	}
	return learn.Sigmoid(z)
}

// accepts draws the outcome, the same for whoever shows the offer.
func (m *market) accepts(v *visit, offer int) bool { return v.draws[offer] < m.probability(v, offer) }

// newMarket trains the models and lets them score all visits.
func newMarket(ctx context.Context, seed uint64, visitors int) (*market, error) {
	sim, err := simulator.New(simulator.Config{Seed: seed, Customers: customers})
	if err != nil {
		return nil, err
	}
	views := [2]learn.View{}
	for kind := range views {
		if views[kind], err = train(ctx, sim, modelKind(kind) == knowing, seed); err != nil {
			return nil, err
		}
	}
	m := &market{visits: make([]visit, visitors)}
	rng := rand.New(rand.NewPCG(seed, 0x6472696674))
	var result learn.Result
	for i := range m.visits {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v, visitor := &m.visits[i], sim.Visitor(simulator.Play, trainingVisitors+i)
		v.day = days * float64(i) / float64(visitors)
		v.random, v.tries = rng.IntN(offerCount), rng.Float64()
		for o := range offerCount {
			offer := &simulator.Offers()[o]
			p := visitor.Probability(offer)
			v.logits[o], v.draws[o] = math.Log(p/(1-p)), rng.Float64()
			for kind, view := range views {
				view.Score(&learn.Request{Row: rowOf(&visitor, offer, modelKind(kind) == knowing)}, &result)
				v.scores[kind][o] = result.Score
			}
		}
	}
	for i := range m.visits {
		m.visits[i].scores[mistaking] = m.visits[(i+1)%visitors].scores[knowing]
	}
	return m, nil
}

// past is the source of a training: visitors who were shown offers at random.
type past struct {
	sim       *simulator.Market
	withOffer bool
}

// Scan gives every visitor before day 0.
func (p past) Scan(ctx context.Context, f func(*learn.Example) error) error {
	for t := range trainingVisitors {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := p.sim.Visitor(simulator.Play, t)
		offer := p.sim.RandomOffer(&v)
		ex := learn.Example{
			ID: decision.InteractionID{Index: uint64(t) + 1}, Row: rowOf(&v, offer, p.withOffer), CustomerID: v.Customer.ID(),
			OfferID: offer.ID, Weight: 1, Positive: p.sim.Accepts(&v, offer),
		}
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}

func train(ctx context.Context, sim *simulator.Market, withOffer bool, seed uint64) (learn.View, error) {
	spec := learn.Spec{Type: decision.LogisticRegression}
	t, ok := types.Of(spec.Type)
	if !ok {
		return nil, fmt.Errorf("adaptive: there is no %s", spec.Type)
	}
	trained, err := t.Train(ctx, spec, past{sim, withOffer}, learn.TrainOptions{Seed: seed})
	if err != nil {
		return nil, fmt.Errorf("adaptive: train: %w", err)
	}
	l, err := t.Load(spec, string(trained.State))
	if err != nil {
		return nil, fmt.Errorf("adaptive: load what was trained: %w", err)
	}
	return l.Publish(), nil
}

// rowOf returns what a model may know of a visitor, and of the offer.
func rowOf(v *simulator.Visitor, offer *simulator.Offer, withOffer bool) decision.Row {
	parts := []map[string]any{v.Customer.Attributes(), v.Context()}
	if withOffer {
		parts = append(parts, offer.Attributes(&v.Customer))
	}
	var row decision.Row
	for _, part := range parts {
		for name, value := range part {
			f := decision.Field{Name: name}
			switch value := value.(type) {
			case float64:
				f.Kind, f.Num = decision.Number, value
			case bool:
				f.Kind = decision.Bool
				if value {
					f.Num = 1
				}
			case string:
				f.Kind, f.Text = decision.Text, value
			}
			row = append(row, f)
		}
	}
	return row.Sort()
}
