package thompson

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/praetor-engine/praetor/internal/learn"
)

// view scores with what the learner last published. An arm is one pointer to an
// immutable posterior, so α and β are always of the same moment.
//
// It stands as of each arm's last outcome: a discount takes effect when the next
// outcome of the arm arrives, as there is no clock here. Between offers that is
// on the safe side: an arm that is not shown keeps its belief, it does not drift
// to the prior by itself.
type view struct {
	table *table
	prior *posterior
	given map[string]float64 // offer → weight of its bootstrap
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// posterior returns the belief about an offer, the prior when it has no arm.
func (v *view) posterior(offerID string) *posterior {
	if c := v.table.Find(offerID); c != nil {
		if p := c.Load(); p != nil {
			return p
		}
	}
	return v.prior
}

// Score draws from the offer's posterior, or without an offer takes the best of
// one draw for every known arm; without an arm that is a draw from the prior.
// It needs req.Rand. A bandit is explained by its arms: ScoreArms.
func (v *view) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	if req.OfferID != "" {
		res.Score = v.posterior(req.OfferID).draw(req.Rand).value
		return
	}
	arms := v.table.Sorted()
	if len(arms.Cells) == 0 {
		res.Score = v.prior.draw(req.Rand).value
	}
	for _, c := range arms.Cells {
		res.Score = max(res.Score, c.Load().draw(req.Rand).value)
	}
}

// Arms returns the known offers in ascending order.
func (v *view) Arms() []string { return v.table.Sorted().IDs }

// Belief returns the belief about an offer. Of an arm with a bootstrap that is what
// was given; with a discount, which fades it, the prior is.
func (v *view) Belief(offerID string) learn.Belief {
	p := v.posterior(offerID)
	b := learn.Belief{OfferID: offerID, Alpha: p.alpha, Beta: p.beta, Given: v.prior.alpha + v.prior.beta}
	if w, ok := v.given[offerID]; ok {
		b.Given = w
	}
	b.Given = min(b.Given, b.Alpha+b.Beta)
	return b
}

// DrawArms draws once for every offer. Cost: one draw and one look-up per offer.
func (v *view) DrawArms(offers []string, rng *rand.Rand, out []learn.ArmScore) []learn.ArmScore {
	s := scratches.Get().(*scratch)
	out = v.draw(s, offers, rng, out)
	s.release()
	return out
}

// ScoreArms is DrawArms with the interval and the propensity of every offer.
// Propensities are those of the decision that takes the greatest draw.
func (v *view) ScoreArms(offers []string, rng *rand.Rand, out []learn.ArmScore) []learn.ArmScore {
	s := scratches.Get().(*scratch)
	out = v.draw(s, offers, rng, out)
	for i, p := range s.posteriors {
		d := p.derive()
		out[i].Lower, out[i].Upper = d.lower, d.upper
	}
	if len(out) > 0 {
		s.propensities(v.prior, out)
	}
	s.release()
	return out
}

// draw draws for the offers into out and leaves their posteriors in s.
func (v *view) draw(s *scratch, offers []string, rng *rand.Rand, out []learn.ArmScore) []learn.ArmScore {
	if offers == nil {
		arms := v.table.Sorted()
		offers = arms.IDs
		for _, c := range arms.Cells {
			s.posteriors = append(s.posteriors, c.Load())
		}
	} else {
		for _, id := range offers {
			s.posteriors = append(s.posteriors, v.posterior(id))
		}
	}
	out = slices.Grow(out[:0], len(offers))[:len(offers)]
	best, winner := draw{value: -1}, 0
	for i, p := range s.posteriors {
		d := p.draw(rng)
		if best.less(d) {
			best, winner = d, i
		}
		out[i] = learn.ArmScore{OfferID: offers[i], Score: d.value, Mean: p.mean}
	}
	separate(out, winner)
	return out
}

// separate makes the winner's score the only greatest: draws that round to the
// same number, 1 say when parameters are far below 1, would otherwise be decided
// by the offers' order and not by the propensities.
func separate(out []learn.ArmScore, winner int) {
	if len(out) == 0 {
		return
	}
	out[winner].Score = max(out[winner].Score, math.SmallestNonzeroFloat64)
	top := out[winner].Score
	for i := range out {
		if i != winner && out[i].Score == top {
			out[i].Score = math.Nextafter(top, 0)
		}
	}
}

// release gives the memory back without holding on to posteriors.
func (s *scratch) release() {
	clear(s.posteriors)
	s.posteriors = s.posteriors[:0]
	clear(s.contenders)
	s.contenders = s.contenders[:0]
	scratches.Put(s)
}
