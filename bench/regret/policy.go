package regret

import (
	"context"
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
)

// policy decides, and learns now and then.
type policy interface {
	// learn takes everything that was observed so far.
	learn(ctx context.Context, observed []factorial.Observed, seed uint64) error
	// chance returns the probability of a variant in a cell.
	chance(cell uint64, variant int) float64
	// serve decides for a visitor.
	serve(cell uint64, visitor string) int
}

// The places of the policies.
const (
	uniformPolicy, mabPolicy, cmabPolicy = 0, 1, 2
)

var policyNames = []string{"uniform", "mab", "cmab", "cmab, bias 0.5", "epsilon 0.1"}

func newPolicies(s *factorial.Space, draws int) []policy {
	return []policy{
		&bandit{space: s},
		&bandit{space: s, draws: draws, model: posterior.MAB},
		&bandit{space: s, draws: draws, model: posterior.CMAB},
		&bandit{space: s, draws: draws, model: posterior.CMAB, bias: slices.Repeat([]float64{0.5}, len(s.Design))},
		&greedy{space: s, best: -1},
	}
}

// bandit is what the engine serves; without a model it never learns.
type bandit struct {
	space   *factorial.Space
	model   posterior.Model
	bias    []float64
	draws   int
	trained *posterior.Trained
}

func (b *bandit) learn(ctx context.Context, observed []factorial.Observed, seed uint64) (err error) {
	if b.model != 0 {
		b.trained, err = posterior.Train(ctx, b.space, b.model, posterior.Bool, observed, posterior.Options{Seed: seed, Draws: b.draws, Bias: b.bias})
	}
	return err
}

func (b *bandit) chance(cell uint64, variant int) float64 {
	if b.trained == nil {
		return 1 / float64(b.space.Variants())
	}
	return b.trained.Chance(cell, variant)
}

func (b *bandit) serve(cell uint64, visitor string) int {
	return posterior.Serve(b.space, b.trained, &posterior.Visit{Optimization: "regret", Visitor: visitor, Cell: cell}).Variant
}

const (
	epsilon = 0.1
	// priorExposures at the mean rate are taken together with those of a variant.
	priorExposures = 10
)

// greedy serves the variant with the best rate, or one time in ten any.
type greedy struct {
	space *factorial.Space
	best  int // −1 before it learned
}

func (g *greedy) learn(_ context.Context, observed []factorial.Observed, _ uint64) error {
	n, sums := make([]float64, g.space.Variants()), make([]float64, g.space.Variants())
	total, sum := 0.0, 0.0
	for i := range observed {
		o := &observed[i]
		n[o.Variant] += float64(o.N)
		sums[o.Variant] += o.Sum
		total += float64(o.N)
		sum += o.Sum
	}
	best := -1.0
	for v := range n {
		if rate := (sums[v] + priorExposures*sum/total) / (n[v] + priorExposures); rate > best {
			best, g.best = rate, v
		}
	}
	return nil
}

func (g *greedy) chance(_ uint64, variant int) float64 {
	any := 1 / float64(g.space.Variants())
	switch {
	case g.best < 0:
		return any
	case variant == g.best:
		return 1 - epsilon + epsilon*any
	}
	return epsilon * any
}

func (g *greedy) serve(_ uint64, visitor string) int {
	key := factorial.DrawKey("regret", visitor)
	if u := float64(key>>32) / (1 << 32); u >= epsilon && g.best >= 0 {
		return g.best
	}
	return int(key & (1<<32 - 1) * uint64(g.space.Variants()) >> 32)
}
