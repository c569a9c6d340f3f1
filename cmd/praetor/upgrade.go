package main

import (
	"context"
	"crypto/rand"

	"github.com/praetor-engine/praetor/internal/client"
)

type modelsUpgrade struct {
	connection `embed:""`
	Model      string `arg:"" help:"The model's id or key."`
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
	made, err := engine.Upgrade(ctx, m.ID, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, made)
	}
	return printModel(env.out, &made)
}
