package online

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func number(name string, v float64) decision.Field {
	return decision.Field{Name: name, Kind: decision.Number, Num: v}
}

func text(name, v string) decision.Field {
	return decision.Field{Name: name, Kind: decision.Text, Text: v}
}

func member(name, v string) decision.Field {
	return decision.Field{Name: name, Kind: decision.Member, Text: v}
}

// customer is the common customer of the documented vectors.
var customer = decision.Row{number("age", 38), number("credit_score", 760), number("income", 95000), text("segment", "Gold")}

const documented = `{"weights":{"credit_score":0.004,"income":0.000015,"age":0.005},"bias":-3.2}`

func mustNew(t testing.TB, config, state string) *learner {
	t.Helper()
	l, err := New(learn.Spec{Config: json.RawMessage(config)}, json.RawMessage(state))
	if err != nil {
		t.Fatal(err)
	}
	return l.(*learner)
}

func score(l learn.Learner, row decision.Row) learn.Result {
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: row, Explain: true}, &res)
	return res
}

func (l *learner) at(key string) *feature {
	var found *feature
	l.each(func(f *feature, in *field, category string) {
		if in != nil && ((f == in.number && in.name == key) || (f != in.number && in.name+"="+category == key)) {
			found = f
		}
	})
	return found
}

func TestDocumentedVector(t *testing.T) {
	res := score(mustNew(t, "", documented), customer)
	if math.Abs(res.Score-0.8108) > 5e-5 {
		t.Errorf("score = %.6f, want 0.8108", res.Score)
	}
	if len(res.Explanations) != 3 || res.Explanations[0].Name != "credit_score" || math.Abs(res.Explanations[0].Value-3.04) > 1e-12 {
		t.Errorf("explanations = %v", res.Explanations)
	}
}

func TestColdStart(t *testing.T) {
	for _, state := range []string{"", "{}", `{"weights":{},"bias":0}`} {
		if got := score(mustNew(t, "", state), customer).Score; got != 0.5 {
			t.Errorf("score of the state %q = %v, want 0.5", state, got)
		}
	}
}

// One outcome moves the documented state by the documented rule.
func TestPlainRule(t *testing.T) {
	for _, c := range []struct {
		positive bool
		weight   float64
	}{{true, 1}, {false, 1}, {false, 2.5}} {
		l := mustNew(t, "", documented)
		ex := learn.Example{Row: customer, Positive: c.positive, Weight: c.weight}
		p := score(l, customer).Score
		l.Observe(&ex)
		step := 0.01 * c.weight * (ex.Label() - p)
		want := map[string]float64{"age": 0.005 + step*38, "credit_score": 0.004 + step*760, "income": 0.000015 + step*95000}
		for key, w := range want {
			if got := l.at(key).weight; math.Abs(got-w) > 1e-12*math.Abs(w) {
				t.Errorf("%+v: weight of %s = %v, want %v", c, key, got, w)
			}
		}
		if got := l.bias.weight; math.Abs(got-(-3.2+step)) > 1e-14 {
			t.Errorf("%+v: bias = %v, want %v", c, got, -3.2+step)
		}
		if l.at("segment=Gold") != nil || l.features != 3 {
			t.Errorf("%+v: the plain rule added a category", c)
		}
	}
}

func TestPlainRuleLearnsImportedCategoriesAndNewNumbers(t *testing.T) {
	l := mustNew(t, `{"learningRate":0.1}`, `{"weights":{"segment=Gold":0.5}}`)
	l.Observe(&learn.Example{Row: decision.Row{number("age", 2), text("segment", "Gold")}, Positive: true, Weight: 1})
	step := 0.1 * (1 - learn.Sigmoid(0.5))
	if got := l.at("segment=Gold").weight; math.Abs(got-0.5-step) > 1e-15 {
		t.Errorf("weight of the category = %v, want %v", got, 0.5+step)
	}
	if got := l.at("age").weight; math.Abs(got-2*step) > 1e-15 {
		t.Errorf("weight of the new number = %v, want %v", got, 2*step)
	}
}

func TestNormalizedFeatures(t *testing.T) {
	l := mustNew(t, "", "")
	rows := []decision.Row{
		{number("n", 10), member("s", "p"), member("s", "q"), text("t", "a")},
		{number("n", 20), {Name: "s", Kind: decision.EmptySet}, number("t", 5)},
		{text("n", "30"), text("t", "b"), {Name: "u", Kind: decision.EmptySet}},
		{{Name: "n", Kind: decision.Bool, Num: 1}, text("x=y", "z")},
	}
	for i, row := range rows {
		l.Observe(&learn.Example{Row: row, Positive: i%2 == 0, Weight: 1})
	}
	var keys []string
	l.each(func(f *feature, in *field, category string) {
		if in != nil {
			keys = append(keys, in.name+"|"+category)
		}
	})
	if want := []string{"n|", "s|p", "s|q", "t|5", "t|a", "t|b"}; !slices.Equal(keys, want) {
		t.Errorf("features = %v, want %v", keys, want)
	}
	n := l.at("n")
	if mean, variance := 31.0/3, (100.0+400+1)/3-31.0/3*31/3; math.Abs(n.mean-mean) > 1e-12 || math.Abs(n.m2/n.seen-variance) > 1e-9 {
		t.Errorf("moments = %v, want mean %v and variance %v", n.moments, mean, variance)
	}
}

func TestMomentsEqualTheBatchFormula(t *testing.T) {
	var m moments
	var sum, sumWeights float64
	xs, ws := []float64{1e6, 1e6 + 1, 1e6 + 5, 1e6 - 3}, []float64{1, 2, 0.5, 3}
	for i, x := range xs {
		m.add(x, ws[i])
		sum += ws[i] * x
		sumWeights += ws[i]
	}
	mean, m2 := sum/sumWeights, 0.0
	for i, x := range xs {
		m2 += ws[i] * (x - mean) * (x - mean)
	}
	if math.Abs(m.mean-mean) > 1e-9 || math.Abs(m.m2-m2) > 1e-8 || m.seen != sumWeights {
		t.Errorf("moments = %v, want %v, %v, %v", m, mean, m2, sumWeights)
	}
}

// McMahan et al. 2013: without penalties FTRL-Proximal is gradient descent with
// the rate α/(β + √n) of each feature.
func TestFTRLWithoutPenaltiesIsGradientDescent(t *testing.T) {
	cfg := config{optimizer: ftrl, rate: 0.1}
	f := feature{weight: 0.3}
	f.adopt(&cfg)
	w, n := 0.3, 0.0
	for i := range 100 {
		g := math.Sin(float64(i))
		f.step(&cfg, g)
		n += g * g
		w -= 0.1 / (1 + math.Sqrt(n)) * g
		if math.Abs(f.weight-w) > 1e-12 {
			t.Fatalf("weight after step %d = %v, want %v", i, f.weight, w)
		}
	}
}

func TestFTRLPenalties(t *testing.T) {
	cfg := config{optimizer: ftrl, rate: 0.1, l1: 2}
	var f feature
	f.step(&cfg, 1.5)
	if f.weight != 0 {
		t.Errorf("weight under l1 = %v, want 0", f.weight)
	}
	free, held := feature{}, feature{}
	cfg.l1 = 0
	free.step(&cfg, 1)
	cfg.l2 = 50
	held.step(&cfg, 1)
	if !(held.weight < 0 && held.weight > free.weight) {
		t.Errorf("weight under l2 = %v, without %v", held.weight, free.weight)
	}
}

func TestAdaGrad(t *testing.T) {
	cfg := config{optimizer: adagrad, rate: 0.1}
	var f feature
	f.step(&cfg, 3)
	f.step(&cfg, -4)
	f.step(&cfg, 0)
	if want := -0.1*3/3 + 0.1*4/5; math.Abs(f.weight-want) > 1e-15 {
		t.Errorf("weight = %v, want %v", f.weight, want)
	}
}

func TestExtremeValuesLeaveAFiniteState(t *testing.T) {
	for _, config := range []string{"{}", `{"normalize":false}`, `{"optimizer":"adagrad"}`, `{"normalize":false,"optimizer":"ftrl"}`, `{"normalize":false,"optimizer":"adagrad"}`} {
		l := mustNew(t, config, "")
		for i, x := range []float64{1e308, -1e308, 5e-324, 1e308, 0, 1e200, -1e308} {
			l.Observe(&learn.Example{Row: decision.Row{number("x", x)}, Positive: i%2 == 0, Weight: []float64{1, 1e308, 1e-320}[i%3]})
			if got := score(l, decision.Row{number("x", x)}).Score; !(got >= 0 && got <= 1) {
				t.Errorf("%s: score after %v = %v", config, x, got)
			}
		}
		if _, err := l.StateJSON(); err != nil {
			t.Errorf("%s: %v", config, err)
		}
		if _, err := Load(learn.Spec{Config: json.RawMessage(config)}, string(l.AppendState(nil))); err != nil {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l := mustNew(t, "", "")
	for i := range maxCategories + 500 {
		l.Observe(&learn.Example{Row: decision.Row{text("id", fmt.Sprint(i))}, Positive: i%2 == 0, Weight: 1})
	}
	if l.features != maxCategories {
		t.Errorf("%d features of one field, want %d", l.features, maxCategories)
	}
	l.features = maxFeatures
	l.Observe(&learn.Example{Row: decision.Row{number("age", 1)}, Weight: 1})
	if l.features != maxFeatures || len(l.fields) != 1 {
		t.Errorf("%d features in %d fields of a full model", l.features, len(l.fields))
	}
}

func TestPredictors(t *testing.T) {
	spec := learn.Spec{TargetField: "y", Predictors: []learn.Predictor{{Field: "age"}, {Field: "y"}}}
	l, err := New(spec, json.RawMessage(`{"weights":{"income":0.00001}}`))
	if err != nil {
		t.Fatal(err)
	}
	l.Observe(&learn.Example{Row: append(slices.Clone(customer), number("y", 1)), Positive: true, Weight: 1})
	o := l.(*learner)
	if o.features != 2 || o.at("age") == nil || o.at("income").weight != 0.00001 {
		t.Errorf("%d features, income %v; want age learned and income as it was", o.features, o.at("income").weight)
	}
}

func TestPublish(t *testing.T) {
	l := mustNew(t, "", "")
	ex := learn.Example{Row: customer, Positive: true, Weight: 1}
	first := l.Publish()
	l.Observe(&ex)
	if got := first.(*view).bias.cell.loadWeight(); got != 0 {
		t.Errorf("an outcome shows before Publish: bias %v", got)
	}
	second := l.Publish()
	if n := testing.AllocsPerRun(10, func() {
		if l.Publish() != second {
			t.Error("Publish without a change gave another view")
		}
	}); n != 0 {
		t.Errorf("%v allocations per Publish without a change, want 0", n)
	}
	if got := second.(*view).bias.cell.loadWeight(); got <= 0 {
		t.Errorf("published bias = %v, want over 0", got)
	}
}

func TestValidationNamesThePath(t *testing.T) {
	cases := []struct{ config, state, path string }{
		{`{"learningRate":0}`, "", "config.learningRate"},
		{`{"learningRate":[1]}`, "", "config.learningRate"},
		{`{"normalize":"yes"}`, "", "config.normalize"},
		{`{"optimizer":"adam"}`, "", "config.optimizer"},
		{`{"l1":-1}`, "", "config.l1"},
		{`{"l2":"x"}`, "", "config.l2"},
		{"", `{"weights":{"age":"x"}}`, "modelState.weights.age"},
		{"", `{"weights":{"age":1,"b":1e999}}`, "modelState.weights.b"},
		{"", `{"bias":"0"}`, "modelState.bias"},
		{"", `{"normalizer":{"age":{"m2":-1}}}`, "modelState.normalizer.age.m2"},
		{"", `{"normalizer":{"age":5}}`, "modelState.normalizer.age"},
		{"", `{"optimizer":{"type":"adam"}}`, "modelState.optimizer.type"},
		{"", `{"optimizer":{"features":{"age":{"n":-1}}}}`, "modelState.optimizer.features.age.n"},
		{"", `{"progressive":{"count":1.5}}`, "modelState.progressive.count"},
		{"", `[]`, "modelState"},
		{`{"normalize":false}`, `{"weights":{"age":1},"normalizer":{}}`, "config.normalize"},
	}
	for _, c := range cases {
		_, err := New(learn.Spec{Config: json.RawMessage(c.config)}, json.RawMessage(c.state))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || len(e.Details) != 1 || e.Details[0].Path != c.path {
			t.Errorf("New(%s, %s) = %v, want one problem at %s", c.config, c.state, err, c.path)
		}
	}
}
