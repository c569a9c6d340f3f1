package regret

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// marks is how often the cumulative regret is noted.
const marks = 100

// counts are observations by variant and cell.
type counts struct {
	n, sum []uint64
	cells  int
}

func newCounts(s *factorial.Space) *counts {
	cells := int(s.Cells())
	return &counts{n: make([]uint64, s.Variants()*cells), sum: make([]uint64, s.Variants()*cells), cells: cells}
}

func (c *counts) add(variant int, cell uint64, converted bool) {
	at := variant*c.cells + int(cell)
	c.n[at]++
	if converted {
		c.sum[at]++
	}
}

func (c *counts) observed() []factorial.Observed {
	var all []factorial.Observed
	for at, n := range c.n {
		if n > 0 {
			y := float64(c.sum[at])
			all = append(all, factorial.Observed{Variant: at / c.cells, Cell: uint64(at % c.cells), N: n, Sum: y, SumSq: y})
		}
	}
	return all
}

// nextTraining returns when to learn after so many visitors: a hundred more, or a
// tenth more.
func nextTraining(seen int) int { return seen + max(100, seen/10) }

// play lets a policy serve and returns its cumulative regret at the marks.
func play(ctx context.Context, s *factorial.Space, p policy, t *truth, visitors int, seed uint64) ([]float64, error) {
	rng := rand.New(rand.NewPCG(seed, 0x706c6179))
	c, chances := newCounts(s), make([]float64, s.Variants())
	regret, curve := 0.0, make([]float64, 0, marks)
	train := nextTraining(0)
	for i := range visitors {
		cell, u := rng.IntN(contexts), rng.Float64()
		best := t.chances(cell, float64(i)/float64(visitors), chances)
		v := p.serve(uint64(cell), fmt.Sprintf("%d/%d", seed, i))
		regret += best - chances[v]
		c.add(v, uint64(cell), u < chances[v])
		if seen := i + 1; seen == train {
			if err := p.learn(ctx, c.observed(), seed<<20+uint64(seen)); err != nil {
				return nil, err
			}
			train = nextTraining(seen)
		}
		if (i+1)*marks/visitors > len(curve) {
			curve = append(curve, regret)
		}
	}
	return curve, nil
}
