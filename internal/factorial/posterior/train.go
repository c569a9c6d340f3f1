package posterior

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// Model says what is learned.
type Model uint8

// The models.
const (
	MAB  Model = 1 // each variant alone
	CMAB Model = 2 // levels and their pairs, with the context
)

// Reward says what a reward is.
type Reward uint8

// The rewards.
const (
	Bool    Reward = 1 // whether it came
	Numeric Reward = 2 // how much came
)

// DefaultDraws is how many draws a table has.
const DefaultDraws = 2048

// Options are those of one training.
type Options struct {
	Seed  uint64
	Draws int       // 0 for DefaultDraws
	Bias  []float64 // by design factor, ≥ 0; nil for none
}

// ParseBias returns the bias by design factor. Its error is a bad request that names
// every field at fault.
func ParseBias(s *factorial.Space, bias map[string]float64) ([]float64, error) {
	if len(bias) == 0 {
		return nil, nil
	}
	var p decision.Problems
	b := make([]float64, len(s.Design))
	known := 0
	for f := range s.Design {
		name := s.Design[f].Name
		x, ok := bias[name]
		if !ok {
			continue
		}
		known++
		if !(x >= 0) || math.IsInf(x, 1) {
			p.Addf("bias."+name, "must be a number from 0 on, got %v", x)
		}
		b[f] = x
	}
	if known < len(bias) {
		var unknown []string
		for name := range bias {
			if !slices.ContainsFunc(s.Design, func(f factorial.Factor) bool { return f.Name == name }) {
				unknown = append(unknown, name)
			}
		}
		slices.Sort(unknown)
		for _, name := range unknown {
			p.Addf(fmt.Sprintf("bias.%.60s", name), "must name a design factor")
		}
	}
	return b, p.Err()
}

// Train learns from what was observed, in any order, a pair of variant and cell once.
// Without a single exposure it fails with a conflict; it ends early when ctx does.
func Train(ctx context.Context, s *factorial.Space, m Model, r Reward, observed []factorial.Observed, o Options) (*Trained, error) {
	if o.Draws == 0 {
		o.Draws = DefaultDraws
	}
	observed, err := checked(s, r, observed)
	if err != nil {
		return nil, err
	}
	var b belief
	p := everywhere()
	if m == MAB {
		b = newArms(s.Variants(), observed, r == Numeric, o.Bias)
	} else {
		fit, err := newRegression(s, observed, r == Numeric, o.Bias)
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		b, p = fit, newPlan(fit.design, observed, o.Draws)
	}
	rows, err := allocate(ctx, s, b, p, newVariates(o.Seed, allocationStream), o.Draws)
	if err != nil {
		return nil, err
	}
	e, err := evaluate(ctx, s, b, p, rows, newVariates(o.Seed, evaluationStream), o.Draws)
	if err != nil {
		return nil, err
	}
	t := &Trained{
		model: m, reward: r, draws: uint32(o.Draws), bias: slices.Clone(o.Bias),
		cells: p.cells, rows: rows, expected: e.value, importance: importance(s, b, p),
		variants: make([]Variant, s.Variants()),
	}
	for v := range t.variants {
		t.variants[v].Expected = e.variants[v]
	}
	for i := range observed {
		v := &t.variants[observed[i].Variant]
		v.Exposures += observed[i].N
		v.Rewards += observed[i].Sum
	}
	t.settle(s)
	return t, nil
}

// checked returns what was observed in the order of variants and cells: sums of
// floats depend on the order.
func checked(s *factorial.Space, r Reward, observed []factorial.Observed) ([]factorial.Observed, error) {
	kept := make([]factorial.Observed, 0, len(observed))
	for _, o := range observed {
		switch {
		case o.Variant < 0 || o.Variant >= s.Variants() || o.Cell >= s.Cells():
			return nil, fmt.Errorf("train: observed variant %d in cell %d, want below %d and %d", o.Variant, o.Cell, s.Variants(), s.Cells())
		case r == Bool && !(o.Sum >= 0 && o.Sum <= float64(o.N)),
			math.IsNaN(o.Sum - o.Sum), math.IsNaN(o.SumSq - o.SumSq), o.SumSq < 0:
			return nil, fmt.Errorf("train: variant %d in cell %d has the sums %v and %v of %d rewards", o.Variant, o.Cell, o.Sum, o.SumSq, o.N)
		}
		if o.N > 0 {
			kept = append(kept, o)
		}
	}
	if len(kept) == 0 {
		return nil, decision.Errorf(decision.KindConflict, "there are no observations to learn from: record exposures, or wait until those there are have had their conversion window")
	}
	slices.SortFunc(kept, byVariantAndCell)
	return kept, nil
}

func byVariantAndCell(a, b factorial.Observed) int {
	if a.Variant != b.Variant {
		return a.Variant - b.Variant
	}
	switch {
	case a.Cell < b.Cell:
		return -1
	case a.Cell > b.Cell:
		return 1
	}
	return 0
}
