package evidence

import (
	"math"

	"github.com/praetor-engine/praetor/internal/learn/arms"
)

// row is the evidence of one scope as of the time at.
type row struct {
	positives, negatives float64
	// Of the outcomes whose score is known: their weight, that of the positives
	// among them, and the sum of weight × score.
	scored, scoredPositives, scoreSum float64

	at int64 // Unix milliseconds of the newest outcome or the reset; 0 without any
}

// unknownRate is the rate of no evidence.
const unknownRate = 0.5

func (r *row) evidence() float64 { return r.positives + r.negatives }

// rate is the share of positives, 0.5 without evidence.
func (r *row) rate() float64 {
	if n := r.evidence(); n > 0 {
		return r.positives / n
	}
	return unknownRate
}

// pseudo returns the row that a prior makes: mass outcomes at the rate.
func pseudo(rate, mass float64, at int64) row {
	if mass == 0 {
		return row{}
	}
	return row{positives: float64(rate * mass), negatives: float64((1 - rate) * mass), at: at}
}

// halfLife is a time in milliseconds, 0 for no forgetting.
type halfLife float64

const dayMillis = 24 * 60 * 60 * 1000

func halfLifeOf(c *Config) halfLife { return halfLife(c.HalfLifeDays * dayMillis) }

// factor is what is left of a weight after the time between the two instants.
// math.Exp2 and not math.Exp or math.Pow: on amd64 those use fused instructions
// where the processor has them, and replicas may differ in that.
func (h halfLife) factor(from, to int64) float64 {
	if h == 0 || to <= from {
		return 1
	}
	return math.Exp2(-(float64(to) - float64(from)) / float64(h))
}

// asOf returns the row at a later time; at 0 or an earlier one it is as it is.
func (r *row) asOf(at int64, h halfLife) row {
	faded := *r
	if f := h.factor(r.at, at); f != 1 && r.at != 0 {
		faded.scale(f)
		faded.at = at
	}
	return faded
}

func (r *row) scale(f float64) {
	r.positives *= f
	r.negatives *= f
	r.scored *= f
	r.scoredPositives *= f
	r.scoreSum *= f
}

func (r *row) forgetScores() { r.scored, r.scoredPositives, r.scoreSum = 0, 0, 0 }

// add counts an outcome. At the bound a sum stands still.
func (r *row) add(o *Outcome, h halfLife) {
	weight := o.Weight
	switch {
	case r.at == 0:
		r.at = o.At
	case o.At >= r.at:
		r.scale(h.factor(r.at, o.At))
		r.at = o.At
	default:
		weight = float64(weight * h.factor(o.At, r.at))
	}
	weight = min(weight, arms.MaxMass-r.evidence())
	if !(weight > 0) {
		return
	}
	score, scored := o.score()
	if scored {
		r.scored += weight
		r.scoreSum += float64(weight * score)
	}
	if !o.Positive {
		r.negatives += weight
		return
	}
	r.positives += weight
	if scored {
		r.scoredPositives += weight
	}
}

// Maturity says how much can be concluded from a row.
type Maturity string

// The maturities with the evidence from which on they hold. Evidence that has
// faded below one outcome is as good as none.
const (
	Cold     Maturity = "cold"
	Immature Maturity = "immature" // from 1
	Maturing Maturity = "maturing" // from 50
	Mature   Maturity = "mature"   // from 200
)

// MaturityOf returns the maturity of an amount of evidence.
func MaturityOf(evidence float64) Maturity {
	switch {
	case evidence >= 200:
		return Mature
	case evidence >= 50:
		return Maturing
	case evidence >= 1:
		return Immature
	}
	return Cold
}
