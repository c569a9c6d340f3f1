package bayes

import (
	"math"

	"github.com/praetor-engine/praetor/internal/learn"
)

// calibration turns the log-odds of naive Bayes, which are too sure of
// themselves because they count dependent evidence twice, into probabilities:
// score = 1/(1 + e^−(z/temperature + offset)). It keeps the order of the scores.
type calibration struct {
	temperature float64 // above 0
	offset      float64
}

var identity = calibration{temperature: 1}

func (c calibration) score(z float64) float64 { return learn.Sigmoid(z/c.temperature + c.offset) }

// scored is the log-odds of a row that the model was not fitted on.
type scored struct {
	z, weight float64
	positive  bool
	half      uint8 // 0 or 1; see calibrate
}

// minPerHalf is how many rows of each class each half of the held-out rows needs:
// twenty in all for two parameters, the usual ten events for each (Peduzzi et al.,
// Journal of Clinical Epidemiology 49, 1996). With fewer the calibration is the
// identity.
const minPerHalf = 10

// calibrate fits the calibration on the held-out rows and measures it honestly:
// what a calibration was fitted on says nothing of how good it is, so for the
// metrics each half of the rows is scored under the one fitted on the other half.
// The calibration that is kept is fitted on all of them. The AUC is that of z
// itself, because a calibration leaves the order as it is.
func calibrate(rows []scored, enabled bool) (calibration, learn.Metrics) {
	kept, cross := identity, [2]calibration{identity, identity}
	if enabled && enough(rows) {
		kept = fitPlatt(rows, func(*scored) bool { return true })
		for half := range cross {
			cross[half] = fitPlatt(rows, func(s *scored) bool { return int(s.half) != half })
		}
	}
	probabilities, order := make([]learn.Scored, len(rows)), make([]learn.Scored, len(rows))
	for i := range rows {
		s := &rows[i]
		probabilities[i] = learn.Scored{Score: cross[s.half].score(s.z), Positive: s.positive}
		order[i] = learn.Scored{Score: s.z, Positive: s.positive}
	}
	metrics := learn.Measure(probabilities, learn.EvaluationHoldout)
	metrics.AUC = learn.AUC(order)
	return kept, metrics
}

func enough(rows []scored) bool {
	var count [2][2]int
	for i := range rows {
		class := negative
		if rows[i].positive {
			class = positive
		}
		count[rows[i].half][class]++
	}
	return min(count[0][0], count[0][1], count[1][0], count[1][1]) >= minPerHalf
}

// fitPlatt fits p = 1/(1 + e^−(a·z + b)) to the rows that use accepts by maximum
// likelihood, with the targets (N₊+1)/(N₊+2) and 1/(N₋+2) in place of 1 and 0, so
// that rows that separate perfectly do not send a to infinity. Newton's method
// with step halving on a convex function of two variables; deterministic.
//
// Sources: Platt, Probabilistic outputs for support vector machines, 1999, §2.2
// (targets); Lin, Lin, Weng, A note on Platt's probabilistic outputs, Machine
// Learning 68, 2007, §3 (a Newton method that converges, and a cross-entropy
// without cancellation).
//
// A slope that is not above 0 would turn the order around; then, as when the
// numbers give out, the identity is returned.
func fitPlatt(rows []scored, use func(*scored) bool) calibration {
	const (
		iterations = 100
		tolerance  = 1e-9  // of what a step still gains, per unit of weight
		ridge      = 1e-12 // keeps the Hessian invertible when all z are equal
	)
	p := newPlatt(rows, use)
	a, b := 0.0, math.Log((p.weight[positive]+1)/(p.weight[negative]+1))
	total := p.weight[positive] + p.weight[negative]
	loss := p.loss(a, b)
	for range iterations {
		ga, gb, haa, hab, hbb := p.derivatives(a, b)
		haa, hbb = haa+ridge, hbb+ridge
		det := haa*hbb - hab*hab
		da, db := (hab*gb-hbb*ga)/det, (hab*ga-haa*gb)/det
		gain := -(ga*da + gb*db) // twice what a full step would gain on a parabola
		if gain <= tolerance*total {
			a, b = a+da, b+db // the square of a small error is left
			break
		}
		step := 1.0
		for ; step > 1e-10; step /= 2 {
			if l := p.loss(a+step*da, b+step*db); l <= loss-1e-4*step*gain {
				a, b, loss = a+step*da, b+step*db, l
				break
			}
		}
		if step <= 1e-10 {
			break // as close as floating point comes
		}
	}
	fitted := calibration{temperature: 1 / a, offset: b}
	if !(a > 0) || math.IsInf(fitted.temperature, 0) || math.IsNaN(b) || math.IsInf(b, 0) {
		return identity
	}
	return fitted
}

// platt is the problem that fitPlatt solves.
type platt struct {
	rows   []scored
	use    func(*scored) bool
	weight perClass
	target perClass
}

func newPlatt(rows []scored, use func(*scored) bool) *platt {
	p := &platt{rows: rows, use: use}
	for i := range rows {
		if s := &rows[i]; use(s) {
			class, _ := p.of(s)
			p.weight[class] += s.weight
		}
	}
	p.target = perClass{negative: 1 / (p.weight[negative] + 2), positive: (p.weight[positive] + 1) / (p.weight[positive] + 2)}
	return p
}

func (p *platt) of(s *scored) (class int, target float64) {
	if s.positive {
		class = positive
	}
	return class, p.target[class]
}

// loss is the weighted cross-entropy.
func (p *platt) loss(a, b float64) float64 {
	sum := 0.0
	for i := range p.rows {
		s := &p.rows[i]
		if !p.use(s) {
			continue
		}
		_, t := p.of(s)
		x := a*s.z + b
		// −t·ln p − (1−t)·ln(1−p) = (1−t)·x + ln(1+e^−x), for either sign of x.
		if x >= 0 {
			sum += s.weight * ((1-t)*x + math.Log1p(math.Exp(-x)))
		} else {
			sum += s.weight * (-t*x + math.Log1p(math.Exp(x)))
		}
	}
	return sum
}

// derivatives returns the gradient and the Hessian of the loss.
func (p *platt) derivatives(a, b float64) (ga, gb, haa, hab, hbb float64) {
	for i := range p.rows {
		s := &p.rows[i]
		if !p.use(s) {
			continue
		}
		_, t := p.of(s)
		q := learn.Sigmoid(a*s.z + b)
		d, h := s.weight*(q-t), s.weight*q*(1-q)
		ga += d * s.z
		gb += d
		haa += h * s.z * s.z
		hab += h * s.z
		hbb += h
	}
	return ga, gb, haa, hab, hbb
}
