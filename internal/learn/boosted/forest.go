package boosted

import (
	"encoding/binary"
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

// Bounds of what a model costs.
const (
	maxCodes = 1 << 22 // categories of all categorical splits: each is an entry of coded
	maxSteps = 1 << 30 // of one explanation, seconds; 500 trees of 31 leaves take 2^20
)

// newForest compiles a model; columns are where its features get their values
// from, nil for the model's own names and categories.
func newForest(m *model, columns []Column) (*forest, error) {
	if columns == nil {
		var err error
		if columns, err = m.columns(); err != nil {
			return nil, err
		}
	}
	if err := checkColumns(columns, len(m.names)); err != nil {
		return nil, err
	}
	use := m.usedFeatures()
	c := newCompiler(m, use)
	for i := range m.trees {
		if err := c.tree(&m.trees[i]); err != nil {
			return nil, err
		}
	}
	f := c.forest
	f.sigma, f.divisor = m.sigma, 1
	if m.average {
		f.divisor = float64(len(m.trees))
	}
	f.inputs = newInputs(columns, use)
	if f.explains = newExplainer(f, c, columns, use); f.explains.steps > maxSteps {
		return nil, problemf("", "has trees too deep to explain: Σ depth² of the leaves is %.3g, want at most %d", f.explains.steps, maxSteps)
	}
	f.scratch.New = func() any { return f.newScratch() }
	return f, nil
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

// usedFeatures returns the features of all splits in ascending order.
func (m *model) usedFeatures() []int {
	used := make([]bool, len(m.names))
	for i := range m.trees {
		for k := range m.trees[i].splits {
			used[m.trees[i].splits[k].feature] = true
		}
	}
	var use []int
	for i, u := range used {
		if u {
			use = append(use, i)
		}
	}
	return use
}

// compiler builds a forest.
type compiler struct {
	forest *forest
	counts []float64 // training rows of each node
	value  map[int]int
	values []int32 // of a column: the value it is made from
	plain  map[column]uint32
	sets   map[string]uint32 // by feature and codes
	coded  map[int]int       // index in forest.coded by value
	codes  int
	key    []byte
}

func newCompiler(m *model, use []int) *compiler {
	c := &compiler{
		forest: &forest{plain: make([]column, 1)}, value: make(map[int]int, len(use)), values: make([]int32, 1),
		plain: make(map[column]uint32), sets: make(map[string]uint32), coded: make(map[int]int),
	}
	for x, i := range use {
		c.value[i] = x
	}
	for i := range m.trees {
		for k := range m.trees[i].splits {
			if s := &m.trees[i].splits[k]; !s.categorical {
				c.addPlain(column{c.value[s.feature], kindOf(s)})
			}
		}
	}
	c.forest.width = len(c.forest.plain)
	return c
}

func (c *compiler) addPlain(col column) {
	if _, ok := c.plain[col]; !ok {
		c.plain[col] = uint32(len(c.forest.plain))
		c.forest.plain = append(c.forest.plain, col)
		c.values = append(c.values, int32(col.value))
	}
}

// addSet returns the column of a set of categories of a value.
func (c *compiler) addSet(value int, codes []int32) uint32 {
	c.key = binary.AppendUvarint(c.key[:0], uint64(value))
	for _, code := range codes {
		c.key = binary.LittleEndian.AppendUint32(c.key, uint32(code))
	}
	id, ok := c.sets[string(c.key)]
	if ok {
		return id
	}
	f := c.forest
	id = uint32(f.width)
	f.width++
	c.values = append(c.values, int32(value))
	c.sets[string(c.key)] = id
	k, ok := c.coded[value]
	if !ok {
		k = len(f.coded)
		c.coded[value] = k
		f.coded = append(f.coded, coded{value, make(map[int32][]uint32)})
	}
	for _, code := range codes {
		f.coded[k].sets[code] = append(f.coded[k].sets[code], id)
	}
	return id
}

// tree appends a tree's nodes, each split ahead of what is below it.
func (c *compiler) tree(t *tree) error {
	f := c.forest
	type visit struct {
		at   uint32 // where the node goes
		node int
	}
	stack := []visit{{uint32(len(f.nodes)), -1}}
	if len(t.splits) > 0 {
		stack[0].node = 0
	}
	first := len(f.nodes)
	f.roots = append(f.roots, uint32(first))
	f.nodes = append(f.nodes, node{})
	c.counts = append(c.counts, 0)
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v.node < 0 {
			l := t.leaves[^v.node]
			f.nodes[v.at] = node{threshold: l.value, child: v.at}
			c.counts[v.at] = l.count
			continue
		}
		s := &t.splits[v.node]
		child := uint32(len(f.nodes))
		n, err := c.split(s)
		if err != nil {
			return err
		}
		n.child = child
		f.nodes[v.at] = n
		f.nodes = append(f.nodes, node{}, node{})
		c.counts = append(c.counts, 0, 0)
		stack = append(stack, visit{child + 1, s.right}, visit{child, s.left})
	}
	addCounts(f.nodes, c.counts, first)
	return nil
}

// addCounts gives every split from the node first on the sum of its leaves'
// counts. A leaf has one row at least; a tree without counts has one row in every
// leaf.
func addCounts(nodes []node, counts []float64, first int) {
	for i := len(nodes) - 1; i >= first; i-- {
		if child := nodes[i].child; int(child) != i {
			counts[i] = counts[child] + counts[child+1]
		} else {
			counts[i] = max(counts[i], 1)
		}
	}
}

// split returns the node of a split, without its child.
func (c *compiler) split(s *split) (node, error) {
	value := c.value[s.feature]
	if !s.categorical {
		return node{threshold: s.threshold, column: c.plain[column{value, kindOf(s)}]}, nil
	}
	if c.codes += len(s.codes); c.codes > maxCodes {
		return node{}, problemf("", "has more than %d categories in its splits", maxCodes)
	}
	return node{threshold: 0.5, column: c.addSet(value, s.codes)}, nil
}

func kindOf(s *split) columnKind {
	left, right := missingIsZero, missingIsZero
	switch s.missing {
	case missingZero:
		left, right = zeroGoesLeft, zeroGoesRight
	case missingNaN:
		left, right = nanGoesLeft, nanGoesRight
	}
	if s.defaultLeft {
		return left
	}
	return right
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
	sets := columns[len(f.plain):]
	for i := range sets {
		sets[i] = 1
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
