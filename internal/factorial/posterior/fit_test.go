package posterior

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// Values computed by an independent implementation.
func TestLogisticFit(t *testing.T) {
	r, err := newRegression(space(t, []int{2, 2}, nil), fourCells, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The levels are f0, f1 in the order of the parameters.
	sd := r.deviations()
	for j, want := range [][2]float64{{-1.389925, 0.077799}, {0.246124, 0.125877}, {0.076785, 0.129386}, {0.264423, 0.165773}} {
		near(t, "mode", r.mean[j], want[0], 1e-6)
		near(t, "standard deviation", sd[j], want[1], 1e-6)
	}
}

func TestLogisticFitInExtremes(t *testing.T) {
	s := space(t, []int{5, 4, 3}, []int{4})
	for _, c := range []struct {
		name     string
		observed []factorial.Observed
	}{
		{"one exposure", []factorial.Observed{{Variant: 59, Cell: 4, N: 1, Sum: 1}}},
		{"all converted", []factorial.Observed{{Variant: 0, N: 1e9, Sum: 1e9}, {Variant: 7, N: 5, Sum: 5}}},
		{"none converted", []factorial.Observed{{Variant: 0, N: 1e9}, {Variant: 7, N: 5}}},
		{"opposites", []factorial.Observed{{Variant: 0, N: 1e9}, {Variant: 7, N: 1e9, Sum: 1e9}, {Variant: 8, Cell: 3, N: 1, Sum: 1}}},
	} {
		r, err := newRegression(s, c.observed, false, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		g := make([]float64, len(r.mean))
		examples := r.examples0(c.observed)
		r.gradient(examples, r.precisions(), g)
		r.factor.solveLower(g, 0)
		if left := math.Sqrt(dot(g, g)); !(left < 1e-5) {
			t.Errorf("%s: %g standard deviations from the maximum", c.name, left)
		}
	}
}

// examples0 computes the examples once more.
func (r *regression) examples0(observed []factorial.Observed) []example {
	again := &regression{design: r.design}
	return again.examples(observed)
}

// The matrix X of what was observed, dense, of all parameters.
func dense(r *regression, observed []factorial.Observed) *mat.Dense {
	x := mat.NewDense(len(observed), r.size, nil)
	for i, o := range observed {
		for _, j := range r.appendEffects(nil, o.Variant, o.Cell) {
			x.Set(i, j, x.At(i, j)+1)
		}
	}
	return x
}

func randomCounts(s *factorial.Space, rng *rand.Rand, share float64, numeric bool) []factorial.Observed {
	var observed []factorial.Observed
	for v := range s.Variants() {
		for c := range s.Cells() {
			if rng.Float64() >= share {
				continue
			}
			o := factorial.Observed{Variant: v, Cell: c, N: uint64(1 + rng.IntN(30))}
			for range o.N {
				y := 50 + 20*rng.NormFloat64() + float64(5*v)
				if !numeric {
					y = float64(rng.IntN(2))
				}
				o.Sum += y
				o.SumSq += y * y
			}
			observed = append(observed, o)
		}
	}
	return observed
}

// Against gonum's dense algebra over all parameters, the ones that do not occur too.
func TestLinearFitAgainstGonum(t *testing.T) {
	s, rng := space(t, []int{3, 2, 4}, []int{2, 3}), rand.New(rand.NewPCG(1, 2))
	observed := randomCounts(s, rng, 0.3, true)
	r, err := newRegression(s, observed, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := dense(r, observed)
	var weighted mat.Dense
	weighted.CloneFrom(x)
	n, zz := 0.0, 0.0
	moment := mat.NewVecDense(r.size, nil)
	for i, o := range observed {
		z := (o.Sum - float64(o.N)*r.center) / r.scale
		zz += (o.SumSq - 2*r.center*o.Sum + float64(o.N)*r.center*r.center) / (r.scale * r.scale)
		n += float64(o.N)
		for j := range r.size {
			weighted.Set(i, j, x.At(i, j)*float64(o.N))
			moment.SetVec(j, moment.AtVec(j)+x.At(i, j)*z)
		}
	}
	var product mat.Dense
	product.Mul(x.T(), &weighted)
	h := mat.NewSymDense(r.size, nil)
	for j := range r.size {
		for l := range j + 1 {
			h.SetSym(j, l, product.At(j, l))
		}
		h.SetSym(j, j, h.At(j, j)+1/(r.deviation(j)*r.deviation(j)))
	}
	var c mat.Cholesky
	if !c.Factorize(h) {
		t.Fatal("not positive definite")
	}
	var mean mat.VecDense
	if err := c.SolveVecTo(&mean, moment); err != nil {
		t.Fatal(err)
	}
	var inverse mat.SymDense
	if err := c.InverseTo(&inverse); err != nil {
		t.Fatal(err)
	}
	b := 1 + (zz-mat.Dot(&mean, moment))/2
	near(t, "b", r.b, b, 1e-9*b)
	near(t, "a", r.a, 2+n/2, 0)
	got := make([]float64, r.size)
	for i, j := range r.occurring {
		got[j] = r.mean[i]
	}
	for j, sd := range r.deviations() {
		near(t, "mean", got[j], mean.AtVec(j), 1e-10)
		near(t, "deviation", sd, math.Sqrt(b/(r.a-1)*inverse.At(j, j)), 1e-10)
	}
}

func TestCholeskyAgainstGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 3, 4, 5, 17, 60} {
		a, own := mat.NewDense(n, n, nil), newSymmetric(n)
		for i := range n {
			for j := range n {
				a.Set(i, j, rng.NormFloat64())
			}
		}
		var h mat.SymDense
		h.SymOuterK(1, a)
		for i := range n {
			h.SetSym(i, i, h.At(i, i)+0.1)
			for j := range i + 1 {
				own.row(i)[j] = h.At(i, j)
			}
		}
		var c mat.Cholesky
		c.Factorize(&h)
		var lower mat.TriDense
		c.LTo(&lower)
		if err := own.factorize(); err != nil {
			t.Fatal(err)
		}
		scale := mat.Max(&lower)
		for i := range n {
			for j := range i + 1 {
				near(t, "L", own.row(i)[j], lower.At(i, j), 1e-11*scale)
			}
		}
		var inverse mat.SymDense
		if err := c.InverseTo(&inverse); err != nil {
			t.Fatal(err)
		}
		for j, v := range own.inverseDiagonal() {
			near(t, "inverse", v, inverse.At(j, j), 1e-9*inverse.At(j, j))
		}
		b := make([]float64, n)
		for i := range b {
			b[i] = rng.NormFloat64()
		}
		want := mat.NewVecDense(n, slices.Clone(b))
		var x mat.VecDense
		if err := c.SolveVecTo(&x, want); err != nil {
			t.Fatal(err)
		}
		own.solveLower(b, 0)
		own.solveUpper(b)
		for i := range b {
			near(t, "x", b[i], x.AtVec(i), 1e-8*(1+math.Abs(x.AtVec(i))))
		}
	}
	if err := newSymmetric(2).factorize(); err == nil {
		t.Error("a matrix of zeros was factorized")
	}
}

func TestArms(t *testing.T) {
	s := space(t, []int{3}, []int{2})
	observed := []factorial.Observed{
		{Variant: 0, Cell: 0, N: 10, Sum: 4}, {Variant: 0, Cell: 1, N: 5, Sum: 1}, {Variant: 2, Cell: 2, N: 2},
	}
	m := newArms(3, observed, false, nil)
	for v, want := range []arm{{a: 6, b: 11}, {a: 1, b: 1}, {a: 1, b: 3}} {
		if got := m.arms[v]; got.a != want.a || got.b != want.b {
			t.Errorf("arm %d: Beta(%v, %v), want (%v, %v)", v, got.a, got.b, want.a, want.b)
		}
	}
	// Rewards 2, 4, 6 of one arm and 10 of another: mean 5.5, variance 8.75.
	n := newArms(s.Variants(), []factorial.Observed{{Variant: 0, N: 3, Sum: 12, SumSq: 56}, {Variant: 1, N: 1, Sum: 10, SumSq: 100}}, true, nil)
	// b = 8.75 + 8/2 + 3·(4−5.5)²/(2·4), a = 2 + 3/2, mean = (5.5 + 12)/4
	a := n.arms[0]
	near(t, "a", a.a, 3.5, 0)
	near(t, "b", a.b, 8.75+4+3*2.25/8, 1e-12)
	near(t, "mean", a.mean, 17.5/4, 1e-12)
	near(t, "weight", a.weight, 4, 0)
	if n.arms[2].seen || n.arms[2].mean != 5.5 {
		t.Errorf("unseen arm: %+v", n.arms[2])
	}
}

// The exact posterior, sampled by testdata/reference.py, against the approximation.
type reference struct {
	Name       string
	Design     []int
	Context    []int
	Observed   []factorial.Observed
	Parameters []int
	Mode       []float64
	Mean       []float64
	SD         []float64
	Quantiles  [][3]float64

	RateMean      []float64
	RateQuantiles [][3]float64
}

func TestLaplaceAgainstHamiltonianMonteCarlo(t *testing.T) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []reference
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	// By case: what the parameters' means may differ by, in standard deviations; the
	// standard deviations, relative; and the rates' means and quantiles, in standard
	// deviations of the rate. docs/bandits.md states the differences.
	limits := [][4]float64{{0.04, 0.01, 0.04, 0.08}, {0.08, 0.015, 0.1, 0.2}, {0.3, 0.04, 0.36, 1.4}}
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) { c.compare(t, limits[i]) })
	}
}

func (c *reference) compare(t *testing.T, limits [4]float64) {
	r, err := newRegression(space(t, c.Design, c.Context), c.Observed, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.occurring, c.Parameters) {
		t.Fatalf("parameters %v, want %v", r.occurring, c.Parameters)
	}
	sd := r.deviations()
	var mean, deviation, rate, bounds float64
	for i, j := range r.occurring {
		near(t, "mode", r.mean[i], c.Mode[i], 2e-6)
		mean = max(mean, math.Abs(r.mean[i]-c.Mean[i])/c.SD[i])
		deviation = max(deviation, math.Abs(sd[j]/c.SD[i]-1))
	}
	const draws = 40_000
	v := newVariates(1, evaluationStream)
	rates := make([][]float64, len(c.Observed))
	examples := r.examples0(c.Observed)
	theta := make([]float64, len(r.occurring))
	for range draws {
		r.draw(v, false)
		for i, j := range r.occurring {
			theta[i] = r.theta[j]
		}
		for i := range examples {
			rates[i] = append(rates[i], r.reward(examples[i].predict(theta)))
		}
	}
	for i := range rates {
		e := estimate(rates[i])
		width := (c.RateQuantiles[i][2] - c.RateQuantiles[i][0]) / 3.92
		rate = max(rate, math.Abs(e.Mean-c.RateMean[i])/width)
		bounds = max(bounds, math.Abs(e.Lower-c.RateQuantiles[i][0])/width, math.Abs(e.Upper-c.RateQuantiles[i][2])/width)
	}
	t.Logf("parameters: mean within %.3f sd, sd within %.1f %%; rates: mean within %.3f sd, 95 %% bounds within %.3f sd", mean, 100*deviation, rate, bounds)
	for i, got := range []float64{mean, deviation, rate, bounds} {
		if got > limits[i] {
			t.Errorf("difference %d is %v, want at most %v", i, got, limits[i])
		}
	}
}
