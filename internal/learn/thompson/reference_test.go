package thompson

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// reference is what scipy, mpmath and numpy compute; testdata/reference.py says
// how.
type reference struct {
	Intervals []struct {
		Alpha, Beta, Mean          float64
		Lower, Upper               float64
		DensityLower, DensityUpper float64
	}
	Levels []float64
	Draws  []struct {
		Alpha, Beta         float64
		Moments, Deviations [2]float64 // of a draw and of its square
		Quantiles           []float64  // of the logit, at the levels
	}
	Best []struct {
		Arms          [][2]float64
		Probabilities []float64
	}
	Discount []struct {
		Discount, PriorAlpha, PriorBeta float64
		At                              []int64
		Positive                        []bool
		Weight                          []float64
		Alpha, Beta                     float64
	}
}

func readReference(t *testing.T) (ref reference) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// The quadrature leaves a probability off by 2e-8 at most; over the density that
// is the error of a quantile, to which the rounding of the quantile itself comes.
func TestIntervalsEqualThoseOfTheReference(t *testing.T) {
	const massError, rounding = 2e-8, 4e-16
	tolerance := func(want, density float64) float64 {
		if density == 0 { // rounded to 0 or 1
			return rounding * want
		}
		return massError/density + rounding*want
	}
	for _, c := range readReference(t).Intervals {
		p := newPosterior(c.Alpha, c.Beta)
		d := p.derive()
		if tol := tolerance(c.Lower, c.DensityLower); !(math.Abs(d.lower-c.Lower) <= tol) {
			t.Errorf("Beta(%g, %g): lower = %.17g, want %.17g ± %.2g", c.Alpha, c.Beta, d.lower, c.Lower, tol)
		}
		if tol := tolerance(c.Upper, c.DensityUpper); !(math.Abs(d.upper-c.Upper) <= tol) {
			t.Errorf("Beta(%g, %g): upper = %.17g, want %.17g ± %.2g", c.Alpha, c.Beta, d.upper, c.Upper, tol)
		}
		if !(math.Abs(p.mean-c.Mean) <= rounding*c.Mean) {
			t.Errorf("Beta(%g, %g): mean = %.17g, want %.17g", c.Alpha, c.Beta, p.mean, c.Mean)
		}
	}
}

// The share of n draws below the quantile of level p has the standard error
// √(p(1−p)/n), their mean the deviation over √n; five of them are passed once in
// 1.7 million times. To a mean comes half an ulp of every draw.
func TestDrawsAreDistributedAsTheReference(t *testing.T) {
	const n = 50_000
	ref := readReference(t)
	for _, c := range ref.Draws {
		t.Run(fmt.Sprintf("Beta(%g,%g)", c.Alpha, c.Beta), func(t *testing.T) {
			p, rng := newPosterior(c.Alpha, c.Beta), rand.New(rand.NewPCG(3, 4))
			below := make([]float64, len(ref.Levels))
			var sums [2]float64
			for range n {
				d := p.draw(rng)
				sums[0] += d.value
				sums[1] += d.value * d.value
				y := d.logit
				if c.Alpha >= 1 && c.Beta >= 1 {
					y = math.Log(d.value) - math.Log1p(-d.value)
				}
				for i, q := range c.Quantiles {
					if y < q {
						below[i]++
					}
				}
			}
			for k, want := range c.Moments {
				if got, tol := sums[k]/n, 5*c.Deviations[k]/math.Sqrt(n)+1e-15; !(math.Abs(got-want) <= tol) {
					t.Errorf("moment %d = %v, want %v ± %.2g", k+1, got, want, tol)
				}
			}
			for i, level := range ref.Levels {
				if got, tol := below[i]/n, 5*math.Sqrt(level*(1-level)/n); !(math.Abs(got-level) <= tol) {
					t.Errorf("share below the quantile of %g = %v, want it within %.2g", level, got, tol)
				}
			}
		})
	}
}

// The documented error of a propensity is below 1e-7; the reference's is 2e-9.
func TestPropensitiesEqualThoseOfTheReference(t *testing.T) {
	for _, c := range readReference(t).Best {
		arms := make([]shapes, len(c.Arms))
		for i, a := range c.Arms {
			arms[i] = shapes{a[0], a[1]}
		}
		for i, got := range propensitiesOf(arms) {
			if want := c.Probabilities[i]; !(math.Abs(got-want) <= 1e-7) {
				t.Errorf("P(best) of %v among %v = %.10f, want %.10f", arms[i], arms, got, want)
			}
		}
	}
}

// The sum is the same whatever the order of its terms; each of up to 200 steps
// rounds the sum once more than the reference does.
func TestDiscountEqualsTheReference(t *testing.T) {
	for _, c := range readReference(t).Discount {
		l := mustNew(t, fmt.Sprintf(`{"priorAlpha":%g,"priorBeta":%g,"discount":%g}`, c.PriorAlpha, c.PriorBeta, c.Discount), ``)
		for i, at := range c.At {
			observe(l, "a", at, c.Positive[i], c.Weight[i])
		}
		got := l.armOf("a")
		if !(math.Abs(got.alpha/c.Alpha-1) <= 1e-12) || !(math.Abs(got.beta/c.Beta-1) <= 1e-12) {
			t.Errorf("discount %g: α = %.15g, β = %.15g, want %.15g, %.15g", c.Discount, got.alpha, got.beta, c.Alpha, c.Beta)
		}
	}
}
