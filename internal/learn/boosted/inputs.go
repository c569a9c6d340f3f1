package boosted

import (
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// inputs reads the features of a row.
type inputs struct {
	fields []field // ascending by name
	n      int     // values of a row
}

// field is where a field's value goes: at most one value column, any number of
// members.
type field struct {
	name    string
	value   int // index of the value column, −1 for none
	codes   map[string]float64
	coded   bool // the value column is categorical
	members map[string]int
}

// newInputs compiles the columns whose index is in use; the i-th of those is the
// i-th value of a row.
func newInputs(columns []Column, use []int) *inputs {
	in := &inputs{n: len(use)}
	byName := make(map[string]int, len(use))
	for x, i := range use {
		c := &columns[i]
		k, ok := byName[c.Name]
		if !ok {
			k = len(in.fields)
			byName[c.Name] = k
			in.fields = append(in.fields, field{name: c.Name, value: -1})
		}
		f := &in.fields[k]
		if c.Member != "" {
			if f.members == nil {
				f.members = make(map[string]int)
			}
			f.members[c.Member] = x
			continue
		}
		f.value, f.coded = x, c.Categorical
		if c.Categorical {
			f.codes = make(map[string]float64, len(c.Categories))
			for code, name := range slices.Backward(c.Categories) { // of equal names the first counts
				f.codes[name] = float64(code)
			}
		}
	}
	slices.SortFunc(in.fields, func(a, b field) int {
		if a.name < b.name {
			return -1
		}
		return 1 // names are distinct
	})
	return in
}

// read fills x with the features of a row, NaN where missing. Numbers that
// LightGBM takes for zero are 0.
func (in *inputs) read(row decision.Row, x []float64) {
	for i := range x {
		x[i] = math.NaN()
	}
	for k := range in.fields {
		f := &in.fields[k]
		for len(row) > 0 {
			if row[0].Name == f.name {
				var values decision.Row
				values, row = encode.Cut(row)
				f.read(values, x)
				break
			}
			if row[0].Name > f.name {
				break
			}
			row = row[1:]
		}
	}
}

func (f *field) read(values decision.Row, x []float64) {
	v := &values[0]
	if v.Kind == decision.Member || v.Kind == decision.EmptySet {
		f.readSet(values, x)
		return
	}
	if f.value < 0 {
		return
	}
	if f.coded {
		if code, ok := f.code(v); ok {
			x[f.value] = code
		}
		return
	}
	if num, ok := v.Numeric(); ok {
		if math.Abs(num) <= zeroThreshold {
			num = 0
		}
		x[f.value] = num
	}
}

func (f *field) code(v *decision.Field) (code float64, ok bool) {
	if v.Kind == decision.Text {
		code, ok = f.codes[v.Text]
		return code, ok
	}
	var text [32]byte // the longest float64 takes 24
	code, ok = f.codes[string(v.AppendCategory(text[:0]))]
	return code, ok
}

func (f *field) readSet(values decision.Row, x []float64) {
	for _, i := range f.members {
		x[i] = 0
	}
	for i := range values {
		if k, ok := f.members[values[i].Text]; ok && values[i].Kind == decision.Member {
			x[k] = 1
		}
	}
}
