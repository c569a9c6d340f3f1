package factorial

// Observed is what was seen of one variant in one context cell: a sufficient
// statistic of its rewards.
type Observed struct {
	Variant    int
	Cell       uint64
	N          uint64  // exposures
	Sum, SumSq float64 // of the rewards y attributed to each: Σy and Σy²
}

// Cells returns the number of context cells, 1 without context factors.
func (s *Space) Cells() uint64 { return s.cells }

// UnknownCell is the cell in which nothing is known.
func (s *Space) UnknownCell() uint64 { return s.cells - 1 }

// ContextFactor returns the index of a context factor, −1 when there is none.
func (s *Space) ContextFactor(name string) int { return indexOf(s.Context, name) }

// ContextLevel returns the index of a context factor's level, the one of unknown
// when it has no such level.
func (s *Space) ContextLevel(factor int, v Value) int {
	if l := s.Context[factor].level(v); l >= 0 {
		return l
	}
	return len(s.Context[factor].Levels)
}

// CellLevel returns the level of a context factor in a cell.
func (s *Space) CellLevel(cell uint64, factor int) int {
	return int(cell / s.cellStrides[factor] % uint64(len(s.Context[factor].Levels)+1))
}

// WithLevel returns the cell that differs in the level of one context factor.
func (s *Space) WithLevel(cell uint64, factor, level int) uint64 {
	return cell + uint64(level-s.CellLevel(cell, factor))*s.cellStrides[factor]
}

// CellOf returns the cell of a context. What it does not know, and what it knows
// that no factor asks for, never is an error.
func (s *Space) CellOf(context map[string]Value) uint64 {
	cell := s.UnknownCell()
	for c := range s.Context {
		if v, ok := context[s.Context[c].Name]; ok {
			cell = s.WithLevel(cell, c, s.ContextLevel(c, v))
		}
	}
	return cell
}
