package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/praetor-engine/praetor/internal/client"
)

type alertsCommand struct {
	connection `embed:""`
}

// Run lists the alerts.
func (c *alertsCommand) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	titles := []string{"MODEL", "KEY", "SEVERITY", "RULE", "SINCE", "WHAT"}
	return printList(env.out, c.JSON, engine.AllAlerts(ctx), titles, func(a client.Alert) []string {
		return []string{a.ModelID, a.ModelKey, a.Severity, a.Rule, a.Since.UTC().Format("2006-01-02"), a.Message}
	})
}

type modelsMonitor struct {
	modelArgument `embed:""`
	Days          int `default:"14" help:"How many days, at most 35 (${default})."`
}

// Run shows the days and the alerts.
func (c *modelsMonitor) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, model *client.Model) error {
		m, err := engine.Monitoring(ctx, model.ID, c.Days)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, m)
		}
		m.Total.Date = "all"
		var rows [][]string
		for _, d := range append(m.Days, m.Total) {
			rows = append(rows, []string{
				d.Date, strconv.FormatUint(d.Responses, 10), figure(d.Rate), strconv.FormatUint(d.Served, 10), strconv.FormatUint(d.Joined, 10),
				figure(d.AUC), figure(d.LogLoss), figure(d.PSI),
			})
		}
		titles := []string{"DAY", "RESPONSES", "RATE", "SERVED", "JOINED", "AUC", "LOG-LOSS", "PSI"}
		if err := printTable(env.out, titles, rows); err != nil {
			return err
		}
		if err := printBandit(env, m.Bandit); err != nil {
			return err
		}
		for _, a := range m.Alerts {
			fmt.Fprintf(env.out, "\n%s since %s: %s\n  good when %s\n", a.Severity, a.Since.UTC().Format("2006-01-02"), a.Message, a.GoodWhen)
		}
		return nil
	})
}

// printBandit shows the arms of a bandit and what its evidence has settled.
func printBandit(env *environment, b *client.Bandit) error {
	if b == nil {
		return nil
	}
	fmt.Fprintf(env.out, "\nentropy of the week's decisions: %s over %d arms\n", figure(b.Allocation.Entropy), b.Allocation.Eligible)
	if v := b.Verdict; v != nil {
		state := "not converged"
		if v.Converged {
			state = "converged"
		}
		fmt.Fprintf(env.out, "%s (%s): %s leads with a rate of %.4f (%.4f to %.4f), the best with a probability of %.3f; choosing it alone loses %.6f\n",
			state, v.Because, v.OfferID, v.Rate, v.Lower, v.Upper, v.ProbabilityBest, v.ExpectedLoss)
	}
	if c := b.Collapse; c != nil {
		fmt.Fprintf(env.out, "collapsed since %s: %.0f %% of the decisions fall on %s (%s): %s\n", c.Since.UTC().Format("2006-01-02"), 100*c.Share, c.OfferID, c.Cause, c.Message)
	}
	var rows [][]string
	for _, a := range b.Arms {
		rows = append(rows, []string{
			a.OfferID, strconv.FormatUint(a.Served, 10), figure(&a.Share), figure(&a.Rate), figure(&a.Lower) + " to " + figure(&a.Upper), figure(&a.ProbabilityBest),
		})
	}
	if len(rows) == 0 {
		return nil
	}
	return printTable(env.out, []string{"ARM", "SERVED", "SHARE", "RATE", "95 %", "BEST"}, rows)
}

// figure shows a figure that may not be known.
func figure(v *float64) string {
	if v == nil {
		return "–"
	}
	return strconv.FormatFloat(*v, 'f', 4, 64)
}
