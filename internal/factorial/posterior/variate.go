package posterior

import (
	"math"
	"math/rand/v2"
)

// variates draws random numbers from a seed, with nothing but arithmetic, square
// roots and logarithms: the standard library's normal variates use its exponential,
// whose last bit differs between processors.
type variates struct {
	*rand.Rand
	spare    float64
	hasSpare bool
}

// Streams of one seed that have nothing to do with each other.
const (
	allocationStream = 1
	evaluationStream = 2
)

func newVariates(seed, stream uint64) *variates {
	return &variates{Rand: rand.New(rand.NewPCG(seed, stream))}
}

// normal draws from N(0, 1) by the polar method (G. Marsaglia, T. A. Bray, A
// convenient method for generating normal variables, SIAM Review 6, 1964).
func (v *variates) normal() float64 {
	if v.hasSpare {
		v.hasSpare = false
		return v.spare
	}
	for {
		x, y := 2*v.Float64()-1, 2*v.Float64()-1
		s := float64(x*x) + float64(y*y)
		if s >= 1 || s == 0 {
			continue
		}
		f := math.Sqrt(-2 * math.Log(s) / s)
		v.spare, v.hasSpare = y*f, true
		return x * f
	}
}

// gamma draws from Gamma(shape, 1) for shape ≥ 1 (G. Marsaglia, W. W. Tsang, A
// simple method for generating gamma variables, ACM TOMS 26, 2000; the names are the
// paper's).
func (v *variates) gamma(shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := v.normal()
		w := 1 + float64(c*x)
		if w <= 0 {
			continue
		}
		w = w * w * w
		u := 1 - v.Float64() // in (0, 1]
		xx := x * x
		if u < 1-float64(0.0331*xx*xx) || math.Log(u) < float64(0.5*xx)+float64(d*(1-w+math.Log(w))) {
			return d * w
		}
	}
}

// beta draws from Beta(a, b) for a, b ≥ 1.
func (v *variates) beta(a, b float64) float64 {
	x, y := v.gamma(a), v.gamma(b)
	return x / (x + y)
}
