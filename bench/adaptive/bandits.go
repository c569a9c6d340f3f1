package adaptive

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
	"github.com/praetor-engine/praetor/internal/simulator"
)

// discounts are those of the bandits, a day; 1 is none.
var discounts = []float64{1, 0.99, 0.95, 0.9}

// lost is the regret of a bandit in one round.
type lost struct {
	regret float64 // acceptances for 1000 visitors
	by     [spans]float64
}

// means returns the mean probability of each offer on each day, over all visits
// of the market: customers of one day are drawn as those of any other.
func (m *market) means() (means [days][offerCount]float64) {
	const most = 4000 // of the visits; the mean's standard error is below 0.002
	step := max(len(m.visits)/most, 1)
	for day := range means {
		n := 0.0
		for i := 0; i < len(m.visits); i += step {
			v := m.visits[i]
			v.day = float64(day) + 0.5
			n++
			for o := range offerCount {
				means[day][o] += m.probability(&v, o)
			}
		}
		for o := range offerCount {
			means[day][o] /= n
		}
	}
	return means
}

// play lets a Thompson bandit decide for every visitor.
func (m *market) play(discount float64, means *[days][offerCount]float64, seed uint64) (l lost, err error) {
	config, err := json.Marshal(map[string]float64{"discount": discount})
	if err != nil {
		return l, err
	}
	t, ok := types.Of(decision.ThompsonBandit)
	if !ok {
		return l, fmt.Errorf("adaptive: there is no %s", decision.ThompsonBandit)
	}
	bandit, err := t.New(learn.Spec{Type: decision.ThompsonBandit, Config: config}, nil)
	if err != nil {
		return l, fmt.Errorf("adaptive: %w", err)
	}
	view, ok := bandit.Publish().(learn.ArmView)
	if !ok {
		return l, fmt.Errorf("adaptive: %s has no arms", decision.ThompsonBandit)
	}
	ids := make([]string, offerCount)
	for o := range ids {
		ids[o] = simulator.Offers()[o].ID
	}
	rng := rand.New(rand.NewPCG(seed, 0x62616e646974))
	var scores []learn.ArmScore
	for i := range m.visits {
		v := &m.visits[i]
		scores = view.DrawArms(ids, rng, scores)
		chosen, best, today := 0, 0.0, &means[int(v.day)]
		for o := range scores {
			best = max(best, today[o])
			if scores[o].Score > scores[chosen].Score {
				chosen = o
			}
		}
		l.by[int(v.day/spanDays)] += best - today[chosen]
		bandit.Observe(&learn.Example{
			ID: decision.InteractionID{Index: uint64(i) + 1}, OfferID: ids[chosen], At: v.millis(), Positive: m.accepts(v, chosen), Weight: 1,
		})
		bandit.Publish()
	}
	for span := range l.by {
		l.regret += 1000 * l.by[span] / float64(len(m.visits))
		l.by[span] *= 1000 * spans / float64(len(m.visits))
	}
	return l, nil
}
