package learn

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestMeasureKnown compares with figures worked out by hand for four rows.
func TestMeasureKnown(t *testing.T) {
	rows := []Scored{{0.9, true}, {0.4, true}, {0.6, false}, {0.1, false}}
	got := Measure(rows, EvaluationHoldout)
	logLoss := -(math.Log(0.9) + math.Log(0.4) + math.Log(0.4) + math.Log(0.9)) / 4
	cases := []struct {
		name      string
		got, want float64
	}{
		{"accuracy", got.Accuracy, 0.5}, {"precision", got.Precision, 0.5}, {"recall", got.Recall, 0.5},
		{"f1", got.F1, 0.5}, {"auc", got.AUC, 0.75}, {"logLoss", got.LogLoss, logLoss},
		{"brier", got.Brier, (0.01 + 0.36 + 0.36 + 0.01) / 4}, {"positiveRate", got.PositiveRate, 0.5},
	}
	for _, c := range cases {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	if got.SampleCount != 4 || got.Evaluation != EvaluationHoldout {
		t.Errorf("sampleCount %d, evaluation %q, want 4, holdout", got.SampleCount, got.Evaluation)
	}
}

func TestMeasureEdges(t *testing.T) {
	if got, want := Measure(nil, EvaluationInSample), (Metrics{Evaluation: EvaluationInSample}); !reflect.DeepEqual(got, want) {
		t.Errorf("Measure(nil) = %+v, want %+v", got, want)
	}
	got := Measure([]Scored{{0.2, false}, {0.3, false}}, EvaluationInSample)
	if got.Accuracy != 1 || got.Precision != 0 || got.Recall != 0 || got.F1 != 0 || got.AUC != 0.5 {
		t.Errorf("one class: %+v, want accuracy 1, AUC 0.5, the rest 0", got)
	}
	// Certain and wrong costs −ln of the clip, not infinity.
	got = Measure([]Scored{{0, true}, {1, false}}, EvaluationInSample)
	if want := 52 * math.Ln2; math.Abs(got.LogLoss-want) > 1e-9 {
		t.Errorf("logLoss of certain mistakes = %v, want %v", got.LogLoss, want)
	}
	if got.Brier != 1 {
		t.Errorf("brier of certain mistakes = %v, want 1", got.Brier)
	}
}

// TestAUCAgreesWithPairs compares with the definition: the share of pairs in
// which the positive scores above the negative, ties counting half.
func TestAUCAgreesWithPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		rows := make([]Scored, 2+rng.IntN(40))
		for i := range rows {
			rows[i] = Scored{float64(rng.IntN(8)) / 8, rng.IntN(3) == 0} // many ties
		}
		var won, pairs float64
		for _, p := range rows {
			for _, n := range rows {
				if p.Positive && !n.Positive {
					pairs++
					switch {
					case p.Score > n.Score:
						won++
					case p.Score == n.Score:
						won += 0.5
					}
				}
			}
		}
		want := 0.5
		if pairs > 0 {
			want = won / pairs
		}
		if got := AUC(rows); math.Abs(got-want) > 1e-12 {
			t.Fatalf("AUC(%v) = %v, want %v", rows, got, want)
		}
	}
}

func TestSigmoid(t *testing.T) {
	cases := []struct{ x, want float64 }{
		{0, 0.5}, {2, 1 / (1 + math.Exp(-2))}, {-2, 1 - 1/(1+math.Exp(-2))}, {1000, 1}, {-1000, 0},
		{math.Inf(1), 1}, {math.Inf(-1), 0},
	}
	for _, c := range cases {
		if got := Sigmoid(c.x); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("Sigmoid(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

// The values are statsmodels' proportion_confint(k, n, method="wilson").
func TestWilson(t *testing.T) {
	for _, c := range []struct{ positives, n, lower, upper float64 }{
		{0, 10, 0, 0.27753280}, {10, 10, 0.72246720, 1}, {1, 10, 0.01787621, 0.40415003}, {45, 1000, 0.03379951, 0.05968284},
	} {
		lower, upper := Wilson(c.positives, c.n)
		if math.Abs(lower-c.lower) > 1e-8 || math.Abs(upper-c.upper) > 1e-8 {
			t.Errorf("Wilson(%g, %g) = %.8f, %.8f, want %.8f, %.8f", c.positives, c.n, lower, upper, c.lower, c.upper)
		}
	}
	if lower, upper := Wilson(0, 0); lower != 0 || upper != 1 {
		t.Errorf("Wilson(0, 0) = %v, %v, want 0, 1", lower, upper)
	}
}
