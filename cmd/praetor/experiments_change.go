package main

import (
	"context"
	"crypto/rand"
	"maps"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/client"
)

type experimentsCreate struct {
	connection  `embed:""`
	Experiment  string             `arg:"" name:"key" help:"The experiment's key: unique in the tenant, assignments come from it."`
	Name        string             `help:"Its name; the key if not given."`
	Champion    string             `required:"" placeholder:"MODEL" help:"The id or key of the model that the others are compared with."`
	Challenger  map[string]float64 `required:"" placeholder:"MODEL=PCT" help:"A challenger's id or key and its share of the customers in percent; the rest is the champion's. May be repeated; buckets are dealt in the order of the names."`
	Holdout     float64            `placeholder:"PCT" help:"Of all customers, how many percent get the champion as a group of their own."`
	AutoPromote bool               `help:"Promote the winner, through the registry's guard."`
	Start       bool               `help:"Begin at once; otherwise it is a draft."`
}

// Run makes the experiment and shows it.
func (c *experimentsCreate) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	champion, err := findModel(ctx, engine, c.Champion, false)
	if err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = c.Experiment
	}
	f := client.ExperimentFields{Key: &c.Experiment, Name: &c.Name, ChampionModelID: &champion.ID, HoldoutPercent: &c.Holdout, AutoPromote: &c.AutoPromote}
	if c.Start {
		f.Status = new("active")
	}
	rest := 100.0
	for _, name := range slices.Sorted(maps.Keys(c.Challenger)) {
		m, err := findModel(ctx, engine, name, false)
		if err != nil {
			return err
		}
		f.Challengers = append(f.Challengers, client.Challenger{ModelID: m.ID, TrafficPct: c.Challenger[name]})
		rest -= c.Challenger[name]
	}
	f.TrafficSplit = &client.TrafficSplit{ChampionPct: math.Round(rest*100) / 100}
	x, err := engine.CreateExperiment(ctx, f, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	return c.show(env, &x)
}

// to brings the experiment to a status and shows it.
func (c *experimentArgument) to(ctx context.Context, env *environment, status string) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, x *client.Experiment) error {
		changed, err := engine.UpdateExperiment(ctx, x.ID, client.ExperimentFields{Status: &status}, client.IdempotencyKey(rand.Text()))
		if err != nil {
			return err
		}
		return c.show(env, &changed)
	})
}

func (c *connection) show(env *environment, x *client.Experiment) error {
	if c.JSON {
		return printJSON(env.out, x)
	}
	return printExperiment(env.out, x)
}

type experimentsStart struct {
	experimentArgument `embed:""`
}

// Run makes the experiment active.
func (c *experimentsStart) Run(ctx context.Context, env *environment) error {
	return c.to(ctx, env, "active")
}

type experimentsPause struct {
	experimentArgument `embed:""`
}

// Run pauses the experiment.
func (c *experimentsPause) Run(ctx context.Context, env *environment) error {
	return c.to(ctx, env, "paused")
}

type experimentsEnd struct {
	experimentArgument `embed:""`
}

// Run completes the experiment.
func (c *experimentsEnd) Run(ctx context.Context, env *environment) error {
	return c.to(ctx, env, "completed")
}
