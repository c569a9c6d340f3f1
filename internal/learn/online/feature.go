package online

import (
	"math"

	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// feature is one weight: of a number, a category or the bias. The learner's
// goroutine owns all of it but cell, which views read.
type feature struct {
	weight float64
	n      float64 // adagrad, ftrl: sum of squared gradients
	z      float64 // ftrl: sum of gradients less rate changes · weight
	moments
	dirty bool // changed since it was published
	cell  cell
}

// moments are the running mean and variance of a number under normalisation. A
// category and a number of a plain model have none.
type moments struct {
	mean float64
	m2   float64 // sum of weighted squared deviations from the mean
	seen float64 // sum of weights
}

// largest bounds outcome weights and the numbers whose moments are kept, so that
// their products stay finite: what is beyond counts as ±1e100.
const largest = 1e100

// add takes in a value of the given weight (West, Updating mean and variance
// estimates: an improved method, 1979).
func (m *moments) add(x, weight float64) {
	x = min(max(x, -largest), largest)
	m.seen = encode.Finite(m.seen + weight)
	d := x - m.mean
	m.mean += float64(d * (weight / m.seen))
	m.m2 = encode.Finite(m.m2 + float64(float64(weight*d)*(x-m.mean)))
}

// scale returns 1/deviation, 0 for a number that has not varied.
func (m *moments) scale() float64 {
	if variance := m.m2 / m.seen; variance > 0 {
		return 1 / math.Sqrt(variance)
	}
	return 0
}

// clip bounds a standardised value: one outlier must not throw the weight of a
// feature whose deviation is still small.
const clip = 8

func standardise(x, mean, scale float64) float64 {
	switch x = float64((x - mean) * scale); {
	case x > clip:
		return clip
	case x < -clip:
		return -clip
	}
	return x
}

// step moves the weight against the gradient g of the weighted loss.
func (f *feature) step(c *config, g float64) {
	switch c.optimizer {
	case sgd:
		f.weight = encode.Finite(f.weight - float64(c.rate*g))
	case adagrad:
		if g == 0 {
			return
		}
		f.n = encode.Finite(f.n + float64(g*g))
		if f.n > 0 { // 0 where g² is below the smallest number
			f.weight = encode.Finite(f.weight - float64(c.rate*g)/math.Sqrt(f.n))
		}
	case ftrl:
		n := encode.Finite(f.n + float64(g*g))
		sigma := (math.Sqrt(n) - math.Sqrt(f.n)) / c.rate
		f.z = encode.Finite(f.z + (g - encode.Finite(float64(sigma*f.weight))))
		f.n = n
		f.weight = f.proximal(c)
	}
}

// proximal returns ftrl's weight: the minimum of z·w + l1·|w| +
// ((β + √n)/rate + l2)·w²/2.
func (f *feature) proximal(c *config) float64 {
	z := f.z
	switch {
	case z > c.l1:
		z -= c.l1
	case z < -c.l1:
		z += c.l1
	default:
		return 0
	}
	return encode.Finite(-z / ftrlStiffness(f.n, c))
}

// ftrlStiffness returns (β + √n)/rate + l2.
func ftrlStiffness(n float64, c *config) float64 { return (1+math.Sqrt(n))/c.rate + c.l2 }

// adopt fits what the optimizer remembers to a weight that another optimizer
// learned, or that was imported.
func (f *feature) adopt(c *config) {
	switch c.optimizer {
	case sgd:
		f.n, f.z = 0, 0
	case adagrad:
		f.z = 0
	case ftrl: // the z whose proximal weight this is
		f.z = 0
		if f.weight != 0 {
			z := encode.Finite(float64(f.weight * ftrlStiffness(f.n, c)))
			f.z = encode.Finite(-z - math.Copysign(c.l1, f.weight))
		}
	}
}
