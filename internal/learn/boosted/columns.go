package boosted

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Column says where a feature of the model gets its value from.
type Column struct {
	// Name is the field.
	Name string `json:"name"`
	// Member, where set, makes the column 1 for a row whose field is a set with
	// this member, 0 for a set without it, and missing for everything else.
	Member string `json:"member,omitempty"`
	// Categorical columns have the place in Categories of the value's category
	// (decision.Field.Category); a value that is not listed is missing.
	Categorical bool     `json:"categorical,omitempty"`
	Categories  []string `json:"categories,omitempty"`
}

// setPandas takes pandas_categorical: the categories of the columns that were of
// pandas' type category, in the order of the columns.
func (m *model) setPandas(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	var lists [][]json.RawMessage
	if err := json.Unmarshal(raw, &lists); err != nil {
		return problemf("pandas_categorical", "got %s, want a list of lists of categories", encode.Excerpt(raw))
	}
	for _, l := range lists {
		categories := make([]string, len(l))
		for i, item := range l {
			var ok bool
			if categories[i], ok = categoryOf(item); !ok {
				return problemf("pandas_categorical", "got %s, want a text, a number or a truth value", encode.Excerpt(item))
			}
		}
		m.categories = append(m.categories, categories)
	}
	return nil
}

// categoryOf returns a category of pandas as a field's value of the same text,
// number or truth is named: 2.0 is "2".
func categoryOf(raw json.RawMessage) (string, bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	f := decision.Field{Kind: decision.Number}
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		f.Kind = decision.Bool
		if v {
			f.Num = 1
		}
	case float64:
		f.Num = v
	default:
		return "", false
	}
	return f.Category(), true
}

// columns returns where the model's features get their values from, by its own
// names and pandas_categorical.
func (m *model) columns() ([]Column, error) {
	columns := make([]Column, len(m.names))
	for i, name := range m.names {
		columns[i].Name = name
	}
	if len(m.categories) == 0 {
		return columns, nil
	}
	features := m.categoricalFeatures(len(m.categories))
	if features == nil {
		return nil, problemf("pandas_categorical",
			"has %d lists of categories, and the model does not tell which features they belong to; give \"columns\"", len(m.categories))
	}
	for k, i := range features {
		if n := len(m.categories[k]); m.infos[i].kind == categoricalInfo && m.infos[i].highest >= n {
			return nil, problemf("pandas_categorical",
				"has %d categories in list %d, feature %q has the code %d; give \"columns\"", n, k, m.names[i], m.infos[i].highest)
		}
		columns[i].Categorical, columns[i].Categories = true, m.categories[k]
	}
	return columns, nil
}

// categoricalFeatures returns the n features that pandas_categorical is about,
// nil when they are not certain: those the training was told, else those with
// codes, else those with codes and those that the training dropped because they
// never vary.
func (m *model) categoricalFeatures(n int) []int {
	var coded, all []int
	for i, in := range m.infos {
		if in.kind == categoricalInfo {
			coded = append(coded, i)
		}
		if in.kind != numericalInfo {
			all = append(all, i)
		}
	}
	for _, features := range [][]int{m.parametric, coded, all} {
		if len(features) == n {
			return features
		}
	}
	return nil
}

// Bounds of a state's columns.
const (
	maxNameLength      = 4096
	maxColumnsCategory = 1 << 20
)

// checkColumns reports what is wrong with columns for a model of n features.
func checkColumns(columns []Column, n int) error {
	if len(columns) != n {
		return problemf("columns", "got %d, want %d, one per feature of the model", len(columns), n)
	}
	type key struct{ name, member string }
	seen := make(map[key]bool, n)
	for i := range columns {
		c := &columns[i]
		place := fmt.Sprintf("columns[%d]", i)
		k := key{c.Name, c.Member}
		switch {
		case c.Name == "" || len(c.Name) > maxNameLength:
			return problemf(place+".name", "got %d bytes, want 1 to %d", len(c.Name), maxNameLength)
		case seen[k]:
			return problemf(place+".name", "got %s twice", quote(c.Name))
		case c.Member != "" && c.Categorical:
			return problemf(place+".member", "got %s in a categorical column, want one or the other", quote(c.Member))
		case !c.Categorical && len(c.Categories) > 0:
			return problemf(place+".categories", "got %d in a column that is not categorical", len(c.Categories))
		case len(c.Categories) > maxColumnsCategory:
			return problemf(place+".categories", "got %d, want at most %d", len(c.Categories), maxColumnsCategory)
		}
		seen[k] = true
		sorted := slices.Sorted(slices.Values(c.Categories))
		if len(slices.Compact(sorted)) != len(c.Categories) {
			return problemf(place+".categories", "got a category twice")
		}
	}
	return nil
}
