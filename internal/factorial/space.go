package factorial

import (
	"fmt"
	"maps"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Baseline is the variant of every factor's first level, number 1.
const Baseline = 0

// Space is a valid definition, made ready to count in. It is immutable.
type Space struct {
	Design, Context []Factor

	strides  []int    // of the design factors
	levels   []uint8  // variant·len(Design) + factor → level
	excluded []bool   // by variant
	allowed  []uint16 // the variants that are not, ascending

	cellStrides []uint64 // of the context factors
	cells       uint64
}

// New makes the space of a definition, which it keeps. Its error is a bad request
// that names every field at fault.
func New(d Definition) (*Space, error) {
	var p decision.Problems
	d.check(&p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	n := 1
	for i := range d.Design {
		n *= len(d.Design[i].Levels)
		if n > MaxVariants {
			return nil, decision.Invalid(designPath, "must make at most %d variants, the product of their levels, got %s", MaxVariants, product(d.Design))
		}
	}
	if got := Parameters(d.Design, d.Context); d.PairModel && got > MaxParameters {
		return nil, decision.Invalid("training_data_config", "must make at most %d parameters of levels and their pairs in a cmab, got %d; mab has no such limit", MaxParameters, got)
	}
	s := &Space{Design: d.Design, Context: d.Context, excluded: make([]bool, n)}
	s.number(n)
	s.exclude(d.Excluded, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// product writes the sizes of the factors as a product.
func product(factors []Factor) string {
	text := ""
	for i := range factors {
		if i > 0 {
			text += "·"
		}
		text += fmt.Sprint(len(factors[i].Levels))
	}
	return text
}

// number computes strides and the table of levels.
func (s *Space) number(n int) {
	s.strides = make([]int, len(s.Design))
	for f, stride := len(s.Design)-1, 1; f >= 0; f-- {
		s.strides[f] = stride
		stride *= len(s.Design[f].Levels)
	}
	s.levels = make([]uint8, n*len(s.Design))
	for v := range n {
		for f := range s.Design {
			s.levels[v*len(s.Design)+f] = uint8(v / s.strides[f] % len(s.Design[f].Levels))
		}
	}
	s.cellStrides = make([]uint64, len(s.Context))
	s.cells = 1 // at most 51^10, below 2^57
	for c := len(s.Context) - 1; c >= 0; c-- {
		s.cellStrides[c] = s.cells
		s.cells *= uint64(len(s.Context[c].Levels) + 1)
	}
}

// exclude marks the excluded variants.
func (s *Space) exclude(combinations []Combination, p *decision.Problems) {
	if len(combinations) > maxExcluded {
		p.Addf(excludedPath, "must have at most %d combinations, got %d", maxExcluded, len(combinations))
		return
	}
	for i, c := range combinations {
		path := fmt.Sprintf("%s[%d]", excludedPath, i)
		if len(c) == 0 {
			p.Addf(path, "must name at least one factor")
			continue
		}
		if fixed, ok := s.fix(c, path, p); ok {
			if !slices.ContainsFunc(fixed, func(l int) bool { return l > 0 }) {
				p.Addf(path, "must not exclude the baseline, the first level of every factor")
				continue
			}
			s.mark(fixed, 0, 0)
		}
	}
	for v, out := range s.excluded {
		if !out {
			s.allowed = append(s.allowed, uint16(v))
		}
	}
	if len(s.allowed) < 2 {
		p.Addf(excludedPath, "must leave at least 2 variants, leaves %d of %d", len(s.allowed), len(s.excluded))
	}
}

// fix returns a combination's levels by factor, −1 where it has none.
func (s *Space) fix(c Combination, path string, p *decision.Problems) (fixed []int, ok bool) {
	fixed, ok = slices.Repeat([]int{-1}, len(s.Design)), true
	for _, name := range slices.Sorted(maps.Keys(c)) {
		f := indexOf(s.Design, name)
		if f < 0 {
			p.Addf(path, "must name design factors, got %.60q", name)
			ok = false
			continue
		}
		if fixed[f] = s.Design[f].level(c[name]); fixed[f] < 0 {
			p.Addf(path+"."+name, "must be a level of the factor, got %s", c[name])
			ok = false
		}
	}
	return fixed, ok
}

// mark excludes the variants from the first on that have the fixed levels.
func (s *Space) mark(fixed []int, f, first int) {
	if f == len(fixed) {
		s.excluded[first] = true
		return
	}
	if fixed[f] >= 0 {
		s.mark(fixed, f+1, first+fixed[f]*s.strides[f])
		return
	}
	for l := range s.Design[f].Levels {
		s.mark(fixed, f+1, first+l*s.strides[f])
	}
}

func indexOf(factors []Factor, name string) int {
	for i := range factors {
		if factors[i].Name == name {
			return i
		}
	}
	return -1
}

// Variants returns the number of variants, excluded ones included.
func (s *Space) Variants() int { return len(s.excluded) }

// Allowed returns the variants that are not excluded, ascending. It is not to be
// changed.
func (s *Space) Allowed() []uint16 { return s.allowed }

// Excluded tells whether a variant is never served.
func (s *Space) Excluded(variant int) bool { return s.excluded[variant] }

// Stride returns how far apart variants are that differ by one level of a design
// factor.
func (s *Space) Stride(factor int) int { return s.strides[factor] }

// Levels returns the variant's levels by design factor. They are not to be changed.
func (s *Space) Levels(variant int) []uint8 {
	k := len(s.Design)
	return s.levels[variant*k : (variant+1)*k : (variant+1)*k]
}

// Level returns the variant's level of a design factor as clients write it.
func (s *Space) Level(variant, factor int) Value {
	return s.Design[factor].Levels[s.levels[variant*len(s.Design)+factor]]
}

// VariantOf returns the variant with the levels, all of which must be given. Its
// error is a bad request with the paths below path. Excluded variants are variants.
func (s *Space) VariantOf(levels Combination, path string) (int, error) {
	var p decision.Problems
	fixed, _ := s.fix(levels, path, &p)
	v := 0
	for f, l := range fixed {
		if _, given := levels[s.Design[f].Name]; !given {
			p.Addf(path+"."+s.Design[f].Name, "is required")
		}
		v += max(l, 0) * s.strides[f]
	}
	return v, p.Err()
}
