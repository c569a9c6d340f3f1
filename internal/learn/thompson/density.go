package thompson

import "math"

// density is the density of Y = logit(X) for X ~ Beta(α, β):
//
//	f(y) = x^α (1−x)^β / B(α, β), x = 1/(1+e^−y)
//
// On the logit axis it is smooth and log-concave, with tails e^(αy) and e^(−βy),
// for every α and β. On [0, 1] it would have poles for parameters below 1, and
// for tiny ones most of its mass would be closer to 0 and 1 than floating point
// can tell.
type density struct {
	alpha, beta float64
	mode        float64 // ln(α/β), where x is the mean
	peak        float64 // ln f(mode)
	logP, logQ  float64 // ln of the mean, of 1 − the mean
	// The second to fourth derivatives of −ln f at the mode: curvature,
	// curvature·third, curvature·fourth.
	curvature, third, fourth float64

	panel       float64 // width of a panel that resolves f between left and right
	left, right float64 // beyond them f has only exponential tails
	low, high   float64 // the mass beyond either is at most tailMass
}

const (
	// tailMass is what an integral may miss at either end.
	tailMass = 1e-9
	// sharp is the curvature from which on ln f is taken from its Taylor series:
	// the direct form loses about curvature·2⁻⁵³ to cancellation, the series of
	// fourth order about 8⁵/5!·curvature^(−3/2) at eight standard deviations;
	// both are at most 1e-8 here.
	sharp = 1e7
	// panelScales is the width of a panel of the quadrature in scales. Over random
	// sets of arms its eight nodes leave propensities off by a few 1e-8 at most,
	// measured against panels of a quarter of the width.
	panelScales = 2.5
)

func newDensity(alpha, beta float64) density {
	n := alpha + beta
	p, q := alpha/n, beta/n
	d := density{
		alpha: alpha, beta: beta,
		mode: math.Log(alpha / beta),
		// Of the two, take the one close to 0 by its complement: it is multiplied by
		// the larger parameter.
		logP: math.Log1p(-q), logQ: math.Log1p(-p),
		curvature: alpha * q,
		third:     q - p,
		fourth:    1 - 6*p*q,
	}
	if alpha < beta {
		d.logP = math.Log(p)
	} else {
		d.logQ = math.Log(q)
	}
	d.peak = 0.5*math.Log(d.curvature/(2*math.Pi)) - stirlingError(alpha) - stirlingError(beta) + stirlingError(n)

	// Where a parameter is below 1 its tail is long, and the rest is shaped as
	// if it were 1.
	a, b := max(alpha, 1), max(beta, 1)
	center, scale := math.Log(a/b), math.Sqrt(1/a+1/b)
	// A scale near 1 goes with a steep e^−e^y flank, which needs narrower panels.
	d.panel = panelScales * scale / (1 + scale/2)
	d.left, d.right = center-3*scale, center+3*scale
	d.low, d.high = d.bound(-1), d.bound(1)
	return d
}

// stirlingError returns ln Γ(z) − ((z−½) ln z − z + ½ ln 2π). Differences of
// ln Γ of large numbers lose all digits; these do not.
func stirlingError(z float64) float64 {
	if z < 10 {
		l, _ := math.Lgamma(z)
		return l - ((z-0.5)*math.Log(z) - z + 0.5*math.Log(2*math.Pi))
	}
	// Abramowitz and Stegun 6.1.41; the next term is below 1e-12.
	r := 1 / (z * z)
	return (1.0/12 - r*(1.0/360-r*(1.0/1260-r*(1.0/1680-r/1188)))) / z
}

// logistic returns ln x and ln(1−x) for x = 1/(1+e^−y).
func logistic(y float64) (logX, log1mX float64) {
	if y >= 0 {
		l := math.Log1p(math.Exp(-y))
		return -l, -y - l
	}
	l := math.Log1p(math.Exp(y))
	return y - l, -l
}

// log returns ln f(y), given logistic(y).
func (d *density) log(y, logX, log1mX float64) float64 {
	if d.curvature > sharp {
		t := y - d.mode
		return d.peak - d.curvature*t*t*(0.5+t*(d.third/6+t*d.fourth/24))
	}
	return d.peak + d.alpha*(logX-d.logP) + d.beta*(log1mX-d.logQ)
}

// at returns f(y).
func (d *density) at(y float64) float64 {
	logX, log1mX := logistic(y)
	return math.Exp(d.log(y, logX, log1mX))
}

// bound returns a point on the right (sign 1) or the left (sign −1) of the mode
// beyond which the mass is at most tailMass. f is log-concave, so the mass
// beyond y is at most f(y)/s(y) with s the slope of −ln f there; the steps are
// Newton's on ln f − ln s and from too close to the mode they land beyond.
func (d *density) bound(sign float64) float64 {
	target := math.Log(tailMass)
	y := d.mode + sign*5/math.Sqrt(d.curvature)
	for range 60 { // about ten from the worst start
		logX, log1mX := logistic(y)
		slope := sign * (d.beta*math.Exp(logX) - d.alpha*math.Exp(log1mX))
		excess := d.log(y, logX, log1mX) - math.Log(slope) - target
		y += sign * excess / slope
		if math.Abs(excess) < 0.1 {
			break
		}
	}
	return y
}

// step returns how wide a panel may be that ends at y and goes to the left: in
// a long tail wider, in proportion to the way to what is not tail.
func (d *density) step(y float64) float64 {
	switch {
	case y < d.left && d.alpha < 1:
		return min(d.panel+(d.left-y)/2, panelScales/d.alpha)
	case y > d.right && d.beta < 1:
		return min(d.panel+(y-d.right)/2, panelScales/d.beta)
	}
	return d.panel
}

// mass returns the integral of f over a panel.
func (d *density) mass(from, to float64) float64 {
	half, sum := (to-from)/2, 0.0
	for k, t := range rule.nodes {
		sum += rule.weights[k] * d.at(from+half*(1+t))
	}
	return half * sum
}

// interval returns the 2.5 % and 97.5 % quantiles of X.
func (d *density) interval() (lower, upper float64) {
	y, tail := d.quantile(d.high, 0, 0.025)
	upper = 1 / (1 + math.Exp(-y))
	y, _ = d.quantile(y, tail, 0.975)
	return 1 / (1 + math.Exp(-y)), upper
}

// quantile goes left from y, beyond which the mass is tail, to the point beyond
// which it is target: panel by panel, then by Newton's method kept inside the
// panel by bisection.
func (d *density) quantile(y, tail, target float64) (float64, float64) {
	var left float64
	for {
		left = y - d.step(y)
		m := d.mass(left, y)
		if tail+m >= target || left < d.low {
			break
		}
		y, tail = left, tail+m
	}
	right := y
	for range 60 {
		next := y - (target-tail)/d.at(y)
		if !(next > left && next < right) {
			next = left + (right-left)/2
		}
		tail += d.mass(next, y)
		y = next
		if math.Abs(tail-target) < 1e-12 {
			break
		}
		if tail > target {
			left = y
		} else {
			right = y
		}
	}
	return y, tail
}
