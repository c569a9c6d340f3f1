package bayes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func num(name string, v float64) decision.Field {
	return decision.Field{Name: name, Num: v, Kind: decision.Number}
}

func text(name, v string) decision.Field {
	return decision.Field{Name: name, Text: v, Kind: decision.Text}
}

func boolean(name string, v float64) decision.Field {
	return decision.Field{Name: name, Num: v, Kind: decision.Bool}
}

func set(name string, members ...string) decision.Row {
	if len(members) == 0 {
		return decision.Row{{Name: name, Kind: decision.EmptySet}}
	}
	var row decision.Row
	for _, m := range members {
		row = append(row, decision.Field{Name: name, Text: m, Kind: decision.Member})
	}
	return row.Sort()
}

func newLearner(t testing.TB, config, state string) *Learner {
	t.Helper()
	l, err := New(learn.Spec{Type: decision.Bayesian, Config: json.RawMessage(config)}, json.RawMessage(state))
	if err != nil {
		t.Fatalf("New(%s, %s): %v", config, state, err)
	}
	return l.(*Learner)
}

func score(l learn.Learner, row decision.Row) learn.Result {
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: row, Explain: true}, &res)
	return res
}

func observe(l learn.Learner, times int, positive bool, row decision.Row) {
	for range times {
		l.Observe(&learn.Example{Row: row, Positive: positive, Weight: 1})
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-12 }

// TestHandMadeState scores by the formula worked out by hand: priors 0.3 and
// 0.7, age 38 in bin b1 of three, segment Gold.
func TestHandMadeState(t *testing.T) {
	l := newLearner(t, ``, `{
		"priors":{"positive":0.3,"negative":0.7},
		"binEdges":{"age":[30,50]},
		"likelihoods":{
			"age":{"positive":{"b0":0.2,"b1":0.5,"b2":0.3},"negative":{"b0":0.4,"b1":0.4,"b2":0.2}},
			"segment":{"positive":{"Gold":0.6,"Silver":0.4},"negative":{"Gold":0.1,"Silver":0.9}}}}`)
	prior, age, segment := math.Log(0.3/0.7), math.Log(0.5/0.4), math.Log(0.6/0.1)
	row := decision.Row{num("age", 38), text("segment", "Gold"), num("unknown", 1)}
	got := score(l, row)
	if want := learn.Sigmoid(prior + age + segment); !near(got.Score, want) {
		t.Errorf("score = %v, want %v", got.Score, want)
	}
	if !got.HasConfidence || got.Confidence != 0 {
		t.Errorf("confidence = %v, want 0 without samples", got.Confidence)
	}
	if len(got.Explanations) != 2 || got.Explanations[0].Name != "segment" || got.Explanations[1].Name != "age" ||
		!near(got.Explanations[0].Value, segment) || !near(got.Explanations[1].Value, age) {
		t.Errorf("Explanations = %+v, want segment %v, age %v", got.Explanations, segment, age)
	}
	cases := []struct {
		name string
		row  decision.Row
		z    float64
	}{
		{"nothing known", nil, prior},
		{"an edge belongs to the bin above", decision.Row{num("age", 50)}, prior + math.Log(0.3/0.2)},
		{"a numeric string is missing", decision.Row{text("age", "38")}, prior},
		{"a value not listed", decision.Row{text("segment", "Bronze")}, prior},
		{"a member of a set", set("segment", "Gold", "Bronze"), prior + segment},
		{"an empty set", set("segment"), prior},
	}
	for _, c := range cases {
		if got := score(l, c.row).Score; !near(got, learn.Sigmoid(c.z)) {
			t.Errorf("%s: score = %v, want %v", c.name, got, learn.Sigmoid(c.z))
		}
	}
	before := l.AppendState(nil)
	observe(l, 10, true, row)
	if !bytes.Equal(l.AppendState(nil), before) {
		t.Error("an outcome changed a state without counts")
	}
}

// TestHandMadeStateWithSamples gives a value that is not listed its Laplace mass
// under the weights of the classes.
func TestHandMadeStateWithSamples(t *testing.T) {
	l := newLearner(t, `{"laplaceSmoothingAlpha":2}`, `{
		"priors":{"positive":0.2,"negative":0.8},"counts":{"positive":50,"negative":200},
		"likelihoods":{"s":{"positive":{"a":0.6,"b":0.4},"negative":{"a":0.5,"b":0.5}}}}`)
	got := score(l, decision.Row{text("s", "c")})
	want := learn.Sigmoid(math.Log(0.2/0.8) + math.Log((2/(50+2*2.0))/(2/(200+2*2.0))))
	if !near(got.Score, want) || !near(got.Confidence, 0.5) {
		t.Errorf("score %v, confidence %v, want %v and 0.5", got.Score, got.Confidence, want)
	}
}

// TestCountsFormula learns from rows and compares with the formula on the counts.
func TestCountsFormula(t *testing.T) {
	l := newLearner(t, `{"binEdges":{"age":[30,50]}}`, ``)
	observe(l, 6, true, decision.Row{num("age", 40), text("segment", "Gold")})
	observe(l, 2, true, decision.Row{text("segment", "Silver")}) // age is missing
	observe(l, 10, false, decision.Row{num("age", 20), text("segment", "Silver")})
	observe(l, 2, false, decision.Row{num("age", 30), boolean("segment", 1)})

	prior := math.Log(9.0 / 22 / (13.0 / 22))
	age := func(p, n float64) float64 { return math.Log(((p + 1) / (6 + 3)) / ((n + 1) / (12 + 3))) }
	segment := func(p, n float64) float64 { return math.Log(((p + 1) / (8 + 3)) / ((n + 1) / (12 + 3))) }
	cases := []struct {
		name string
		row  decision.Row
		z    float64
	}{
		{"nothing", nil, prior},
		{"a bin", decision.Row{num("age", 30)}, prior + age(6, 2)},
		{"an empty bin", decision.Row{num("age", 99)}, prior + age(0, 0)},
		{"a boolean in a numeric field", decision.Row{boolean("age", 1)}, prior + age(0, 10)},
		{"a text in a numeric field", decision.Row{text("age", "40")}, prior},
		{"both fields", decision.Row{num("age", 40), text("segment", "Gold")}, prior + age(6, 2) + segment(6, 0)},
		{"a boolean category", decision.Row{boolean("segment", 1)}, prior + segment(0, 2)},
		{"the text of a boolean", decision.Row{text("segment", "true")}, prior + segment(0, 2)},
		{"a category never seen", decision.Row{text("segment", "Bronze")}, prior + segment(0, 0)},
		{"a set in a field of categories", set("segment", "Gold"), prior},
	}
	for _, c := range cases {
		if got := score(l, c.row).Score; !near(got, learn.Sigmoid(c.z)) {
			t.Errorf("%s: score = %v, want %v", c.name, got, learn.Sigmoid(c.z))
		}
	}
	if got, want := score(l, nil).Confidence, math.Sqrt(20.0/1000); !near(got, want) {
		t.Errorf("confidence = %v, want %v", got, want)
	}
}

func TestSets(t *testing.T) {
	l := newLearner(t, ``, ``)
	observe(l, 8, true, set("tags", "a", "b"))
	observe(l, 2, true, set("tags"))
	observe(l, 5, false, set("tags", "b", "c"))
	observe(l, 5, false, decision.Row{text("tags", "c")}) // as a set of one
	observe(l, 5, false, nil)
	prior := math.Log(11.0 / 16)
	indicator := func(p, n float64) float64 { return math.Log(((p + 1) / (10 + 2)) / ((n + 1) / (10 + 2))) }
	cases := []struct {
		row decision.Row
		z   float64
	}{
		{set("tags"), prior},
		{set("tags", "a"), prior + indicator(8, 0)},
		{set("tags", "a", "b", "x"), prior + indicator(8, 0) + indicator(8, 5) + indicator(0, 0)},
		{decision.Row{text("tags", "c")}, prior + indicator(0, 10)},
	}
	for _, c := range cases {
		if got := score(l, c.row).Score; !near(got, learn.Sigmoid(c.z)) {
			t.Errorf("score of %v = %v, want %v", c.row, got, learn.Sigmoid(c.z))
		}
	}
}

func TestWeightsScaleTheCounts(t *testing.T) {
	once, twice := newLearner(t, ``, ``), newLearner(t, ``, ``)
	row := decision.Row{text("s", "a")}
	once.Observe(&learn.Example{Row: row, Positive: true, Weight: 3})
	once.Observe(&learn.Example{Row: row, Weight: 0.5})
	observe(twice, 3, true, row)
	twice.Observe(&learn.Example{Row: row, Weight: 0.5})
	if got, want := score(once, row).Score, score(twice, row).Score; got != want {
		t.Errorf("score of one outcome of weight 3 = %v, of three = %v", got, want)
	}
	before := once.AppendState(nil)
	for _, w := range []float64{0, -1, math.NaN()} {
		once.Observe(&learn.Example{Row: row, Positive: true, Weight: w})
	}
	if !bytes.Equal(once.AppendState(nil), before) {
		t.Error("a weight that is not above 0 changed the state")
	}
	once.Observe(&learn.Example{Row: row, Positive: true, Weight: math.Inf(1)})
	if got := score(once, row).Score; !(got > 0 && got <= 1) {
		t.Errorf("score after an infinite weight = %v", got)
	}
}

// TestNumbersWithoutEdges: the first hundred different numbers are categories,
// then deciles of what was seen become bins, and no count is lost.
func TestNumbersWithoutEdges(t *testing.T) {
	l := newLearner(t, ``, ``)
	for i := range 100 {
		observe(l, 1, i%4 == 0, decision.Row{num("x", float64(i*37%100))})
	}
	f := l.model.byName["x"]
	if f.kind != kindNumbers || len(f.cells) != 100 {
		t.Fatalf("kind %s with %d cells, want 100 numbers", kindNames[f.kind], len(f.cells))
	}
	l.Publish()
	observe(l, 1, true, decision.Row{num("x", 1000)})
	if want := []float64{10, 20, 30, 40, 50, 60, 70, 80, 90}; f.kind != kindBins || !slices.Equal(f.edges, want) {
		t.Fatalf("kind %s with edges %v, want bins at %v", kindNames[f.kind], f.edges, want)
	}
	var sum perClass
	for _, c := range f.cells {
		sum[negative] += c.of[negative]
		sum[positive] += c.of[positive]
	}
	if want := (perClass{negative: 75, positive: 26}); sum != want || f.present != want || l.model.cells != 10 {
		t.Errorf("counts %v, present %v, %d cells in all, want %v and 10", sum, f.present, l.model.cells, want)
	}
	want := math.Log(27.0/76) + math.Log(((f.cells[9].of[positive]+1)/(26+10))/((f.cells[9].of[negative]+1)/(75+10)))
	if got := score(l, decision.Row{num("x", 95)}).Score; !near(got, learn.Sigmoid(want)) {
		t.Errorf("score = %v, want %v", got, learn.Sigmoid(want))
	}
	mixed := newLearner(t, ``, ``)
	observe(mixed, 1, true, decision.Row{num("x", 1)})
	observe(mixed, 1, true, decision.Row{text("x", "many")})
	if f := mixed.model.byName["x"]; f.kind != kindCategories || len(f.cells) != 2 {
		t.Errorf("a number and a text make %s of %d, want 2 categories", kindNames[f.kind], len(f.cells))
	}
}

func TestBounds(t *testing.T) {
	l := newLearner(t, `{"maxCategories":3}`, ``)
	for i := range 10 {
		observe(l, 1, i%2 == 0, decision.Row{text("s", fmt.Sprint("v", i))})
	}
	f := l.model.byName["s"]
	if len(f.cells) != 3 || f.present[negative]+f.present[positive] != 3 {
		t.Errorf("%d categories, %v present, want 3 and 3", len(f.cells), f.present)
	}
	long := strings.Repeat("x", maxText+1)
	observe(l, 1, true, decision.Row{text(long, "a")})
	observe(l, 1, true, decision.Row{text("t", long)})
	if _, ok := l.model.byName[long]; ok || len(l.model.byName["t"].cells) != 0 {
		t.Error("a name or category that is too long was learned")
	}
	for i := range maxFields + 10 {
		observe(l, 1, true, decision.Row{boolean(fmt.Sprint("f", i), 1)})
	}
	if got := len(l.model.fields); got != maxFields {
		t.Errorf("%d fields, want %d", got, maxFields)
	}
	wide := newLearner(t, `{"maxCategories":10000}`, ``)
	for k := range 15 {
		for i := range 10_000 {
			observe(wide, 1, true, decision.Row{text(fmt.Sprint("f", k), fmt.Sprint(i))})
		}
	}
	if got := wide.model.cells; got != maxCells {
		t.Errorf("%d cells, want %d", got, maxCells)
	}
}

func TestPredictorsAndTarget(t *testing.T) {
	spec := learn.Spec{Predictors: []learn.Predictor{{Field: "a"}, {Field: "y"}}, TargetField: "y"}
	l, err := New(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	observe(l, 3, true, decision.Row{text("a", "x"), text("b", "x"), text("y", "1")})
	if got := score(l, decision.Row{text("a", "x"), text("b", "x"), text("y", "1")}).Explanations; len(got) != 1 || got[0].Name != "a" {
		t.Errorf("Explanations = %+v, want a alone", got)
	}
	// The same state under other predictors: what is no input is not used.
	other, err := Load(learn.Spec{Predictors: []learn.Predictor{{Field: "b"}}}, string(l.AppendState(nil)))
	if err != nil {
		t.Fatal(err)
	}
	observe(other, 1, false, decision.Row{text("a", "x")})
	if got := score(other, decision.Row{text("a", "x")}).Explanations; len(got) != 0 {
		t.Errorf("Explanations = %+v, want none", got)
	}
}

// TestPublish: nothing new gives the same view; old views stay usable; what a new
// view adds is only there.
func TestPublish(t *testing.T) {
	l := newLearner(t, ``, ``)
	observe(l, 4, true, decision.Row{text("s", "a")})
	observe(l, 4, false, decision.Row{text("s", "b")})
	old := l.Publish()
	if l.Publish() != old {
		t.Error("Publish without news gave another view")
	}
	observe(l, 1, true, decision.Row{text("s", "a")})
	if l.Publish() != old {
		t.Error("Publish of known counts gave another view")
	}
	var was, is learn.Result
	req := learn.Request{Row: decision.Row{text("s", "a")}}
	old.Score(&req, &was)
	observe(l, 1, true, decision.Row{text("s", "new"), text("t", "x")})
	view := l.Publish()
	if view == old {
		t.Fatal("Publish of a new category gave the old view")
	}
	old.Score(&req, &is)
	if is.Score != was.Score {
		t.Errorf("the old view moved from %v to %v", was.Score, is.Score)
	}
	fresh, err := Load(learn.Spec{}, string(l.AppendState(nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []decision.Row{nil, {text("s", "a")}, {text("s", "new"), text("t", "x")}, {text("s", "b"), text("t", "y")}} {
		if got, want := score(l, row).Score, score(fresh, row).Score; got != want {
			t.Errorf("published score of %v = %v, of the same state loaded %v", row, got, want)
		}
	}
}

// TestConcurrentScores scores while the owner learns; the race detector watches,
// and every score is one that some state could give.
func TestConcurrentScores(t *testing.T) {
	l := newLearner(t, `{"binEdges":{"age":[30,50]}}`, ``)
	rows := []decision.Row{{num("age", 20), text("s", "a")}, {num("age", 40), text("s", "b")}, set("tags", "x", "y")}
	for i, row := range rows {
		observe(l, 5, i%2 == 0, row)
	}
	views := make(chan learn.View, 1)
	views <- l.Publish()
	var done sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		done.Go(func() {
			var res learn.Result
			view := <-views
			views <- view
			for {
				select {
				case <-stop:
					return
				case view = <-views:
					views <- view
				default:
				}
				for _, row := range rows {
					view.Score(&learn.Request{Row: row, Explain: true}, &res)
					if !(res.Score > 0 && res.Score < 1) {
						t.Errorf("score = %v", res.Score)
						return
					}
				}
			}
		})
	}
	for i := range 2000 {
		observe(l, 1, i%3 == 0, rows[i%len(rows)])
		if i%50 == 0 {
			observe(l, 1, true, decision.Row{text("s", fmt.Sprint(i))})
		}
		view := l.Publish()
		<-views
		views <- view
	}
	close(stop)
	done.Wait()
}

// mixedRow has n fields, numbers and categories in turn.
func mixedRow(rng *rand.Rand, n int) decision.Row {
	row := make(decision.Row, n)
	for i := range row {
		name := fmt.Sprintf("attribute_%02d", i)
		if i%2 == 0 {
			row[i] = num(name, math.Round(rng.NormFloat64()*100))
		} else {
			row[i] = text(name, fmt.Sprintf("value_%d", rng.IntN(12)))
		}
	}
	return row
}

// mixedLearner has seen rows of n fields.
func mixedLearner(tb testing.TB, n int) (*Learner, []decision.Row) {
	rng := rand.New(rand.NewPCG(5, 6))
	l := newLearner(tb, ``, ``)
	rows := make([]decision.Row, 3000)
	for i := range rows {
		rows[i] = mixedRow(rng, n)
		observe(l, 1, rng.IntN(5) == 0, rows[i])
	}
	return l, rows
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	l, rows := mixedLearner(t, 20)
	row := append(slices.Clone(rows[0]), set("tags", "x", "y")...)
	observe(l, 1, true, row)
	view := l.Publish()
	var res learn.Result
	req := learn.Request{Row: row}
	if allocs := testing.AllocsPerRun(100, func() { view.Score(&req, &res) }); allocs != 0 {
		t.Errorf("Score: %v allocations, want 0", allocs)
	}
	// A number in a field of categories is looked up by its text.
	number := learn.Request{Row: decision.Row{num("attribute_01", 123456789)}}
	if allocs := testing.AllocsPerRun(100, func() { view.Score(&number, &res) }); allocs != 0 {
		t.Errorf("Score of a number as a category: %v allocations, want 0", allocs)
	}
	if allocs := testing.AllocsPerRun(100, func() { l.Publish() }); allocs != 0 {
		t.Errorf("Publish without news: %v allocations, want 0", allocs)
	}
	ex := learn.Example{Row: row, Positive: true, Weight: 1}
	if allocs := testing.AllocsPerRun(100, func() { l.Observe(&ex); l.Publish() }); allocs != 0 {
		t.Errorf("Observe and Publish: %v allocations, want 0", allocs)
	}
}

func TestNewRefuses(t *testing.T) {
	const values = `{"positive":{"a":0.5},"negative":{"a":0.5}}`
	cases := []struct{ config, state, path string }{
		{`[]`, ``, "config"},
		{`{"laplaceSmoothingAlpha":0}`, ``, "config.laplaceSmoothingAlpha"},
		{`{"calibrate":1}`, ``, "config.calibrate"},
		{`{"maxCategories":0}`, ``, "config.maxCategories"},
		{`{"binEdges":{"age":[1,"2"]}}`, ``, "config.binEdges.age[1]"},
		{`{"binEdges":{"age":[1,null]}}`, ``, "config.binEdges.age[1]"},
		{`{"binEdges":{"age":[2,1]}}`, ``, "config.binEdges.age[1]"},
		{`{"binEdges":{"age":3}}`, ``, "config.binEdges.age"},
		{``, `7`, "modelState"},
		{``, `{"priors":{"positive":0.5}}`, "modelState.priors.negative"},
		{``, `{"priors":{"positive":0,"negative":1}}`, "modelState.priors.positive"},
		{``, `{"likelihoods":{"age":5}}`, "modelState.likelihoods.age"},
		{``, `{"likelihoods":{"s":{"positive":{"a":0.5},"negative":{}}}}`, "modelState.likelihoods.s.negative.a"},
		{``, `{"likelihoods":{"s":{"positive":{"a":1.5},"negative":{"a":0.5}}}}`, "modelState.likelihoods.s.positive.a"},
		{``, `{"likelihoods":{"s":{"positive":{"a":0},"negative":{"a":0.5}}}}`, "modelState.likelihoods.s.positive.a"},
		{``, `{"binEdges":{"s":[1]},"likelihoods":{"s":` + values + `}}`, "modelState.likelihoods.s.positive.a"},
		{``, `{"binEdges":{"s":[1]},"likelihoods":{"s":{"positive":{"b2":1},"negative":{"b2":1}}}}`, "modelState.likelihoods.s.positive.b2"},
		{``, `{"binEdges":{"s":[1,1]}}`, "modelState.binEdges.s[1]"},
		{``, `{"counts":{"positive":-1}}`, "modelState.counts.positive"},
		{``, `{"counts":{"samples":1.5}}`, "modelState.counts.samples"},
		{``, `{"counts":{"fields":{"s":{"positive":{"a":-1},"negative":{"a":0}}}}}`, "modelState.counts.fields.s.positive.a"},
		{``, `{"counts":{"fields":{"s":{"kind":"bins"}}}}`, "modelState.counts.fields.s.kind"},
		{``, `{"counts":{"fields":{"s":{"kind":"list"}}}}`, "modelState.counts.fields.s.kind"},
		{``, `{"counts":{"fields":{"s":{"kind":"numbers","positive":{"a":1},"negative":{"a":1}}}}}`, "modelState.counts.fields.s.positive.a"},
		{``, `{"counts":{"fields":{"s":{"present":{"positive":1},"positive":{"a":2},"negative":{"a":1}}}}}`, "modelState.counts.fields.s.present.positive"},
		{``, `{"counts":{"fields":{}},"likelihoods":{"s":` + values + `}}`, "modelState.likelihoods.s"},
		{``, `{"counts":{"positive":8,"negative":8,"fields":{}},"priors":{"positive":0.7}}`, "modelState.priors.positive"},
		{``, `{"counts":{"fields":{"s":{"positive":{"a":1},"negative":{"a":1}}}},"likelihoods":{"s":{"positive":{"a":0.5}}}}`, "modelState.likelihoods.s.positive.a"},
		{``, `{"counts":{"fields":{"s":{"positive":{"a":1},"negative":{"a":1}}}},"likelihoods":{"s":{"positive":{"b":0.5}}}}`, "modelState.likelihoods.s.positive.b"},
		{``, `{"calibration":{"temperature":0}}`, "modelState.calibration.temperature"},
		{``, `{"calibration":{"offset":"1"}}`, "modelState.calibration.offset"},
	}
	for _, c := range cases {
		_, err := New(learn.Spec{Config: json.RawMessage(c.config)}, json.RawMessage(c.state))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || e.Details[0].Path != c.path {
			t.Errorf("New(%s, %s) = %v, want a problem at %s first", c.config, c.state, err, c.path)
		}
	}
	_, err := New(learn.Spec{AutoLearn: true}, json.RawMessage(`{"priors":{"positive":0.5,"negative":0.5}}`))
	if err == nil || !strings.Contains(err.Error(), "modelState.counts.fields") {
		t.Errorf("New of a state without counts for autoLearn = %v, want refused at modelState.counts.fields", err)
	}
	l, err := New(learn.Spec{}, json.RawMessage(`{"priors":{"positive":0.5,"negative":0.5}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(learn.Spec{AutoLearn: true}, string(l.AppendState(nil)))
	if decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("Load of the same for autoLearn = %v, want refused", err)
	}
}

func BenchmarkScore(b *testing.B) {
	for _, n := range []int{8, 20} {
		b.Run(fmt.Sprintf("attributes=%d", n), func(b *testing.B) {
			l, rows := mixedLearner(b, n)
			view := l.Publish()
			var res learn.Result
			var req learn.Request
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				req.Row = rows[i%64]
				view.Score(&req, &res)
				i++
			}
		})
	}
	b.Run("attributes=8/fields=1000", func(b *testing.B) {
		l, rows := wideLearner(b)
		view := l.Publish()
		var res learn.Result
		var req learn.Request
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			req.Row = rows[i%64]
			view.Score(&req, &res)
			i++
		}
	})
}

// wideLearner has a thousand fields of a hundred categories, of which a row has
// eight.
func wideLearner(tb testing.TB) (*Learner, []decision.Row) {
	rng := rand.New(rand.NewPCG(7, 8))
	l := newLearner(tb, ``, ``)
	rows := make([]decision.Row, 4096)
	for i := range 200_000 {
		row := make(decision.Row, 0, 8)
		for range 8 {
			row = append(row, text(fmt.Sprintf("attribute_%03d", rng.IntN(1000)), fmt.Sprintf("v%d", rng.IntN(100))))
		}
		row = slices.CompactFunc(row.Sort(), func(a, b decision.Field) bool { return a.Name == b.Name })
		rows[i%len(rows)] = row
		observe(l, 1, rng.IntN(5) == 0, row)
	}
	return l, rows
}

func BenchmarkObserveAndPublish(b *testing.B) {
	run := func(l *Learner, rows []decision.Row) func(b *testing.B) {
		return func(b *testing.B) {
			l.Publish()
			ex := learn.Example{Weight: 1}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				ex.Row, ex.Positive = rows[i%64], i%5 == 0
				l.Observe(&ex)
				l.Publish()
				i++
			}
		}
	}
	l, rows := mixedLearner(b, 20)
	b.Run("attributes=20", run(l, rows))
	l, rows = wideLearner(b)
	b.Run("attributes=8/fields=1000", run(l, rows))
}
