package posterior

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// Standard deviations of the priors.
const (
	interceptDeviation = 3
	mainDeviation      = 1
	pairDeviation      = 0.5
)

// design numbers the parameters of the regression over a space:
//
//	0                     the intercept
//	main[f] + l−1         level l ≥ 1 of design factor f
//	context[c] + l−1      level l ≥ 1 of context factor c; the last is unknown
//	pair[f][g] + (l−1)·(L_g−1) + m−1     levels l of f and m of g > f
//	cross[f][c] + (l−1)·L_c + m−1        levels l of f and m of context factor c
type design struct {
	space         *factorial.Space
	size          int
	main, context []int
	pair, cross   [][]int
	firstPair     int // from here on parameters are of pairs
}

func newDesign(s *factorial.Space) *design {
	d := &design{space: s, size: 1}
	take := func(n int) int {
		at := d.size
		d.size += n
		return at
	}
	for f := range s.Design {
		d.main = append(d.main, take(len(s.Design[f].Levels)-1))
	}
	for c := range s.Context {
		d.context = append(d.context, take(len(s.Context[c].Levels)))
	}
	d.firstPair = d.size
	for f := range s.Design {
		n := len(s.Design[f].Levels) - 1
		pair, cross := make([]int, len(s.Design)), make([]int, len(s.Context))
		for g := f + 1; g < len(s.Design); g++ {
			pair[g] = take(n * (len(s.Design[g].Levels) - 1))
		}
		for c := range s.Context {
			cross[c] = take(n * len(s.Context[c].Levels))
		}
		d.pair, d.cross = append(d.pair, pair), append(d.cross, cross)
	}
	return d
}

// deviation returns the standard deviation of a parameter's prior.
func (d *design) deviation(parameter int) float64 {
	switch {
	case parameter == 0:
		return interceptDeviation
	case parameter < d.firstPair:
		return mainDeviation
	}
	return pairDeviation
}

// appendEffects appends the parameters that are in effect, each with the factor 1,
// for a variant in a cell.
func (d *design) appendEffects(dst []int, variant int, cell uint64) []int {
	s := d.space
	dst = append(dst, 0)
	levels := s.Levels(variant)
	for c := range s.Context {
		if m := s.CellLevel(cell, c); m > 0 {
			dst = append(dst, d.context[c]+m-1)
		}
	}
	for f, l := range levels {
		if l == 0 {
			continue
		}
		dst = append(dst, d.main[f]+int(l)-1)
		for g := f + 1; g < len(levels); g++ {
			if m := levels[g]; m > 0 {
				dst = append(dst, d.pair[f][g]+(int(l)-1)*(len(s.Design[g].Levels)-1)+int(m)-1)
			}
		}
		for c := range s.Context {
			if m := s.CellLevel(cell, c); m > 0 {
				dst = append(dst, d.cross[f][c]+(int(l)-1)*len(s.Context[c].Levels)+m-1)
			}
		}
	}
	return dst
}

// maxBias bounds what a bias multiplies by; beyond it nothing changes but that
// numbers overflow.
const maxBias = 1e6

// widths returns by parameter what the bias of the design factors, by factor,
// multiplies a draw's distance from the mean by: 1 + b[f] for the levels of f,
// 1 + the greater one for pairs of design factors, 1 + b[f] for f and a context.
// It returns nil for no bias.
func (d *design) widths(bias []float64) []float64 {
	if !slices.ContainsFunc(bias, func(b float64) bool { return b > 0 }) {
		return nil
	}
	w := slices.Repeat([]float64{1}, d.size)
	set := func(at, n int, b float64) {
		for i := range n {
			w[at+i] = 1 + min(b, maxBias)
		}
	}
	s := d.space
	for f := range s.Design {
		n := len(s.Design[f].Levels) - 1
		set(d.main[f], n, bias[f])
		for g := f + 1; g < len(s.Design); g++ {
			set(d.pair[f][g], n*(len(s.Design[g].Levels)-1), max(bias[f], bias[g]))
		}
		for c := range s.Context {
			set(d.cross[f][c], n*len(s.Context[c].Levels), bias[f])
		}
	}
	return w
}

// share is how much of a context there is.
type share struct {
	level  int // from 1
	weight float64
}

// place is where values are predicted: a context cell, or a mean of several.
type place struct {
	contexts [][]share // by context factor
}

// placeOf returns a cell.
func (d *design) placeOf(cell uint64) place {
	p := place{make([][]share, len(d.space.Context))}
	for c := range d.space.Context {
		if m := d.space.CellLevel(cell, c); m > 0 {
			p.contexts[c] = []share{{m, 1}}
		}
	}
	return p
}

// meanPlace returns the mean of the cells of what was observed.
func (d *design) meanPlace(observed []factorial.Observed) place {
	p := place{make([][]share, len(d.space.Context))}
	total := 0.0
	for i := range observed {
		total += float64(observed[i].N)
	}
	for c := range d.space.Context {
		weights := make([]float64, len(d.space.Context[c].Levels)+1)
		for i := range observed {
			weights[d.space.CellLevel(observed[i].Cell, c)] += float64(observed[i].N)
		}
		for m := 1; m < len(weights); m++ {
			if weights[m] > 0 {
				p.contexts[c] = append(p.contexts[c], share{m, weights[m] / total})
			}
		}
	}
	return p
}
