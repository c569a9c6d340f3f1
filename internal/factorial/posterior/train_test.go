package posterior

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// The values along the tree are the sums of the effects, in cells and in means of
// cells.
func TestPredictionsAreSumsOfEffects(t *testing.T) {
	for _, c := range []struct{ design, context []int }{{[]int{2}, nil}, {[]int{3, 2}, []int{2}}, {[]int{2, 3, 4}, []int{3, 2}}, {[]int{2, 2, 2, 2}, []int{2}}} {
		s := space(t, c.design, c.context)
		d, rng := newDesign(s), rand.New(rand.NewPCG(7, 8))
		if got, want := d.size, factorial.Parameters(s.Design, s.Context); got != want {
			t.Errorf("%v: %d parameters, want %d", c, got, want)
		}
		theta := make([]float64, d.size)
		for j := range theta {
			theta[j] = rng.NormFloat64()
		}
		u, out := newUtilities(s), make([]float64, s.Variants())
		mean := make([]float64, s.Variants())
		var observed []factorial.Observed
		for cell := range s.Cells() {
			p := d.placeOf(cell)
			u.predict(d, theta, &p, out)
			for v, got := range out {
				want := 0.0
				for _, j := range d.appendEffects(nil, v, cell) {
					want += theta[j]
				}
				near(t, "prediction", got, want, 1e-12)
				mean[v] += want * float64(cell+1) / float64(s.Cells()*(s.Cells()+1)/2)
			}
			observed = append(observed, factorial.Observed{Cell: cell, N: cell + 1})
		}
		p := d.meanPlace(observed)
		u.predict(d, theta, &p, out)
		for v := range out {
			near(t, "mean prediction", out[v], mean[v], 1e-12)
		}
	}
}

func TestExpectedRewardOfFourCells(t *testing.T) {
	s := space(t, []int{2, 2}, nil)
	trained := train(t, s, CMAB, Bool, fourCells, Options{Seed: 1})
	e := trained.ExpectedReward()
	near(t, "mean", e.Mean, 0.3097, 0.002)
	near(t, "lower", e.Lower, 0.2899, 0.002)
	near(t, "upper", e.Upper, 0.3299, 0.002)
	near(t, "historic reward", trained.HistoricReward(), 1045.0/4000, 1e-15)
	v := trained.Variants()
	if !(v[3].ProbBest > 0.99) || trained.Winner(0) != 3 || v[3].Exposures != 2000 || v[3].Rewards != 620 {
		t.Errorf("variant 3: %+v, winner %d", v[3], trained.Winner(0))
	}
	near(t, "weight", v[3].Weight(20), 0.8*v[3].ProbBest, 1e-15)
	for i, want := range []float64{0.2, 0.21, 0.24, 0.31} {
		if x := v[i].Expected; !(x.Lower < want && want < x.Upper && x.Lower < x.Mean && x.Mean < x.Upper) {
			t.Errorf("variant %d: %+v, want it to include %v", i, x, want)
		}
	}
}

// Where nothing differs, the best of the draws is above the mean by luck alone; the
// draws that evaluate it must not know of that luck.
func TestSixEqualArmsPromiseNothing(t *testing.T) {
	s := space(t, []int{6}, nil)
	var observed []factorial.Observed
	for v := range 6 {
		observed = append(observed, factorial.Observed{Variant: v, N: 100, Sum: 20, SumSq: 20})
	}
	mab := train(t, s, MAB, Bool, observed, Options{Seed: 3})
	near(t, "mab", mab.ExpectedReward().Mean, 21.0/102, 0.002)
	for v := range 6 {
		near(t, "chance", mab.Variants()[v].ProbBest, 1.0/6, 5*math.Sqrt(1.0/6*5/6/DefaultDraws))
	}
	cmab := train(t, s, CMAB, Bool, observed, Options{Seed: 3})
	near(t, "cmab", cmab.ExpectedReward().Mean, 0.2, 0.004)
	// With the draws of the table it would be 0.258.
	b := newArms(6, observed, false, nil)
	same := 0.0
	v := newVariates(3, allocationStream)
	for range DefaultDraws {
		b.draw(v, false)
		same += slices.Max(b.last) / DefaultDraws
	}
	near(t, "of the same draws", same, 0.258, 0.003)
}

// Two arms: the chance that one normal exceeds another is known.
func TestChancesAgainstTheClosedForm(t *testing.T) {
	s := space(t, []int{2}, nil)
	observed := []factorial.Observed{{Variant: 0, N: 400, Sum: 40}, {Variant: 1, N: 400, Sum: 48}}
	r, err := newRegression(s, observed, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.5 * math.Erfc(-r.mean[1]/r.deviations()[1]/math.Sqrt2)
	trained := train(t, s, CMAB, Bool, observed, Options{Seed: 9})
	near(t, "chance", trained.Chance(0, 1), want, 5*math.Sqrt(want*(1-want)/DefaultDraws))
	near(t, "their sum", trained.Chance(0, 0)+trained.Chance(0, 1), 1, 1e-15)
	// A bias of 1 doubles the distance of a draw from the mean.
	biased := train(t, s, CMAB, Bool, observed, Options{Seed: 9, Bias: []float64{1}})
	want = 0.5 * math.Erfc(-r.mean[1]/r.deviations()[1]/2/math.Sqrt2)
	near(t, "chance with bias", biased.Chance(0, 1), want, 5*math.Sqrt(want*(1-want)/DefaultDraws))
	none := train(t, s, CMAB, Bool, observed, Options{Seed: 9, Bias: []float64{0}})
	if !slices.Equal(none.rows[0].runs, trained.rows[0].runs) {
		t.Error("a bias of 0 changes the allocation")
	}
	if biased.Variants()[1].Expected != trained.Variants()[1].Expected {
		t.Error("the bias changes what is expected of a variant")
	}
	mab := train(t, s, MAB, Bool, observed, Options{Seed: 9, Bias: []float64{50}})
	near(t, "mab's chance with a great bias", mab.Chance(0, 1), 0.5, 0.05)
}

func TestWidths(t *testing.T) {
	s := space(t, []int{2, 3}, []int{2})
	d := newDesign(s)
	w := d.widths([]float64{0.5, 2})
	// intercept; f0; f1, f1; c, unknown; f0·f1 ×2; f0·c ×2; f1·c ×4
	want := []float64{1, 1.5, 3, 3, 1, 1, 3, 3, 1.5, 1.5, 3, 3, 3, 3}
	if !slices.Equal(w, want) {
		t.Errorf("widths %v, want %v", w, want)
	}
	if d.widths([]float64{0, 0}) != nil || d.widths(nil) != nil {
		t.Error("no bias has widths")
	}
}

func TestParseBias(t *testing.T) {
	s := space(t, []int{2, 3}, []int{2})
	if b, err := ParseBias(s, map[string]float64{"f1": 0.1}); err != nil || !slices.Equal(b, []float64{0, 0.1}) {
		t.Errorf("got %v, %v", b, err)
	}
	if b, err := ParseBias(s, nil); b != nil || err != nil {
		t.Errorf("got %v, %v", b, err)
	}
	_, err := ParseBias(s, map[string]float64{"f0": -1, "f1": math.Inf(1), "c0": 1, "zz": 2})
	if decision.KindOf(err) != decision.KindBadRequest {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"bias.f0", "bias.f1", "bias.c0", "bias.zz"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := ParseBias(s, map[string]float64{"f0": math.NaN()}); err == nil {
		t.Error("NaN is a bias")
	}
}

// The best variant differs by context, and cmab finds it in each.
func TestContextsHaveTheirOwnBest(t *testing.T) {
	s := space(t, []int{2}, []int{2})
	observed := []factorial.Observed{
		{Variant: 0, Cell: 0, N: 2000, Sum: 400}, {Variant: 1, Cell: 0, N: 2000, Sum: 200},
		{Variant: 0, Cell: 1, N: 2000, Sum: 200}, {Variant: 1, Cell: 1, N: 2000, Sum: 400},
	}
	trained := train(t, s, CMAB, Bool, observed, Options{Seed: 4})
	if trained.Winner(0) != 0 || trained.Winner(1) != 1 || trained.Chance(0, 0) < 0.999 || trained.Chance(1, 1) < 0.999 {
		t.Errorf("chances %v and %v", trained.Chance(0, 0), trained.Chance(1, 1))
	}
	near(t, "expected", trained.ExpectedReward().Mean, 0.2, 0.01)
	mab := train(t, s, MAB, Bool, observed, Options{Seed: 4})
	near(t, "mab expected", mab.ExpectedReward().Mean, 0.15, 0.01)
	if mab.Winner(0) != mab.Winner(2) {
		t.Error("mab heeds the context")
	}
}

func TestNumericRewards(t *testing.T) {
	s, rng := space(t, []int{2, 2}, []int{2}), rand.New(rand.NewPCG(3, 1))
	truth := func(v int, c uint64) float64 {
		x := 40 + 3*float64(v%2) + 2*float64(v/2)
		if c == 1 {
			x += 10 - 6*float64(v%2)
		}
		return x
	}
	var observed []factorial.Observed
	for v := range 4 {
		for c := range uint64(2) {
			o := factorial.Observed{Variant: v, Cell: c, N: 2000}
			for range o.N {
				y := truth(v, c) + 8*rng.NormFloat64()
				o.Sum += y
				o.SumSq += y * y
			}
			observed = append(observed, o)
		}
	}
	trained := train(t, s, CMAB, Numeric, observed, Options{Seed: 2})
	if trained.Winner(0) != 3 || trained.Winner(1) != 2 {
		t.Errorf("winners %d and %d, want 3 and 2", trained.Winner(0), trained.Winner(1))
	}
	near(t, "expected", trained.ExpectedReward().Mean, (45.0+52)/2, 0.5)
	// The half width of 95 %: 1.96·8/√2000/√2, as both cells count half.
	e := trained.Variants()[0].Expected
	near(t, "width", (e.Upper-e.Lower)/2, 1.96*8/math.Sqrt(2000)/math.Sqrt2, 0.05)
	mab := train(t, s, MAB, Numeric, observed, Options{Seed: 2})
	near(t, "mab's variant 3", mab.Variants()[3].Expected.Mean, (truth(3, 0)+truth(3, 1))/2, 0.6)
	same := train(t, s, CMAB, Numeric, []factorial.Observed{{N: 5, Sum: 15, SumSq: 45}}, Options{Seed: 2})
	if x := same.ExpectedReward(); math.IsNaN(x.Mean) {
		t.Errorf("equal rewards: %+v", x)
	}
}

func TestExcludedAreNeverChosen(t *testing.T) {
	s := space(t, []int{2, 2}, nil, factorial.Combination{"f0": factorial.StringOf("1"), "f1": factorial.StringOf("1")})
	for _, m := range []Model{MAB, CMAB} {
		trained := train(t, s, m, Bool, fourCells, Options{Seed: 1})
		if trained.Chance(0, 3) != 0 || trained.Winner(0) == 3 || trained.Variants()[3].Expected != (Estimate{}) {
			t.Errorf("model %d: the excluded variant has %+v", m, trained.Variants()[3])
		}
	}
}

func TestFactorImportance(t *testing.T) {
	s := space(t, []int{2, 3}, nil)
	var observed []factorial.Observed
	for v := range 6 {
		rate := 0.1 + 0.2*float64(v/3)
		observed = append(observed, factorial.Observed{Variant: v, N: 100_000, Sum: math.Round(100_000 * rate)})
	}
	for _, m := range []Model{MAB, CMAB} {
		got := train(t, s, m, Bool, observed, Options{Seed: 1}).FactorImportance()
		near(t, "the factor that matters", got[0], 1, 1e-3)
		near(t, "the sum", got[0]+got[1], 1, 1e-12)
	}
	// Two factors that matter as much: 2² against 1² on two levels each.
	values := []float64{0, 1, 2, 3}
	near(t, "first", varianceAlong(values, 2, 2), 1, 1e-15)
	near(t, "second", varianceAlong(values, 1, 2), 0.25, 1e-15)
}

// More contexts than a table has rows for: the most frequent have their own, the
// others share one.
func TestManyContexts(t *testing.T) {
	s := space(t, []int{2, 2}, []int{50, 50, 3})
	var observed []factorial.Observed
	for c := range uint64(MaxRows + 10) {
		observed = append(observed, factorial.Observed{Variant: int(c % 4), Cell: c, N: 20_000 - c, Sum: float64(c % 2)})
	}
	o := Options{Seed: 1, Draws: 16}
	trained := train(t, s, CMAB, Bool, observed, o)
	if trained.Rows() != MaxRows+1 {
		t.Fatalf("%d rows, want %d", trained.Rows(), MaxRows+1)
	}
	shares := 0.0
	for i := range trained.rows {
		shares += trained.rows[i].share
	}
	near(t, "shares", shares, 1, 1e-9)
	rest := trained.rowOf(s.UnknownCell())
	if rest != MaxRows || trained.rowOf(MaxRows+5) != rest || trained.rowOf(17) != 17 {
		t.Errorf("rows of cells: %d, %d, %d", rest, trained.rowOf(MaxRows+5), trained.rowOf(17))
	}
	if v, p := trained.Choose(s.UnknownCell(), 1<<63); p <= 0 || v < 0 {
		t.Errorf("chose %d with %v", v, p)
	}
	if _, err := Decode(s, string(trained.Append(nil))); err != nil {
		t.Error(err)
	}
}

func TestTrainIsAFunctionOfItsArguments(t *testing.T) {
	s := space(t, []int{3, 4}, []int{3})
	for _, r := range []Reward{Bool, Numeric} {
		observed := randomCounts(s, rand.New(rand.NewPCG(1, 1)), 0.7, r == Numeric)
		for _, m := range []Model{MAB, CMAB} {
			a := train(t, s, m, r, observed, Options{Seed: 5, Bias: []float64{0, 0.3}}).Append(nil)
			slices.Reverse(observed)
			if b := train(t, s, m, r, observed, Options{Seed: 5, Bias: []float64{0, 0.3}}).Append(nil); !slices.Equal(a, b) {
				t.Errorf("model %d, reward %d: the order of what was observed changes the result", m, r)
			}
			if b := train(t, s, m, r, observed, Options{Seed: 6}).Append(nil); slices.Equal(a, b) {
				t.Errorf("model %d, reward %d: the seed does not matter", m, r)
			}
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	s := space(t, []int{2}, nil)
	for _, observed := range [][]factorial.Observed{nil, {{Variant: 1}}} {
		_, err := Train(t.Context(), s, CMAB, Bool, observed, Options{})
		if decision.KindOf(err) != decision.KindConflict {
			t.Errorf("%v: got %v, want a conflict", observed, err)
		}
	}
	for _, o := range []factorial.Observed{
		{Variant: 2, N: 1}, {Variant: -1, N: 1}, {Cell: 1, N: 1}, {N: 1, Sum: 2}, {N: 1, Sum: -1}, {N: 1, Sum: math.NaN()}, {N: 1, SumSq: math.Inf(1)},
	} {
		if _, err := Train(t.Context(), s, MAB, Bool, []factorial.Observed{o}, Options{}); err == nil {
			t.Errorf("%+v was learned", o)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Train(ctx, s, MAB, Bool, fourCells[:1], Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to end with its context", err)
	}
}
