package regret

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
)

const (
	equalArms     = 6
	equalRate     = 0.2
	equalHoldout  = 10 // percent
	equalVisitors = 5000
	equalSpan     = 500
)

// equal is what the rounds of equal arms gave.
type equal struct {
	rounds      int
	significant int       // lifts with p < 0.05
	outside     int       // intervals of the expected reward that do not include the truth
	promised    []float64 // by round, the expected less the historic reward
}

// playEqual plays the rounds of one model.
func playEqual(ctx context.Context, m posterior.Model, config *Config) (*equal, error) {
	s, err := factorial.New(factorial.Definition{Design: factors("arm", equalArms)})
	if err != nil {
		return nil, err
	}
	e := &equal{rounds: config.Equal}
	for round := range e.rounds {
		rng := rand.New(rand.NewPCG(uint64(round+1), 0x657175616c))
		c := newCounts(s)
		var trained *posterior.Trained
		var sides [2]factorial.Arm
		for i := range equalVisitors {
			served := posterior.Serve(s, trained, &posterior.Visit{Optimization: fmt.Sprint(round), Visitor: fmt.Sprint(i), HoldoutPercent: equalHoldout})
			converted := rng.Float64() < equalRate
			c.add(served.Variant, 0, converted)
			side := &sides[0]
			if served.Holdout {
				side = &sides[1]
			}
			side.Users++
			if converted {
				side.Sum++
			}
			if (i+1)%equalSpan == 0 {
				if trained, err = posterior.Train(ctx, s, m, posterior.Bool, c.observed(), posterior.Options{Seed: uint64(round), Draws: config.Draws}); err != nil {
					return nil, err
				}
			}
		}
		if l := factorial.MeasureLift(sides[0], sides[1], false); l.Tested && l.P < 0.05 {
			e.significant++
		}
		x := trained.ExpectedReward()
		if x.Lower > equalRate || x.Upper < equalRate {
			e.outside++
		}
		e.promised = append(e.promised, x.Mean-trained.HistoricReward())
	}
	return e, nil
}
