package posterior

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/factorial"
)

func TestServe(t *testing.T) {
	s := space(t, []int{2, 2}, []int{2}, factorial.Combination{"f0": factorial.StringOf("1"), "f1": factorial.StringOf("0")})
	trained := train(t, s, CMAB, Bool, []factorial.Observed{
		{Variant: 0, N: 300, Sum: 30}, {Variant: 1, N: 300, Sum: 36}, {Variant: 3, N: 300, Sum: 33},
	}, Options{Seed: 1})
	for _, model := range []*Trained{nil, trained} {
		const n = 200_000
		counts, promised, held := map[int]int{}, map[int]float64{}, 0
		for i := range n {
			got := Serve(s, model, &Visit{Optimization: "opt", Visitor: fmt.Sprint("v", i), HoldoutPercent: 10})
			counts[got.Variant]++
			promised[got.Variant] = got.Propensity
			if got.Holdout {
				held++
				if got.Variant != factorial.Baseline {
					t.Fatal("a held-out visitor gets something else than the baseline")
				}
			}
		}
		sum := 0.0
		for v, p := range promised {
			// What is served is as frequent as its propensity says.
			near(t, fmt.Sprint("frequency of ", v), float64(counts[v])/n, p, 5*math.Sqrt(p*(1-p)/n))
			sum += p
		}
		near(t, "sum of the propensities", sum, 1, 1e-12)
		near(t, "held out", float64(held)/n, 0.1, 5*math.Sqrt(0.09/n))
		if counts[2] > 0 {
			t.Error("an excluded variant was served")
		}
	}
}

func TestServeKeepsWhatWasGiven(t *testing.T) {
	s := space(t, []int{2, 2}, nil)
	trained := train(t, s, CMAB, Bool, fourCells, Options{Seed: 1})
	visit := Visit{Optimization: "o", Visitor: "v", Last: factorial.Assignment{Variant: 1, Propensity: 0.25, At: 100}, Now: 150, Window: 60}
	if got, want := Serve(s, trained, &visit), (Served{Variant: 1, Kept: true, Propensity: 0.25}); got != want {
		t.Errorf("within the window: %+v, want %+v", got, want)
	}
	visit.Now = 160
	if got := Serve(s, trained, &visit); got.Kept || got.Variant != 3 {
		t.Errorf("after the window: %+v, want what is best", got)
	}
	visit.Now, visit.Completed = 150, true
	if got, want := Serve(s, trained, &visit), (Served{Variant: 3, Propensity: 1}); got != want {
		t.Errorf("completed: %+v, want %+v", got, want)
	}
	if got, want := Serve(s, nil, &visit), (Served{Propensity: 1}); got != want {
		t.Errorf("completed without a model: %+v, want %+v", got, want)
	}
	visit.Completed, visit.HoldoutPercent = false, 90
	held := 0
	for i := range 100 {
		visit.Visitor = fmt.Sprint(i)
		if got := Serve(s, trained, &visit); got.Holdout {
			held++
			if got.Variant != 0 || got.Kept {
				t.Errorf("held out: %+v, want the baseline", got)
			}
		}
	}
	if held < 70 {
		t.Errorf("%d of 100 are held out, want about 90", held)
	}
}

// The same visitor gets the same draw; a table that changes a little moves few.
func TestChooseIsStable(t *testing.T) {
	s := space(t, []int{2, 2}, nil)
	a := train(t, s, MAB, Bool, []factorial.Observed{{Variant: 0, N: 100, Sum: 10}, {Variant: 1, N: 100, Sum: 11}, {Variant: 2, N: 100, Sum: 9}, {Variant: 3, N: 100, Sum: 10}}, Options{Seed: 1})
	b := train(t, s, MAB, Bool, []factorial.Observed{{Variant: 0, N: 100, Sum: 10}, {Variant: 1, N: 100, Sum: 11}, {Variant: 2, N: 100, Sum: 9}, {Variant: 3, N: 100, Sum: 10}}, Options{Seed: 2})
	moved := 0
	for i := range 10_000 {
		key := factorial.DrawKey("o", fmt.Sprint(i))
		x, _ := a.Choose(0, key)
		if again, _ := a.Choose(0, key); again != x {
			t.Fatal("the same key gets another variant")
		}
		if y, _ := b.Choose(0, key); x != y {
			moved++
		}
	}
	if moved > 1500 {
		t.Errorf("another seed moves %d of 10000 visitors", moved)
	}
}

func TestServeAllocatesNothing(t *testing.T) {
	s, trained := hundredByTwelve(t)
	visit := Visit{Optimization: "0e1c6f0a-2f0e-4a53-9d7e-0d3f6c1b2a11", Visitor: "8d2f1c55-visitor", Cell: 7, HoldoutPercent: 10}
	if got := testing.AllocsPerRun(1000, func() { Serve(s, trained, &visit) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
	context := map[string]factorial.Value{"c0": factorial.StringOf("1"), "c1": factorial.StringOf("3")}
	if got := testing.AllocsPerRun(1000, func() { visit.Cell = s.CellOf(context) }); got != 0 {
		t.Errorf("CellOf: %v allocations, want 0", got)
	}
}

// hundredByTwelve are 100 variants in 12 contexts with ten million exposures.
func hundredByTwelve(t testing.TB) (*factorial.Space, *Trained) {
	s := space(t, []int{10, 10}, []int{3, 4})
	return s, train(t, s, CMAB, Bool, tenMillion(s, 1), Options{Seed: 1})
}

// tenMillion are ten million exposures, times a factor, as counts.
func tenMillion(s *factorial.Space, factor float64) []factorial.Observed {
	rng := rand.New(rand.NewPCG(1, 2))
	var observed []factorial.Observed
	for v := range s.Variants() {
		for c := range s.Cells() {
			if s.CellLevel(c, 0) == 3 || s.CellLevel(c, 1) == 4 {
				continue // unknown
			}
			n := math.Round(10_000_000.0 / 1200 * factor)
			rate := 0.05 + 0.02*rng.Float64() + 0.01*float64(v%10)/10
			observed = append(observed, factorial.Observed{Variant: v, Cell: c, N: uint64(n), Sum: math.Round(n * rate), SumSq: math.Round(n * rate)})
		}
	}
	return observed
}

func BenchmarkServe(b *testing.B) {
	s, trained := hundredByTwelve(b)
	visitors := make([]string, 1024)
	for i := range visitors {
		visitors[i] = fmt.Sprintf("8d2f1c55-7a41-4c1e-9f0a-%012d", i)
	}
	known := slices.DeleteFunc(slices.Collect(func(yield func(uint64) bool) {
		for c := range s.Cells() {
			if !yield(c) {
				return
			}
		}
	}), func(c uint64) bool { return s.CellLevel(c, 0) == 3 })
	visit := Visit{Optimization: "0e1c6f0a-2f0e-4a53-9d7e-0d3f6c1b2a11", HoldoutPercent: 10}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		visit.Visitor, visit.Cell = visitors[i%1024], known[i%len(known)]
		Serve(s, trained, &visit)
		i++
	}
}

// The cost of a training is that of its counts: a thousand times the exposures take
// the same time.
func BenchmarkTrain(b *testing.B) {
	s := space(b, []int{10, 10}, []int{3, 4})
	for _, c := range []struct {
		name   string
		factor float64
	}{{"10_000", 0.001}, {"10_000_000", 1}, {"10_000_000_000", 1000}} {
		b.Run("variants=100/cells=12/exposures="+c.name, func(b *testing.B) {
			observed := tenMillion(s, c.factor)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Train(b.Context(), s, CMAB, Bool, observed, Options{Seed: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTrainLargest(b *testing.B) {
	for _, c := range []struct {
		name  string
		model Model
		sizes []int
	}{{"mab", MAB, []int{10, 10, 10, 10}}, {"cmab", CMAB, []int{10, 10, 10, 10}}, {"cmab-2500", CMAB, []int{50, 50}}} {
		b.Run("model="+c.name, func(b *testing.B) {
			s := space(b, c.sizes, []int{2})
			observed := randomCounts(s, rand.New(rand.NewPCG(1, 2)), 0.5, false)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Train(b.Context(), s, c.model, Bool, observed, Options{Seed: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFit(b *testing.B) {
	s := space(b, []int{10, 10}, []int{3, 4})
	observed := tenMillion(s, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newRegression(s, observed, false, nil); err != nil {
			b.Fatal(err)
		}
	}
}
