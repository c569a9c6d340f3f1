package thompson

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/praetor-engine/praetor/internal/learn"
)

func beliefsOf(arms [][2]float64) (all []learn.Belief) {
	for _, a := range arms {
		all = append(all, learn.Belief{Alpha: a[0], Beta: a[1]})
	}
	return all
}

// testdata/compare.py says how the figures were made.
func TestCompareEqualsTheReference(t *testing.T) {
	raw, err := os.ReadFile("testdata/compare.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name               string
		Arms               [][2]float64
		Leader             int
		Best, Lower, Upper []float64
		Loss               float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		got := Compare(beliefsOf(c.Arms))
		if got.Leader != c.Leader || !(math.Abs(got.Loss-c.Loss) <= 1e-7) {
			t.Errorf("%s: leader %d with loss %.10g, want %d with %.10g", c.Name, got.Leader, got.Loss, c.Leader, c.Loss)
		}
		for i, a := range got.Arms {
			if !(math.Abs(a.Propensity-c.Best[i]) <= 1e-7 && math.Abs(a.Lower-c.Lower[i]) <= 1e-7 && math.Abs(a.Upper-c.Upper[i]) <= 1e-7) {
				t.Errorf("%s: arm %d: best with %.10g, in %.10g to %.10g, want %.10g, %.10g to %.10g",
					c.Name, i, a.Propensity, a.Lower, a.Upper, c.Best[i], c.Lower[i], c.Upper[i])
			}
		}
	}
}

// Of K uniform rates each is the best with 1/K, and the best is K/(K+1) on average,
// one of them 1/2.
func TestCompareByHand(t *testing.T) {
	for k := 1; k <= 64; k *= 2 {
		arms := make([][2]float64, k)
		for i := range arms {
			arms[i] = [2]float64{1, 1}
		}
		got := Compare(beliefsOf(arms))
		want := float64(k)/float64(k+1) - 0.5
		if math.Abs(got.Loss-want) > 1e-8 || math.Abs(got.Arms[k-1].Propensity-1/float64(k)) > 1e-8 {
			t.Errorf("%d uniform arms: loss %v, propensity %v, want %v, %v", k, got.Loss, got.Arms[k-1].Propensity, want, 1/float64(k))
		}
	}
	if got := Compare(nil); got.Arms != nil || got.Loss != 0 {
		t.Errorf("Compare(nil) = %+v, want nothing", got)
	}
}

// Whatever the evidence, the loss is a loss and no more than the best could be
// better.
func TestCompareAtTheEnds(t *testing.T) {
	for _, arms := range [][][2]float64{
		{{minShape, minShape}, {1, 1}},
		{{minShape, 5}, {5, minShape}},
		{{maxShape, 1}, {1, maxShape}},
		{{maxShape, maxShape}, {maxShape, maxShape}},
		{{maxShape / 2, maxShape}, {1, 1}},
		{{0, 1}, {1, 0}}, // clipped to what a learner may hold
	} {
		got := Compare(beliefsOf(arms))
		leader := got.Arms[got.Leader]
		if !(got.Loss >= 0 && got.Loss <= 1-leader.Mean+1e-7) {
			t.Errorf("%v: loss %v, want 0 to %v", arms, got.Loss, 1-leader.Mean)
		}
		if p := got.Arms[0].Propensity + got.Arms[1].Propensity; math.Abs(p-1) > 1e-9 {
			t.Errorf("%v: propensities add up to %v", arms, p)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	arms := make([][2]float64, 256)
	for i := range arms {
		arms[i] = [2]float64{2 + float64(i%20), 100 + float64(i)}
	}
	beliefs := beliefsOf(arms)
	b.ReportAllocs()
	for b.Loop() {
		Compare(beliefs)
	}
}
