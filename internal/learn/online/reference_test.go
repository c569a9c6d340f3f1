package online

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/learn"
)

// testdata/reference.py says how the fits were made. The formulas are the
// library's, so that only rounding differs, which 400 steps add up to less than
// 1e-12 of weights about 1.
func TestStreamsEqualThoseOfTheReference(t *testing.T) {
	data, err := dataset.Open("testdata/reference.csv", dataset.Options{Label: "y", Positive: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		RowWeights []float64
		Fits       []referenceFit
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	for i := range ref.Fits {
		fit := &ref.Fits[i]
		c := fit.Config
		name := fmt.Sprintf("%s,normalize=%t,l1=%g,l2=%g,weighted=%t", c.Optimizer, c.Normalize, c.L1, c.L2, fit.Weighted)
		t.Run(name, func(t *testing.T) { fit.compare(t, data, ref.RowWeights) })
	}
}

type referenceFit struct {
	Config struct {
		Normalize    bool    `json:"normalize"`
		Optimizer    string  `json:"optimizer"`
		LearningRate float64 `json:"learningRate"`
		L1           float64 `json:"l1"`
		L2           float64 `json:"l2"`
	}
	Weighted bool
	Bias     float64
	Weights  map[string]float64
	Scores   []float64             // each before its row was seen
	Loss     float64               // of the progressive validation
	Moments  map[string][2]float64 // mean and variance
}

func (fit *referenceFit) compare(t *testing.T, data *dataset.Table, weights []float64) {
	const tolerance = 1e-12
	config, err := json.Marshal(fit.Config)
	if err != nil {
		t.Fatal(err)
	}
	spec := learn.Spec{Config: config}
	if !fit.Config.Normalize {
		spec.Predictors = []learn.Predictor{{Field: "age"}, {Field: "balance"}}
	}
	made, err := New(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := made.(*learner)
	var worst, total float64
	for i, row := range data.Rows {
		worst = max(worst, math.Abs(score(l, row).Score-fit.Scores[i]))
		weight := 1.0
		if fit.Weighted {
			weight = weights[i]
		}
		total += weight
		l.Observe(&learn.Example{Row: row, Positive: data.Labels[i], Weight: weight})
	}
	if !(worst <= tolerance) {
		t.Errorf("a score differs by %.2g, want at most %g", worst, tolerance)
	}
	check := func(name string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
			t.Errorf("%s = %.15g, want %.15g", name, got, want)
		}
	}
	check("bias", l.bias.weight, fit.Bias)
	if l.features != len(fit.Weights) {
		t.Errorf("%d features, want %d", l.features, len(fit.Weights))
	}
	for key, want := range fit.Weights {
		if f := l.at(key); f == nil {
			t.Errorf("no weight of %s, want %v", key, want)
		} else {
			check("weight of "+key, f.weight, want)
		}
	}
	for name, want := range fit.Moments {
		f := l.at(name)
		check("mean of "+name, f.mean, want[0])
		check("variance of "+name, f.m2/f.seen, want[1])
	}
	if got := l.progressive.count; got != uint64(len(data.Rows)) {
		t.Errorf("progressive count = %d, want %d", got, len(data.Rows))
	}
	check("progressive weight", l.progressive.weight, total)
	check("progressive loss", l.progressive.loss, fit.Loss)
}
