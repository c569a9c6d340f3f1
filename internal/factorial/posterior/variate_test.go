package posterior

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// The Kolmogorov–Smirnov distance of n draws to the true distribution; √n times it
// exceeds 2.3 with a probability of 5e-5. The first four moments, within five
// standard errors.
func TestVariates(t *testing.T) {
	const n = 50_000
	v := newVariates(1, 2)
	student := distuv.StudentsT{Mu: 0, Sigma: math.Sqrt(3.0 / 4 / 2), Nu: 8}
	for _, c := range []struct {
		name           string
		draw           func() float64
		cdf            func(float64) float64
		mean, variance float64
	}{
		{"normal", v.normal, distuv.UnitNormal.CDF, 0, 1},
		{"Gamma(1)", func() float64 { return v.gamma(1) }, func(x float64) float64 { return mathext.GammaIncReg(1, x) }, 1, 1},
		{"Gamma(37.5)", func() float64 { return v.gamma(37.5) }, func(x float64) float64 { return mathext.GammaIncReg(37.5, x) }, 37.5, 37.5},
		{"Beta(1, 1)", func() float64 { return v.beta(1, 1) }, func(x float64) float64 { return x }, 0.5, 1.0 / 12},
		{"Beta(21, 81)", func() float64 { return v.beta(21, 81) }, func(x float64) float64 { return mathext.RegIncBeta(21, 81, x) }, 21.0 / 102, 21.0 * 81 / 102 / 102 / 103},
		// A mean of normal-inverse-gamma(0, 2, 4, 3) has Student's distribution.
		{"normal-inverse-gamma", func() float64 { return math.Sqrt(3/v.gamma(4)/2) * v.normal() }, student.CDF, 0, student.Variance()},
	} {
		values := make([]float64, n)
		var mean, variance, fourth float64
		for i := range values {
			values[i] = c.draw()
			d := values[i] - c.mean
			mean += d / n
			variance += d * d / n
			fourth += d * d * d * d / n
		}
		near(t, c.name+": mean", mean, 0, 5*math.Sqrt(c.variance/n))
		near(t, c.name+": variance", variance, c.variance, 5*math.Sqrt((fourth-variance*variance)/n))
		slices.Sort(values)
		distance := 0.0
		for i, x := range values {
			f := c.cdf(x)
			distance = max(distance, f-float64(i)/n, float64(i+1)/n-f)
		}
		if got := distance * math.Sqrt(n); got > 2.3 {
			t.Errorf("%s: Kolmogorov–Smirnov statistic %.2f, want less than 2.3", c.name, got)
		}
	}
}

// Draws of parameters have the mean, the covariance and the quantiles of the
// posterior, of those that do not occur in the data too.
func TestDrawsOfParameters(t *testing.T) {
	const n = 40_000
	s := space(t, []int{2, 2}, []int{2})
	r, err := newRegression(s, fourCells, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	sd := r.deviations()
	draws := make([][]float64, r.size)
	v := newVariates(3, 4)
	for range n {
		r.draw(v, false)
		for j, x := range r.theta {
			draws[j] = append(draws[j], x)
		}
	}
	mean := make([]float64, r.size)
	for i, j := range r.occurring {
		mean[j] = r.mean[i]
	}
	// The covariance of the intercept and the last pair of design factors.
	correlation := 0.0
	last := r.occurring[3]
	for d := range n {
		correlation += (draws[0][d] - mean[0]) * (draws[last][d] - mean[last]) / (sd[0] * sd[last]) / n
	}
	h, e := newSymmetric(4), make([]float64, 4)
	copy(h.data, r.factor.data)
	e[3] = 1
	h.solveLower(e, 0)
	h.solveUpper(e)
	near(t, "correlation", correlation, e[0]/(sd[0]*sd[last]), 5/math.Sqrt(n))
	for j := range draws {
		sum, squares := 0.0, 0.0
		for _, x := range draws[j] {
			sum += (x - mean[j]) / n
			squares += (x - mean[j]) * (x - mean[j]) / n
		}
		near(t, "mean", sum, 0, 5*sd[j]/math.Sqrt(n))
		near(t, "variance", squares, sd[j]*sd[j], 5*sd[j]*sd[j]*math.Sqrt(2.0/n))
		slices.Sort(draws[j])
		for _, q := range []float64{0.025, 0.25, 0.5, 0.975} {
			z := distuv.UnitNormal.Quantile(q)
			// The standard error of a quantile: √(q(1−q)/n)/density.
			tolerance := 5 * sd[j] * math.Sqrt(q*(1-q)/n) / distuv.UnitNormal.Prob(z)
			near(t, "quantile", quantile(draws[j], q), mean[j]+z*sd[j], tolerance)
		}
	}
}

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values  []float64
		q, want float64
	}{{[]float64{7}, 0.5, 7}, {[]float64{1, 2}, 0.25, 1.25}, {[]float64{1, 2, 3, 4, 5}, 0.975, 4.9}, {[]float64{1, 2, 3}, 1, 3}} {
		near(t, "quantile", quantile(c.values, c.q), c.want, 1e-12)
	}
}
