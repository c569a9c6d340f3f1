package thompson

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

var shapeCases = []shapes{
	{1, 1}, {0.5, 0.5}, {22, 80}, {0.2, 5}, {5, 0.2}, {1, 1000}, {300, 0.7}, {1e4, 2e4},
	{1e-3, 1e-3}, {1e-3, 2}, {1e-8, 1e-8}, {1e-8, 3e-8}, {1e9, 1e9}, {1e9, 10}, {1e-3, 1e6}, {1e9, 1e-3},
}

// The logit of a Beta variate has the mean ψ(α) − ψ(β) and the variance
// ψ′(α) + ψ′(β), finite and telling for every α and β.
func TestDrawMoments(t *testing.T) {
	const n = 100_000
	for _, c := range shapeCases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			p, rng := newPosterior(c.alpha, c.beta), rand.New(rand.NewPCG(1, 2))
			mean := mathext.Digamma(c.alpha) - mathext.Digamma(c.beta)
			variance := mathext.Zeta(2, c.alpha) + mathext.Zeta(2, c.beta)
			var sum, squares, fourths, values float64
			for range n {
				d := p.draw(rng)
				values += d.value
				y := d.logit
				if y == 0 {
					y = math.Log(d.value) - math.Log1p(-d.value)
				}
				sum += y
				squares += (y - mean) * (y - mean)
				fourths += math.Pow(y-mean, 4)
			}
			// Five standard errors: of the mean, of the variance by the fourth moment.
			if got, tolerance := sum/n, 5*math.Sqrt(variance/n); math.Abs(got-mean) > tolerance {
				t.Errorf("mean of logit = %v, want %v ± %v", got, mean, tolerance)
			}
			got := squares / n
			if tolerance := 5 * math.Sqrt((fourths/n-got*got)/n); math.Abs(got-variance) > tolerance {
				t.Errorf("variance of logit = %v, want %v ± %v", got, variance, tolerance)
			}
			mean = c.alpha / (c.alpha + c.beta)
			deviation := math.Sqrt(mean * (1 - mean) / (c.alpha + c.beta + 1))
			// Half an ulp of rounding per draw, should all err one way.
			if got, tolerance := values/n, 5*deviation/math.Sqrt(n)+1e-15; math.Abs(got-mean) > tolerance {
				t.Errorf("mean = %v, want %v ± %v", got, mean, tolerance)
			}
		})
	}
}

// The Kolmogorov–Smirnov distance of n draws to the true distribution; √n times
// it exceeds 2.3 with a probability of 5e-5.
func TestDrawDistribution(t *testing.T) {
	const n = 20_000
	for _, c := range shapeCases {
		if min(c.alpha, c.beta) < 0.1 || max(c.alpha, c.beta) > 1e6 {
			continue // values round to 0 and 1, or gonum's function loses its digits
		}
		p, rng := newPosterior(c.alpha, c.beta), rand.New(rand.NewPCG(3, 4))
		values := make([]float64, n)
		for i := range values {
			values[i] = p.draw(rng).value
		}
		slices.Sort(values)
		distance := 0.0
		for i, x := range values {
			f := mathext.RegIncBeta(c.alpha, c.beta, x)
			distance = max(distance, f-float64(i)/n, float64(i+1)/n-f)
		}
		if got := distance * math.Sqrt(n); got > 2.3 {
			t.Errorf("Beta%v: Kolmogorov–Smirnov statistic %.2f, want less than 2.3", c, got)
		}
	}
}

func TestInterval(t *testing.T) {
	for _, c := range shapeCases {
		d := newDensity(c.alpha, c.beta)
		lower, upper := d.interval()
		if !(0 <= lower && lower <= upper && upper <= 1) {
			t.Errorf("Beta%v: interval [%v, %v]", c, lower, upper)
		}
		if max(c.alpha, c.beta) > 1e8 && min(c.alpha, c.beta) > 1e8 {
			normal := distuv.Normal{Mu: c.alpha / (c.alpha + c.beta), Sigma: 0.5 / math.Sqrt(c.alpha+c.beta)}
			if want := normal.Quantile(0.975); math.Abs(upper-want) > 1e-9 {
				t.Errorf("Beta%v: upper %v, want %v", c, upper, want)
			}
			continue
		}
		for _, q := range []struct{ got, mass float64 }{{lower, 0.025}, {upper, 0.975}} {
			if q.got < 1e-250 || q.got > 1-1e-7 {
				continue // rounded to a bound: there is nothing to invert
			}
			if mass := mathext.RegIncBeta(c.alpha, c.beta, q.got); math.Abs(mass-q.mass) > 2e-8 {
				t.Errorf("Beta%v: the mass below %v is %v, want %v", c, q.got, mass, q.mass)
			}
		}
	}
}

func TestDensityIntegratesToOne(t *testing.T) {
	for _, c := range append(shapeCases, shapes{1e12, 1e12}, shapes{1e12, 1e-9}, shapes{1e-9, 1e-9}, shapes{4e6, 4e9}) {
		d := newDensity(c.alpha, c.beta)
		sum, panels := 0.0, 0
		for y := d.high; y > d.low && panels < 1000; panels++ {
			left := y - d.step(y)
			sum += d.mass(left, y)
			y = left
		}
		if math.Abs(sum-1) > 3e-8 || panels > 100 {
			t.Errorf("Beta%v: total mass 1%+.1e in %d panels", c, sum-1, panels)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, c := range []shapes{{22, 80}, {1, 1}, {0.5, 10}, {1e-3, 1e-3}} {
		b.Run(fmt.Sprintf("alpha=%g/beta=%g", c.alpha, c.beta), func(b *testing.B) {
			p, rng := newPosterior(c.alpha, c.beta), rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				p.draw(rng)
			}
		})
	}
}

func BenchmarkDerive(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newPosterior(22, 80).derive()
	}
}
