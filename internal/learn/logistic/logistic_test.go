package logistic

import (
	"encoding/json"
	"errors"
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

func members(name string, values ...string) decision.Row {
	var row decision.Row
	for _, v := range values {
		row = append(row, decision.Field{Name: name, Kind: decision.Member, Text: v})
	}
	return row
}

// customer is the common customer of the documented vectors.
var customer = decision.Row{number("age", 38), number("credit_score", 760), number("income", 95000), text("segment", "Gold")}

func mustNew(t testing.TB, state string) learn.Learner {
	l, err := New(learn.Spec{}, json.RawMessage(state))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func score(l learn.Learner, row decision.Row) learn.Result {
	var res learn.Result
	l.Publish().Score(&learn.Request{Row: row, Explain: true}, &res)
	return res
}

const documented = `{"weights":{"credit_score":0.005,"income":0.00002,"age":0.01},"bias":-3.5}`

func TestDocumentedVector(t *testing.T) {
	res := score(mustNew(t, documented), customer)
	if math.Abs(res.Score-0.9296) > 5e-5 {
		t.Errorf("score = %.6f, want 0.9296", res.Score)
	}
	want := []learn.Explanation{{Name: "credit_score", Value: 3.8}, {Name: "income", Value: 1.9}, {Name: "age", Value: 0.38}}
	for i, e := range res.Explanations {
		if e.Name != want[i].Name || math.Abs(e.Value-want[i].Value) > 1e-12 {
			t.Errorf("explanation %d = %+v, want %+v", i, e, want[i])
		}
	}
	if len(res.Explanations) != len(want) {
		t.Errorf("%d explanations, want %d", len(res.Explanations), len(want))
	}
}

func TestScoreRules(t *testing.T) {
	const state = `{"bias":0.1,"weights":{"n":2,"mixed":3,"mixed=x":5,"c=a":7,"c=8001":11,"c=true":13,"set=p":17,"set=q":19,"far":23,"k=a=b":29},
		"means":{"n":10,"mixed":4}}`
	l := mustNew(t, state)
	empty := decision.Row{{Name: "set", Kind: decision.EmptySet}}
	const missing = 2*10 + 3*4 // of n and mixed, at their means
	cases := []struct {
		name string
		row  decision.Row
		want float64
	}{
		{"no field: numbers at their means", nil, missing},
		{"number", decision.Row{number("n", 1)}, missing - 2*10 + 2},
		{"boolean", decision.Row{{Name: "n", Kind: decision.Bool, Num: 1}}, missing - 2*10 + 2},
		{"numeric string in a numeric field is missing", decision.Row{text("n", "1")}, missing},
		{"number in a field with both", decision.Row{number("mixed", 2)}, missing - 3*4 + 3*2},
		{"text in a field with both", decision.Row{text("mixed", "x")}, missing + 5},
		{"category", decision.Row{text("c", "a")}, missing + 7},
		{"category without weight", decision.Row{text("c", "z")}, missing},
		{"number as category", decision.Row{number("c", 8001)}, missing + 11},
		{"boolean as category", decision.Row{{Name: "c", Kind: decision.Bool, Num: 1}}, missing + 13},
		{"set", members("set", "p", "q", "z"), missing + 17 + 19},
		{"empty set", empty, missing},
		{"number without mean contributes nothing when missing", decision.Row{text("far", "x")}, missing},
		{"value with the separator", decision.Row{text("k", "a=b")}, missing + 29},
		{"unknown fields around", decision.Row{text("a", "x"), number("n", 1), text("zz", "y")}, missing - 2*10 + 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res := score(l, c.row)
			if want := learn.Sigmoid(c.want + 0.1); math.Abs(res.Score-want) > 1e-12 {
				t.Errorf("score = %v, want %v", res.Score, want)
			}
			sum := 0.0
			for _, e := range res.Explanations {
				sum += e.Value
			}
			if math.Abs(sum-c.want) > 1e-12 {
				t.Errorf("explanations %v add up to %v, want %v", res.Explanations, sum, c.want)
			}
		})
	}
}

func TestScoreStaysANumber(t *testing.T) {
	l := mustNew(t, `{"weights":{"a":1e308,"b":-1e308}}`)
	res := score(l, decision.Row{number("a", 1e308), number("b", 1e308)})
	if res.Score != 0.5 {
		t.Errorf("score = %v, want 0.5: the two terms cancel", res.Score)
	}
}

func TestColdAndObserve(t *testing.T) {
	l, err := New(learn.Spec{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := score(l, customer).Score; got != 0.5 {
		t.Errorf("cold score = %v, want 0.5", got)
	}
	l = mustNew(t, documented)
	before := l.Publish()
	if l.Publish() != before {
		t.Error("Publish without a change gave another view")
	}
	l.Observe(&learn.Example{Row: customer, Positive: true, Weight: 1})
	if l.Publish() != before {
		t.Error("an outcome changed a model that learns by training alone")
	}
}

func TestValidationNamesThePath(t *testing.T) {
	cases := []struct{ config, state, path string }{
		{`{"learningRate":0}`, "", "config.learningRate"},
		{`{"learningRate":"fast"}`, "", "config.learningRate"},
		{`{"l1":-1}`, "", "config.l1"},
		{`{"l2":1e999}`, "", "config.l2"},
		{`{"epochs":0}`, "", "config.epochs"},
		{`{"batchSize":1.5}`, "", "config.batchSize"},
		{`{"seed":-1}`, "", "config.seed"},
		{`[]`, "", "config"},
		{"", `{"weights":{"age":"x"}}`, "modelState.weights.age"},
		{"", `{"weights":{"age":1e400}}`, "modelState.weights.age"},
		{"", `{"weights":[1]}`, "modelState.weights"},
		{"", `{"bias":"0"}`, "modelState.bias"},
		{"", `{"means":{"age":true}}`, "modelState.means.age"},
		{"", `"x"`, "modelState"},
	}
	for _, c := range cases {
		_, err := New(learn.Spec{Config: json.RawMessage(c.config)}, json.RawMessage(c.state))
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || len(e.Details) != 1 || e.Details[0].Path != c.path {
			t.Errorf("New(%s, %s) = %v, want one problem at %s", c.config, c.state, err, c.path)
		}
	}
	if _, err := New(learn.Spec{Config: json.RawMessage(`{"unknown":1,"l1":null}`)}, json.RawMessage(`{"unknown":1}`)); err != nil {
		t.Errorf("unknown keys: %v", err)
	}
}

func TestStateRoundTrips(t *testing.T) {
	l := mustNew(t, `{"bias":-0.25,"weights":{"n":2,"c=a":7,"c=":1,"c=b=c":3,"set=p":17},"means":{"n":10,"gone":3}}`)
	binary := l.AppendState(nil)
	loaded, err := Load(learn.Spec{}, string(binary))
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded.AppendState(nil); !slices.Equal(got, binary) {
		t.Errorf("binary state changed:\n%q\n%q", got, binary)
	}
	raw, err := loaded.StateJSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"bias":-0.25,"weights":{"c=":1,"c=a":7,"c=b=c":3,"n":2,"set=p":17},"means":{"n":10}}`
	if string(raw) != want {
		t.Errorf("StateJSON() = %s\nwant %s", raw, want)
	}
	if got := mustNew(t, string(raw)).AppendState(nil); !slices.Equal(got, binary) {
		t.Errorf("state changed over JSON:\n%q\n%q", got, binary)
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	v := mustNew(t, `{"weights":{"n":2,"c=a":7,"c=8001":1,"set=p":17},"means":{"n":10}}`).Publish()
	row := append(decision.Row{number("c", 8001), number("n", 1)}, members("set", "p", "q")...)
	req, res := learn.Request{Row: row, Explain: true}, learn.Result{}
	v.Score(&req, &res)
	if n := testing.AllocsPerRun(100, func() { v.Score(&req, &res) }); n != 0 {
		t.Errorf("%v allocations per score, want 0", n)
	}
}

func FuzzLoad(f *testing.F) {
	for _, state := range []string{`{}`, documented, `{"bias":1,"weights":{"n":2,"c=a":7,"c=b":1},"means":{"n":10}}`} {
		f.Add(string(mustNew(f, state).AppendState(nil)))
	}
	f.Fuzz(func(t *testing.T, state string) {
		l, err := Load(learn.Spec{}, state)
		if err != nil {
			return
		}
		again, err := Load(learn.Spec{}, string(l.AppendState(nil)))
		if err != nil {
			t.Fatalf("its own state does not load: %v", err)
		}
		if !slices.Equal(again.AppendState(nil), l.AppendState(nil)) {
			t.Fatal("the state is not canonical")
		}
		score(l, customer)
	})
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(`{"l1":0.1}`), []byte(documented))
	f.Add([]byte(`null`), []byte(`{"weights":{"c=a":1,"c":2},"means":{"c":-0}}`))
	f.Fuzz(func(t *testing.T, config, state []byte) {
		l, err := New(learn.Spec{Config: config}, state)
		if err != nil {
			return
		}
		raw, err := l.StateJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := New(learn.Spec{Config: config}, raw)
		if err != nil {
			t.Fatalf("its own state is refused: %v", err)
		}
		if !slices.Equal(again.AppendState(nil), l.AppendState(nil)) {
			t.Fatalf("the state changed over JSON: %s", raw)
		}
	})
}
