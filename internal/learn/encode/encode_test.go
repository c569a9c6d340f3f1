package encode

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestSplitKeyUndoesKey(t *testing.T) {
	for _, c := range []struct{ field, category string }{{"segment", "Gold"}, {"a.b", ""}, {"f", "x=y"}, {"", "v"}} {
		field, category, ok := SplitKey(Key(c.field, c.category))
		if !ok || field != c.field || category != c.category {
			t.Errorf("SplitKey(Key(%q, %q)) = %q, %q, %v", c.field, c.category, field, category, ok)
		}
	}
	if field, _, ok := SplitKey("age"); ok || field != "age" {
		t.Errorf(`SplitKey("age") = %q, %v, want a number's key`, field, ok)
	}
}

func TestAppendCategoryEqualsCategory(t *testing.T) {
	for _, f := range []decision.Field{
		{Kind: decision.Text, Text: "Gold"}, {Kind: decision.Member, Text: "x"}, {Kind: decision.Number, Num: 8001},
		{Kind: decision.Number, Num: 1e21}, {Kind: decision.Number, Num: -0.1}, {Kind: decision.Bool}, {Kind: decision.Bool, Num: 1},
	} {
		if got, want := string(AppendCategory(nil, &f)), f.Category(); got != want {
			t.Errorf("AppendCategory(%+v) = %q, want %q", f, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	row := decision.Row{
		{Name: "a", Kind: decision.Number}, {Name: "s", Kind: decision.Member, Text: "p"}, {Name: "s", Kind: decision.Member, Text: "q"},
		{Name: "t", Kind: decision.Text},
	}
	var got []int
	for rest := row; len(rest) > 0; {
		var values decision.Row
		values, rest = Cut(rest)
		got = append(got, len(values))
	}
	if want := []int{1, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("sizes of the fields = %v, want %v", got, want)
	}
}

func TestInputsAgreeWithSpec(t *testing.T) {
	no := false
	specs := []learn.Spec{
		{},
		{TargetField: "y"},
		{Predictors: []learn.Predictor{{Field: "a"}, {Field: "b", Selected: &no}}},
		{Predictors: []learn.Predictor{{Field: "b", Selected: &no}}, TargetField: "a"},
		{Predictors: []learn.Predictor{{Field: "a"}, {Field: "y"}}, TargetField: "y", InteractionInputs: []string{"interaction.positives"}},
	}
	for i := range specs {
		in := NewInputs(&specs[i])
		for _, field := range []string{"a", "b", "c", "y", "interaction.positives", "interaction.negatives"} {
			if got, want := in.Uses(field), specs[i].Uses(field); got != want {
				t.Errorf("spec %d: Uses(%q) = %v, want %v", i, field, got, want)
			}
		}
		if in.Uses("a=b") {
			t.Errorf("spec %d: Uses of a name with = is true", i)
		}
	}
}

func TestSigmoidAgreesWithTheLibrary(t *testing.T) {
	for i := range 200_001 {
		x := float64(i-100_000) / 100_000 * 60
		got, want := Sigmoid(x), learn.Sigmoid(x)
		if math.Abs(got-want) > 1e-15*want {
			t.Fatalf("Sigmoid(%v) = %v, want %v", x, got, want)
		}
	}
	cases := []struct{ x, want float64 }{
		{0, 0.5}, {800, 1}, {-800, 0}, {math.Inf(1), 1}, {math.Inf(-1), 0}, {math.MaxFloat64, 1}, {-math.MaxFloat64, 0},
	}
	for _, c := range cases {
		if got := Sigmoid(c.x); got != c.want {
			t.Errorf("Sigmoid(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestFinite(t *testing.T) {
	for _, c := range []struct{ v, want float64 }{
		{1.5, 1.5}, {-math.MaxFloat64, -math.MaxFloat64}, {math.Inf(1), math.MaxFloat64}, {math.Inf(-1), -math.MaxFloat64},
	} {
		if got := Finite(c.v); got != c.want {
			t.Errorf("Finite(%v) = %v, want %v", c.v, got, c.want)
		}
	}
}

func TestSortExplanations(t *testing.T) {
	e := []learn.Explanation{{Name: "b", Value: 1}, {Name: "c", Value: -3}, {Name: "a", Value: -1}}
	SortExplanations(e)
	want := []learn.Explanation{{Name: "c", Value: -3}, {Name: "a", Value: -1}, {Name: "b", Value: 1}}
	if !slices.Equal(e, want) {
		t.Errorf("SortExplanations = %v, want %v", e, want)
	}
}

func TestObjectReadsValuesAndDefaults(t *testing.T) {
	var p decision.Problems
	o := ReadObject(json.RawMessage(`{"f":0.5,"i":5e1,"b":true,"s":"x","n":{"k":1,"gone":null},"null":null,"unknown":[]}`), "config", &p)
	if got := o.Float("f", 1, 0, 1); got != 0.5 {
		t.Errorf("Float = %v", got)
	}
	if got := o.Int("i", 1, 0, 100); got != 50 {
		t.Errorf("Int = %v", got)
	}
	if !o.Bool("b", false) || o.Choice("s", "y", "x", "y") != "x" {
		t.Error("Bool or Choice lost the value")
	}
	if got := o.Numbers("n"); len(got) != 1 || got["k"] != 1 {
		t.Errorf("Numbers = %v", got)
	}
	if o.Float("null", 7, 0, 9) != 7 || o.Int("absent", 7, 0, 9) != 7 || !o.Bool("absent", true) || o.Choice("absent", "d", "x") != "d" {
		t.Error("an absent or null key lost its default")
	}
	if o.Has("null") || !o.Has("f") {
		t.Error("Has is wrong")
	}
	if err := p.Err(); err != nil {
		t.Errorf("Err() = %v", err)
	}
}

func TestObjectNotesEveryProblemAtItsPath(t *testing.T) {
	var p decision.Problems
	o := ReadObject(json.RawMessage(`{"f":"0.5","big":1e999,"high":2,"i":1.5,"b":1,"s":"z","n":{"k":"1"},"o":[1]}`), "config", &p)
	o.Float("f", 1, 0, 1)
	o.Number("big", 1)
	o.Float("high", 1, 0, 1)
	o.Int("i", 1, 0, 9)
	o.Bool("b", true)
	o.Choice("s", "x", "x", "y")
	o.Numbers("n")
	o.Object("o")
	var e *decision.Error
	if !errors.As(p.Err(), &e) {
		t.Fatalf("Err() = %v, want a decision.Error", p.Err())
	}
	want := []decision.Detail{
		{Path: "config.f", Message: `got "0.5", want a number from 0 to 1`},
		{Path: "config.big", Message: "got 1e999, want a finite number"},
		{Path: "config.high", Message: "got 2, want a number from 0 to 1"},
		{Path: "config.i", Message: "got 1.5, want an integer from 0 to 9"},
		{Path: "config.b", Message: "got 1, want true or false"},
		{Path: "config.s", Message: `got "z", want one of x, y`},
		{Path: "config.n.k", Message: `got "1", want a finite number`},
		{Path: "config.o", Message: "got [1], want an object"},
	}
	if !slices.Equal(e.Details, want) {
		t.Errorf("details = %v\nwant %v", e.Details, want)
	}
}
