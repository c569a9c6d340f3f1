package boosted

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// decide is LightGBM's decision at a split, case by case.
func (s *split) decide(v float64) int {
	way := func(left bool) int {
		if left {
			return s.left
		}
		return s.right
	}
	if s.categorical {
		return way(!math.IsNaN(v) && v > -1 && v <= math.MaxInt32 && slices.Contains(s.codes, int32(v)))
	}
	if math.IsNaN(v) && s.missing != missingNaN {
		v = 0
	}
	if s.missing == missingZero && math.Abs(v) <= zeroThreshold || s.missing == missingNaN && math.IsNaN(v) {
		return way(s.defaultLeft)
	}
	return way(v <= s.threshold)
}

// worth is the value of a coalition in one tree: the mean of the leaves over the
// ways that splits on features outside of it take.
func (t *tree) worth(node int, x []float64, in func(feature int) bool) (value, count float64) {
	if node < 0 {
		return t.leaves[^node].value, max(t.leaves[^node].count, 1)
	}
	s := &t.splits[node]
	left, nl := t.worth(s.left, x, in)
	right, nr := t.worth(s.right, x, in)
	switch {
	case !in(s.feature):
		value = (left*nl + right*nr) / (nl + nr)
	case s.decide(x[s.feature]) == s.left:
		value = left
	default:
		value = right
	}
	return value, nl + nr
}

func (t *tree) root() int {
	if len(t.splits) == 0 {
		return -1
	}
	return 0
}

// worth of a coalition in the model, as bits.
func (m *model) worth(x []float64, coalition uint) float64 {
	sum := 0.0
	for i := range m.trees {
		v, _ := m.trees[i].worth(m.trees[i].root(), x, func(f int) bool { return coalition>>f&1 != 0 })
		sum += v
	}
	return sum
}

// shapley is Shapley's formula over all coalitions of n features.
func shapley(m *model, x []float64, n int) []float64 {
	factorial := func(k int) float64 { return math.Round(math.Gamma(float64(k + 1))) }
	phi := make([]float64, n)
	for c := range uint(1) << n {
		size := 0
		for f := range n {
			size += int(c >> f & 1)
		}
		for f := range n {
			if c>>f&1 == 0 {
				weight := factorial(size) * factorial(n-size-1) / factorial(n)
				phi[f] += weight * (m.worth(x, c|1<<f) - m.worth(x, c))
			}
		}
	}
	return phi
}

// randomModel makes a model text with every kind of split over n features.
func randomModel(rng *rand.Rand, trees, leaves, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=%d\n", n-1)
	fmt.Fprintf(&b, "objective=binary sigmoid:1\nfeature_names=%s\n\n", strings.Join(names, " "))
	for i := range trees {
		fmt.Fprintf(&b, "Tree=%d\n%s\n\n", i, randomTree(rng, 1+rng.IntN(leaves), n))
	}
	b.WriteString("end of trees\n")
	return b.String()
}

// randomTree grows a tree as LightGBM does: a leaf is split into itself and a new
// one.
func randomTree(rng *rand.Rand, leaves, n int) string {
	lists := map[string][]string{}
	add := func(key string, v any) { lists[key] = append(lists[key], fmt.Sprint(v)) }
	left, right, parent := []int{}, []int{}, []int{-1}
	sets := 0
	for k := range leaves - 1 {
		at := rng.IntN(k + 1)
		if p := parent[at]; p >= 0 && left[p] == ^at {
			left[p] = k
		} else if p >= 0 {
			right[p] = k
		}
		left, right = append(left, ^at), append(right, ^(k+1))
		parent[at] = k
		parent = append(parent, k)
		feature := rng.IntN(n)
		add("split_feature", feature)
		if feature%3 == 2 {
			add("decision_type", categoricalBit|rng.IntN(3)<<missingShift)
			add("threshold", sets)
			sets++
			add("cat_boundaries", 2*(sets-1))
			add("cat_threshold", rng.Uint32())
			add("cat_threshold", rng.Uint32())
			continue
		}
		add("decision_type", rng.IntN(2)*defaultLeftBit|rng.IntN(3)<<missingShift)
		add("threshold", []float64{0, 1.0000000180025095e-35, -1, 1, rng.NormFloat64(), math.Inf(1)}[rng.IntN(6)])
	}
	lists["cat_boundaries"] = append(lists["cat_boundaries"], fmt.Sprint(2*sets))
	for _, v := range left {
		add("left_child", v)
	}
	for _, v := range right {
		add("right_child", v)
	}
	for range leaves {
		add("leaf_value", rng.NormFloat64())
		add("leaf_count", rng.IntN(50))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "num_leaves=%d\nnum_cat=%d", leaves, sets)
	for _, key := range []string{"split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value", "leaf_count", "cat_boundaries", "cat_threshold"} {
		if sets > 0 || !strings.HasPrefix(key, "cat_") {
			fmt.Fprintf(&b, "\n%s=%s", key, strings.ReplaceAll(strings.Join(lists[key], " "), "+Inf", "inf"))
		}
	}
	return b.String()
}

// randomValues draws what decisions may treat in their own way.
func randomValues(rng *rand.Rand, x []float64) {
	for i := range x {
		switch rng.IntN(6) {
		case 0:
			x[i] = math.NaN()
		case 1:
			x[i] = []float64{0, 1e-36, -1e-36, 1, -1, 1e300, -0.5, 3e9, 64}[rng.IntN(9)]
		default:
			x[i] = rng.NormFloat64() * 10
		}
	}
}

func rowOfValues(names []string, x []float64) decision.Row {
	var row decision.Row
	for i, v := range x {
		if !math.IsNaN(v) {
			row = append(row, decision.Field{Name: names[i], Kind: decision.Number, Num: v})
		}
	}
	return row.Sort()
}

// flush is what every value goes through on its way into LightGBM.
func flush(x []float64) []float64 {
	out := slices.Clone(x)
	for i, v := range out {
		if math.Abs(v) <= zeroThreshold {
			out[i] = 0
		}
	}
	return out
}

func TestForestAgreesWithItsSplits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		m, f := mustForest(t, randomModel(rng, 1+rng.IntN(40), 1+rng.IntN(60), 12))
		x := make([]float64, 12)
		var res learn.Result
		for range 50 {
			randomValues(rng, x)
			f.Score(&learn.Request{Row: rowOfValues(m.names, x)}, &res)
			want := 0.0
			for i := range m.trees {
				tr := &m.trees[i]
				node := tr.root()
				for node >= 0 {
					node = tr.splits[node].decide(flush(x)[tr.splits[node].feature])
				}
				want += tr.leaves[^node].value
			}
			if res.Raw != want {
				t.Fatalf("raw of %v = %v, want %v", x, res.Raw, want)
			}
		}
	}
}

func mustForest(t testing.TB, text string) (*model, *forest) {
	m, err := parseText(text)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newForest(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, f
}

// TestExplanationsAreShapleyValues checks Lundberg et al. 2020, algorithm 2,
// against the definition.
func TestExplanationsAreShapleyValues(t *testing.T) {
	const n = 6
	rng := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		m, f := mustForest(t, randomModel(rng, 3, 25, n))
		x := make([]float64, n)
		var res learn.Result
		for range 3 {
			randomValues(rng, x)
			f.Score(&learn.Request{Row: rowOfValues(m.names, x), Explain: true}, &res)
			want := map[string]float64{}
			for i, v := range shapley(m, flush(x), n) {
				want[m.names[i]] = v
			}
			compareContributions(t, 0, &res, want, m.worth(x, 0))
		}
	}
}
