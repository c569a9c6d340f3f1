package main

import (
	"context"

	"github.com/praetor-engine/praetor/bench/regret"
)

type regretCommand struct {
	regret.Config `embed:""`
}

// Run simulates and replays.
func (c *regretCommand) Run(ctx context.Context, s streams) error {
	return regret.Measure(ctx, &c.Config, s.out, s.err)
}
