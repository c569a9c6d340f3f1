package bayes

import (
	"math"
	"slices"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// kind says how the values of a field fall into cells; the numbers are on disk.
type kind uint8

const (
	kindBins       kind = 1 // numbers, by edges
	kindCategories kind = 2
	// kindNumbers is a field that has had only numbers and has no edges: they
	// are categories until there are maxUnbinned of them, and bins from then on.
	kindNumbers kind = 3
	kindSet     kind = 4
)

// kindNames are the names in the API.
var kindNames = []string{kindBins: "bins", kindCategories: "categories", kindNumbers: "numbers", kindSet: "set"}

// maxUnbinned is how many different numbers a field without edges may show before
// their quantiles become its edges: enough for ten bins of some accuracy (the
// standard error of a decile of 100 values is 3 to 5 percentiles), few enough that
// an outcome of a model that was never trained soon counts.
const maxUnbinned = 100

// field is what is known about one attribute.
type field struct {
	name    string
	kind    kind
	edges   []float64        // kindBins: ascending
	present perClass         // weight of the rows that had the field
	names   []string         // of the cells, except of bins
	index   map[string]int32 // of names
	cells   []cell

	used    bool    // an input of the model
	touched bool    // in model.touched
	changed []int32 // cells whose counts moved since the last Publish
	table   *table  // the published part, nil when it must be made anew
}

// cell is one bin, category or member.
type cell struct {
	of      perClass // counts, or probabilities when given
	changed bool     // in field.changed
}

func (c *cell) grow(f *field, k, class int, weight float64) {
	c.of[class] = grown(c.of[class], weight)
	if !c.changed {
		c.changed = true
		f.changed = append(f.changed, int32(k))
	}
}

// values is |values| of the formula.
func (f *field) values() float64 {
	if f.kind == kindSet {
		return 2
	}
	return float64(max(len(f.cells), 1))
}

// find returns the cell of a value, −1 when it has none.
func (f *field) find(v *decision.Field) int {
	if f.kind == kindBins {
		if x, ok := v.Numeric(); ok {
			return encode.BinOf(f.edges, x)
		}
		return -1
	}
	return lookup(f.index, v)
}

// lookup finds a value's category without allocating.
func lookup(index map[string]int32, v *decision.Field) int {
	var k int32
	var ok bool
	if v.Kind == decision.Number {
		var buf [32]byte
		k, ok = index[string(v.AppendCategory(buf[:0]))]
	} else {
		k, ok = index[v.Category()]
	}
	if !ok {
		return -1
	}
	return int(k)
}

// append adds a named cell and returns its index.
func (f *field) append(name string, of perClass) int {
	k := len(f.cells)
	f.names = append(f.names, name)
	f.index[name] = int32(k)
	f.cells = append(f.cells, cell{of: of})
	return k
}

// sorted returns the indexes of the cells in ascending order of their names; bins
// are in their own order.
func (f *field) sorted() []int {
	order := make([]int, len(f.cells))
	for k := range order {
		order[k] = k
	}
	if f.kind != kindBins {
		slices.SortFunc(order, func(a, b int) int {
			if f.names[a] < f.names[b] {
				return -1
			}
			return 1 // names are unique
		})
	}
	return order
}

// cellName returns the name of cell k in the API.
func (f *field) cellName(k int) string {
	if f.kind == kindBins {
		return binName(k)
	}
	return f.names[k]
}

// isNumber reports whether a category is the text of a finite number.
func isNumber(category string) bool {
	x, err := strconv.ParseFloat(category, 64)
	v := decision.Field{Kind: decision.Number, Num: x}
	return err == nil && v.Category() == category && !math.IsNaN(x) && !math.IsInf(x, 0)
}

// bin turns a field of numbers as categories into bins at the quantiles of what
// it has seen; no count is lost, because the text of a number is exact.
func (f *field) bin() {
	type counted struct {
		x  float64
		of perClass
	}
	seen := make([]counted, len(f.cells))
	for k := range f.cells {
		x, _ := strconv.ParseFloat(f.names[k], 64) // the text of a finite number
		seen[k] = counted{x, f.cells[k].of}
	}
	slices.SortFunc(seen, func(a, b counted) int {
		if a.x < b.x {
			return -1
		}
		return 1 // numbers are unique
	})
	values, weights := make([]float64, len(seen)), make([]float64, len(seen))
	for i, s := range seen {
		values[i], weights[i] = s.x, s.of[negative]+s.of[positive]
	}
	f.kind, f.edges = kindBins, quantileEdges(values, weights)
	f.names, f.index, f.table = nil, nil, nil
	f.changed = f.changed[:0]
	f.cells = make([]cell, len(f.edges)+1)
	for _, s := range seen {
		c := &f.cells[encode.BinOf(f.edges, s.x)]
		c.of[negative] = grown(c.of[negative], s.of[negative])
		c.of[positive] = grown(c.of[positive], s.of[positive])
	}
}
