package boosted

import "encoding/binary"

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
