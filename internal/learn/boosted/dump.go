package boosted

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// dumpNode is a node of a dumped tree. A leaf has no children.
type dumpNode struct {
	SplitFeature *int      `json:"split_feature"`
	Threshold    any       `json:"threshold"` // a number, or categories as text
	DecisionType string    `json:"decision_type"`
	DefaultLeft  bool      `json:"default_left"`
	MissingType  string    `json:"missing_type"`
	LeftChild    *dumpNode `json:"left_child"`
	RightChild   *dumpNode `json:"right_child"`
	LeafValue    *float64  `json:"leaf_value"`
	LeafCount    float64   `json:"leaf_count"`
	LeafConst    *float64  `json:"leaf_const"` // of a linear tree
}

type dumpTree struct {
	TreeStructure *dumpNode `json:"tree_structure"`
}

// dump is what scoring needs of LightGBM's JSON dump.
type dump struct {
	FeatureNames      []string        `json:"feature_names"`
	MaxFeatureIdx     *int            `json:"max_feature_idx"`
	Objective         string          `json:"objective"`
	AverageOutput     bool            `json:"average_output"`
	NumClass          *int            `json:"num_class"`
	NumTreePerIter    *int            `json:"num_tree_per_iteration"`
	TreeInfo          []dumpTree      `json:"tree_info"`
	Trees             []dumpTree      `json:"trees"`
	FeatureInfos      json.RawMessage `json:"feature_infos"`
	PandasCategorical json.RawMessage `json:"pandas_categorical"`
	Columns           []Column        `json:"columns"`
}

// parseDump reads a JSON dump; problems are noted at their paths.
func parseDump(raw []byte, p *decision.Problems) (*model, []Column) {
	if len(raw) > maxBytes {
		p.Addf("modelState", "got %d bytes, want at most %d", len(raw), maxBytes)
		return nil, nil
	}
	var d dump
	if err := json.Unmarshal(raw, &d); err != nil {
		notePlace(p, locate(raw, err))
		return nil, nil
	}
	key, trees := "tree_info", d.TreeInfo
	if trees == nil {
		key, trees = "trees", d.Trees
	}
	m := &model{sigma: 1, average: d.AverageOutput}
	notePlace(p, m.setNames(d.FeatureNames))
	notePlace(p, m.setObjective(d.Objective))
	notePlace(p, checkDumpCounts(&d, len(trees)))
	for i := range trees {
		t, err := trees[i].tree(len(m.names))
		var at *problem
		if errors.As(err, &at) {
			at.place = strings.TrimSuffix(fmt.Sprintf("%s[%d].%s", key, i, at.place), ".")
			notePlace(p, at)
		}
		m.trees = append(m.trees, t)
		trees[i].TreeStructure = nil // a dump takes many times the memory of a model
	}
	m.readDumpInfos(d.FeatureInfos)
	notePlace(p, m.setPandas(d.PandasCategorical))
	notePlace(p, m.checkSize())
	return m, d.Columns
}

func checkDumpCounts(d *dump, trees int) error {
	if trees > maxTrees {
		return problemf("", "has %d trees, want at most %d", trees, maxTrees)
	}
	if d.NumClass != nil && *d.NumClass != 1 {
		return setClasses("num_class", *d.NumClass)
	}
	if d.NumTreePerIter != nil && *d.NumTreePerIter != 1 {
		return setClasses("num_tree_per_iteration", *d.NumTreePerIter)
	}
	if last := len(d.FeatureNames) - 1; d.MaxFeatureIdx != nil && *d.MaxFeatureIdx != last {
		return problemf("max_feature_idx", "got %d, want %d, one less than there are feature_names", *d.MaxFeatureIdx, last)
	}
	return nil
}

// locate says where a dump has a value of a wrong type, the number of the tree
// included, which the decoder's error lacks.
func locate(raw []byte, err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return problemf("", "%v", err)
	}
	text := fmt.Sprintf("got a JSON %s, want another type", wrong.Value)
	key, _, _ := strings.Cut(wrong.Field, ".")
	var members map[string]json.RawMessage
	var trees []json.RawMessage
	if json.Unmarshal(raw, &members) == nil && json.Unmarshal(members[key], &trees) == nil {
		for i, tree := range trees {
			var inTree *json.UnmarshalTypeError
			if errors.As(json.Unmarshal(tree, new(dumpTree)), &inTree) {
				return &problem{fmt.Sprintf("%s[%d].%s", key, i, inTree.Field), text}
			}
		}
	}
	return &problem{wrong.Field, text}
}

// readDumpInfos reads feature_infos: an entry per feature that the training
// used, with the codes of a categorical one. It only helps to tell which
// features pandas_categorical is about, so that what it does not say is no
// problem.
func (m *model) readDumpInfos(raw json.RawMessage) {
	var infos map[string]struct {
		Values []int `json:"values"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &infos) != nil {
		return
	}
	for i, name := range m.names {
		switch in, ok := infos[name]; {
		case ok && len(in.Values) > 0:
			m.infos[i] = info{categoricalInfo, slices.Max(in.Values)}
		case ok:
			m.infos[i].kind = numericalInfo
		}
	}
}

// tree converts a dumped tree.
func (d *dumpTree) tree(features int) (tree, error) {
	if d.TreeStructure == nil {
		return tree{}, problemf("tree_structure", "is missing")
	}
	var t tree
	if _, err := t.add(d.TreeStructure, &place{step: "tree_structure"}); err != nil {
		return tree{}, err
	}
	return t, t.check(features)
}

// place is where a node is, for messages.
type place struct {
	parent *place
	step   string
	depth  int
}

func (p *place) child(step string) *place { return &place{p, step, p.depth + 1} }

func (p *place) path(key string) string {
	for ; p != nil; p = p.parent {
		key = p.step + "." + key
	}
	return strings.TrimSuffix(key, ".")
}

// add adds a node and everything below and returns its number, ^n for leaf n.
func (t *tree) add(d *dumpNode, at *place) (int, error) {
	if at.depth > maxDepth {
		return 0, problemf("", "is deeper than %d splits", maxDepth)
	}
	if d.LeftChild == nil && d.RightChild == nil {
		return t.addLeaf(d, at)
	}
	if d.LeftChild == nil || d.RightChild == nil {
		return 0, problemf(at.path(""), "has one child, want left_child and right_child")
	}
	s, err := d.split(at)
	if err != nil {
		return 0, err
	}
	n := len(t.splits)
	t.splits = append(t.splits, s)
	if s.left, err = t.add(d.LeftChild, at.child("left_child")); err != nil {
		return 0, err
	}
	if s.right, err = t.add(d.RightChild, at.child("right_child")); err != nil {
		return 0, err
	}
	t.splits[n] = s
	return n, nil
}

func (t *tree) addLeaf(d *dumpNode, at *place) (int, error) {
	if d.LeafConst != nil {
		return 0, problemf("", errLinear)
	}
	if d.LeafValue == nil {
		return 0, problemf(at.path("leaf_value"), "is missing: a node has children or a leaf_value")
	}
	l := leaf{*d.LeafValue, d.LeafCount}
	var wrong *problem
	if errors.As(l.check(), &wrong) {
		return 0, problemf(at.path(wrong.place), "%s", wrong.text)
	}
	t.leaves = append(t.leaves, l)
	return ^(len(t.leaves) - 1), nil
}

// split reads a node with children, apart from those.
func (d *dumpNode) split(at *place) (split, error) {
	var s split
	if d.SplitFeature == nil {
		return s, problemf(at.path("split_feature"), "is missing")
	}
	s.feature, s.defaultLeft = *d.SplitFeature, d.DefaultLeft
	switch d.MissingType {
	case "None", "":
		s.missing = missingNone
	case "Zero":
		s.missing = missingZero
	case "NaN":
		s.missing = missingNaN
	default:
		return s, problemf(at.path("missing_type"), "got %s, want None, Zero or NaN", quote(d.MissingType))
	}
	var err error
	switch d.DecisionType {
	case "<=", "":
		v, ok := d.Threshold.(float64)
		if !ok {
			return s, problemf(at.path("threshold"), "got %s, want a number", show(d.Threshold))
		}
		s.threshold = v
	case "==":
		s.categorical = true
		if s.codes, err = parseCodes(d.Threshold); err != nil {
			return s, problemf(at.path("threshold"), "%v", err)
		}
	default:
		return s, problemf(at.path("decision_type"), "got %s, want <= or ==", quote(d.DecisionType))
	}
	return s, nil
}

// parseCodes reads the categories of a split, "1||5||7".
func parseCodes(threshold any) ([]int32, error) {
	s, ok := threshold.(string)
	if !ok {
		s = show(threshold) // one category as a number
	}
	if s == "" {
		return nil, nil
	}
	var codes []int32
	for item := range strings.SplitSeq(s, "||") {
		v, err := strconv.ParseInt(item, 10, 32)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("got %s, want categories such as \"1||5\"", show(threshold))
		}
		codes = append(codes, int32(v))
	}
	slices.Sort(codes)
	return slices.Compact(codes), nil
}

// show renders a value of the dump for a message.
func show(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v)
	}
	return encode.Excerpt(raw)
}
