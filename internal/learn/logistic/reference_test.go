package logistic

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/learn"
)

// testdata/reference.py says how the fits were made. A stochastic fit comes near
// the minimum, not to it: within 0.001 here, and the bound leaves room for another
// order of the rows. The standard error of a score is about 0.02.
func TestFitsEqualThoseOfTheReference(t *testing.T) {
	data, err := dataset.Open("testdata/reference.csv", dataset.Options{Label: "y", Positive: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var fits []struct {
		L1, L2 float64
		Scores []float64
	}
	if err := json.Unmarshal(raw, &fits); err != nil {
		t.Fatal(err)
	}
	all := make([]int, len(data.Rows))
	for i := range all {
		all[i] = i
	}
	for _, fit := range fits {
		t.Run(fmt.Sprintf("l1=%g,l2=%g", fit.L1, fit.L2), func(t *testing.T) {
			tab := fitAll(t, dataset.Source(data, all), config{learningRate: 0.1, l1: fit.L1, l2: fit.L2, epochs: 400, batchSize: 32})
			worst := 0.0
			var res learn.Result
			for i, want := range fit.Scores {
				tab.Score(&learn.Request{Row: data.Rows[i]}, &res)
				worst = max(worst, math.Abs(res.Score-want))
			}
			t.Logf("largest difference of a score: %.5f", worst)
			if worst > 0.003 {
				t.Errorf("a score differs by %v, want at most 0.003", worst)
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
