package logistic

import (
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// table is the state, compiled for scoring: fields in the order of a row, so that
// one walk over both finds every weight. It is immutable.
type table struct {
	bias   float64
	fields []field // ascending by name
}

// field has the weights of one field's number, of its categories, or of both.
type field struct {
	name       string
	numeric    bool
	weight     float64 // when numeric
	mean       float64 // of a missing number, 0 where unknown
	categories map[string]float64
}

// Score implements learn.View. Each field has one explanation, w·x (the sum of
// them for a set); all of them and the bias add up to z.
func (t *table) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	z, row := t.bias, req.Row
	for k := range t.fields {
		f := &t.fields[k]
		var values decision.Row
		for len(row) > 0 {
			if row[0].Name == f.name {
				values, row = encode.Cut(row)
				break
			}
			if row[0].Name > f.name {
				break
			}
			row = row[1:]
		}
		c := f.contribution(values)
		z += c
		if req.Explain && (values != nil || c != 0) {
			res.Explanations = append(res.Explanations, learn.Explanation{Name: f.name, Value: c})
		}
	}
	if req.Explain {
		res.Baseline, res.HasBaseline = t.bias, true
		encode.SortExplanations(res.Explanations)
	}
	res.Score = learn.Sigmoid(z)
}

// contribution returns w·x of the row's values of this field, none or more.
func (f *field) contribution(values []decision.Field) float64 {
	if len(values) == 1 && f.numeric {
		if x, ok := values[0].Numeric(); ok {
			return encode.Finite(f.weight * x)
		}
	}
	sum := encode.Finite(f.weight * f.mean)
	if f.categories == nil {
		return sum
	}
	for i := range values {
		v := &values[i]
		switch v.Kind {
		case decision.Text, decision.Member:
			sum += f.categories[v.Text]
		case decision.Number, decision.Bool:
			var text [32]byte // the longest float64 takes 24
			sum += f.categories[string(encode.AppendCategory(text[:0], v))]
		}
	}
	return encode.Finite(sum)
}

// builder collects the weights of a table in any order.
type builder struct {
	bias   float64
	fields map[string]*field
}

func newBuilder() *builder { return &builder{fields: make(map[string]*field)} }

func (b *builder) field(name string) *field {
	f := b.fields[name]
	if f == nil {
		f = &field{name: name}
		b.fields[name] = f
	}
	return f
}

func (b *builder) number(name string, weight, mean float64) {
	f := b.field(name)
	f.numeric, f.weight, f.mean = true, weight, mean+0 // no −0, which JSON would drop
}

func (b *builder) category(name, value string, weight float64) {
	f := b.field(name)
	if f.categories == nil {
		f.categories = make(map[string]float64)
	}
	f.categories[value] = weight
}

func (b *builder) table() *table {
	t := &table{bias: b.bias, fields: make([]field, 0, len(b.fields))}
	for _, f := range b.fields {
		t.fields = append(t.fields, *f)
	}
	slices.SortFunc(t.fields, func(x, y field) int { return strings.Compare(x.name, y.name) })
	return t
}
