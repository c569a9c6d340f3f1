package bayes

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// reference is what scikit-learn made of reference.csv; testdata/reference.py
// says how.
type reference struct {
	BinEdges          map[string][]float64
	Weights           []float64
	Complete, Missing []struct {
		Alpha    float64
		Weighted bool
		Scores   []float64
	}
	Quantiles []struct{ Values, Edges []float64 }
	Platt     []struct {
		Z, Weight      []float64
		Positive       []bool
		Sklearn, Exact struct{ Slope, Offset float64 }
	}
}

func readReference(t *testing.T) (ref reference, examples rows) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Open("testdata/reference.csv", dataset.Options{Label: "y", Positive: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range data.Rows {
		var withSets decision.Row
		for _, f := range row {
			if f.Name == "channels" {
				withSets = append(withSets, set(f.Name, strings.Split(f.Text, "|")...)...)
			} else {
				withSets = append(withSets, f)
			}
		}
		examples = append(examples, learn.Example{
			ID: decision.InteractionID{Index: uint64(i) + 1}, Row: withSets.Sort(), Positive: data.Labels[i], Weight: 1,
		})
	}
	return ref, examples
}

// The formula is scikit-learn's, so that only the order of the sums differs.
func TestScoresEqualThoseOfTheReference(t *testing.T) {
	ref, examples := readReference(t)
	complete := []learn.Predictor{{Field: "age"}, {Field: "income"}, {Field: "plan"}}
	for _, c := range ref.Complete {
		t.Run(fmt.Sprintf("complete rows,alpha=%g,weighted=%t", c.Alpha, c.Weighted), func(t *testing.T) {
			compare(t, &ref, examples, complete, c.Alpha, c.Weighted, c.Scores)
		})
	}
	for _, c := range ref.Missing {
		t.Run(fmt.Sprintf("missing values and sets,alpha=%g,weighted=%t", c.Alpha, c.Weighted), func(t *testing.T) {
			compare(t, &ref, examples, nil, c.Alpha, c.Weighted, c.Scores)
		})
	}
}

// compare learns the rows one by one, trains on them, and holds both models'
// scores of the rows to those wanted.
func compare(t *testing.T, ref *reference, examples rows, predictors []learn.Predictor, alpha float64, weighted bool, want []float64) {
	config, err := json.Marshal(map[string]any{"laplaceSmoothingAlpha": alpha, "binEdges": ref.BinEdges, "calibrate": false})
	if err != nil {
		t.Fatal(err)
	}
	spec := learn.Spec{Config: config, Predictors: predictors}
	observing, err := New(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	examples = slices.Clone(examples)
	for i := range examples {
		if weighted {
			examples[i].Weight = ref.Weights[i]
		}
		observing.Observe(&examples[i])
	}
	trained, err := Train(t.Context(), spec, examples, learn.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	training, err := Load(spec, string(trained.State))
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]learn.Learner{"observed": observing, "trained": training} {
		worst := 0.0
		for i := range examples {
			worst = max(worst, math.Abs(score(l, examples[i].Row).Score-want[i]))
		}
		if !(worst <= 1e-12) {
			t.Errorf("%s: a score differs by %.2g, want at most 1e-12", name, worst)
		}
	}
}

func TestQuantilesEqualThoseOfTheReference(t *testing.T) {
	ref, _ := readReference(t)
	for i, c := range ref.Quantiles {
		if got := quantileEdges(c.Values, nil); !slices.Equal(got, c.Edges) {
			t.Errorf("sample %d: edges = %v, want %v", i, got, c.Edges)
		}
	}
}

// fitPlatt ends with a full step from where one more would have gained 1e-9 of the
// loss per row, and Newton's steps square the error: what is left is far below
// 1e-8. scikit-learn's optimizer stops at a gradient of 1e-6, with 200 rows well
// below an error of 1e-6 of a probability.
func TestCalibrationEqualsTheReference(t *testing.T) {
	ref, _ := readReference(t)
	for i, c := range ref.Platt {
		held := make([]scored, len(c.Z))
		for k := range held {
			held[k] = scored{z: c.Z[k], weight: c.Weight[k], positive: c.Positive[k]}
		}
		got := fitPlatt(held, func(*scored) bool { return true })
		slope := 1 / got.temperature
		if math.Abs(slope-c.Exact.Slope) > 1e-8 || math.Abs(got.offset-c.Exact.Offset) > 1e-8 {
			t.Errorf("set %d: slope %.12g, offset %.12g, want %.12g, %.12g", i, slope, got.offset, c.Exact.Slope, c.Exact.Offset)
		}
		worst := 0.0
		for _, z := range c.Z {
			worst = max(worst, math.Abs(got.score(z)-learn.Sigmoid(c.Sklearn.Slope*z+c.Sklearn.Offset)))
		}
		t.Logf("set %d: slope off by %.1e, offset by %.1e; largest difference to scikit-learn's probability %.1e",
			i, slope-c.Exact.Slope, got.offset-c.Exact.Offset, worst)
		if !(worst <= 1e-6) {
			t.Errorf("set %d: a probability differs from scikit-learn's by %.2g, want at most 1e-6", i, worst)
		}
	}
}
