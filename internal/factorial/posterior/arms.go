package posterior

import (
	"math"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// arm is what is believed of one variant alone.
//
//	boolean:  θ ~ Beta(a, b)
//	number:   θ | σ² ~ N(mean, σ²/weight), σ² ~ inverse gamma(a, b)
type arm struct {
	a, b, mean, weight float64
	seen               bool
}

// arms is the belief of MAB.
type arms struct {
	numeric bool
	arms    []arm
	width   float64 // of the exploration bias
	pooled  float64 // the mean of all rewards
	last    []float64
}

// priorShape and priorWeight are of the normal-inverse-gamma prior: one reward seen,
// at the mean of all; a variance whose expectation is that of all, b/(a−1), with as
// few degrees of freedom as let an unseen arm have a variance.
const (
	priorShape  = 2
	priorWeight = 1
)

func newArms(variants int, observed []factorial.Observed, numeric bool, bias []float64) *arms {
	m := &arms{numeric: numeric, arms: make([]arm, variants), width: 1, last: make([]float64, variants)}
	for _, b := range bias {
		m.width = max(m.width, 1+min(b, maxBias))
	}
	sums := make([]factorial.Observed, variants)
	for i := range observed {
		o := &observed[i]
		s := &sums[o.Variant]
		s.N += o.N
		s.Sum += o.Sum
		s.SumSq += o.SumSq
	}
	mean, variance := moments(observed)
	m.pooled = mean
	for v := range m.arms {
		m.arms[v] = newArm(&sums[v], numeric, mean, variance)
	}
	return m
}

func newArm(o *factorial.Observed, numeric bool, mean, variance float64) arm {
	n := float64(o.N)
	if !numeric {
		a, b := 1+o.Sum, 1+n-o.Sum
		return arm{a: a, b: b, mean: a / (a + b), seen: o.N > 0}
	}
	p := arm{a: priorShape, b: variance * (priorShape - 1), mean: mean, weight: priorWeight, seen: o.N > 0}
	if o.N == 0 {
		return p
	}
	// K. P. Murphy, Conjugate Bayesian analysis of the Gaussian distribution,
	// 2007, section 6.
	own := o.Sum / n
	within := max(o.SumSq-float64(o.Sum*own), 0)
	d := own - p.mean
	p.b += within/2 + float64(priorWeight*n*d*d)/(2*(priorWeight+n))
	p.a += n / 2
	p.mean = (float64(priorWeight*p.mean) + o.Sum) / (priorWeight + n)
	p.weight += n
	return p
}

// moments returns the mean and the variance of all rewards.
func moments(observed []factorial.Observed) (mean, variance float64) {
	n, sum, squares := 0.0, 0.0, 0.0
	for i := range observed {
		n += float64(observed[i].N)
		sum += observed[i].Sum
		squares += observed[i].SumSq
	}
	mean = sum / n
	return mean, max(squares/n-float64(mean*mean), 0)
}

func (m *arms) draw(v *variates, biased bool) {
	for i := range m.arms {
		a := &m.arms[i]
		x := 0.0
		if m.numeric {
			x = a.mean + float64(math.Sqrt(a.b/v.gamma(a.a)/a.weight)*v.normal())
		} else {
			x = v.beta(a.a, a.b)
		}
		if biased {
			x = a.mean + float64(m.width*(x-a.mean))
		}
		m.last[i] = x
	}
}

// drawMean takes for variants that were never seen the mean of all rewards: what
// their prior says of them is no finding.
func (m *arms) drawMean() {
	for i := range m.arms {
		m.last[i] = m.pooled
		if m.arms[i].seen {
			m.last[i] = m.arms[i].mean
		}
	}
}

func (m *arms) predict(_ *place, out []float64)  { copy(out, m.last) }
func (m *arms) reward(predicted float64) float64 { return predicted }
