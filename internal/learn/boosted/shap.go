package boosted

import (
	"github.com/praetor-engine/praetor/internal/learn"
)

// explainer computes exact path-dependent SHAP values: the Shapley values of the
// game in which a coalition of features is worth the mean of raw over the
// training rows that a row reaches in each tree when splits on features outside
// the coalition take both ways, in proportion to the rows that took them (Lundberg
// et al., From local explanations to global understanding with explainable AI
// for trees, Nature Machine Intelligence 2, 2020, algorithm 2; LightGBM's
// pred_contrib).
//
// The algorithm goes down all paths of a tree and keeps, for the features on a
// path, the share of all coalitions of each size that reach it. Two things are
// cheaper here than in the paper: a feature's part in a coalition is 0 or 1, so
// that it is never multiplied with or divided by; and the features that keep a row
// out of a leaf all have the same value there, computed once.
type explainer struct {
	base   float64   // what the contributions start from: the mean of raw over the training rows
	share  []float64 // of a split's rows that took the way to this node
	value  []int32   // of a column: its feature, as an index of the inputs
	fields []string  // that have an explanation
	field  []int     // of a feature: its index in fields
	depth  int       // of the deepest tree
	steps  float64   // of one explanation, about
	ratios []ratios  // of a path by its length, from 1 to depth + 1 elements
}

// ratios are what the weights of a path with d elements behind the first are
// multiplied with, for the place i: going on shares a coalition among d + 1
// places. They are kept because a division costs as much as the rest of a step.
type ratios []struct {
	grow  float64 // (i+1)/(d+1)
	keep  float64 // (d−i)/(d+1)
	unhot float64 // (d+1)/(i+1)
	unout float64 // (d+1)/(d−i)
}

func newRatios(depth int) []ratios {
	all := make([]ratios, depth+1)
	for d := range all {
		all[d] = make(ratios, d)
		for i := range d {
			r := &all[d][i]
			r.grow, r.keep = float64(i+1)/float64(d+1), float64(d-i)/float64(d+1)
			r.unhot, r.unout = 1/r.grow, 1/r.keep
		}
	}
	return all
}

// explanation is the memory of one explanation.
type explanation struct {
	contributions []float64 // of the features
	sums          []float64 // of the fields
	path          []element
}

// element is one feature on a path: the share of the rows that go on when the
// feature is not in the coalition, whether the row itself goes on, and, by its
// place i, the weight of the coalitions of size i.
type element struct {
	feature int32
	hot     bool
	cold    float64
	weight  float64
}

func newExplainer(f *forest, c *compiler, columns []Column, use []int) *explainer {
	e := &explainer{share: make([]float64, len(f.nodes)), value: c.values, field: make([]int, len(use))}
	index := make(map[string]int)
	for x, i := range use {
		k, ok := index[columns[i].Name]
		if !ok {
			k = len(e.fields)
			index[columns[i].Name] = k
			e.fields = append(e.fields, columns[i].Name)
		}
		e.field[x] = k
	}
	for t, root := range f.roots {
		end := len(f.nodes)
		if t+1 < len(f.roots) {
			end = int(f.roots[t+1])
		}
		e.addTree(f, c.counts, int(root), end)
	}
	e.ratios = newRatios(e.depth)
	return e
}

// addTree computes the shares, the depth and the mean of the tree in the nodes
// [root, end). Children come behind their parents.
func (e *explainer) addTree(f *forest, counts []float64, root, end int) {
	depth := make([]int, end-root)
	mean := 0.0
	for i := root; i < end; i++ {
		n := &f.nodes[i]
		if int(n.child) == i {
			mean += counts[i] / counts[root] * n.threshold
			e.depth = max(e.depth, depth[i-root])
			on := float64(min(depth[i-root], len(e.field))) // features on the path, at most
			e.steps += on * on
			continue
		}
		for child := int(n.child); child <= int(n.child)+1; child++ {
			e.share[child] = counts[child] / counts[i]
			depth[child-root] = depth[i-root] + 1
		}
	}
	e.base += mean
}

// explain appends the contribution of every field that some split uses.
func (e *explainer) explain(f *forest, s *explanation, columns []float64, dst []learn.Explanation) []learn.Explanation {
	if s.path == nil {
		// A path of n elements is the copy of its parent's n−1 and one more.
		s.path = make([]element, (e.depth+1)*(e.depth+2)/2)
		s.contributions = make([]float64, len(e.field))
		s.sums = make([]float64, len(e.fields))
	}
	clear(s.contributions)
	clear(s.sums)
	w := walk{f.nodes, e.share, e.value, e.ratios, columns, s.contributions}
	for _, root := range f.roots {
		if f.nodes[root].column != 0 {
			w.down(root, nil, s.path, element{feature: -1, hot: true, cold: 1})
		}
	}
	for x, k := range e.field {
		s.sums[k] += s.contributions[x]
	}
	for k, name := range e.fields {
		dst = append(dst, learn.Explanation{Name: name, Value: s.sums[k]})
	}
	return dst
}

// walk goes through a tree with one row.
type walk struct {
	nodes         []node
	share         []float64
	value         []int32
	ratios        []ratios
	columns       []float64
	contributions []float64
}

// down goes on at a node that was reached by the parent path and one more
// element; memory is what the paths from here on need.
func (w *walk) down(at uint32, parent, memory []element, last element) {
	n := &w.nodes[at]
	path := memory[:len(parent)+1]
	copy(path, parent)
	w.extend(path, last)
	if n.column == 0 {
		w.leaf(path, n.threshold)
		return
	}
	memory = memory[len(path):]
	hot := n.next(w.columns)
	cold := 2*n.child + 1 - hot
	next := element{feature: w.value[n.column], hot: true, cold: 1}
	for i := 1; i < len(path); i++ {
		if path[i].feature == next.feature { // the feature was split on before
			next.hot, next.cold = path[i].hot, path[i].cold
			path = w.unwind(path, i)
			break
		}
	}
	share := next.cold
	next.cold = share * w.share[hot]
	w.down(hot, path, memory, next)
	next.hot, next.cold = false, share*w.share[cold]
	w.down(cold, path, memory, next)
}

// extend makes last the last element of a path whose others have their weights.
func (w *walk) extend(path []element, last element) {
	d := len(path) - 1
	path[d] = last
	if d == 0 {
		path[0].weight = 1
		return
	}
	r := w.ratios[d]
	for i := d - 1; i >= 0; i-- {
		if last.hot {
			path[i+1].weight += path[i].weight * r[i].grow
		}
		path[i].weight *= last.cold * r[i].keep
	}
}

// unwind undoes the extension by element k.
func (w *walk) unwind(path []element, k int) []element {
	d := len(path) - 1
	r := w.ratios[d]
	hot, cold := path[k].hot, path[k].cold
	next := path[d].weight
	for i := d - 1; i >= 0; i-- {
		if hot {
			weight := path[i].weight
			path[i].weight = next * r[i].unhot
			next = weight - path[i].weight*cold*r[i].keep
		} else {
			path[i].weight *= r[i].unout / cold
		}
	}
	for i := k; i < d; i++ {
		e := &path[i+1]
		path[i].feature, path[i].hot, path[i].cold = e.feature, e.hot, e.cold
	}
	return path[:d]
}

// leaf adds what the features of a path contribute by its leaf: the weight of the
// coalitions without the feature, times the part that the feature lets through
// more than its absence does.
func (w *walk) leaf(path []element, value float64) {
	d := len(path) - 1
	r := w.ratios[d]
	out := 0.0 // of a feature that keeps the row out: its cold share cancels
	for i := range r {
		out -= path[i].weight * r[i].unout
	}
	out *= value
	for k := 1; k <= d; k++ {
		e := &path[k]
		if !e.hot {
			w.contributions[e.feature] += out
			continue
		}
		next, sum := path[d].weight, 0.0
		for i := d - 1; i >= 0; i-- {
			weight := next * r[i].unhot
			sum += weight
			next = path[i].weight - weight*e.cold*r[i].keep
		}
		w.contributions[e.feature] += sum * (1 - e.cold) * value
	}
}
