package scorecard

import (
	"reflect"
	"testing"
)

func TestCardIsTheConfiguration(t *testing.T) {
	learner := newCard(t, `{"baseScore":10,"minScore":-5,"maxScore":95,"normalization":"linear","rules":[
		{"id":"z","field":"z","operator":"gt","value":1,"points":1},
		{"id":"a","field":"a","operator":"in","value":["x",2,true,false],"points":2},
		{"id":"b","field":"z","operator":"lte","value":4,"points":3},
		{"id":"c","field":"t","operator":"contains","value":"q","points":-4},
		{"field":"t","operator":"neq","value":"r","points":5}],
		"bins":[{"field":"z","bins":[{"min":1,"max":2,"points":6},{"max":1,"points":7},{"min":2,"points":8},{"value":"v","points":9}]}]}`)
	got := learner.(*Scorecard).Card()
	want := Card{Base: 10, Low: -5, High: 95, Linear: true, Rules: []Rule{
		{"z", "z", "gt", []any{1.0}, 1},
		{"a", "a", "in", []any{"x", 2.0, true, false}, 2},
		{"b", "z", "lte", []any{4.0}, 3},
		{"c", "t", "contains", []any{"q"}, -4},
		{`t neq "r"`, "t", "neq", []any{"r"}, 5},
		{"z in [1, 2)", "z", Between, []any{1.0, 2.0}, 6},
		{"z < 1", "z", "lt", []any{1.0}, 7},
		{"z >= 2", "z", "gte", []any{2.0}, 8},
		{`z = "v"`, "z", "eq", []any{"v"}, 9},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Card() = %+v\nwant %+v", got, want)
	}
}
