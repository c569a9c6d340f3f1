package bayes

import (
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// The classes, as indexes.
const (
	negative = 0
	positive = 1
)

// perClass is a quantity of both classes.
type perClass [2]float64

// model is what a learner knows: counts, or probabilities made by hand.
type model struct {
	cfg    *config
	inputs *encode.Inputs

	given  bool     // cells hold the probabilities of a hand-made state, not counts
	priors perClass // when given

	samples     uint64   // labelled rows
	weight      perClass // of those rows
	fields      []*field // ascending names
	byName      map[string]*field
	order       []*field // of the row observed last, nil where one is not learned
	cells       int      // of all fields
	calibration calibration

	changed bool     // since the last Publish
	touched []*field // fields changed since then
}

func newModel(cfg *config, inputs *encode.Inputs) *model {
	return &model{cfg: cfg, inputs: inputs, byName: make(map[string]*field), calibration: identity}
}

// observe adds one example to the counts.
func (m *model) observe(ex *learn.Example) {
	if m.given || !(ex.Weight > 0) {
		return
	}
	class := negative
	if ex.Positive {
		class = positive
	}
	m.samples++
	m.weight[class] = grown(m.weight[class], ex.Weight)
	m.changed = true
	row := ex.Row
	for i, at := 0, 0; i < len(row); at++ {
		j := i + 1
		for j < len(row) && row[j].Name == row[i].Name {
			j++
		}
		if f := m.fieldAt(at, &row[i]); f != nil && f.used && m.count(f, row[i:j], class, ex.Weight) {
			f.present[class] = grown(f.present[class], ex.Weight)
			if !f.touched {
				f.touched = true
				m.touched = append(m.touched, f)
			}
		}
		i = j
	}
}

// grown adds a weight to a count and stops where ones no longer add up.
func grown(count, weight float64) float64 { return min(count+weight, maxCount) }

// fieldAt is field for the at-th field of a row: rows mostly have the same fields,
// so it is usually that of the row before.
func (m *model) fieldAt(at int, v *decision.Field) *field {
	if at >= len(m.order) {
		m.order = append(m.order, nil)
	}
	if f := m.order[at]; f == nil || f.name != v.Name {
		m.order[at] = m.field(v)
	}
	return m.order[at]
}

// field returns the field of a value; the first value of a new field decides its
// kind. It is nil when the model does not learn from it.
func (m *model) field(v *decision.Field) *field {
	if f := m.byName[v.Name]; f != nil {
		return f
	}
	if len(m.fields) >= maxFields || len(v.Name) > maxText || !m.inputs.Uses(v.Name) {
		return nil
	}
	f := &field{name: strings.Clone(v.Name)}
	switch edges, binned := m.cfg.edges[v.Name]; {
	case binned:
		f.kind, f.edges = kindBins, edges
	case v.Kind == decision.Number:
		f.kind = kindNumbers
	case v.Kind == decision.Member || v.Kind == decision.EmptySet:
		f.kind = kindSet
	default:
		f.kind = kindCategories
	}
	if !m.add(f) {
		return nil
	}
	return f
}

// add takes over a new field; false when there is no room for its cells.
func (m *model) add(f *field) bool {
	if f.kind == kindBins && f.cells == nil {
		f.cells = make([]cell, len(f.edges)+1)
	}
	if f.index == nil && f.kind != kindBins {
		f.index = make(map[string]int32)
	}
	if m.cells+len(f.cells) > maxCells {
		return false
	}
	m.cells += len(f.cells)
	f.used = m.inputs.Uses(f.name)
	m.byName[f.name] = f
	at, _ := slices.BinarySearchFunc(m.fields, f.name, func(f *field, name string) int { return strings.Compare(f.name, name) })
	m.fields = slices.Insert(m.fields, at, f)
	return true
}

// count adds a weight to the cells of a field's values (one, or the members of a
// set) and reports whether the field was there: a value of the wrong type is
// missing, and so is one that there is no room for.
func (m *model) count(f *field, values []decision.Field, class int, weight float64) bool {
	v := &values[0]
	if f.kind == kindSet {
		for i := range values {
			if k := m.cell(f, &values[i]); k >= 0 {
				f.cells[k].grow(f, k, class, weight)
			}
		}
		return true
	}
	if v.Kind == decision.Member || v.Kind == decision.EmptySet {
		return false
	}
	if f.kind == kindNumbers {
		if v.Kind != decision.Number {
			f.kind = kindCategories
		} else if f.find(v) < 0 && len(f.cells) >= min(maxUnbinned, m.cfg.maxCategories) {
			m.cells -= len(f.cells)
			f.bin()
			m.cells += len(f.cells)
		}
	}
	k := m.cell(f, v)
	if k < 0 {
		return false
	}
	f.cells[k].grow(f, k, class, weight)
	return true
}

// cell returns the cell of a value, which a new category gets while there is
// room; −1 when there is none.
func (m *model) cell(f *field, v *decision.Field) int {
	if v.Kind == decision.EmptySet {
		return -1
	}
	k := f.find(v)
	if k >= 0 || f.kind == kindBins || len(f.cells) >= m.cfg.maxCategories || m.cells >= maxCells {
		return k
	}
	name := v.Category()
	if len(name) > maxText {
		return -1
	}
	m.cells++
	return f.append(strings.Clone(name), perClass{})
}

// prior returns P(c).
func (m *model) prior(class int) float64 {
	if m.given {
		return m.priors[class]
	}
	return (m.weight[class] + m.cfg.alpha) / (m.weight[negative] + m.weight[positive] + 2*m.cfg.alpha)
}

// likelihood returns P(v|c) of cell k.
func (m *model) likelihood(f *field, k, class int) float64 {
	if m.given {
		return f.cells[k].of[class]
	}
	alpha := m.cfg.alpha
	return (f.cells[k].of[class] + alpha) / (f.present[class] + alpha*f.values())
}
