package regret

import (
	"fmt"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/learn"
)

// kind is a family of truths: standard deviations of effects.
type kind struct {
	name                string
	level, pair, inside float64
	drifting            bool
}

// The place of the strong interactions among the kinds.
const strong = 1

var kinds = []kind{
	{name: "no interactions", level: 0.5},
	{name: "strong interactions", level: 0.3, pair: 0.8, inside: 0.4},
	{name: "best by context", level: 0.3, pair: 0.2, inside: 0.8},
	{name: "drifting", level: 0.3, pair: 0.8, inside: 0.4, drifting: true},
}

const (
	contexts  = 3
	intercept = -2
)

var designSizes = []int{4, 4, 3}

// factors returns factors whose levels are called by their indexes.
func factors(prefix string, sizes ...int) []factorial.Factor {
	var all []factorial.Factor
	for i, n := range sizes {
		f := factorial.Factor{Name: fmt.Sprintf("%s%d", prefix, i+1), Type: factorial.String}
		for l := range n {
			f.Levels = append(f.Levels, factorial.StringOf(fmt.Sprint(l)))
		}
		all = append(all, f)
	}
	return all
}

// newSpace returns the space of the truths.
func newSpace() (*factorial.Space, error) {
	return factorial.New(factorial.Definition{Design: factors("design", designSizes...), Context: factors("context", contexts), PairModel: true})
}

// truth is the log-odds of each variant in each context, at the first visitor and at
// the last.
type truth struct{ from, to [contexts][]float64 }

func newTruth(s *factorial.Space, k *kind, seed uint64) *truth {
	rng := rand.New(rand.NewPCG(seed, 0x7472757468))
	t := &truth{from: drawEffects(s, k, rng)}
	t.to = t.from
	if k.drifting {
		t.to = drawEffects(s, k, rng)
	}
	return t
}

// drawEffects draws all effects and adds them up.
func drawEffects(s *factorial.Space, k *kind, rng *rand.Rand) (logits [contexts][]float64) {
	effect := make(map[[4]int]float64)
	of := func(f, l, g, m int, deviation float64) float64 {
		if l == 0 || m == 0 || deviation == 0 {
			return 0
		}
		key := [4]int{f, l, g, m}
		if _, drawn := effect[key]; !drawn {
			effect[key] = deviation * rng.NormFloat64()
		}
		return effect[key]
	}
	for c := range contexts {
		for v := range s.Variants() {
			z, levels := float64(intercept), s.Levels(v)
			for f, l := range levels {
				z += of(f, int(l), -1, 1, k.level) + of(f, int(l), -2, c, k.inside)
				for g := f + 1; g < len(levels); g++ {
					z += of(f, int(l), g, int(levels[g]), k.pair)
				}
			}
			logits[c] = append(logits[c], z)
		}
	}
	return logits
}

// chances fills p with the chance of each variant when a share of the visitors has
// come, and returns the greatest.
func (t *truth) chances(context int, at float64, p []float64) (best float64) {
	for v := range p {
		p[v] = learn.Sigmoid((1-at)*t.from[context][v] + at*t.to[context][v])
		best = max(best, p[v])
	}
	return best
}
