package logistic

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/praetor-engine/praetor/internal/learn"
)

func TestWeightsAreTheState(t *testing.T) {
	l, err := New(learn.Spec{}, json.RawMessage(`{"bias":-1,"weights":{"z":2,"s=b":0.5,"s=a":0.25,"z=none":3},"means":{"z":7}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := l.Publish().(interface{ Weights() Weights }).Weights()
	want := Weights{Bias: -1, Fields: []FieldWeights{
		{Name: "s", Categories: []CategoryWeight{{"a", 0.25}, {"b", 0.5}}},
		{Name: "z", Numeric: true, Weight: 2, Mean: 7, Categories: []CategoryWeight{{"none", 3}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Weights() = %+v\nwant %+v", got, want)
	}
}
