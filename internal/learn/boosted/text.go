package boosted

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseText reads LightGBM's model text: a header of key=value lines, a block of
// key=value lines per tree, "end of trees", and sections of which only the list
// of categorical features and pandas_categorical matter here. Keys that scoring
// does not need are skipped.
func parseText(s string) (*model, error) {
	if len(s) > maxBytes {
		return nil, problemf("", "got %d bytes, want at most %d", len(s), maxBytes)
	}
	r := lines{rest: s}
	m := &model{sigma: 1}
	trees, err := m.readHeader(&r)
	if err != nil {
		return nil, r.at(err)
	}
	for strings.HasPrefix(r.line, "Tree=") {
		if len(m.trees) == maxTrees {
			return nil, r.at(problemf("", "has more than %d trees", maxTrees))
		}
		t, err := readTree(&r, len(m.names))
		if err != nil {
			return nil, r.at(fmt.Errorf("tree %d: %w", len(m.trees), err))
		}
		m.trees = append(m.trees, t)
	}
	switch {
	case r.line != "end of trees":
		return nil, r.at(problemf("", `got %s, want "end of trees"; the text is cut off or damaged`, quote(r.line)))
	case trees >= 0 && trees != len(m.trees):
		return nil, r.at(problemf("tree_sizes", "lists %d trees, got %d", trees, len(m.trees)))
	}
	if err := m.readTail(&r); err != nil {
		return nil, r.at(err)
	}
	return m, m.checkSize()
}

// lines reads a text line by line, without its empty lines.
type lines struct {
	rest   string
	line   string
	number int
}

// next goes to the next line that is not empty; it returns false at the end.
func (l *lines) next() bool {
	for l.rest != "" {
		l.line, l.rest, _ = strings.Cut(l.rest, "\n")
		l.line = strings.TrimSuffix(l.line, "\r")
		l.number++
		if l.line != "" {
			return true
		}
	}
	l.line = ""
	return false
}

func (l *lines) at(err error) error { return fmt.Errorf("line %d: %w", l.number, err) }

// quote shows a piece of the client's text, at most as long as a line bears.
func quote(s string) string {
	const longest = 40
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return strconv.Quote(s)
}

// readHeader reads up to the first tree and returns how many trees are announced,
// −1 when that is not said.
func (m *model) readHeader(r *lines) (trees int, err error) {
	if !r.next() || r.line != "tree" {
		return 0, problemf("", `got %s, want the line "tree", with which LightGBM's model text starts`, quote(r.line))
	}
	keys := make(map[string]string)
	for r.next() && !strings.HasPrefix(r.line, "Tree=") && r.line != "end of trees" {
		key, value, _ := strings.Cut(r.line, "=")
		keys[key] = value
	}
	switch v := keys["version"]; v {
	case "v2", "v3", "v4":
	default:
		return 0, problemf("version", "got %s, want v2, v3 or v4", quote(v))
	}
	if err := m.setNames(strings.Split(keys["feature_names"], " ")); err != nil {
		return 0, err
	}
	for _, key := range []string{"num_class", "num_tree_per_iteration"} {
		n := 1
		if v, ok := keys[key]; ok {
			if n, err = strconv.Atoi(v); err != nil {
				return 0, problemf(key, "got %s, want a number", quote(v))
			}
		}
		if err := setClasses(key, n); err != nil {
			return 0, err
		}
	}
	if v, ok := keys["max_feature_idx"]; ok && v != strconv.Itoa(len(m.names)-1) {
		return 0, problemf("max_feature_idx", "got %s, want %d, one less than there are feature_names", quote(v), len(m.names)-1)
	}
	_, m.average = keys["average_output"]
	if err := m.setObjective(keys["objective"]); err != nil {
		return 0, err
	}
	if err := m.readInfos(keys["feature_infos"]); err != nil {
		return 0, err
	}
	if sizes, ok := keys["tree_sizes"]; ok {
		return len(strings.Fields(sizes)), nil
	}
	return -1, nil
}

// readInfos reads feature_infos: "none", "[least:most]" or the codes "3:1:2" of
// each feature.
func (m *model) readInfos(s string) error {
	if s == "" {
		return nil
	}
	infos := strings.Split(s, " ")
	if len(infos) != len(m.names) {
		return problemf("feature_infos", "got %d, want %d, one per feature", len(infos), len(m.names))
	}
	for i, text := range infos {
		switch {
		case text == "none":
		case strings.HasPrefix(text, "["):
			m.infos[i].kind = numericalInfo
		default:
			m.infos[i].kind = categoricalInfo
			for code := range strings.SplitSeq(text, ":") {
				n, err := strconv.Atoi(code)
				if err != nil {
					return problemf("feature_infos", "got %s, want none, [least:most] or codes", quote(text))
				}
				m.infos[i].highest = max(m.infos[i].highest, n)
			}
		}
	}
	return nil
}

// readTail reads what follows the trees.
func (m *model) readTail(r *lines) error {
	for r.next() {
		if v, ok := strings.CutPrefix(r.line, "[categorical_feature: "); ok {
			m.readParametric(strings.TrimSuffix(v, "]"))
		}
		if v, ok := strings.CutPrefix(r.line, "pandas_categorical:"); ok {
			return m.setPandas(json.RawMessage(v))
		}
	}
	return nil
}

// readParametric reads the parameter categorical_feature where it is a list of
// indexes; other forms (names) are left to feature_infos.
func (m *model) readParametric(s string) {
	if s == "" {
		return
	}
	var features []int
	for item := range strings.SplitSeq(s, ",") {
		i, err := strconv.Atoi(item)
		if err != nil || i < 0 || i >= len(m.names) || len(features) > 0 && i <= features[len(features)-1] {
			return
		}
		features = append(features, i)
	}
	m.parametric = features
}

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
