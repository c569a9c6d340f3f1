package learn

import (
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestUses(t *testing.T) {
	yes, no := true, false
	cases := []struct {
		name    string
		spec    Spec
		in, out []string
	}{
		{name: "no predictors take every field but the target", spec: Spec{TargetField: "y"}, in: []string{"a", "b"}, out: []string{"y"}},
		{name: "predictors take themselves only", spec: Spec{Predictors: []Predictor{{Field: "a"}, {Field: "b", Selected: &yes}}}, in: []string{"a", "b"}, out: []string{"c"}},
		{name: "one that is not selected is out", spec: Spec{Predictors: []Predictor{{Field: "a"}, {Field: "b", Selected: &no}}}, in: []string{"a"}, out: []string{"b", "c"}},
		{name: "with none selected the others are in", spec: Spec{Predictors: []Predictor{{Field: "b", Selected: &no}}}, in: []string{"a"}, out: []string{"b"}},
		{name: "the target is never in", spec: Spec{TargetField: "y", Predictors: []Predictor{{Field: "y"}, {Field: "a"}}}, in: []string{"a"}, out: []string{"y"}},
		{
			name: "interaction inputs are in beside predictors",
			spec: Spec{Predictors: []Predictor{{Field: "a"}}, InteractionInputs: []string{decision.FeaturePositiveRate}},
			in:   []string{"a", decision.FeaturePositiveRate}, out: []string{decision.FeatureImpressions},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range c.in {
				if !c.spec.Uses(f) {
					t.Errorf("Uses(%q) = false, want true", f)
				}
			}
			for _, f := range c.out {
				if c.spec.Uses(f) {
					t.Errorf("Uses(%q) = true, want false", f)
				}
			}
		})
	}
}

func TestAdmits(t *testing.T) {
	o := &decision.Outcome{ModelID: "m", OfferID: "o", CategoryID: "c", ChannelID: "ch"}
	cases := []struct {
		name   string
		filter Filter
		want   bool
	}{
		{"no filter", Filter{}, true},
		{"own decisions", Filter{ModelIDOnly: true}, true},
		{"the offer", Filter{OfferIDs: []string{"x", "o"}}, true},
		{"another offer", Filter{OfferIDs: []string{"x"}}, false},
		{"the category", Filter{CategoryIDs: []string{"c"}}, true},
		{"another category", Filter{CategoryIDs: []string{"x"}}, false},
		{"another channel", Filter{OfferIDs: []string{"o"}, ChannelIDs: []string{"x"}}, false},
	}
	for _, c := range cases {
		spec := Spec{Filter: c.filter}
		if got := spec.Admits("m", o); got != c.want {
			t.Errorf("%s: Admits = %v, want %v", c.name, got, c.want)
		}
	}
	own := Spec{Filter: Filter{ModelIDOnly: true}}
	if own.Admits("other", o) {
		t.Error("Admits another model's decision although modelIdOnly is set")
	}
}

func TestLabel(t *testing.T) {
	weights := map[string]float64{"convert": 5, "click": 0.5, "dismiss": -2, "view": 0}
	cases := []struct {
		name     string
		weights  map[string]float64
		outcome  decision.Outcome
		positive bool
		weight   float64
		ok       bool
	}{
		{"positive", nil, decision.Outcome{Class: decision.Positive}, true, 1, true},
		{"negative", nil, decision.Outcome{Class: decision.Negative}, false, 1, true},
		{"neutral", nil, decision.Outcome{Class: decision.Neutral}, false, 0, false},
		{"weighted", weights, decision.Outcome{Type: "convert", Class: decision.Neutral}, true, 5, true},
		{"weighted negative", weights, decision.Outcome{Type: "dismiss", Class: decision.Positive}, false, 2, true},
		{"weight 0", weights, decision.Outcome{Type: "view", Class: decision.Positive}, false, 0, false},
		{"not listed", weights, decision.Outcome{Type: "share", Class: decision.Positive}, false, 0, false},
		{"no weight at all", map[string]float64{}, decision.Outcome{Type: "share", Class: decision.Positive}, false, 0, false},
	}
	for _, c := range cases {
		spec := Spec{OutcomeWeights: c.weights}
		positive, weight, ok := spec.Label(&c.outcome)
		if ok != c.ok || (ok && (positive != c.positive || weight != c.weight)) {
			t.Errorf("%s: Label = %v, %v, %v, want %v, %v, %v", c.name, positive, weight, ok, c.positive, c.weight, c.ok)
		}
	}
}

func TestExampleMergesContextAndHistory(t *testing.T) {
	num := func(name string, v float64) decision.Field {
		return decision.Field{Name: name, Num: v, Kind: decision.Number}
	}
	o := &decision.Outcome{
		ID: decision.InteractionID{Index: 3}, CustomerID: "cu", OfferID: "of", Class: decision.Positive, At: 9,
		Attributes: decision.Row{num("age", 38), num("z", 1)}, Context: decision.Row{num("hour", 7), num("z", 2)},
		Before: decision.Summary{Impressions: 4, LastContactAt: 1},
	}
	var ex Example
	var scratch decision.Row
	spec := Spec{InteractionInputs: []string{decision.FeatureImpressions}}
	if !spec.Example("m", o, &ex, &scratch) {
		t.Fatal("Example = false, want true")
	}
	want := decision.Row{num("age", 38), num("hour", 7), num(decision.FeatureImpressions, 4), num("z", 2)}
	if !slices.Equal(ex.Row, want) {
		t.Errorf("Row = %v, want %v", ex.Row, want)
	}
	if ex.ID != o.ID || ex.CustomerID != "cu" || ex.OfferID != "of" || ex.Weight != 1 || ex.Label() != 1 {
		t.Errorf("Example = %+v", ex)
	}
	if allocs := testing.AllocsPerRun(100, func() { spec.Example("m", o, &ex, &scratch) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	o.Class = decision.Neutral
	if spec.Example("m", o, &ex, &scratch) {
		t.Error("Example of a neutral outcome = true, want false")
	}
}

func TestErrOneClass(t *testing.T) {
	cases := []struct {
		rows, positives int
		want            string
	}{{0, 0, "no interaction"}, {60, 0, "all 60"}, {60, 60, "at least one negative"}}
	for _, c := range cases {
		err := ErrOneClass("bayes.Train", c.rows, c.positives)
		if decision.KindOf(err) != decision.KindUnprocessable || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ErrOneClass(%d, %d) = %v, want unprocessable with %q", c.rows, c.positives, err, c.want)
		}
	}
}

func TestReportAndClear(t *testing.T) {
	var opts TrainOptions
	opts.Report(0.5) // without a listener nothing happens
	var got float64
	opts.Progress = func(done float64) { got = done }
	if opts.Report(0.25); got != 0.25 {
		t.Errorf("Progress got %v, want 0.25", got)
	}
	res := Result{Score: 1, HasRaw: true, Explanations: make([]Explanation, 3, 8)}
	res.Clear()
	if res.Score != 0 || res.HasRaw || len(res.Explanations) != 0 || cap(res.Explanations) != 8 {
		t.Errorf("Clear() left %+v, capacity %d", res, cap(res.Explanations))
	}
}
