package logistic

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// referenceFit is a fit of scikit-learn's; testdata/reference.py says how it was
// made.
type referenceFit struct {
	L1, L2 float64
	Scores []float64 // of the first rows
}

func readReference(t *testing.T, name string) ([]referenceFit, *dataset.Table, learn.Source) {
	data, err := dataset.Open("testdata/"+name+".csv", dataset.Options{Label: "y", Positive: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var fits []referenceFit
	if err := json.Unmarshal(raw, &fits); err != nil {
		t.Fatal(err)
	}
	all := make([]int, len(data.Rows))
	for i := range all {
		all[i] = i
	}
	return fits, data, dataset.Source(data, all)
}

// off returns the largest difference of a score.
func (fit *referenceFit) off(tab *table, rows []decision.Row) (worst float64) {
	var res learn.Result
	for i, want := range fit.Scores {
		tab.Score(&learn.Request{Row: rows[i]}, &res)
		worst = max(worst, math.Abs(res.Score-want))
	}
	return worst
}

// A stochastic fit comes near the minimum, not to it: within 0.001 here, and the
// bound leaves room for another order of the rows. The standard error of a score
// is about 0.02. Missing numbers are taken at their means, and a category of nine
// rows has no weight.
func TestFitsEqualThoseOfTheReference(t *testing.T) {
	for _, name := range []string{"reference", "missing"} {
		fits, data, src := readReference(t, name)
		for _, fit := range fits {
			if fit.L1 == 0 && fit.L2 == 0 {
				continue // held to a narrower bound by the next test
			}
			t.Run(fmt.Sprintf("%s,l1=%g,l2=%g", name, fit.L1, fit.L2), func(t *testing.T) {
				tab := fitAll(t, src, config{learningRate: 0.1, l1: fit.L1, l2: fit.L2, epochs: 400, batchSize: 32})
				worst := fit.off(tab, data.Rows)
				t.Logf("largest difference of a score: %.5f", worst)
				if !(worst <= 0.003) {
					t.Errorf("a score differs by %v, want at most 0.003", worst)
				}
			})
		}
	}
}

// With all rows in one batch nothing is stochastic, and the steps go on to the
// minimum. What is left is the rounding of the standardised numbers to single
// precision, 6e-8 of values up to 4, and that of the reference, whose gradient is
// below 1e-7. Under L2 alone the gradients that the penalty balances go on adding
// up, so that the rates fall and the error only in proportion to the passes: 1e-4
// after 1000 of them, 1.4e-5 after 4000.
func TestFullBatchesReachTheMinimumOfTheReference(t *testing.T) {
	fits, data, src := readReference(t, "missing")
	for _, fit := range fits {
		t.Run(fmt.Sprintf("l1=%g,l2=%g", fit.L1, fit.L2), func(t *testing.T) {
			tolerance := 2e-6
			if fit.L1 == 0 && fit.L2 > 0 {
				tolerance = 2e-4
			}
			tab := fitAll(t, src, config{learningRate: 0.5, l1: fit.L1, l2: fit.L2, epochs: 1000, batchSize: blockRows})
			worst := fit.off(tab, data.Rows)
			t.Logf("largest difference of a score: %.1e", worst)
			if !(worst <= tolerance) {
				t.Errorf("a score differs by %.2g, want at most %g", worst, tolerance)
			}
			region := tab.find("region").categories
			if w, ok := region["nine"]; ok || (fit.L1 == 0) != (region["ten"] != 0) {
				t.Errorf("the region of nine rows has the weight %v, that of ten %v; want none, and one without L1", w, region["ten"])
			}
		})
	}
}

// fitAll makes all passes over all rows, without an early stop.
func fitAll(t *testing.T, src learn.Source, cfg config) *table {
	run := fitting(t, src, cfg)
	for range cfg.epochs {
		if err := run.m.epoch(t.Context(), run.d, run.d.rows, run.rng); err != nil {
			t.Fatal(err)
		}
	}
	return run.d.fold(run.m)
}

// fitting returns a training before its first pass.
func fitting(t testing.TB, src learn.Source, cfg config) *training {
	run := &training{cfg: cfg, opts: new(learn.TrainOptions), rng: newRand(1)}
	if err := run.read(t.Context(), &learn.Spec{}, src); err != nil {
		t.Fatal(err)
	}
	run.m = newModel(&run.cfg, run.d, run.base)
	return run
}
