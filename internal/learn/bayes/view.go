package bayes

import (
	"maps"
	"math"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// view scores from tables of log-likelihood differences. Its structure never
// changes; the numbers in it do, each atomically, so that publishing an outcome
// costs what the outcome touched and not the size of the model. The counts of
// both classes of a value are in one number, so no reader sees half an update of
// a count.
type view struct {
	names       []string // of the tables, ascending; beside them, for seek
	tables      []*table
	prior       number // ln P(+)/P(−)
	confidence  number
	calibration calibration
}

// table is the published part of a field: a value contributes its cell's number
// and the base, which is the part of ln P(v|+)/P(v|−) that the denominators make
// and all values of the field share.
type table struct {
	bins   bool
	set    bool
	edges  []float64
	index  map[string]int32
	base   number
	unseen float64 // of a value without a cell, beside the base; 0 with counts
	cells  []number
}

// number is an atomic float64.
type number struct{ bits atomic.Uint64 }

func (n *number) load() float64   { return math.Float64frombits(n.bits.Load()) }
func (n *number) store(v float64) { n.bits.Store(math.Float64bits(v)) }

func newView(m *model) *view {
	v := &view{calibration: m.calibration}
	for _, f := range m.fields {
		if !f.used {
			continue
		}
		if f.table == nil {
			f.publish(m)
		}
		v.names, v.tables = append(v.names, f.name), append(v.tables, f.table)
	}
	v.update(m)
	return v
}

// update brings up to date what every outcome changes.
func (v *view) update(m *model) {
	v.prior.store(math.Log(m.prior(positive)) - math.Log(m.prior(negative)))
	v.confidence.store(confidence(m.samples))
}

// refresh brings the tables of the touched fields up to date and reports whether
// one of them is a new table.
func (m *model) refresh() bool {
	renewed := false
	for i, f := range m.touched {
		m.touched[i] = nil
		f.touched = false
		if f.table == nil || len(f.table.cells) != len(f.cells) {
			f.publish(m)
			renewed = true
			continue
		}
		for _, k := range f.changed {
			f.table.cells[k].store(f.evidence(m, int(k)))
			f.cells[k].changed = false
		}
		f.table.base.store(f.base(m))
		f.changed = f.changed[:0]
	}
	m.touched = m.touched[:0]
	return renewed
}

// publish makes the field's table.
func (f *field) publish(m *model) {
	t := &table{
		bins: f.kind == kindBins, set: f.kind == kindSet, edges: f.edges,
		index: maps.Clone(f.index), cells: make([]number, len(f.cells)),
	}
	if m.given {
		t.unseen = f.unseen(m)
	}
	for k := range f.cells {
		t.cells[k].store(f.evidence(m, k))
		f.cells[k].changed = false
	}
	t.base.store(f.base(m))
	f.changed = f.changed[:0]
	f.table = t
}

// evidence is the part of ln P(v|+)/P(v|−) that belongs to cell k alone; for
// probabilities made by hand it is all of it.
func (f *field) evidence(m *model, k int) float64 {
	of := f.cells[k].of
	if m.given {
		if of[positive] == 0 {
			return f.unseen(m) // a bin that the state does not list
		}
		return math.Log(of[positive]) - math.Log(of[negative])
	}
	return math.Log(of[positive]+m.cfg.alpha) - math.Log(of[negative]+m.cfg.alpha)
}

// base is the part that the denominators make.
func (f *field) base(m *model) float64 {
	if m.given {
		return 0
	}
	mass := m.cfg.alpha * f.values()
	return math.Log(f.present[negative]+mass) - math.Log(f.present[positive]+mass)
}

// unseen is what a value contributes that a hand-made state does not list: the
// Laplace mass under the weights of the classes in its counts, which without such
// weights is the same in both classes.
func (f *field) unseen(m *model) float64 {
	mass := m.cfg.alpha * float64(max(len(f.cells), 1))
	return math.Log(m.weight[negative]+mass) - math.Log(m.weight[positive]+mass)
}

// contribution returns ln P(x|+)/P(x|−) of a field's values; ok is false when they
// are missing for the field.
func (t *table) contribution(values []decision.Field) (sum float64, ok bool) {
	v := &values[0]
	switch {
	case t.bins:
		x, ok := v.Numeric()
		if !ok {
			return 0, false
		}
		return t.cells[encode.BinOf(t.edges, x)].load() + t.base.load(), true
	case v.Kind == decision.EmptySet:
		return 0, t.set
	case !t.set && v.Kind == decision.Member:
		return 0, false
	}
	base := t.base.load()
	for i := range values {
		if k := lookup(t.index, &values[i]); k >= 0 {
			sum += t.cells[k].load() + base
		} else {
			sum += t.unseen + base
		}
	}
	return sum, true
}

// logOdds returns z, and adds the fields' contributions to explain when it is not
// nil.
func (v *view) logOdds(row decision.Row, explain *[]learn.Explanation) float64 {
	z := v.prior.load()
	for i, k := 0, 0; i < len(row) && k < len(v.names); {
		name := row[i].Name
		j := i + 1
		for j < len(row) && row[j].Name == name {
			j++
		}
		k += seek(v.names[k:], name)
		if k < len(v.names) && v.names[k] == name {
			if d, ok := v.tables[k].contribution(row[i:j]); ok {
				z += d
				if explain != nil {
					*explain = append(*explain, learn.Explanation{Name: v.names[k], Value: d / v.calibration.temperature})
				}
			}
			k++
		}
		i = j
	}
	return z
}

// seek returns the first of the ascending names that is not below name. It looks
// close by first, for rows that have most of the model's fields, and then in steps
// that double, for rows that have few of them.
func seek(names []string, name string) int {
	if len(names) == 0 || names[0] >= name {
		return 0
	}
	low, step := 0, 1 // names[low] is below name
	for low+step < len(names) && names[low+step] < name {
		low += step
		step *= 2
	}
	high := min(low+step, len(names))
	for low+1 < high {
		if mid := (low + high) / 2; names[mid] < name {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// Score implements learn.View. The explanations are the fields' contributions to
// the log-odds of the score, that is after calibration, the largest first.
func (v *view) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	var explain *[]learn.Explanation
	if req.Explain {
		explain = &res.Explanations
	}
	res.Score = v.calibration.score(v.logOdds(req.Row, explain))
	res.Confidence, res.HasConfidence = v.confidence.load(), true
	if req.Explain {
		res.Baseline, res.HasBaseline = v.prior.load()/v.calibration.temperature+v.calibration.offset, true
		encode.SortExplanations(res.Explanations)
	}
}
