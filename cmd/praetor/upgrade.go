package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/praetor-engine/praetor/internal/client"
)

type modelsUpgrade struct {
	connection `embed:""`
	Model      string `arg:"" help:"The model's id or key."`
	Experiment bool   `help:"Also make an experiment of the two models, a draft with half of the customers for each."`
}

// Run upgrades the model and shows the new one.
func (c *modelsUpgrade) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	m, err := findModel(ctx, engine, c.Model, false)
	if err != nil {
		return err
	}
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
}
