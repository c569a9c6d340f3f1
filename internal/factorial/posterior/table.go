package posterior

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
)

const (
	// MaxRows bounds the rows of a table.
	MaxRows = 4096
	// rowWork bounds rows · variants · draws: a few seconds of training.
	rowWork = 1 << 30
)

// run is how many draws of a row have a variant as the best.
type run struct {
	variant uint16
	until   uint32 // draws of this run and of those before it
}

// row is the allocation in one context.
type row struct {
	share float64 // of the exposures that were in it
	runs  []run   // by variant
}

// chance returns the share of the draws in which the variant is best.
func (r *row) chance(variant int) float64 {
	i, ok := slices.BinarySearchFunc(r.runs, variant, func(x run, v int) int { return cmp.Compare(int(x.variant), v) })
	if !ok {
		return 0
	}
	return float64(r.count(i)) / float64(r.runs[len(r.runs)-1].until)
}

func (r *row) count(i int) uint32 {
	if i == 0 {
		return r.runs[0].until
	}
	return r.runs[i].until - r.runs[i-1].until
}

// at returns what is best in a draw.
func (r *row) at(draw uint32) int {
	low, high := 0, len(r.runs)-1
	for low < high {
		if mid := int(uint(low+high) >> 1); r.runs[mid].until <= draw {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return int(r.runs[low].variant)
}

// winner returns what is best most often; of several, the one with the lowest
// number.
func (r *row) winner() int {
	best := 0
	for i := range r.runs {
		if r.count(i) > r.count(best) {
			best = i
		}
	}
	return int(r.runs[best].variant)
}

// plan says which contexts have rows.
type plan struct {
	cells  []uint64 // those with a row each, ascending; nil when all have one
	places []place  // by row; after cells' one more, for all other cells
	shares []float64
}

// newPlan gives every cell a row, or else those that were seen most, and one row for
// all others.
func newPlan(d *design, observed []factorial.Observed, draws int) *plan {
	most := max(1, min(MaxRows, rowWork/draws/d.space.Variants()))
	seen := make(map[uint64]uint64)
	total := uint64(0)
	for i := range observed {
		seen[observed[i].Cell] += observed[i].N
		total += observed[i].N
	}
	p := &plan{}
	if cells := d.space.Cells(); cells <= uint64(most) {
		for c := range cells {
			p.places = append(p.places, d.placeOf(c))
			p.shares = append(p.shares, float64(seen[c])/float64(total))
		}
		return p
	}
	for c := range seen {
		p.cells = append(p.cells, c)
	}
	slices.SortFunc(p.cells, func(a, b uint64) int { return cmp.Or(cmp.Compare(seen[b], seen[a]), cmp.Compare(a, b)) })
	p.cells = p.cells[:min(len(p.cells), most)]
	slices.Sort(p.cells)
	rest := total
	for _, c := range p.cells {
		p.places = append(p.places, d.placeOf(c))
		p.shares = append(p.shares, float64(seen[c])/float64(total))
		rest -= seen[c]
	}
	p.places = append(p.places, d.meanPlace(observed))
	p.shares = append(p.shares, float64(rest)/float64(total))
	return p
}

// everywhere is the plan of a model that ignores the context: one row.
func everywhere() *plan {
	return &plan{cells: []uint64{}, places: make([]place, 1), shares: []float64{1}}
}

// allocate draws and tabulates what is best.
func allocate(ctx context.Context, s *factorial.Space, b belief, p *plan, v *variates, draws int) ([]row, error) {
	best := make([][]uint16, len(p.places))
	for r := range best {
		best[r] = make([]uint16, draws)
	}
	out := make([]float64, s.Variants())
	for d := range draws {
		b.draw(v, true)
		for r := range p.places {
			b.predict(&p.places[r], out)
			best[r][d] = argmax(out, s.Allowed())
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	rows := make([]row, len(best))
	for r := range rows {
		slices.Sort(best[r])
		rows[r].share = p.shares[r]
		for d, variant := range best[r] {
			if d == 0 || variant != best[r][d-1] {
				rows[r].runs = append(rows[r].runs, run{variant: variant})
			}
			rows[r].runs[len(rows[r].runs)-1].until = uint32(d + 1)
		}
		rows[r].runs = slices.Clip(rows[r].runs)
	}
	return rows, nil
}

// argmax returns the allowed variant with the greatest value, the first of several.
func argmax(values []float64, allowed []uint16) uint16 {
	best, at := math.Inf(-1), allowed[0]
	for _, v := range allowed {
		if values[v] > best {
			best, at = values[v], v
		}
	}
	return at
}
