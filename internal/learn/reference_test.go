package learn

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// testdata/metrics.py says how the figures were made. The formulas are
// scikit-learn's, so only the order of the sums differs.
func TestMeasureEqualsTheReference(t *testing.T) {
	raw, err := os.ReadFile("testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name                                            string
		Scores                                          []float64
		Labels                                          []bool
		Accuracy, Precision, Recall, F1, LogLoss, Brier float64
		AUC                                             *float64 // nil: of one class, where ours is 0.5
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		rows, positives := make([]Scored, len(c.Scores)), 0.0
		for i, s := range c.Scores {
			rows[i] = Scored{s, c.Labels[i]}
			if c.Labels[i] {
				positives++
			}
		}
		if c.AUC == nil {
			c.AUC = new(float64)
			*c.AUC = 0.5
		}
		got := Measure(rows, EvaluationHoldout)
		for _, m := range []struct {
			name      string
			got, want float64
		}{
			{"accuracy", got.Accuracy, c.Accuracy}, {"precision", got.Precision, c.Precision},
			{"recall", got.Recall, c.Recall}, {"F1", got.F1, c.F1}, {"AUC", got.AUC, *c.AUC},
			{"log-loss", got.LogLoss, c.LogLoss}, {"Brier", got.Brier, c.Brier},
			{"positive rate", got.PositiveRate, positives / float64(len(rows))},
		} {
			if !(math.Abs(m.got-m.want) <= 1e-12) {
				t.Errorf("%s: %s = %.15g, want %.15g", c.Name, m.name, m.got, m.want)
			}
		}
	}
}
