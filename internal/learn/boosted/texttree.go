package boosted

import (
	"math"
	"strconv"
	"strings"
)

// readTree reads a tree's block; it ends on the line that is not part of it.
func readTree(r *lines, features int) (tree, error) {
	var t tree
	block := make(map[string]string, 20)
	for r.next() && !strings.HasPrefix(r.line, "Tree=") && r.line != "end of trees" {
		key, value, _ := strings.Cut(r.line, "=")
		block[key] = value
	}
	n, err := strconv.Atoi(block["num_leaves"])
	if err != nil || n < 1 || n > maxLeaves || n > len(block["leaf_value"]) { // a value takes a byte at least
		return t, problemf("num_leaves", "got %s, want the number of leaf_value", quote(block["num_leaves"]))
	}
	if v := block["is_linear"]; v != "" && v != "0" {
		return t, problemf("", errLinear)
	}
	t = tree{splits: make([]split, n-1), leaves: make([]leaf, n)}
	if err := t.readLeaves(block); err != nil || n == 1 {
		return t, err
	}
	if err := t.readSplits(block); err != nil {
		return t, err
	}
	return t, t.check(features)
}

func (t *tree) readLeaves(block map[string]string) error {
	n := len(t.leaves)
	err := list(block, "leaf_value", n, true, func(i int, v float64) { t.leaves[i].value = v })
	if err == nil && block["leaf_count"] != "" {
		err = list(block, "leaf_count", n, true, func(i int, v float64) { t.leaves[i].count = v })
	}
	for i := 0; i < n && err == nil; i++ {
		err = t.leaves[i].check()
	}
	return err
}

// The bits of decision_type: bit 0 categorical, bit 1 default left, bits 2 and 3
// the missing type.
const (
	categoricalBit  = 1
	defaultLeftBit  = 2
	missingShift    = 2
	maxDecisionType = 1 | 2 | int(missingNaN)<<missingShift
)

func (t *tree) readSplits(block map[string]string) error {
	n := len(t.splits)
	types := make([]int, n)
	thresholds := make([]float64, n)
	integers := []struct {
		key string
		set func(i, v int)
	}{
		{"split_feature", func(i, v int) { t.splits[i].feature = v }},
		{"decision_type", func(i, v int) { types[i] = v }},
		{"left_child", func(i, v int) { t.splits[i].left = v }},
		{"right_child", func(i, v int) { t.splits[i].right = v }},
	}
	for _, l := range integers {
		if l.key == "decision_type" && block[l.key] == "" {
			continue // LightGBM takes 0 then
		}
		if err := integerList(block, l.key, n, l.set); err != nil {
			return err
		}
	}
	if err := list(block, "threshold", n, false, func(i int, v float64) { thresholds[i] = v }); err != nil {
		return err
	}
	var sets [][]int32
	if c := block["num_cat"]; c != "" && c != "0" {
		var err error
		if sets, err = readSets(block); err != nil {
			return err
		}
	}
	for i := range t.splits {
		if err := t.splits[i].decode(types[i], thresholds[i], sets); err != nil {
			return err
		}
	}
	return nil
}

// decode takes a split's decision_type and threshold; the threshold of a
// categorical one is the number of its set.
func (s *split) decode(decisionType int, threshold float64, sets [][]int32) error {
	if decisionType < 0 || decisionType > maxDecisionType {
		return problemf("decision_type", "got %d, want 0 to %d", decisionType, maxDecisionType)
	}
	s.defaultLeft = decisionType&defaultLeftBit != 0
	s.missing = missing(decisionType >> missingShift)
	if s.categorical = decisionType&categoricalBit != 0; !s.categorical {
		return s.setThreshold(threshold)
	}
	if !(threshold >= 0 && threshold < float64(len(sets))) || threshold != math.Trunc(threshold) {
		return problemf("threshold", "got %v, want the number of one of %d sets of categories", threshold, len(sets))
	}
	s.codes = sets[int(threshold)]
	return nil
}

// setThreshold takes a numerical split's threshold. LightGBM writes inf where
// only missing values go right; every number is ≤ the largest.
func (s *split) setThreshold(v float64) error {
	if math.IsInf(v, 1) {
		v = math.MaxFloat64
	}
	if math.IsNaN(v) || math.IsInf(v, -1) {
		return problemf("threshold", "got %v, want a number", v)
	}
	s.threshold = v
	return nil
}

// readSets reads the sets of categories: set i has the bits of the 32-bit words
// [cat_boundaries[i], cat_boundaries[i+1]) of cat_threshold.
func readSets(block map[string]string) ([][]int32, error) {
	n, err := strconv.Atoi(block["num_cat"])
	if err != nil || n < 0 || n > len(block["cat_boundaries"]) {
		return nil, problemf("num_cat", "got %s, want one less than there are cat_boundaries", quote(block["num_cat"]))
	}
	bounds := make([]int, n+1)
	if err := integerList(block, "cat_boundaries", n+1, func(i, v int) { bounds[i] = v }); err != nil {
		return nil, err
	}
	last := 0
	for _, b := range bounds {
		if b < last || b > len(block["cat_threshold"]) {
			return nil, problemf("cat_boundaries", "got %d after %d, want ascending places in cat_threshold", b, last)
		}
		last = b
	}
	words := make([]uint32, last)
	var large error
	err = list(block, "cat_threshold", last, true, func(i int, v float64) {
		if !(v >= 0 && v <= math.MaxUint32) || v != math.Trunc(v) {
			large = problemf("cat_threshold", "got %v, want a 32-bit word", v)
			return
		}
		words[i] = uint32(v)
	})
	if err != nil || large != nil {
		return nil, firstError(err, large)
	}
	sets := make([][]int32, n)
	for i := range sets {
		for k, w := range words[bounds[i]:bounds[i+1]] {
			for bit := range 32 {
				if w>>bit&1 != 0 {
					sets[i] = append(sets[i], int32(32*k+bit))
				}
			}
		}
	}
	return sets, nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// list gives the n numbers of a key to set; finite refuses infinities.
func list(block map[string]string, key string, n int, finite bool, set func(i int, v float64)) error {
	return items(block, key, n, func(i int, item string) error {
		v, err := strconv.ParseFloat(item, 64)
		if err != nil || math.IsNaN(v) || finite && math.IsInf(v, 0) {
			return problemf(key, "got %s, want a number", quote(item))
		}
		set(i, v)
		return nil
	})
}

// integerList gives the n integers of a key to set.
func integerList(block map[string]string, key string, n int, set func(i, v int)) error {
	return items(block, key, n, func(i int, item string) error {
		v, err := strconv.Atoi(item)
		if err != nil || v > math.MaxInt32 || v < math.MinInt32 {
			return problemf(key, "got %s, want an integer", quote(item))
		}
		set(i, v)
		return nil
	})
}

// items splits the value of a key at its spaces and calls f for each of the n
// items.
func items(block map[string]string, key string, n int, f func(i int, item string) error) error {
	rest, i := block[key], 0
	for rest != "" {
		var item string
		if item, rest, _ = strings.Cut(rest, " "); item == "" {
			continue
		}
		if i == n {
			return problemf(key, "got more than %d values", n)
		}
		if err := f(i, item); err != nil {
			return err
		}
		i++
	}
	if i < n {
		return problemf(key, "got %d values, want %d", i, n)
	}
	return nil
}
