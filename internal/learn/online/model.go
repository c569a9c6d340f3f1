package online

import (
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Bounds of what a normalised model takes up by itself.
const (
	maxCategories = 1000    // per field, as the other linear model has
	maxFeatures   = 1 << 16 // per model, 8 MB
)

// field has the features of one field of a row, at least one.
type field struct {
	name       string
	learns     bool     // an input by the specification
	number     *feature // nil for a field of categories
	categories map[string]*feature
	shared     bool // categories is in a view, so that adding to it takes a copy
}

// seek returns the first index from i on whose name is not before name, and
// whether it is name. Rows have mostly the model's fields, so the next one is
// mostly right.
func seek(fields []field, i int, name string) (at int, found bool) {
	const near = 4
	for range near {
		if i >= len(fields) || fields[i].name == name {
			return i, i < len(fields)
		}
		if fields[i].name > name {
			return i, false
		}
		i++
	}
	at, found = slices.BinarySearchFunc(fields[i:], name, func(f field, n string) int { return strings.Compare(f.name, n) })
	return i + at, found
}

// category returns the feature of a value's category, nil when there is none.
func (f *field) category(v *decision.Field) *feature {
	switch v.Kind {
	case decision.Text, decision.Member:
		return f.categories[v.Text]
	case decision.Number, decision.Bool:
		var text [32]byte // the longest float64 takes 24
		return f.categories[string(encode.AppendCategory(text[:0], v))]
	}
	return nil
}

// find returns the feature of a value and, when it is a number's, the number; nil
// for a missing or unknown value.
func (f *field) find(v *decision.Field) (ft *feature, x float64) {
	if f.number != nil {
		if x, ok := v.Numeric(); ok {
			return f.number, x
		}
	}
	if f.categories == nil {
		return nil, 0
	}
	return f.category(v), 1
}

// addCategory adds the feature of a category that is new.
func (f *field) addCategory(value string) *feature {
	ft := new(feature)
	if f.shared || f.categories == nil {
		f.categories = maps.Clone(f.categories)
		if f.categories == nil {
			f.categories = make(map[string]*feature)
		}
		f.shared = false
	}
	f.categories[value] = ft
	return ft
}

// each calls f for every feature in the order of the state: the bias with a nil
// field, then field by field in ascending order the number, with an empty
// category, and the categories in ascending order.
func (l *learner) each(f func(ft *feature, in *field, category string)) {
	f(l.bias, nil, "")
	for i := range l.fields {
		in := &l.fields[i]
		if in.number != nil {
			f(in.number, in, "")
		}
		for _, c := range slices.Sorted(maps.Keys(in.categories)) {
			f(in.categories[c], in, c)
		}
	}
}
