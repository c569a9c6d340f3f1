package main

import (
	"context"

	"github.com/praetor-engine/praetor/bench/adaptive"
)

type adaptiveCommand struct {
	adaptive.Config `embed:""`
}

// Run simulates.
func (c *adaptiveCommand) Run(ctx context.Context, s streams) error {
	return adaptive.Simulate(ctx, &c.Config, s.out, s.err)
}
