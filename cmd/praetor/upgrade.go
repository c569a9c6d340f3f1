package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/praetor-engine/praetor/internal/client"
)

type modelsUpgrade struct {
	modelArgument `embed:""`
	Experiment    bool `help:"Also make an experiment of the two models, a draft with half of the customers for each."`
}

// Run upgrades the model and shows the new one.
func (c *modelsUpgrade) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, m *client.Model) error {
		made, err := engine.Upgrade(ctx, m.ID, c.Experiment, client.IdempotencyKey(rand.Text()))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, made)
		}
		if err := printModel(env.out, &made.Model); err != nil || made.Experiment == nil {
			return err
		}
		_, err = fmt.Fprintf(env.out, "experiment   %s, a draft: praetor experiments show %s\n", made.Experiment.Key, made.Experiment.Key)
		return err
	})
}
