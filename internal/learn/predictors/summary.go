package predictors

import (
	"cmp"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// report makes the report of the counts.
func (m *measurement) report() *Report {
	r := &Report{
		SampleCount: m.total.samples(), Positives: m.total.positiveCount(),
		PositiveRate: share(m.total.positiveCount(), m.total.samples()),
		TrainedAt:    m.TrainedAt, Window: Window{From: decision.Time(m.recentFrom), To: m.Now},
		RecentCount: m.total.recent, Predictors: []Predictor{},
	}
	importance := make(map[string]*float64)
	for i := range m.Spec.Predictors {
		p := &m.Spec.Predictors[i]
		importance[p.Field] = p.Importance
	}
	for _, f := range m.fields {
		if f.used {
			from := len(r.Predictors)
			r.Predictors = m.summarise(r.Predictors, f)
			for i := range r.Predictors[from:] {
				r.Predictors[from+i].Importance = importance[f.name]
			}
		}
	}
	slices.SortFunc(r.Predictors, func(a, b Predictor) int {
		return cmp.Or(cmp.Compare(b.AUC, a.AUC), strings.Compare(a.Field, b.Field), strings.Compare(a.Member, b.Member))
	})
	r.Truncated = m.truncated || len(r.Predictors) > m.MaxPredictors
	r.Predictors = slices.Clip(r.Predictors[:min(len(r.Predictors), m.MaxPredictors)])
	return r
}

// summarise appends the predictors of a field: one, or one for each member of a
// set.
func (m *measurement) summarise(dst []Predictor, f *field) []Predictor {
	missing := m.total.minus(f.present)
	if f.kind == Set && len(f.names) == 0 {
		empty := []Bin{{Kind: Value, Name: "empty"}}
		return append(dst, m.predictor(Predictor{Field: f.name, Kind: Set}, empty, []tally{f.present, missing}))
	}
	if f.kind != Set {
		p := Predictor{Field: f.name, Kind: f.kind}
		if f.kind == Number {
			rank := rankAUC(f.cells)
			p.RankAUC = &rank
		}
		return append(dst, m.predictor(p, f.bins(), append(slices.Clip(f.cells), missing)))
	}
	for k, name := range f.names {
		cells := []tally{f.present.minus(f.cells[k]), f.cells[k], missing}
		dst = append(dst, m.predictor(Predictor{Field: f.name, Member: name, Kind: Member}, booleanBins(), cells))
	}
	return dst
}

// predictor fills p from its cells, whose last one is of the rows without a value;
// bins say what they are.
func (m *measurement) predictor(p Predictor, bins []Bin, cells []tally) Predictor {
	missing := &cells[len(cells)-1]
	p.Bins = []Bin{}
	p.Samples = m.total.samples() - missing.samples()
	p.MissingRate = share(missing.samples(), m.total.samples())
	p.AUC = auc(cells, &m.total)
	if m.TrainedAt != 0 {
		if index, ok := psi(cells); ok {
			p.PSI = &index
		}
	}
	rate := share(m.total.positiveCount(), m.total.samples())
	for k := range cells {
		t, b := &cells[k], Bin{Kind: Missing, Name: "missing"}
		if k < len(bins) {
			b = bins[k]
		}
		if t.empty() && (b.Kind == Missing || b.Kind == Other) {
			continue
		}
		b.Samples, b.Positives, b.Recent = t.samples(), t.positiveCount(), t.recent
		b.Propensity = propensity(b.Positives, b.Samples, rate)
		b.Share = share(b.Samples, m.total.samples())
		if m.total.recent > 0 {
			recent := share(b.Recent, m.total.recent)
			b.RecentShare = &recent
		}
		p.Bins = append(p.Bins, b)
	}
	return p
}

// bins describes the field's cells.
func (f *field) bins() []Bin {
	switch f.kind {
	case Boolean:
		return booleanBins()
	case Number:
		bins := make([]Bin, len(f.cells))
		for k := range bins {
			bins[k] = rangeBin(f.edges, k)
		}
		return bins
	case Category:
		var bins []Bin
		for _, name := range f.names {
			bins = append(bins, Bin{Kind: Value, Name: name})
		}
		return append(bins, Bin{Kind: Other, Name: "other"})
	}
	return nil
}

func booleanBins() []Bin { return []Bin{{Kind: Value, Name: "false"}, {Kind: Value, Name: "true"}} }

// rangeBin describes the k-th bin between the edges.
func rangeBin(edges []float64, k int) Bin {
	b := Bin{Kind: Range, Name: "any"}
	if k > 0 {
		b.From = &edges[k-1]
		b.Name = ">= " + number(*b.From)
	}
	if k < len(edges) {
		b.To = &edges[k]
		b.Name = "< " + number(*b.To)
	}
	if b.From != nil && b.To != nil {
		b.Name = "[" + number(*b.From) + ", " + number(*b.To) + ")"
	}
	return b
}

// number returns the shortest decimal text, as JSON has it.
func number(v float64) string {
	f := decision.Field{Kind: decision.Number, Num: v}
	return f.Category()
}
