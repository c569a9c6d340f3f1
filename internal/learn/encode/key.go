package encode

import (
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// keySeparator stands between the field and the value in a category's key.
const keySeparator = "="

// Key returns the key of a category's weight.
func Key(field, category string) string { return field + keySeparator + category }

// SplitKey splits the key of a weight. The first "=" ends the field's name, so a
// value may hold more of them and a field's name none: see Inputs.
func SplitKey(key string) (field, category string, isCategory bool) {
	return strings.Cut(key, keySeparator)
}

// AppendCategory appends the text of f's value as a category's name, as
// decision.Field.Category gives it but into memory of the caller.
func AppendCategory(dst []byte, f *decision.Field) []byte { return f.AppendCategory(dst) }

// Cut returns the values of a row's first field, one or the members of a set, and
// the rest of the row. The row must not be empty.
func Cut(row decision.Row) (values, rest decision.Row) {
	n := 1
	for row[0].Kind == decision.Member && n < len(row) && row[n].Name == row[0].Name {
		n++
	}
	return row[:n], row[n:]
}

// Inputs answers which fields are inputs of a model: those of learn.Spec.Uses
// whose name has no "=" (such a field cannot have a key). It answers in constant
// time.
type Inputs struct {
	target   string
	named    map[string]bool // true: an input; false: refused
	selected bool            // only named fields are inputs
}

// NewInputs compiles the inputs of a specification.
func NewInputs(spec *learn.Spec) *Inputs {
	in := &Inputs{target: spec.TargetField, named: make(map[string]bool)}
	for _, p := range spec.Predictors {
		if _, seen := in.named[p.Field]; !seen {
			in.named[p.Field] = spec.Uses(p.Field)
		}
		in.selected = in.selected || p.Selected == nil || *p.Selected
	}
	for _, name := range spec.InteractionInputs {
		in.named[name] = spec.Uses(name)
	}
	return in
}

// Uses reports whether field is an input.
func (in *Inputs) Uses(field string) bool {
	use, named := in.named[field]
	switch {
	case strings.Contains(field, keySeparator), field == in.target && field != "":
		return false
	case named:
		return use
	}
	return !in.selected
}
