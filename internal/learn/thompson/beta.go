package thompson

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// posterior is the published belief about one arm's reward, Beta(alpha, beta).
// It is immutable but for what is derived from it on demand.
type posterior struct {
	alpha, beta float64
	mean        float64
	a, b        gamma
	derived     atomic.Pointer[derived]
}

// derived is what only decisions with propensities need of a posterior.
type derived struct {
	density
	lower, upper float64 // central 95 % interval
}

func newPosterior(alpha, beta float64) *posterior {
	return &posterior{alpha: alpha, beta: beta, mean: alpha / (alpha + beta), a: newGamma(alpha), b: newGamma(beta)}
}

// derive returns the derived values, computed at the first call. Goroutines that
// race for it compute the same.
func (p *posterior) derive() *derived {
	if d := p.derived.Load(); d != nil {
		return d
	}
	d := &derived{density: newDensity(p.alpha, p.beta)}
	d.lower, d.upper = d.interval()
	p.derived.Store(d)
	return d
}

// draw is one value from a posterior. Value is in [0, 1] and may round to a
// bound when a parameter is far below 1; logit then still orders it among others
// that do.
type draw struct{ value, logit float64 }

// less orders draws.
func (d draw) less(o draw) bool {
	return d.value < o.value || d.value == o.value && d.logit < o.logit
}

// draw draws from the posterior as X/(X+Y) of gamma variates X and Y. With a
// parameter below 1 both may underflow, so it then works on their logarithms:
// 1/(1+exp(ln Y − ln X)). Cost: 40 to 120 ns, no allocation.
func (p *posterior) draw(rng *rand.Rand) draw {
	if p.alpha >= 1 && p.beta >= 1 {
		x, y := p.a.sample(rng), p.b.sample(rng)
		return draw{value: x / (x + y)}
	}
	logit := p.a.logSample(rng) - p.b.logSample(rng)
	return draw{value: 1 / (1 + math.Exp(-logit)), logit: logit}
}

// gamma draws from Gamma(shape, 1) by the method of G. Marsaglia and W. W.
// Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000):
// d·v for v = (1+c·x)³ with x normal, accepted with a probability over 0.95.
// The names d, c, v, x, u are the paper's. It needs shape ≥ 1; below that it
// draws with shape+1, and logSample corrects.
type gamma struct {
	shape float64
	d, c  float64
}

func newGamma(shape float64) gamma {
	d := shape - 1.0/3
	if shape < 1 {
		d++
	}
	return gamma{shape: shape, d: d, c: 1 / math.Sqrt(9*d)}
}

// sample draws from Gamma(shape, 1) for shape ≥ 1, from Gamma(shape+1, 1) below.
func (g *gamma) sample(rng *rand.Rand) float64 {
	for {
		x := rng.NormFloat64()
		v := 1 + g.c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := rng.Float64()
		if u < 1-0.0331*x*x*x*x { // the paper's squeeze
			return g.d * v
		}
		if math.Log(u) < 0.5*x*x+g.d*(1-v+math.Log(v)) {
			return g.d * v
		}
	}
}

// logSample draws the logarithm of a Gamma(shape, 1) variate. For shape < 1 it
// uses the paper's section 6, G(a) = G(a+1)·U^(1/a), as a sum of logarithms,
// where −ln U is exponential: nothing underflows, however small the shape.
func (g *gamma) logSample(rng *rand.Rand) float64 {
	l := math.Log(g.sample(rng))
	if g.shape < 1 {
		l -= rng.ExpFloat64() / g.shape
	}
	return l
}
