package thompson

import "math"

// ruleNodes is the number of nodes of a quadrature panel.
const ruleNodes = 8

// quadrature is the Gauss–Legendre rule on [−1, 1]. beyond[k][m] integrates the
// interpolating polynomial from node k to 1: Σ_m beyond[k][m]·f(node m).
type quadrature struct {
	nodes, weights [ruleNodes]float64
	beyond         [ruleNodes][ruleNodes]float64
}

var rule = newQuadrature()

// newQuadrature finds the nodes, roots of the Legendre polynomial P_n, by
// Newton's method from Tricomi's estimate. The interpolating polynomial is
// Σ_l (2l+1)/2·⟨f, P_l⟩·P_l, and for l > 0 the integral of P_l from t to 1 is
// (P_(l−1)(t) − P_(l+1)(t))/(2l+1).
func newQuadrature() *quadrature {
	q := new(quadrature)
	const n = ruleNodes
	var p [n][n + 2]float64 // p[k][l] = P_l(node k)
	for k := range n {
		t := math.Cos(math.Pi * (float64(n-k) - 0.25) / (n + 0.5))
		for range 8 {
			v := legendre(t)
			slope := n * (t*v[n] - v[n-1]) / (t*t - 1)
			t -= v[n] / slope
		}
		p[k] = legendre(t)
		slope := n * p[k][n-1] / (1 - t*t)
		q.nodes[k], q.weights[k] = t, 2/((1-t*t)*slope*slope)
	}
	for k := range n {
		for m := range n {
			sum := 1 - q.nodes[k]
			for l := 1; l < n; l++ {
				sum += p[m][l] * (p[k][l-1] - p[k][l+1])
			}
			q.beyond[k][m] = q.weights[m] / 2 * sum
		}
	}
	return q
}

// legendre returns P_0(t) to P_(n+1)(t) by their recurrence.
func legendre(t float64) (p [ruleNodes + 2]float64) {
	p[0], p[1] = 1, t
	for l := 1; l < len(p)-1; l++ {
		p[l+1] = (float64(2*l+1)*t*p[l] - float64(l)*p[l-1]) / float64(l+1)
	}
	return p
}
