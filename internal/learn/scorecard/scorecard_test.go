package scorecard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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

func boolean(name string, v float64) decision.Field {
	return decision.Field{Name: name, Num: v, Kind: decision.Bool}
}

func newCard(t *testing.T, config string) learn.Learner {
	t.Helper()
	l, err := New(learn.Spec{Type: decision.Scorecard, Config: json.RawMessage(config)}, nil)
	if err != nil {
		t.Fatalf("New(%s): %v", config, err)
	}
	return l
}

func score(t *testing.T, l learn.Learner, row decision.Row) learn.Result {
	t.Helper()
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: row, Explain: true}, &res)
	return res
}

var customer = decision.Row{num("age", 38), num("credit_score", 760), num("income", 95000), text("segment", "Gold")}

const vectorConfig = `{"baseScore":50,"normalization":"%s","minScore":0,"maxScore":100,"rules":[
	{"id":"credit","field":"credit_score","operator":"gte","value":700,"points":25},
	{"id":"segment","field":"segment","operator":"in","value":["Gold","Platinum"],"points":15},
	{"id":"young","field":"age","operator":"lt","value":25,"points":-10}]}`

// TestVector is the vector of the API's definition: 40 points over a base of 50
// make raw 90, which scores 0.9168.
func TestVector(t *testing.T) {
	got := score(t, newCard(t, fmt.Sprintf(vectorConfig, "sigmoid")), customer)
	if !got.HasRaw || got.Raw != 90 || math.Abs(got.Score-0.9168) > 5e-5 {
		t.Errorf("raw %v, score %v, want 90 and 0.9168", got.Raw, got.Score)
	}
	want := []learn.Explanation{
		{Name: "credit", Value: 25, Rule: true, Matched: true},
		{Name: "segment", Value: 15, Rule: true, Matched: true},
		{Name: "young", Rule: true},
	}
	if !slices.Equal(got.Explanations, want) {
		t.Errorf("Explanations = %+v, want %+v", got.Explanations, want)
	}
	if got := score(t, newCard(t, fmt.Sprintf(vectorConfig, "linear")), customer).Score; got != 0.9 {
		t.Errorf("linear score = %v, want 0.9", got)
	}
}

func TestNormalisation(t *testing.T) {
	const config = `{"baseScore":%g,"minScore":%g,"maxScore":%g,"normalization":"%s"}`
	cases := []struct {
		base, low, high float64
		kind            string
		raw, score      float64
	}{
		{50, 0, 100, "sigmoid", 50, 0.5},
		{500, 0, 100, "sigmoid", 100, 1 / (1 + math.Exp(-3))},
		{-5, 0, 100, "sigmoid", 0, 1 / (1 + math.Exp(3))},
		{500, 0, 100, "linear", 100, 1},
		{-500, 0, 100, "linear", 0, 0},
		{650, 300, 850, "linear", 650, 350.0 / 550},
		{0, -largest, largest, "linear", 0, 0.5},
	}
	for _, c := range cases {
		got := score(t, newCard(t, fmt.Sprintf(config, c.base, c.low, c.high, c.kind)), nil)
		if got.Raw != c.raw || math.Abs(got.Score-c.score) > 1e-15 {
			t.Errorf("%+v: raw %v, score %v", c, got.Raw, got.Score)
		}
	}
	got := score(t, newCard(t, `{}`), nil)
	if got.Raw != 50 || got.Score != 0.5 {
		t.Errorf("defaults: raw %v, score %v, want 50 and 0.5", got.Raw, got.Score)
	}
}

func TestOperators(t *testing.T) {
	cases := []struct {
		op, value string
		match     []decision.Row
		not       []decision.Row
	}{
		{
			"eq", `"Gold"`,
			[]decision.Row{{text("x", "Gold")}, set("x", "Gold", "Old")},
			[]decision.Row{{text("x", "gold")}, {num("x", 1)}, set("x", "Old"), set("x"), nil},
		},
		{
			"eq", `"3"`,
			[]decision.Row{{num("x", 3)}, {text("x", "3")}},
			[]decision.Row{{num("x", 3.5)}, nil},
		},
		{
			"eq", `3`,
			[]decision.Row{{num("x", 3)}},
			[]decision.Row{{text("x", "3")}, {num("x", 4)}, nil},
		},
		{
			"eq", `true`,
			[]decision.Row{{boolean("x", 1)}, {num("x", 1)}, {text("x", "true")}},
			[]decision.Row{{boolean("x", 0)}, {num("x", 0)}, {text("x", "yes")}, nil},
		},
		{
			"eq", `1`,
			[]decision.Row{{boolean("x", 1)}},
			[]decision.Row{{boolean("x", 0)}},
		},
		{
			"neq", `"Gold"`,
			[]decision.Row{{text("x", "Old")}, {num("x", 7)}, set("x", "Old"), set("x")},
			[]decision.Row{{text("x", "Gold")}, set("x", "Gold", "Old"), nil},
		},
		{
			"neq", `3`,
			[]decision.Row{{num("x", 4)}, {boolean("x", 1)}},
			[]decision.Row{{num("x", 3)}, {text("x", "4")}, set("x", "a"), set("x"), nil},
		},
		{"gt", `3`, []decision.Row{{num("x", 3.1)}}, []decision.Row{{num("x", 3)}, {text("x", "4")}, set("x", "4"), nil}},
		{"gte", `3`, []decision.Row{{num("x", 3)}}, []decision.Row{{num("x", 2.9)}, nil}},
		{"lt", `3`, []decision.Row{{num("x", 2.9)}, {boolean("x", 1)}}, []decision.Row{{num("x", 3)}, set("x"), nil}},
		{"lte", `3`, []decision.Row{{num("x", 3)}}, []decision.Row{{num("x", 3.1)}, {text("x", "2")}, nil}},
		{
			"in", `["Gold",3]`,
			[]decision.Row{{text("x", "Gold")}, {num("x", 3)}, set("x", "Gold")},
			[]decision.Row{{text("x", "3")}, {num("x", 4)}, set("x", "Old"), set("x"), nil},
		},
		{
			"not_in", `["Gold","Old"]`,
			[]decision.Row{{text("x", "New")}, {num("x", 4)}, set("x", "New"), set("x")},
			[]decision.Row{{text("x", "Old")}, set("x", "New", "Gold"), nil},
		},
		{
			"not_in", `[1,2]`,
			[]decision.Row{{num("x", 3)}},
			[]decision.Row{{num("x", 2)}, {text("x", "3")}, nil},
		},
		{
			"contains", `"old"`,
			[]decision.Row{{text("x", "Gold")}, set("x", "new", "old")},
			[]decision.Row{{text("x", "GOLD")}, set("x", "gold"), set("x"), nil},
		},
		{
			"contains", `"50"`,
			[]decision.Row{{num("x", 9500)}},
			[]decision.Row{{num("x", 9400)}},
		},
		{
			"starts_with", `"go"`,
			[]decision.Row{{text("x", "gold")}, set("x", "a", "gone")},
			[]decision.Row{{text("x", "ergo")}, set("x", "a"), set("x"), nil},
		},
		{"starts_with", `"95"`, []decision.Row{{num("x", 9500)}}, []decision.Row{{num("x", 1950)}}},
	}
	for _, c := range cases {
		l := newCard(t, fmt.Sprintf(`{"baseScore":0,"rules":[{"field":"x","operator":"%s","value":%s,"points":7}]}`, c.op, c.value))
		for want, rows := range map[float64][]decision.Row{7: c.match, 0: c.not} {
			for _, row := range rows {
				if got := score(t, l, row); got.Raw != want || got.Explanations[0].Matched != (want == 7) {
					t.Errorf("%s %s on %+v: raw %v, want %v", c.op, c.value, row, got.Raw, want)
				}
			}
		}
	}
}

func TestBins(t *testing.T) {
	l := newCard(t, `{"baseScore":0,"bins":[
		{"field":"age","bins":[{"max":25,"points":1},{"min":25,"max":40,"points":2},{"min":40,"points":4}]},
		{"field":"segment","bins":[{"value":"Gold","points":8},{"value":3,"points":16},{"value":true,"points":32}]}]}`)
	cases := []struct {
		row  decision.Row
		want float64
	}{
		{nil, 0},
		{decision.Row{num("age", 24.99)}, 1},
		{decision.Row{num("age", 25)}, 2},
		{decision.Row{num("age", 40)}, 4},
		{decision.Row{text("age", "30")}, 0},
		{decision.Row{num("age", 30), text("segment", "Gold")}, 10},
		{decision.Row{num("segment", 3)}, 16},
		{decision.Row{boolean("segment", 1)}, 32},
		{set("segment", "Gold", "Old"), 8},
	}
	for _, c := range cases {
		if got := score(t, l, c.row).Raw; got != c.want {
			t.Errorf("raw of %+v = %v, want %v", c.row, got, c.want)
		}
	}
	var names []string
	for _, e := range score(t, l, nil).Explanations {
		names = append(names, e.Name)
	}
	want := []string{"age < 25", "age in [25, 40)", "age >= 40", `segment = "Gold"`, "segment = 3", "segment = true"}
	if !slices.Equal(names, want) {
		t.Errorf("names = %q, want %q", names, want)
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct{ config, path string }{
		{`[]`, "config"},
		{`{"baseScore":"50"}`, "config.baseScore"},
		{`{"normalization":"tanh"}`, "config.normalization"},
		{`{"minScore":100}`, "config.maxScore"},
		{`{"rules":{}}`, "config.rules"},
		{`{"rules":[7]}`, "config.rules[0]"},
		{`{"rules":[{"operator":"eq","value":1,"points":1}]}`, "config.rules[0].field"},
		{`{"rules":[{"field":"","operator":"eq","value":1,"points":1}]}`, "config.rules[0].field"},
		{`{"rules":[{"field":"x","value":1,"points":1}]}`, "config.rules[0].operator"},
		{`{"rules":[{"field":"x","operator":"eq","value":1,"points":1},{"field":"x","operator":"like","value":1,"points":1}]}`, "config.rules[1].operator"},
		{`{"rules":[{"field":"x","operator":"eq","points":1}]}`, "config.rules[0].value"},
		{`{"rules":[{"field":"x","operator":"eq","value":{},"points":1}]}`, "config.rules[0].value"},
		{`{"rules":[{"field":"x","operator":"eq","value":1}]}`, "config.rules[0].points"},
		{`{"rules":[{"field":"x","operator":"eq","value":1,"points":"1"}]}`, "config.rules[0].points"},
		{`{"rules":[{"field":"x","operator":"eq","value":1,"points":1e308}]}`, "config.rules[0].points"},
		{`{"rules":[{"id":5,"field":"x","operator":"eq","value":1,"points":1}]}`, "config.rules[0].id"},
		{`{"rules":[{"field":"x","operator":"eq","value":1,"points":1,"description":5}]}`, "config.rules[0].description"},
		{`{"rules":[{"field":"x","operator":"gt","value":"3","points":1}]}`, "config.rules[0].value"},
		{`{"rules":[{"field":"x","operator":"contains","value":3,"points":1}]}`, "config.rules[0].value"},
		{`{"rules":[{"field":"x","operator":"in","value":"a","points":1}]}`, "config.rules[0].value"},
		{`{"rules":[{"field":"x","operator":"in","value":[],"points":1}]}`, "config.rules[0].value"},
		{`{"rules":[{"field":"x","operator":"in","value":["a",[]],"points":1}]}`, "config.rules[0].value[1]"},
		{`{"bins":[{"bins":[{"min":1,"points":1}]}]}`, "config.bins[0].field"},
		{`{"bins":[{"field":"x"}]}`, "config.bins[0].bins"},
		{`{"bins":[{"field":"x","bins":[{"points":1}]}]}`, "config.bins[0].bins[0].min"},
		{`{"bins":[{"field":"x","bins":[{"min":2,"max":2,"points":1}]}]}`, "config.bins[0].bins[0].max"},
		{`{"bins":[{"field":"x","bins":[{"min":2,"value":2,"points":1}]}]}`, "config.bins[0].bins[0].value"},
		{`{"bins":[{"field":"x","bins":[{"min":2}]}]}`, "config.bins[0].bins[0].points"},
	}
	for _, c := range cases {
		_, err := New(learn.Spec{Config: json.RawMessage(c.config)}, nil)
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || e.Details[0].Path != c.path {
			t.Errorf("New(%s) = %v, want a problem at %s first", c.config, err, c.path)
		}
	}
	many := `{"rules":[` + strings.Repeat(`{"field":"x","operator":"eq","value":1,"points":1},`, maxRules) + `{}]}`
	if _, err := New(learn.Spec{Config: json.RawMessage(many)}, nil); err == nil {
		t.Error("New with too many rules succeeded")
	}
}

func TestStateIsEmpty(t *testing.T) {
	spec := learn.Spec{}
	for _, state := range []string{"", "null", "{}"} {
		if _, err := New(spec, json.RawMessage(state)); err != nil {
			t.Errorf("New with the state %q: %v", state, err)
		}
	}
	if _, err := New(spec, json.RawMessage(`{"weights":{}}`)); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("New with a state = %v, want bad request", err)
	}
	l := newCard(t, `{}`)
	state := l.AppendState(nil)
	if _, err := Load(spec, string(state)); err != nil {
		t.Errorf("Load of AppendState: %v", err)
	}
	for _, bad := range []string{"", "\x02", "\x01x"} {
		if _, err := Load(spec, bad); err == nil {
			t.Errorf("Load(%q) succeeded", bad)
		}
	}
	if js, err := l.StateJSON(); js != nil || err != nil {
		t.Errorf("StateJSON() = %s, %v, want nil", js, err)
	}
	l.Observe(&learn.Example{Positive: true, Weight: 1})
	if l.Publish() != l.Publish() {
		t.Error("Publish returned two views")
	}
}

// examples is a source of n rows whose label is x >= 50.
type examples int

func (n examples) Scan(_ context.Context, f func(*learn.Example) error) error {
	for i := range int(n) {
		x := float64(i * 37 % 100)
		ex := learn.Example{
			ID: decision.InteractionID{Index: uint64(i) + 1}, Row: decision.Row{num("x", x)}, Positive: x >= 50, Weight: 1,
		}
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}

func TestTrainEvaluates(t *testing.T) {
	spec := learn.Spec{Config: json.RawMessage(`{"rules":[{"field":"x","operator":"gte","value":60,"points":30},{"field":"x","operator":"lt","value":60,"points":-30}]}`)}
	cases := []struct {
		rows       examples
		evaluation string
		measured   func(int) bool
	}{
		{100, learn.EvaluationInSample, func(n int) bool { return n == 100 }},
		{2000, learn.EvaluationHoldout, func(n int) bool { return n > 300 && n < 500 }},
	}
	for _, c := range cases {
		got, err := Train(context.Background(), spec, c.rows, learn.TrainOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m := got.Metrics
		if got.State != nil || got.SampleCount != int(c.rows) || m.Evaluation != c.evaluation || !c.measured(m.SampleCount) {
			t.Errorf("Train of %d rows = %+v", c.rows, got)
		}
		// Every x from 50 to 59 is a miss: a tenth of the rows.
		if math.Abs(m.Accuracy-0.9) > 0.05 || m.Precision != 1 || m.AUC < 0.85 {
			t.Errorf("metrics = %+v, want accuracy 0.9, precision 1", m)
		}
	}
	for rows := range examples(2) {
		_, err := Train(context.Background(), spec, rows, learn.TrainOptions{})
		if decision.KindOf(err) != decision.KindUnprocessable {
			t.Errorf("Train of %d rows = %v, want unprocessable", rows, err)
		}
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	view := newCard(t, fmt.Sprintf(vectorConfig, "sigmoid")).Publish()
	for _, explain := range []bool{false, true} {
		var res learn.Result
		req := learn.Request{Row: customer, Explain: explain}
		view.Score(&req, &res)
		if allocs := testing.AllocsPerRun(100, func() { view.Score(&req, &res) }); allocs != 0 {
			t.Errorf("explain=%v: %v allocations, want 0", explain, allocs)
		}
	}
	texts := newCard(t, `{"rules":[{"field":"income","operator":"contains","value":"50","points":1},{"field":"income","operator":"eq","value":"95000","points":1}]}`).Publish()
	var res learn.Result
	req := learn.Request{Row: customer}
	if allocs := testing.AllocsPerRun(100, func() { texts.Score(&req, &res) }); allocs != 0 {
		t.Errorf("numbers as texts: %v allocations, want 0", allocs)
	}
}

func FuzzNew(f *testing.F) {
	f.Add(fmt.Sprintf(vectorConfig, "sigmoid"), "")
	f.Add(`{"bins":[{"field":"age","bins":[{"max":25,"points":1},{"value":"x","points":2}]}]}`, "{}")
	f.Add(`{"rules":[{"field":"segment","operator":"not_in","value":["a",1,true],"points":-1e9}]}`, "null")
	f.Fuzz(func(t *testing.T, config, state string) {
		l, err := New(learn.Spec{Config: json.RawMessage(config)}, json.RawMessage(state))
		if err != nil {
			if decision.KindOf(err) != decision.KindBadRequest {
				t.Fatalf("New = %v, want bad request", err)
			}
			return
		}
		for _, row := range []decision.Row{nil, customer, set("segment", "a", "b")} {
			if got := score(t, l, row); !(got.Score >= 0 && got.Score <= 1) {
				t.Fatalf("score %v of config %s", got.Score, config)
			}
		}
	})
}

func BenchmarkScore(b *testing.B) {
	for _, n := range []int{8, 20} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			var rules []string
			var row decision.Row
			for i := range n {
				name := fmt.Sprintf("attribute_%02d", i)
				rules = append(rules, fmt.Sprintf(`{"field":%q,"operator":"gte","value":%d,"points":1}`, name, i))
				row = append(row, num(name, float64(n-i)))
			}
			l, err := New(learn.Spec{Config: json.RawMessage(`{"rules":[` + strings.Join(rules, ",") + `]}`)}, nil)
			if err != nil {
				b.Fatal(err)
			}
			view := l.Publish()
			req := learn.Request{Row: row}
			var res learn.Result
			b.ReportAllocs()
			for b.Loop() {
				view.Score(&req, &res)
			}
		})
	}
}
