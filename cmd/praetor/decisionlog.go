package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/praetor-engine/praetor/internal/client"
)

// logSwitch are the flags that change which decisions are logged.
type logSwitch struct {
	On         bool     `xor:"change" help:"Log decisions."`
	Off        bool     `xor:"change" help:"Log none."`
	Unset      bool     `xor:"change" help:"Take the setting away."`
	Sample     *float64 `placeholder:"PERCENT" help:"Percentage of the decisions; all unless given."`
	Format     *string  `enum:"ndjson,parquet" placeholder:"ndjson|parquet" help:"Format of complete files; ndjson unless given."`
	NoFeatures bool     `help:"Without what the candidates were scored by."`
}

// run changes the setting as the flags say and shows what holds then.
func (s *logSwitch) run(ctx context.Context, engine *client.Client, of string, family, asJSON bool, w io.Writer) error {
	changes := s.On || s.Off
	if (s.Sample != nil || s.Format != nil || s.NoFeatures) && !changes {
		return errors.New("--sample, --format and --no-features go with --on or --off")
	}
	switch {
	case s.Unset:
		if err := engine.DeleteDecisionLog(ctx, of, family); err != nil {
			return err
		}
	case changes:
		f := client.DecisionLogFields{Enabled: s.On, SamplePct: s.Sample, Format: s.Format}
		if s.NoFeatures {
			f.Features = new(bool)
		}
		if _, err := engine.SetDecisionLog(ctx, of, family, f); err != nil {
			return err
		}
	}
	d, err := engine.DecisionLog(ctx, of, family)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, d)
	}
	state, features := "not logged", "with features"
	if !d.Features {
		features = "without features"
	}
	if d.Enabled {
		state = fmt.Sprintf("%v %% are logged, as %s, %s", d.SamplePct, d.Format, features)
	}
	setting := map[string]string{"model": "the model's own, of ", "family": "the family's, of "}[d.Source] + moment(d.UpdatedAt)
	_, err = fmt.Fprintf(w, "decisions    %s\nset          %s\n", state, setting)
	return err
}

type modelsLog struct {
	modelArgument `embed:""`
	logSwitch     `embed:""`
}

// Run shows or changes the setting.
func (c *modelsLog) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, m *client.Model) error {
		return c.run(ctx, engine, m.ID, false, c.JSON, env.out)
	})
}

type familiesLog struct {
	connection `embed:""`
	Family     string `arg:"" help:"The family's name."`
	logSwitch  `embed:""`
}

// Run shows or changes the setting.
func (c *familiesLog) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	return c.run(ctx, engine, c.Family, true, c.JSON, env.out)
}
