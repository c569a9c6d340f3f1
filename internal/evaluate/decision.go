package evaluate

import (
	"math"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Decision is one logged choice and what came of it.
type Decision struct {
	ID         string
	At         int64 // Unix milliseconds
	CustomerID string
	Row        decision.Row // what all candidates share
	Candidates []Candidate  // in the order of the request, which breaks ties
	Choice     int          // of the candidates
	Reward     float64
}

// Candidate is what could have been chosen.
type Candidate struct {
	OfferID    string
	Row        decision.Row     // its own features, which win over the shared ones
	History    decision.Summary // of the customer with the offer
	Propensity float64          // with which the log chose it; NaN: not known
}

// Policy chooses among the candidates of a decision.
type Policy interface {
	// Choose appends the probability with which each candidate is chosen.
	Choose(d *Decision, dst []float64) []float64
}

// PolicyOf returns the policy of a model, as the engine has it choose: a bandit by
// its draws, with the probabilities that its view computes; any other model the
// candidate with the highest score, the first of those. inputs names the
// interaction features that are inputs of the model.
func PolicyOf(view learn.View, inputs []string) Policy {
	if v, ok := view.(learn.ArmView); ok {
		return &banditPolicy{view: v, rng: rand.New(rand.NewPCG(1, 1))}
	}
	return &greedyPolicy{view: view, inputs: inputs, rng: rand.New(rand.NewPCG(1, 1))}
}

// banditPolicy reads the probabilities off a bandit; its generator only serves the
// draws that come with them.
type banditPolicy struct {
	view learn.ArmView
	rng  *rand.Rand
	ids  []string
	arms []learn.ArmScore
}

func (p *banditPolicy) Choose(d *Decision, dst []float64) []float64 {
	p.ids = p.ids[:0]
	for i := range d.Candidates {
		p.ids = append(p.ids, d.Candidates[i].OfferID)
	}
	p.arms = p.view.ScoreArms(p.ids, p.rng, p.arms)
	for i := range p.arms {
		dst = append(dst, p.arms[i].Propensity)
	}
	return dst
}

type greedyPolicy struct {
	view   learn.View
	inputs []string
	rng    *rand.Rand
	row    decision.Row
	res    learn.Result
}

func (p *greedyPolicy) Choose(d *Decision, dst []float64) []float64 {
	best, top := 0, math.Inf(-1)
	for i := range d.Candidates {
		c := &d.Candidates[i]
		p.row = decision.AppendMerged(p.row[:0], d.Row, c.Row)
		if len(p.inputs) > 0 {
			p.row = c.History.AppendFeatures(p.row, p.inputs, d.At).Sort()
		}
		p.res.Clear()
		p.view.Score(&learn.Request{Row: p.row, CustomerID: d.CustomerID, OfferID: c.OfferID, Rand: p.rng}, &p.res)
		if p.res.Score > top {
			best, top = i, p.res.Score
		}
		dst = append(dst, 0)
	}
	dst[len(dst)-len(d.Candidates)+best] = 1
	return dst
}

// hash is FNV-1a, 64 bit, with the finaliser of MurmurHash3, whose every bit
// depends on every other.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
