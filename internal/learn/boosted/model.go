package boosted

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a model; each is far above what is trained in practice.
const (
	maxBytes    = 256 << 20 // of its text or dump
	maxFeatures = 100_000
	maxTrees    = 20_000
	maxLeaves   = 1 << 20 // of all trees
	maxDepth    = 512
	maxCount    = 1<<31 - 1 // of rows in a leaf, LightGBM's data_size_t
)

// missing says which values are missing at a numerical split, and where they go:
// the column's kind that a split of the model is compiled to.
type missing uint8

// LightGBM's missing types, in the order of their bits in decision_type. Where
// none is declared a missing value is 0.
const (
	missingNone missing = iota
	missingZero
	missingNaN
)

// zeroThreshold is LightGBM's kZeroThreshold: what is not farther from 0 is 0. It
// is a float there, hence the conversion.
const zeroThreshold = float64(float32(1e-35))

// model is a LightGBM model as both readers give it.
type model struct {
	names      []string // of the features
	trees      []tree
	sigma      float64 // of the sigmoid
	average    bool    // average_output
	infos      []info  // of the features
	categories [][]string
	// parametric are the features that the training was told are categorical,
	// nil where the model does not say.
	parametric []int
}

// info is what feature_infos says of a feature.
type info struct {
	kind    infoKind
	highest int // code of a categorical feature
}

type infoKind uint8

const (
	unknownInfo infoKind = iota // none: the training dropped it, or nothing is said
	numericalInfo
	categoricalInfo
)

// tree has its splits and leaves in any order; split 0, or leaf 0 of a tree
// without splits, is the root.
type tree struct {
	splits []split
	leaves []leaf
}

type split struct {
	feature     int
	threshold   float64 // ≤ goes left
	codes       []int32 // ascending; of a categorical split: these go left
	categorical bool
	missing     missing
	defaultLeft bool
	left, right int // a split, or ^leaf where negative
}

type leaf struct {
	value float64
	count float64 // of training rows; 0 where unknown
}

// problem is what is wrong at a place inside a model.
type problem struct{ place, text string }

// Error implements error.
func (p *problem) Error() string { return strings.TrimPrefix(p.place+": "+p.text, ": ") }

func problemf(place, format string, args ...any) *problem {
	return &problem{place, fmt.Sprintf(format, args...)}
}

// check reports what is wrong with the links of a tree: every split and leaf must
// be reached exactly once.
func (t *tree) check(features int) error {
	if len(t.leaves) != len(t.splits)+1 {
		return problemf("", "got %d leaves and %d splits, want one split less", len(t.leaves), len(t.splits))
	}
	if len(t.splits) == 0 {
		return nil
	}
	type visit struct{ node, depth int }
	splitSeen, leafSeen := make([]bool, len(t.splits)), make([]bool, len(t.leaves))
	stack := []visit{{0, 0}}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		seen, i := splitSeen, v.node
		if i < 0 {
			seen, i = leafSeen, ^i
		}
		switch {
		case i >= len(seen):
			return problemf("", "child %d is not in the tree of %d leaves", v.node, len(t.leaves))
		case seen[i]:
			return problemf("", "child %d has two parents", v.node)
		case v.depth > maxDepth:
			return problemf("", "is deeper than %d splits", maxDepth)
		}
		seen[i] = true
		if v.node < 0 {
			continue
		}
		s := &t.splits[i]
		if s.feature < 0 || s.feature >= features {
			return problemf("", "split_feature is %d, want 0 to %d", s.feature, features-1)
		}
		stack = append(stack, visit{s.left, v.depth + 1}, visit{s.right, v.depth + 1})
	}
	if slices.Contains(splitSeen, false) || slices.Contains(leafSeen, false) {
		return problemf("", "a split or leaf hangs on no branch")
	}
	return nil
}

// checkSize reports whether the model as a whole is within bounds, its sums
// included: no row's margin may be infinite.
func (m *model) checkSize() error {
	if len(m.trees) == 0 {
		return problemf("", "has no trees")
	}
	leaves, reach := 0, 0.0
	for i := range m.trees {
		largest := 0.0
		for _, l := range m.trees[i].leaves {
			largest = max(largest, math.Abs(l.value))
		}
		reach += largest
		leaves += len(m.trees[i].leaves)
	}
	switch {
	case leaves > maxLeaves:
		return problemf("", "has %d leaves, want at most %d", leaves, maxLeaves)
	case reach > math.MaxFloat64/2:
		return problemf("", "leaf values add up to more than a number can hold")
	}
	return nil
}

// setNames takes the features' names.
func (m *model) setNames(names []string) error {
	if len(names) == 0 || len(names) > maxFeatures {
		return problemf("feature_names", "got %d names, want 1 to %d", len(names), maxFeatures)
	}
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		if n == "" || seen[n] {
			return problemf("feature_names", "got %q twice or empty, want distinct names", n)
		}
		seen[n] = true
	}
	m.names, m.infos = names, make([]info, len(names))
	return nil
}

// setObjective takes the objective's name and parameters, such as "binary
// sigmoid:1"; a model without one was trained on log-odds by a custom objective.
func (m *model) setObjective(objective string) error {
	m.sigma = 1
	name, params, _ := strings.Cut(objective, " ")
	switch name {
	case "", "none", "null", "custom", "na", "cross_entropy", "xentropy":
		return nil
	case "binary":
	default:
		return problemf("objective", "got %q, want binary or cross_entropy: the output of others is no probability", name)
	}
	for _, p := range strings.Fields(params) {
		if v, ok := strings.CutPrefix(p, "sigmoid:"); ok {
			sigma, err := strconv.ParseFloat(v, 64)
			if err != nil || !(sigma > 0) || sigma > math.MaxFloat32 {
				return problemf("objective", "got %q, want a sigmoid above 0", p)
			}
			m.sigma = sigma
		}
	}
	return nil
}

// setClasses refuses what gives more than one score a row.
func setClasses(key string, n int) error {
	if n != 1 {
		return problemf(key, "got %d, want 1: a model of several classes has no single score", n)
	}
	return nil
}

// errLinear is why a linear tree is refused.
const errLinear = "is a linear tree, whose leaves hold regressions on the features; train with linear_tree=false"

// check reports what is wrong with a leaf.
func (l leaf) check() error {
	switch {
	case math.IsNaN(l.value) || math.IsInf(l.value, 0):
		return problemf("leaf_value", "got %v, want a finite number", l.value)
	case !(l.count >= 0 && l.count <= maxCount):
		return problemf("leaf_count", "got %v, want 0 to %d", l.count, maxCount)
	}
	return nil
}
