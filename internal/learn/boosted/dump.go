package boosted

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// dumpNode is a node of a dumped tree. A leaf has no children.
type dumpNode struct {
	SplitFeature *int            `json:"split_feature"`
	Threshold    json.RawMessage `json:"threshold"`
	DecisionType string          `json:"decision_type"`
	DefaultLeft  bool            `json:"default_left"`
	MissingType  string          `json:"missing_type"`
	LeftChild    *dumpNode       `json:"left_child"`
	RightChild   *dumpNode       `json:"right_child"`
	LeafValue    *float64        `json:"leaf_value"`
	LeafCount    float64         `json:"leaf_count"`
	LeafConst    *float64        `json:"leaf_const"` // of a linear tree
}

type dumpTree struct {
	TreeStructure *dumpNode `json:"tree_structure"`
}

// parseDump reads the members of a JSON dump; problems are noted at their paths.
func parseDump(o encode.Object, p *decision.Problems) *model {
	m := &model{sigma: 1}
	note := func(err error) {
		var at *problem
		switch {
		case errors.As(err, &at) && at.place != "":
			p.Addf(o.Path(at.place), "%s", at.text)
		case err != nil:
			p.Addf("modelState", "%v", err)
		}
	}
	note(m.setNames(readNames(o)))
	note(m.setObjective(o.Text("objective", "", 1000)))
	for _, key := range []string{"num_class", "num_tree_per_iteration"} {
		note(setClasses(key, int(o.Int(key, 1, 0, math.MaxInt32))))
	}
	if n := o.Int("max_feature_idx", int64(len(m.names)-1), 0, math.MaxInt32); len(m.names) > 0 && int(n) != len(m.names)-1 {
		p.Addf(o.Path("max_feature_idx"), "got %d, want %d, one less than there are feature_names", n, len(m.names)-1)
	}
	m.average = o.Bool("average_output", false)
	key := "tree_info"
	if !o.Has(key) {
		key = "trees"
	}
	for i, raw := range o.List(key, maxTrees) {
		t, err := parseDumpTree(raw, len(m.names))
		var at *problem
		if errors.As(err, &at) {
			p.Addf(strings.TrimSuffix(o.ItemPath(key, i)+"."+at.place, "."), "%s", at.text)
		}
		m.trees = append(m.trees, t)
	}
	m.readDumpInfos(o)
	note(m.setPandas(o.Raw("pandas_categorical")))
	note(m.checkSize())
	return m
}

func readNames(o encode.Object) []string {
	var names []string
	for _, raw := range o.List("feature_names", maxFeatures) {
		var name string
		if json.Unmarshal(raw, &name) != nil {
			name = "" // refused as an empty name
		}
		names = append(names, name)
	}
	return names
}

// readDumpInfos reads feature_infos: an entry per feature that the training
// used, with the codes of a categorical one. It only helps to tell which
// features pandas_categorical is about, so that what it does not say is no
// problem.
func (m *model) readDumpInfos(o encode.Object) {
	var infos map[string]struct {
		Values []int `json:"values"`
	}
	if raw := o.Raw("feature_infos"); raw == nil || json.Unmarshal(raw, &infos) != nil {
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

func parseDumpTree(raw json.RawMessage, features int) (tree, error) {
	var d dumpTree
	if err := json.Unmarshal(raw, &d); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return tree{}, problemf(wrong.Field, "got a JSON %s, want another type", wrong.Value)
		}
		return tree{}, problemf("", "%v", err)
	}
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
		var v float64
		if json.Unmarshal(d.Threshold, &v) != nil || string(d.Threshold) == "null" {
			return s, problemf(at.path("threshold"), "got %s, want a number", encode.Excerpt(d.Threshold))
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
func parseCodes(raw json.RawMessage) ([]int32, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw) // one category as a number
	}
	if s == "" {
		return nil, nil
	}
	var codes []int32
	for item := range strings.SplitSeq(s, "||") {
		v, err := strconv.ParseInt(item, 10, 32)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("got %s, want categories such as \"1||5\"", encode.Excerpt(raw))
		}
		codes = append(codes, int32(v))
	}
	slices.Sort(codes)
	return slices.Compact(codes), nil
}
