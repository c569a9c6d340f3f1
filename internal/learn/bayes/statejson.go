package bayes

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// stateJSON is the state in the shape of the API. It holds either counts.fields,
// from which priors and likelihoods follow, or priors and likelihoods alone.
type stateJSON struct {
	Priors      byClass[float64]                       `json:"priors"`
	Likelihoods map[string]byClass[map[string]float64] `json:"likelihoods"`
	BinEdges    map[string][]float64                   `json:"binEdges"`
	Counts      countsJSON                             `json:"counts"`
	Calibration calibrationJSON                        `json:"calibration"`
}

type byClass[T any] struct {
	Positive T `json:"positive"`
	Negative T `json:"negative"`
}

type countsJSON struct {
	Samples uint64 `json:"samples"`
	byClass[float64]
	Fields map[string]fieldJSON `json:"fields,omitzero"`
}

type fieldJSON struct {
	Kind    string           `json:"kind"`
	Present byClass[float64] `json:"present"`
	byClass[map[string]float64]
}

type calibrationJSON struct {
	Temperature float64 `json:"temperature"`
	Offset      float64 `json:"offset"`
}

func classes(p perClass) byClass[float64] {
	return byClass[float64]{Positive: p[positive], Negative: p[negative]}
}

func (m *model) json() (json.RawMessage, error) {
	s := stateJSON{
		Priors:      classes(perClass{negative: m.prior(negative), positive: m.prior(positive)}),
		Likelihoods: make(map[string]byClass[map[string]float64], len(m.fields)),
		BinEdges:    make(map[string][]float64),
		Counts:      countsJSON{Samples: m.samples, byClass: classes(m.weight)},
		Calibration: calibrationJSON{m.calibration.temperature, m.calibration.offset},
	}
	if !m.given {
		s.Counts.Fields = make(map[string]fieldJSON, len(m.fields))
	}
	for _, f := range m.fields {
		if f.kind == kindBins {
			s.BinEdges[f.name] = append([]float64{}, f.edges...)
		}
		s.Likelihoods[f.name] = m.perCell(f, func(k, class int) float64 { return m.likelihood(f, k, class) })
		if !m.given {
			counts := m.perCell(f, func(k, class int) float64 { return f.cells[k].of[class] })
			s.Counts.Fields[f.name] = fieldJSON{Kind: kindNames[f.kind], Present: classes(f.present), byClass: counts}
		}
	}
	return json.Marshal(s)
}

// perCell collects a quantity of every cell, without the bins that a hand-made
// state does not list.
func (m *model) perCell(f *field, of func(k, class int) float64) byClass[map[string]float64] {
	out := byClass[map[string]float64]{
		Positive: make(map[string]float64, len(f.cells)), Negative: make(map[string]float64, len(f.cells)),
	}
	for k := range f.cells {
		if m.given && f.cells[k].of == (perClass{}) {
			continue
		}
		name := f.cellName(k)
		out.Positive[name], out.Negative[name] = of(k, positive), of(k, negative)
	}
	return out
}

// stateReader reads the API's modelState into a new model.
type stateReader struct {
	m        *model
	problems *decision.Problems
	root     encode.Object
	edges    map[string][]float64
}

// readState fills the new model m from a state; it is of use only when no problem
// was noted.
func readState(m *model, raw json.RawMessage, problems *decision.Problems) *model {
	root := encode.ReadObject(raw, "modelState", problems)
	r := &stateReader{m: m, problems: problems, root: root, edges: readEdges(root.Object("binEdges"), problems)}
	counts := root.Object("counts")
	m.weight = perClass{negative: counts.Float("negative", 0, 0, maxCount), positive: counts.Float("positive", 0, 0, maxCount)}
	m.samples = uint64(counts.Int("samples", int64(math.Round(min(m.weight[negative]+m.weight[positive], maxCount))), 0, maxCount))
	calibrated := root.Object("calibration")
	m.calibration = calibration{
		// The bounds keep z/temperature finite.
		temperature: calibrated.Float("temperature", 1, 1e-6, math.MaxFloat64),
		offset:      calibrated.Float("offset", 0, -1e6, 1e6),
	}
	priors, likelihoods := root.Object("priors"), root.Object("likelihoods")
	m.given = !counts.Has("fields") && (len(priors.Keys()) > 0 || len(likelihoods.Keys()) > 0)
	if m.given {
		r.given(priors, likelihoods)
	} else {
		r.counted(counts.Object("fields"))
		r.agree(priors, likelihoods)
	}
	return m
}

// probability reads a number above 0 and up to 1.
func (r *stateReader) probability(o encode.Object, key string) float64 {
	if !o.Has(key) {
		r.problems.Addf(o.Path(key), "is missing")
		return 1
	}
	return o.Float(key, 1, math.SmallestNonzeroFloat64, 1)
}

// given reads a state of probabilities.
func (r *stateReader) given(priors, likelihoods encode.Object) {
	r.m.priors = perClass{0.5, 0.5}
	if len(priors.Keys()) > 0 {
		r.m.priors = perClass{negative: r.probability(priors, "negative"), positive: r.probability(priors, "positive")}
	}
	for _, name := range likelihoods.Keys() {
		f := r.field(name, likelihoods.Path(name), kindSet)
		if f == nil {
			continue
		}
		r.cells(f, likelihoods.Object(name), r.probability)
		r.add(f, likelihoods.Path(name))
	}
	r.addEdges()
}

// counted reads a state of counts.
func (r *stateReader) counted(fields encode.Object) {
	for _, name := range fields.Keys() {
		o := fields.Object(name)
		_, binned := r.edges[name]
		f := r.field(name, fields.Path(name), kindCategories)
		if f == nil {
			continue
		}
		kindName := o.Choice("kind", kindNames[f.kind], kindNames[kindBins:]...)
		if (kindName == kindNames[kindBins]) != binned {
			r.problems.Addf(o.Path("kind"), "got %s, want bins where modelState.binEdges has the field, and only there", kindName)
			continue
		}
		f.kind = kind(slices.Index(kindNames, kindName))
		r.cells(f, o, func(o encode.Object, key string) float64 { return o.Float(key, 0, 0, maxCount) })
		r.present(f, o)
		r.add(f, fields.Path(name))
	}
	r.addEdges()
}

// field makes the field of a name, of bins where it has edges, else of the kind
// other; nil when the name is too long.
func (r *stateReader) field(name, path string, other kind) *field {
	if len(name) > maxText {
		r.problems.Addf(path, "got a name of %d bytes, want at most %d", len(name), maxText)
		return nil
	}
	f := &field{name: name, kind: other, index: make(map[string]int32)}
	if edges, binned := r.edges[name]; binned {
		f.kind, f.edges, f.index = kindBins, edges, nil
		f.cells = make([]cell, len(edges)+1)
	}
	return f
}

func (r *stateReader) add(f *field, path string) {
	switch {
	case len(r.m.fields) >= maxFields:
		r.problems.Addf(path, "got more than %d fields", maxFields)
	case !r.m.add(f):
		r.problems.Addf(path, "got more than %d bins and categories in all", maxCells)
	}
}

// addEdges keeps the bins of fields without counts.
func (r *stateReader) addEdges() {
	edges := r.root.Object("binEdges")
	for _, name := range edges.Keys() {
		if _, ok := r.edges[name]; ok && r.m.byName[name] == nil && !r.m.given {
			r.add(r.field(name, edges.Path(name), kindBins), edges.Path(name))
		}
	}
}

// cells reads the values of both classes, which must be the same ones.
func (r *stateReader) cells(f *field, o encode.Object, read func(encode.Object, string) float64) {
	of := [2]encode.Object{negative: o.Object("negative"), positive: o.Object("positive")}
	names := slices.Concat(of[negative].Keys(), of[positive].Keys())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		path := of[positive].Path(name)
		if !of[positive].Has(name) || !of[negative].Has(name) {
			if of[positive].Has(name) {
				path = of[negative].Path(name)
			}
			r.problems.Addf(path, "is missing: both classes must list the same values")
			continue
		}
		pair := perClass{negative: read(of[negative], name), positive: read(of[positive], name)}
		if f.kind != kindBins {
			if len(name) > maxText {
				r.problems.Addf(path, "got a value of %d bytes, want at most %d", len(name), maxText)
				continue
			}
			if f.kind == kindNumbers && !isNumber(name) {
				r.problems.Addf(path, "got %q, want a number, as the kind of the field says", name)
				continue
			}
			f.append(name, pair)
			continue
		}
		k, ok := binIndex(name)
		if !ok || k >= len(f.cells) {
			r.problems.Addf(path, "got bin %q, want b0 to %s for %d edges", name, binName(len(f.edges)), len(f.edges))
			continue
		}
		f.cells[k].of = pair
	}
}

// present reads the weight of the rows that had the field: for one value a row
// the sum of its counts, unless the state says otherwise.
func (r *stateReader) present(f *field, o encode.Object) {
	const slack = 1e-9 // relative, for the rounding of sums
	present := o.Object("present")
	for class, name := range [2]string{negative: "negative", positive: "positive"} {
		var sum, largest float64
		for k := range f.cells {
			sum += f.cells[k].of[class]
			largest = max(largest, f.cells[k].of[class])
		}
		least := sum
		if f.kind == kindSet {
			least = largest
		}
		f.present[class] = present.Float(name, min(least, maxCount), 0, maxCount)
		if f.present[class] < least*(1-slack) {
			r.problems.Addf(present.Path(name), "got %g, want at least %g, the counts of the values", f.present[class], least)
		}
	}
}

// agree checks priors and likelihoods that stand beside the counts they follow
// from: if they were changed by hand, that must not be lost without a word.
func (r *stateReader) agree(priors, likelihoods encode.Object) {
	r.same(priors, "negative", r.m.prior(negative))
	r.same(priors, "positive", r.m.prior(positive))
	for _, name := range likelihoods.Keys() {
		f := r.m.byName[name]
		if f == nil {
			r.problems.Addf(likelihoods.Path(name), "is not in counts.fields; leave counts.fields out to score by likelihoods")
			continue
		}
		known := make(map[string]int, len(f.cells))
		for k := range f.cells {
			known[f.cellName(k)] = k
		}
		for class, className := range [2]string{negative: "negative", positive: "positive"} {
			o := likelihoods.Object(name).Object(className)
			for _, value := range o.Keys() {
				if k, ok := known[value]; ok {
					r.same(o, value, r.m.likelihood(f, k, class))
				} else {
					r.problems.Addf(o.Path(value), "is not in counts.fields.%s", name)
				}
			}
		}
	}
}

func (r *stateReader) same(o encode.Object, key string, want float64) {
	const tolerance = 1e-6 // relative, for clients that round
	if got := o.Float(key, want, 0, 1); math.Abs(got-want) > tolerance*want {
		r.problems.Addf(o.Path(key), "got %g, but counts.fields gives %.6g; leave one of them out", got, want)
	}
}
