package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/praetor-engine/praetor/internal/client"
)

type experimentsCommands struct {
	List    experimentsList    `cmd:"" help:"List the experiments."`
	Show    experimentsShow    `cmd:"" help:"Show an experiment and its split."`
	Results experimentsResults `cmd:"" help:"Show what came of an experiment so far."`

	Create   experimentsCreate `cmd:"" help:"Make an experiment of a champion and challengers."`
	Start    experimentsStart  `cmd:"" help:"Begin to assign customers, or go on after a pause."`
	Pause    experimentsPause  `cmd:"" help:"Stop assigning and counting for a while: all get the champion."`
	Complete experimentsEnd    `cmd:"" help:"End an experiment; its results stay."`
}

type experimentsList struct {
	connection `embed:""`
}

// Run lists the experiments.
func (c *experimentsList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	titles := []string{"ID", "KEY", "FAMILY", "STATUS", "STARTED", "CHALLENGERS"}
	return printList(env.out, c.JSON, engine.AllExperiments(ctx), titles, func(x client.Experiment) []string {
		return []string{x.ID, x.Key, x.Family, x.Status, moment(x.StartedAt), strconv.Itoa(len(x.Challengers))}
	})
}

// experimentArgument is the experiment that a command is about.
type experimentArgument struct {
	connection `embed:""`
	Experiment string `arg:"" help:"The experiment's id or key."`
}

// with finds the experiment and does something with it, in the time that calls may take.
func (c *experimentArgument) with(ctx context.Context, do func(ctx context.Context, engine *client.Client, x *client.Experiment) error) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	x, err := findExperiment(ctx, engine, c.Experiment)
	if err != nil {
		return err
	}
	return do(ctx, engine, &x)
}

type experimentsShow struct {
	experimentArgument `embed:""`
}

// Run shows the experiment.
func (c *experimentsShow) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(_ context.Context, _ *client.Client, x *client.Experiment) error { return c.show(env, x) })
}

// findExperiment finds an experiment by its id, else by its key.
func findExperiment(ctx context.Context, engine *client.Client, name string) (client.Experiment, error) {
	x, err := engine.Experiment(ctx, name)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		return x, err
	}
	for found, err := range engine.AllExperiments(ctx) {
		if err != nil {
			return found, err
		}
		if found.Key == name {
			return found, nil
		}
	}
	return x, fmt.Errorf("there is no experiment with the id or the key %q", name)
}

func printExperiment(w io.Writer, x *client.Experiment) error {
	line := func(name string, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("id", "%s", x.ID)
	line("key", "%s", x.Key)
	line("name", "%s", x.Name)
	line("status", "%s", x.Status)
	if x.EndReason != "" {
		line("ended", "%s, %s", moment(x.EndedAt), x.EndReason)
	}
	line("family", "%s", x.Family)
	line("started", "%s", moment(x.StartedAt))
	if x.AutoPromote {
		line("promotes", "after %d days, with %v more AUC where it is known", x.PromoteAfterDays, x.PromoteThreshold)
	}
	if p := x.Promotion; p != nil && p.Promoted {
		line("promotion", "%s at %s", p.ModelID, moment(&p.At))
	} else if p != nil {
		line("promotion", "%s was refused at %s: %s", p.ModelID, moment(&p.At), p.Reason)
	}
	fmt.Fprintln(w)
	rows := [][]string{}
	if x.HoldoutPercent > 0 {
		rows = append(rows, []string{"holdout", x.ChampionModelID, percent(x.HoldoutPercent) + " of all"})
	}
	rows = append(rows, []string{"champion", x.ChampionModelID, percent(x.TrafficSplit.ChampionPct)})
	for _, c := range x.Challengers {
		rows = append(rows, []string{"challenger", c.ModelID, percent(c.TrafficPct)})
	}
	return printTable(w, []string{"ROLE", "MODEL", "SHARE"}, rows)
}

func percent(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " %" }

type experimentsResults struct {
	experimentArgument `embed:""`
}

// Run shows the results.
func (c *experimentsResults) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, x *client.Experiment) error {
		r, err := engine.ExperimentResults(ctx, x.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, r)
		}
		return printResults(env.out, x, &r)
	})
}

func printResults(w io.Writer, x *client.Experiment, r *client.ExperimentResults) error {
	fmt.Fprintf(w, "%s, %s since %s\n\n", x.Key, r.Status, moment(r.StartedAt))
	rows := make([][]string, len(r.Variants))
	for i, v := range r.Variants {
		verdict := "no difference shown"
		switch {
		case v.Variant == "__champion__":
			verdict = "the base"
		case v.InsufficientData:
			verdict = "too few samples"
		case v.Significant:
			verdict = "significant"
		}
		relative := "–"
		if v.RelativeUplift != nil {
			relative = fmt.Sprintf("%+.1f %%", 100**v.RelativeUplift)
		}
		rows[i] = []string{
			v.Variant, strconv.FormatUint(v.Samples, 10), strconv.FormatUint(v.Positives, 10), fmt.Sprintf("%.4f", v.Rate),
			fmt.Sprintf("%.4f–%.4f", v.CILower, v.CIUpper), relative, fmt.Sprintf("%.4f", v.PValue), verdict,
		}
	}
	if err := printTable(w, []string{"VARIANT", "SAMPLES", "POSITIVES", "RATE", "95 %", "UPLIFT", "P", "VERDICT"}, rows); err != nil {
		return err
	}
	split := "as it should be"
	if r.SRM.Warning {
		split = "NOT as it should be: trust no result before the reason is known"
	}
	fmt.Fprintf(w, "\nsplit        %s (χ² %.2f, p %.4f)\n", split, r.SRM.ChiSquare, r.SRM.PValue)
	if len(r.Shadow.Models) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nscores of the same requests on this node, %v of them:\n", r.Shadow.Share)
	rows = rows[:0]
	for _, m := range r.Shadow.Models {
		rows = append(rows, []string{
			m.Variant, strconv.FormatUint(m.Samples, 10), fmt.Sprintf("%.4f", m.Mean), fmt.Sprintf("%.4f", m.StdDev),
			fmt.Sprintf("%+.4f", m.MeanDifference), fmt.Sprintf("%.4f", m.MeanAbsDifference), fmt.Sprintf("%.4f", m.PSI),
		})
	}
	return printTable(w, []string{"VARIANT", "REQUESTS", "MEAN", "SD", "DIFFERENCE", "ABSOLUTE", "PSI"}, rows)
}
