package thompson

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mathext"

	"github.com/praetor-engine/praetor/internal/learn"
)

// shapes are the parameters of one arm.
type shapes struct{ alpha, beta float64 }

func propensitiesOf(arms []shapes) []float64 {
	s, out := new(scratch), make([]learn.ArmScore, len(arms))
	for _, a := range arms {
		s.posteriors = append(s.posteriors, newPosterior(a.alpha, a.beta))
	}
	s.propensities(newPosterior(1, 1), out)
	p := make([]float64, len(arms))
	for i := range out {
		p[i] = out[i].Propensity
	}
	return p
}

// betterOf returns P(X > Y) for X ~ Beta(a.alpha, a.beta), Y ~ Beta(b.alpha,
// b.beta) and a whole a.alpha, in closed form:
//
//	Σ_{i<α_a} B(α_b+i, β_a+β_b) / ((β_a+i) B(1+i, β_a) B(α_b, β_b))
func betterOf(a, b shapes) float64 {
	sum := 0.0
	for i := range int(a.alpha) {
		f := float64(i)
		sum += math.Exp(mathext.Lbeta(b.alpha+f, a.beta+b.beta)-mathext.Lbeta(1+f, a.beta)-mathext.Lbeta(b.alpha, b.beta)) / (a.beta + f)
	}
	return sum
}

func TestPropensityOfTwoArms(t *testing.T) {
	for _, c := range [][2]shapes{
		{{1, 1}, {1, 1}},
		{{2, 3}, {3, 2}},
		{{22, 80}, {12, 90}},
		{{65, 38}, {22, 80}},
		{{40, 60}, {38, 62}},
		{{3, 1000}, {7, 1800}},
		{{500, 500}, {1, 1}},
		{{1, 0.3}, {0.2, 0.7}},
		{{2, 1e-3}, {1e-3, 1e-3}},
		{{1, 1e-8}, {1e-8, 1e-8}},
		{{2000, 1e6}, {1900, 1e6}},
		{{1000, 0.1}, {5e5, 1e3}},
	} {
		got, want := propensitiesOf(c[:])[0], betterOf(c[0], c[1])
		if diff := math.Abs(got - want); !(diff < 1e-7) {
			t.Errorf("P(best) of %v against %v = %.9f, want %.9f (off by %.1e)", c[0], c[1], got, want, diff)
		}
	}
}

// For Beta(a_i, 1) every CDF is x^(a_i), so P_i = a_i/Σa whatever the number of
// arms.
func TestPropensityOfPowerArms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 20, 200} {
		for _, span := range []float64{1, 10, 1e3, 1e9} {
			arms, total := make([]shapes, n), 0.0
			for i := range arms {
				arms[i] = shapes{math.Exp(math.Log(span) * (2*rng.Float64() - 1)), 1}
				total += arms[i].alpha
			}
			worst := 0.0
			for i, got := range propensitiesOf(arms) {
				worst = max(worst, math.Abs(got-arms[i].alpha/total))
			}
			if !(worst < 1e-7) {
				t.Errorf("%d arms Beta(a, 1), a within a factor of %g of 1: off by %.1e", n, span, worst)
			}
		}
	}
}

func TestPropensityOfEqualArms(t *testing.T) {
	for _, n := range []int{2, 20, 1000} {
		for _, a := range []shapes{{1, 1}, {30, 70}, {1e-3, 1e-3}, {1e-8, 1e-8}, {1e-8, 1e6}, {1e6, 1e-8}, {1e9, 1e9}, {1e12, 1e12}, {1e12, 3}} {
			arms := make([]shapes, n)
			for i := range arms {
				arms[i] = a
			}
			worst := 0.0
			for _, got := range propensitiesOf(arms) {
				worst = max(worst, math.Abs(got-1/float64(n)))
			}
			if !(worst < 1e-9) {
				t.Errorf("%d arms %v: off by %.1e", n, a, worst)
			}
			unseen := sharedPropensities(n, a, shapes{2, 2})
			apart := propensitiesOf(append(arms, shapes{2, 2}))
			if diff := math.Abs(unseen[0] - apart[0]); !(diff < 1e-8) {
				t.Errorf("%d arms %v and one other: %v when they share a posterior, %v when not", n, a, unseen[0], apart[0])
			}
		}
	}
}

// sharedPropensities is propensitiesOf for n offers without an arm and one with.
func sharedPropensities(n int, prior, other shapes) []float64 {
	s, out := new(scratch), make([]learn.ArmScore, n+1)
	unseen := newPosterior(prior.alpha, prior.beta)
	for range n {
		s.posteriors = append(s.posteriors, unseen)
	}
	s.posteriors = append(s.posteriors, newPosterior(other.alpha, other.beta))
	s.propensities(unseen, out)
	p := make([]float64, n+1)
	for i := range out {
		p[i] = out[i].Propensity
	}
	return p
}

// slowPropensities is the obviously right twin: a fine trapezoid over the logit
// axis with gonum's incomplete beta function.
func slowPropensities(arms []shapes) []float64 {
	const points, reach = 40_000, 40
	p := make([]float64, len(arms))
	cdf := make([]float64, len(arms))
	step := 2.0 * reach / points
	for k := range points {
		y := -reach + step*(float64(k)+0.5)
		x, x1m := 1/(1+math.Exp(-y)), 1/(1+math.Exp(y))
		for i, a := range arms {
			if x < 0.5 {
				cdf[i] = mathext.RegIncBeta(a.alpha, a.beta, x)
			} else {
				cdf[i] = 1 - mathext.RegIncBeta(a.beta, a.alpha, x1m)
			}
		}
		for i, a := range arms {
			f := step * math.Exp(a.alpha*math.Log(x)+a.beta*math.Log(x1m)-mathext.Lbeta(a.alpha, a.beta))
			for j := range arms {
				if j != i {
					f *= cdf[j]
				}
			}
			p[i] += f
		}
	}
	return p
}

func TestPropensityAgainstSlowTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		arms := make([]shapes, 2+rng.IntN(5))
		for i := range arms {
			// From 0.5 to 1000 on a logarithmic scale; the twin resolves no more.
			arms[i] = shapes{0.5 * math.Exp(7.6*rng.Float64()), 0.5 * math.Exp(7.6*rng.Float64())}
		}
		want := slowPropensities(arms)
		for i, got := range propensitiesOf(arms) {
			if diff := math.Abs(got - want[i]); !(diff < 1e-7) {
				t.Errorf("P(best) of arm %d of %v = %.9f, want %.9f", i, arms, got, want[i])
			}
		}
	}
}

// The propensity is the frequency with which the arm's score is the greatest,
// also where scores round to 0 and 1.
func TestPropensityAgainstChoices(t *testing.T) {
	for _, arms := range [][]shapes{
		{{22, 80}, {65, 38}, {12, 90}},
		{{20, 80}, {22, 80}, {21, 79}, {1, 1}},
		{{1e-3, 1e-3}, {1e-3, 2e-3}, {5, 1}},
		{{1e-4, 1}, {1e-4, 3}, {2e-4, 1}},
		{{0.3, 30}, {2, 200}, {1e6, 1e8}},
	} {
		l := mustNew(t, "", stateOf(arms))
		v := l.Publish().(learn.ArmView)
		rng := rand.New(rand.NewPCG(5, 6))
		out := v.ScoreArms(nil, rng, nil)
		want := make([]float64, len(arms))
		for i := range out {
			want[i] = out[i].Propensity
		}
		const n = 200_000
		wins := make([]float64, len(arms))
		for range n {
			out = v.DrawArms(nil, rng, out)
			best := 0
			for i := range out {
				if out[i].Score > out[best].Score {
					best = i
				}
			}
			wins[best]++
		}
		for i, p := range want {
			// Five standard deviations of a frequency, and of one count.
			if tolerance := 5*math.Sqrt(p*(1-p)/n) + 5.0/n; math.Abs(wins[i]/n-p) > tolerance {
				t.Errorf("arms %v: arm %d chosen with frequency %.5f, propensity %.5f ± %.5f", arms, i, wins[i]/n, p, tolerance)
			}
		}
	}
}

func TestQuadrature(t *testing.T) {
	// Exact up to degree 15; the partial integrals up to degree 7.
	for degree := range 2 * ruleNodes {
		sum := 0.0
		var values [ruleNodes]float64
		for k, x := range rule.nodes {
			values[k] = math.Pow(x, float64(degree))
			sum += rule.weights[k] * values[k]
		}
		integral := func(from float64) float64 { return (1 - math.Pow(from, float64(degree+1))) / float64(degree+1) }
		if want := integral(-1); math.Abs(sum-want) > 1e-14 {
			t.Errorf("integral of x^%d = %v, want %v", degree, sum, want)
		}
		if degree >= ruleNodes {
			continue
		}
		for k, x := range rule.nodes {
			if got, want := dot(&rule.beyond[k], &values), integral(x); math.Abs(got-want) > 1e-14 {
				t.Errorf("integral of x^%d from %v = %v, want %v", degree, x, got, want)
			}
		}
	}
}

func BenchmarkPropensities(b *testing.B) {
	for _, n := range []int{3, 20, 200, 1000} {
		b.Run(fmt.Sprintf("arms=%d", n), func(b *testing.B) {
			v := mustNew(b, "", stateOf(typicalArms(n))).Publish().(*view)
			s, out := new(scratch), make([]learn.ArmScore, n)
			rng := rand.New(rand.NewPCG(1, 1))
			out = v.draw(s, nil, rng, out)
			b.ReportAllocs()
			for b.Loop() {
				s.propensities(v.prior, out)
			}
		})
	}
}

// typicalArms have rates between 2 and 12 % known from 50 to 5 000 outcomes.
func typicalArms(n int) []shapes {
	rng := rand.New(rand.NewPCG(7, 8))
	arms := make([]shapes, n)
	for i := range arms {
		rate, outcomes := 0.02+0.1*rng.Float64(), 50*math.Exp(4.6*rng.Float64())
		arms[i] = shapes{1 + rate*outcomes, 1 + (1-rate)*outcomes}
	}
	return arms
}
