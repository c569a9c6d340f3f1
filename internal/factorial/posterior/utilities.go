package posterior

import "github.com/praetor-engine/praetor/internal/factorial"

// utilities adds up what the levels of a variant contribute, for all variants at
// once. Walking down the factors, of[d][g][l] is what level l of factor g ≥ d
// contributes given the levels that were chosen for the factors before d: its main,
// its pairs with the context, its pairs with the chosen levels. A variant then costs
// two additions, and a d-th factor's level the levels of the factors after it.
type utilities struct {
	of [][][]float64
}

func newUtilities(s *factorial.Space) utilities {
	u := utilities{make([][][]float64, len(s.Design))}
	for d := range u.of {
		u.of[d] = make([][]float64, len(s.Design))
		for g := d; g < len(s.Design); g++ {
			u.of[d][g] = make([]float64, len(s.Design[g].Levels))
		}
	}
	return u
}

// predict fills out with θᵀx of all variants at a place.
func (u *utilities) predict(d *design, theta []float64, at *place, out []float64) {
	base := theta[0]
	for c, shares := range at.contexts {
		for _, s := range shares {
			base += float64(s.weight * theta[d.context[c]+s.level-1])
		}
	}
	for f := range d.space.Design {
		of := u.of[0][f]
		of[0] = 0
		copy(of[1:], theta[d.main[f]:])
		for c, shares := range at.contexts {
			width := len(d.space.Context[c].Levels)
			for l := 1; l < len(of); l++ {
				row := theta[d.cross[f][c]+(l-1)*width:]
				for _, s := range shares {
					of[l] += float64(s.weight * row[s.level-1])
				}
			}
		}
	}
	u.walk(d, theta, 0, base, out)
}

// walk fills out, the variants with the levels chosen for the factors before depth,
// whose contributions are in sum.
func (u *utilities) walk(d *design, theta []float64, depth int, sum float64, out []float64) {
	own := u.of[depth][depth]
	if depth == len(u.of)-1 {
		for l, x := range own {
			out[l] = sum + x
		}
		return
	}
	stride := d.space.Stride(depth)
	for l, x := range own {
		for g := depth + 1; g < len(u.of); g++ {
			next := u.of[depth+1][g]
			copy(next, u.of[depth][g])
			if l == 0 {
				continue
			}
			row := theta[d.pair[depth][g]+(l-1)*(len(next)-1):]
			for m := 1; m < len(next); m++ {
				next[m] += row[m-1]
			}
		}
		u.walk(d, theta, depth+1, sum+x, out[l*stride:(l+1)*stride])
	}
}
