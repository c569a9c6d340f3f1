package main

import (
	"context"

	"github.com/praetor-engine/praetor/internal/demo"
)

type demoCommand struct {
	URL string `name:"url" placeholder:"http://127.0.0.1:8080" help:"Play against this engine; otherwise one is started for the demo and ends with it."`
	Key string `env:"PRAETOR_KEY" placeholder:"prk_…" help:"An editor's or admin's key, for --url (${env})."`

	Seed     uint64 `env:"PRAETOR_DEMO_SEED" default:"1" help:"Which market to play (${env})."`
	Visitors int    `env:"PRAETOR_DEMO_VISITORS" default:"12000" help:"How many visitors arrive (${env})."`

	CSV      string   `name:"csv" env:"PRAETOR_DEMO_CSV" type:"path" placeholder:"FILE" help:"Play the rows of a delimited file (.gz too) with a header instead (${env})."`
	Label    string   `env:"PRAETOR_DEMO_LABEL" placeholder:"COLUMN" help:"The file's column with what the customer did (${env})."`
	Positive string   `env:"PRAETOR_DEMO_POSITIVE" placeholder:"VALUE" help:"The label's value that is a success (${env})."`
	Drop     []string `env:"PRAETOR_DEMO_DROP" placeholder:"COLUMN" help:"Columns not to use, such as what is known only afterwards (${env}). The bank marketing data loses its duration by itself."`

	Plain bool `env:"PRAETOR_PLAIN" help:"No progress bar and no emphasis, as when the output is no terminal (${env})."`
}

// Run plays the demo.
func (c *demoCommand) Run(ctx context.Context, env *environment) error {
	o := demo.Options{
		URL: c.URL, Key: c.Key, Start: env.start,
		Seed: c.Seed, Visitors: c.Visitors,
		Out: env.out, Plain: c.Plain,
	}
	if c.CSV != "" {
		o.CSV = &demo.CSV{Path: c.CSV, Label: c.Label, Positive: c.Positive, Drop: c.Drop}
	}
	return demo.Run(ctx, o)
}
