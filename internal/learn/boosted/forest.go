package boosted

import (
	"math"
	"sync"

	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// forest is a model compiled for scoring. It is immutable and implements
// learn.View.
//
// Every split is "column > threshold goes right", whatever it was. A column is a
// feature as the splits of one kind see it: with 0, −∞ or +∞ in place of a missing
// value, by where it goes; or, for one set of categories of one feature, 0 inside
// the set and 1 outside of it. So a score computes the columns once per row,
// in O(columns), and then walks the trees without a case to distinguish.
//
// The children of a node are neighbours. A leaf's threshold is its value; its
// column is column 0, which is always −∞, and its child itself, so that a walk
// that reached a leaf stays there and several trees can be walked in step. That
// hides the time a node takes to arrive from memory: a comparison that decides
// an address instead of a branch cannot be mispredicted, and the walks of a group
// do not wait for each other.
type forest struct {
	nodes []node
	roots []uint32 // in the model's order
	plain []column // columns [0, len(plain)); plain[0] is not used
	coded []coded  // columns [len(plain), width)
	width int

	sigma    float64
	divisor  float64 // of the sum, before the sigmoid
	inputs   *inputs
	explains *explainer
	scratch  sync.Pool // of *scratch
}

type node struct {
	threshold float64
	column    uint32
	child     uint32 // the left one; the right one follows
}

// column is a feature as numerical splits see it.
type column struct {
	value int // of the inputs
	kind  columnKind
}

// columnKind is a missing type with where the missing values go.
type columnKind uint8

const (
	missingIsZero columnKind = iota
	zeroGoesLeft
	zeroGoesRight
	nanGoesLeft
	nanGoesRight
)

// coded is a feature as categorical splits see it: for each code the columns of
// the sets that hold it.
type coded struct {
	value int
	sets  map[int32][]uint32
}

// scratch is the memory of one score.
type scratch struct {
	values, columns []float64
	explanation
}

// untrained is the forest of a model without state.
func untrained() *forest {
	f := &forest{plain: make([]column, 1), width: 1, sigma: 1, divisor: 1, inputs: new(inputs)}
	f.explains = newExplainer(f, new(compiler), nil, nil)
	f.scratch.New = func() any { return f.newScratch() }
	return f
}

func (f *forest) newScratch() *scratch {
	s := &scratch{values: make([]float64, f.inputs.n), columns: make([]float64, f.width)}
	s.columns[0] = math.Inf(-1)
	return s
}

// Score implements learn.View.
func (f *forest) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	s := f.scratch.Get().(*scratch)
	f.inputs.read(req.Row, s.values)
	f.fill(s.values, s.columns)
	res.Raw, res.HasRaw = f.sum(s.columns), true
	res.Score = learn.Sigmoid(f.sigma * (res.Raw / f.divisor))
	if req.Explain {
		res.Baseline, res.HasBaseline = f.explains.base, true
		res.Explanations = f.explains.explain(f, &s.explanation, s.columns, res.Explanations)
		encode.SortExplanations(res.Explanations)
	}
	f.scratch.Put(s)
}

// fill computes the columns of a row's values.
func (f *forest) fill(values, columns []float64) {
	for i := 1; i < len(f.plain); i++ {
		c := f.plain[i]
		v := values[c.value]
		absent := v != v
		switch c.kind {
		case missingIsZero:
			if absent {
				v = 0
			}
		case zeroGoesLeft:
			if absent || v == 0 {
				v = math.Inf(-1)
			}
		case zeroGoesRight:
			if absent || v == 0 {
				v = math.Inf(1)
			}
		case nanGoesLeft:
			if absent {
				v = math.Inf(-1)
			}
		case nanGoesRight:
			if absent {
				v = math.Inf(1)
			}
		}
		columns[i] = v
	}
	f.fillSets(values, columns)
}

func (f *forest) fillSets(values, columns []float64) {
	outside := columns[len(f.plain):]
	for i := range outside {
		outside[i] = 1
	}
	for i := range f.coded {
		// A code is truncated towards 0, so −0.5 is 0; NaN is no code.
		if v := values[f.coded[i].value]; v > -1 && v <= math.MaxInt32 {
			for _, id := range f.coded[i].sets[int32(v)] {
				columns[id] = 0
			}
		}
	}
}

// sum returns the sum of the leaves that a row reaches, in the order of the trees.
func (f *forest) sum(columns []float64) float64 {
	sum, nodes, roots := 0.0, f.nodes, f.roots
	for ; len(roots) >= 8; roots = roots[8:] {
		i0, i1, i2, i3 := roots[0], roots[1], roots[2], roots[3]
		i4, i5, i6, i7 := roots[4], roots[5], roots[6], roots[7]
		for {
			n0, n1, n2, n3 := &nodes[i0], &nodes[i1], &nodes[i2], &nodes[i3]
			n4, n5, n6, n7 := &nodes[i4], &nodes[i5], &nodes[i6], &nodes[i7]
			if n0.column|n1.column|n2.column|n3.column|n4.column|n5.column|n6.column|n7.column == 0 {
				sum += n0.threshold
				sum += n1.threshold
				sum += n2.threshold
				sum += n3.threshold
				sum += n4.threshold
				sum += n5.threshold
				sum += n6.threshold
				sum += n7.threshold
				break
			}
			i0, i1, i2, i3 = n0.next(columns), n1.next(columns), n2.next(columns), n3.next(columns)
			i4, i5, i6, i7 = n4.next(columns), n5.next(columns), n6.next(columns), n7.next(columns)
		}
	}
	for _, i := range roots {
		n := &nodes[i]
		for n.column != 0 {
			n = &nodes[n.next(columns)]
		}
		sum += n.threshold
	}
	return sum
}

// next returns the child that a row goes to; a leaf stays where it is.
func (n *node) next(columns []float64) uint32 {
	right := uint32(0)
	if columns[n.column] > n.threshold {
		right = 1
	}
	return n.child + right
}
