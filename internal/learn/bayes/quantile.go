package bayes

import (
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// quantileBins is how many bins training makes of a numeric field, at most.
const quantileBins = 10

// quantileEdges returns the inner edges of bins of about equal weight: the i-th
// is the value at which the cumulative weight passes i tenths of the total. Equal
// edges fall together, and one that would leave the first bin empty is left out,
// so a field of few different values has fewer bins. values are ascending; nil
// weights are ones.
func quantileEdges(values, weights []float64) []float64 {
	weight := func(i int) float64 {
		if weights == nil {
			return 1
		}
		return weights[i]
	}
	total := 0.0
	for i := range values {
		total += weight(i)
	}
	edges := []float64{}
	cumulative, next := 0.0, 1
	for i, v := range values {
		cumulative += weight(i)
		passed := false
		for next < quantileBins && cumulative > float64(next)*total/quantileBins {
			passed = true
			next++
		}
		if passed && v > values[0] && (len(edges) == 0 || v > edges[len(edges)-1]) {
			edges = append(edges, v)
		}
	}
	return edges
}

// maxSample is how many values of a field its quantiles are taken from. The
// standard error of a decile of so many is below 0.28 percentiles (√(¼/n)), far
// below what moves a bin's likelihood, and a thousand fields take 256 MB.
const maxSample = 1 << 15

// profile finds out which fields of the training rows are numeric, and their
// quantiles.
type profile struct {
	cfg    *config
	inputs *encode.Inputs
	fields map[string]*fieldProfile
}

// fieldProfile is what the rows say of one field; mixed tells that it gets no
// quantiles: some value was not a number, or its bins are made by hand.
type fieldProfile struct {
	sample encode.Sample
	mixed  bool
}

func newProfile(cfg *config, inputs *encode.Inputs) *profile {
	return &profile{cfg: cfg, inputs: inputs, fields: make(map[string]*fieldProfile)}
}

func (p *profile) observe(row decision.Row) {
	for i := range row {
		v := &row[i]
		f := p.fields[v.Name]
		if f == nil {
			if len(p.fields) >= maxFields || !p.inputs.Uses(v.Name) {
				continue
			}
			f = &fieldProfile{sample: encode.Sample{Most: maxSample}}
			_, f.mixed = p.cfg.edges[v.Name]
			p.fields[strings.Clone(v.Name)] = f
		}
		switch {
		case f.mixed:
		case v.Kind == decision.Number:
			f.sample.Add(v.Num)
		default:
			f.mixed, f.sample = true, encode.Sample{}
		}
	}
}

// edges returns the edges of every numeric field: those made by hand, and the
// quantiles of the others.
func (p *profile) edges() map[string][]float64 {
	edges := make(map[string][]float64, len(p.fields))
	for name, list := range p.cfg.edges {
		edges[name] = list
	}
	for name, f := range p.fields {
		if !f.mixed {
			slices.Sort(f.sample.Values)
			edges[name] = quantileEdges(f.sample.Values, nil)
		}
	}
	return edges
}
