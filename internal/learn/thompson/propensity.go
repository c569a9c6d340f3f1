package thompson

import (
	"cmp"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/learn"
)

// contender is an arm, or count arms of equal posteriors, in a decision.
type contender struct {
	*density
	offer int     // its place among the offers, −1 for the offers without an arm
	count float64 // how many arms it stands for
	wins  float64 // probability that one of them is the best
	cdf   float64 // at the right end of the panel
}

// panelValues holds a contender's values at the nodes of a panel.
type panelValues struct {
	pdf, cdf, before [ruleNodes]float64 // before: product of the CDFs of the contenders before it
}

// scratch is the memory of a decision.
type scratch struct {
	posteriors []*posterior // one per offer
	contenders []contender
	values     []panelValues
}

// unresolved is the probability, left to all contenders together, at which the
// integration ends.
const unresolved = 1e-8

// propensities sets out[i].Propensity to the probability that offer i's draw is
// the best:
//
//	P_i = ∫ f_i(y) Π_{j≠i} F_j(y) dy
//
// over the logit axis (see density), from the right to the left until the
// product of all F_j, which is the probability not yet given to anybody, has
// vanished. Panels are as wide as the narrowest density in reach allows; within
// a panel every F_j follows from f_j at the panel's own nodes, so one
// exponential per arm and node is all that is evaluated. Arms that join only
// left of the end have no chance and cost nothing. Equal draws do not happen:
// the offers without an arm share one posterior and the chances it has.
//
// The absolute error is below 1e-7, the sum is 1. Cost: about 0.8 µs per arm in
// reach, no allocation in the steady state.
func (s *scratch) propensities(prior *posterior, out []learn.ArmScore) {
	s.enter(prior)
	for y := s.contenders[0].high; ; {
		left := y - s.step(y)
		remaining, furthest := s.panel(left, y)
		if y = left; remaining < unresolved || y <= furthest {
			break
		}
	}
	total := 0.0
	for i := range s.contenders {
		total += s.contenders[i].wins
	}
	shared := 0.0
	for i := range s.contenders {
		c := &s.contenders[i]
		if c.offer < 0 {
			shared = c.wins / total / c.count
		} else {
			out[c.offer].Propensity = c.wins / total
		}
	}
	for i, p := range s.posteriors {
		if p == prior {
			out[i].Propensity = shared
		}
	}
}

// enter lists the contenders, furthest right first.
func (s *scratch) enter(prior *posterior) {
	s.contenders = s.contenders[:0]
	unseen := 0
	for i, p := range s.posteriors {
		if p == prior {
			unseen++
			continue
		}
		s.contenders = append(s.contenders, contender{density: &p.derive().density, offer: i, count: 1, cdf: 1})
	}
	if unseen > 0 {
		s.contenders = append(s.contenders, contender{density: &prior.derive().density, offer: -1, count: float64(unseen), cdf: 1})
	}
	slices.SortFunc(s.contenders, func(a, b contender) int { return cmp.Compare(b.high, a.high) })
	s.values = slices.Grow(s.values[:0], len(s.contenders))[:len(s.contenders)]
}

// step returns the width of the panel that ends at y: every density must be
// resolved in it or lie to the left of it.
func (s *scratch) step(y float64) float64 {
	width := math.Inf(1)
	for i := range s.contenders {
		c := &s.contenders[i]
		if c.high < y-width {
			break // this one and all after it are out of reach
		}
		width = min(width, max(c.step(min(y, c.high)), y-c.high))
	}
	return width
}

// panel adds the integrals over [left, right]. It returns the probability that
// all draws are below left, and the right-most point at which that is negligible
// because one contender's is.
func (s *scratch) panel(left, right float64) (remaining, furthest float64) {
	half := (right - left) / 2
	var y, logX, log1mX, product [ruleNodes]float64
	for k, t := range rule.nodes {
		y[k] = left + half*(1+t)
		logX[k], log1mX[k] = logistic(y[k])
		product[k] = 1
	}
	joined := 0
	remaining, furthest = 1, math.Inf(-1)
	for i := range s.contenders {
		c, v := &s.contenders[i], &s.values[i]
		if c.high <= left {
			break
		}
		joined++
		sum := 0.0
		for k := range v.pdf {
			v.pdf[k] = half * math.Exp(c.log(y[k], logX[k], log1mX[k]))
			sum += rule.weights[k] * v.pdf[k]
		}
		v.before = product
		for k := range v.cdf {
			v.cdf[k] = max(c.cdf-dot(&rule.beyond[k], &v.pdf), 0)
			product[k] *= power(v.cdf[k], c.count)
		}
		c.cdf = max(c.cdf-sum, 0)
		remaining *= power(c.cdf, c.count)
		furthest = max(furthest, c.low)
	}
	s.award(joined)
	return remaining, furthest
}

// award gives the first contenders their share of a panel: from the last to the
// first, with the product of the CDFs after each.
func (s *scratch) award(joined int) {
	var after [ruleNodes]float64
	for k := range after {
		after[k] = rule.weights[k]
	}
	for i := joined - 1; i >= 0; i-- {
		c, v := &s.contenders[i], &s.values[i]
		for k := range after {
			others := after[k] * power(v.cdf[k], c.count-1)
			c.wins += c.count * v.pdf[k] * v.before[k] * others
			after[k] = others * v.cdf[k]
		}
	}
}

// power returns x^n for the whole number n ≥ 0, which is mostly 0 or 1.
func power(x, n float64) float64 {
	switch n {
	case 0:
		return 1
	case 1:
		return x
	}
	return math.Pow(x, n)
}

func dot(a, b *[ruleNodes]float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}
