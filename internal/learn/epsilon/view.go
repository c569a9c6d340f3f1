package epsilon

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/learn"
)

// view scores with what the learner last published. An arm is one pointer to an
// immutable pair.
type view struct {
	table   *table
	epsilon atomic.Uint64 // bits of ε_t
}

func (v *view) setEpsilon(epsilon float64) {
	if bits := math.Float64bits(epsilon); v.epsilon.Load() != bits {
		v.epsilon.Store(bits)
	}
}

// unseen is the arm of an offer that has none.
var unseen = new(arm)

func (v *view) arm(offerID string) *arm {
	if c := v.table.Find(offerID); c != nil {
		if a := c.Load(); a != nil {
			return a
		}
	}
	return unseen
}

// scoreIn returns the arm's score in a decision that explores or not.
func (a *arm) scoreIn(explore bool, rng *rand.Rand) float64 {
	if explore {
		return rng.Float64()
	}
	return a.score()
}

// Score decides whether to explore and scores the offer, or without an offer all
// known arms and returns the best; without an arm it scores one never pulled.
// It needs req.Rand. A bandit is explained by its arms: ScoreArms.
func (v *view) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	explore := req.Rand.Float64() < math.Float64frombits(v.epsilon.Load())
	if req.OfferID != "" {
		res.Score = v.arm(req.OfferID).scoreIn(explore, req.Rand)
		return
	}
	known := v.table.Sorted()
	if len(known.Cells) == 0 {
		res.Score = unseen.scoreIn(explore, req.Rand)
	}
	for _, c := range known.Cells {
		res.Score = max(res.Score, c.Load().scoreIn(explore, req.Rand))
	}
}

// Arms returns the known offers in ascending order.
func (v *view) Arms() []string { return v.table.Sorted().IDs }

// Belief returns what the arm's pulls say of its rate where nothing was known of it
// before: Beta(1 + totalReward, 1 + pulls − totalReward).
func (v *view) Belief(offerID string) learn.Belief {
	a := v.arm(offerID)
	return learn.Belief{OfferID: offerID, Alpha: 1 + a.totalReward, Beta: 1 + (a.pulls - a.totalReward), Given: 2}
}

// DrawArms scores every offer in one decision, which explores or not, with its
// Wilson interval, which costs next to nothing. Cost: a look-up per offer.
func (v *view) DrawArms(offers []string, rng *rand.Rand, out []learn.ArmScore) []learn.ArmScore {
	out, _ = v.decide(offers, rng, out)
	return out
}

// ScoreArms is DrawArms with every offer's Wilson interval and its propensity:
// ε_t/n of n offers, and 1 − ε_t more for the greedy choice, the first of those
// with the best rate.
func (v *view) ScoreArms(offers []string, rng *rand.Rand, out []learn.ArmScore) []learn.ArmScore {
	out, epsilon := v.decide(offers, rng, out)
	greedy := 0
	for i := range out {
		out[i].Propensity = epsilon / float64(len(out))
		if out[i].Mean > out[greedy].Mean {
			greedy = i
		}
	}
	if len(out) > 0 {
		out[greedy].Propensity += 1 - epsilon
	}
	return out
}

// decide makes one decision with the ε_t it returns and leaves the propensities
// at 0.
func (v *view) decide(offers []string, rng *rand.Rand, out []learn.ArmScore) ([]learn.ArmScore, float64) {
	epsilon := math.Float64frombits(v.epsilon.Load())
	explore := rng.Float64() < epsilon
	if offers != nil {
		out = slices.Grow(out[:0], len(offers))
		for _, id := range offers {
			out = append(out, v.arm(id).decided(id, explore, rng))
		}
		return out, epsilon
	}
	known := v.table.Sorted()
	out = slices.Grow(out[:0], len(known.IDs))
	for i, id := range known.IDs {
		out = append(out, known.Cells[i].Load().decided(id, explore, rng))
	}
	return out, epsilon
}

func (a *arm) decided(offerID string, explore bool, rng *rand.Rand) learn.ArmScore {
	s := learn.ArmScore{OfferID: offerID, Score: a.scoreIn(explore, rng), Mean: a.score()}
	s.Lower, s.Upper = learn.Wilson(a.totalReward, a.pulls)
	return s
}
