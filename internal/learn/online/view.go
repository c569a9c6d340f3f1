package online

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// view implements learn.View. Its fields do not change; their features' cells do,
// each in one piece.
type view struct {
	bias      *feature
	fields    []field
	normalize bool
}

// Publish implements learn.Learner. It stores the features that moved into their
// cells, where every view sees them; a new view is made only for new features.
func (l *learner) Publish() learn.View {
	for _, f := range l.dirty {
		f.dirty = false
		if f.seen > 0 {
			f.cell.store(f.weight, f.mean, f.scale())
		} else {
			f.cell.storeWeight(f.weight)
		}
	}
	l.dirty = l.dirty[:0]
	if l.view == nil || l.grown {
		l.grown = false
		l.view = &view{bias: l.bias, fields: slices.Clone(l.fields), normalize: l.normalize}
		for i := range l.fields {
			l.fields[i].shared = true
		}
	}
	return l.view
}

// Score implements learn.View. Each field has one explanation, w·x (the sum of
// them for a set); all of them and the bias add up to z.
func (v *view) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	bias, at := v.bias.cell.loadWeight(), 0
	z := bias
	var values decision.Row
	for row := req.Row; len(row) > 0; {
		values, row = encode.Cut(row)
		var found bool
		if at, found = seek(v.fields, at, values[0].Name); !found {
			continue
		}
		c, known := v.contribution(&v.fields[at], values)
		z += c
		if req.Explain && known {
			res.Explanations = append(res.Explanations, learn.Explanation{Name: v.fields[at].name, Value: c})
		}
	}
	if req.Explain {
		res.Baseline, res.HasBaseline = bias, true
		encode.SortExplanations(res.Explanations)
	}
	res.Score = learn.Sigmoid(z)
}

// contribution returns w·x of a field's values; known tells that one has a weight.
func (v *view) contribution(f *field, values decision.Row) (sum float64, known bool) {
	for i := range values {
		ft, x := f.find(&values[i])
		switch {
		case ft == nil:
			continue
		case ft == f.number && v.normalize:
			weight, mean, scale := ft.cell.load()
			sum += encode.Finite(weight * standardise(x, mean, scale))
		default:
			sum += encode.Finite(ft.cell.loadWeight() * x)
		}
		known = true
	}
	return encode.Finite(sum), known
}
