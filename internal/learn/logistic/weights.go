package logistic

import (
	"maps"
	"slices"
)

// Weights is the content of a state for those who write it in another form: a
// copy, whose changes do not reach the model.
type Weights struct {
	Bias   float64
	Fields []FieldWeights // ascending by name
}

// FieldWeights are the weights of one field: of its number, of its categories,
// or of both.
type FieldWeights struct {
	Name       string
	Numeric    bool
	Weight     float64 // when Numeric
	Mean       float64 // at which a missing number is taken, when Numeric
	Categories []CategoryWeight
}

// CategoryWeight is the weight of one category; those of a field ascend by value.
type CategoryWeight struct {
	Value  string
	Weight float64
}

// Weights returns the content of the state that the view scores with.
func (t *table) Weights() Weights {
	w := Weights{Bias: t.bias, Fields: make([]FieldWeights, len(t.fields))}
	for i := range t.fields {
		f := &t.fields[i]
		fw := FieldWeights{Name: f.name, Numeric: f.numeric, Weight: f.weight, Mean: f.mean}
		for _, value := range slices.Sorted(maps.Keys(f.categories)) {
			fw.Categories = append(fw.Categories, CategoryWeight{value, f.categories[value]})
		}
		w.Fields[i] = fw
	}
	return w
}
