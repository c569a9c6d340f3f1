package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/praetor-engine/praetor/internal/client"
)

type familiesCommands struct {
	List familiesList `cmd:"" help:"List the families with their champions."`
	Log  familiesLog  `cmd:"" help:"Show or change which decisions of a family's models are logged."`
	Show familiesShow `cmd:"" help:"Show a family's members and the history of their standing."`
}

type familiesList struct {
	connection `embed:""`
}

// Run lists the families.
func (c *familiesList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	titles := []string{"FAMILY", "CHAMPION", "SINCE", "MEMBERS"}
	return printList(env.out, c.JSON, engine.AllFamilies(ctx), titles, func(f client.Family) []string {
		champion, since := "–", ""
		if f.Champion != nil {
			champion, since = f.Champion.Key, moment(f.Champion.PromotedAt)
		}
		return []string{f.Family, champion, since, fmt.Sprint(len(f.Members))}
	})
}

type familiesShow struct {
	connection `embed:""`
	Family     string `arg:"" help:"The family's name."`
}

// Run shows the family.
func (c *familiesShow) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	f, err := engine.Family(ctx, c.Family)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, f)
	}
	return printFamily(env.out, &f)
}

// printFamily writes a family for people: who decides, who could, and who did.
func printFamily(w io.Writer, f *client.Family) error {
	champion := "none"
	if f.Champion != nil {
		champion = f.Champion.Key
	}
	fmt.Fprintf(w, "%-12s %s\n%-12s %s\n\n", "family", f.Family, "champion", champion)
	members := make([][]string, len(f.Members))
	for i, m := range f.Members {
		members[i] = []string{m.ModelID, m.Key, m.ModelType, m.RegistryStatus}
	}
	if err := printTable(w, []string{"ID", "KEY", "TYPE", "STANDING"}, members); err != nil {
		return err
	}
	if len(f.History) == 0 {
		return nil
	}
	events := make([][]string, len(f.History))
	for i, e := range f.History {
		events[i] = []string{moment(&e.At), e.ModelKey, e.PreviousStatus, e.NewStatus, e.Change, e.Actor}
	}
	fmt.Fprintln(w)
	return printTable(w, []string{"AT", "MODEL", "FROM", "TO", "BY WAY OF", "ACTOR"}, events)
}

type modelsPromote struct {
	modelArgument `embed:""`
	To            string             `default:"champion" enum:"draft,challenger,champion,archived" help:"Its new standing: ${enum} (${default})."`
	Actor         string             `help:"Who asks, for the history; the key's name unless given."`
	Metric        map[string]float64 `placeholder:"auc=0.79" help:"A metric to record with it, and for the rollback guard to read: auc, errorRate, psi.FEATURE or any other. Repeatable."`
	BypassGuard   bool               `help:"Promote although the rollback guard would refuse."`
}

// Run asks the registry.
func (c *modelsPromote) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, m *client.Model) error {
		s, err := engine.Transition(ctx, m.ID, client.Transition{
			Status: c.To, Actor: c.Actor, MetricsSnapshot: c.Metric, BypassRollbackGuard: c.BypassGuard,
		}, client.IdempotencyKey(rand.Text()))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, s)
		}
		fmt.Fprintf(env.out, "%s of the family %s was %s and is %s\n", m.Key, m.Family, s.PreviousStatus, s.NewStatus)
		if s.DemotedChampionID != "" {
			fmt.Fprintf(env.out, "%s was champion and is challenger\n", s.DemotedChampionID)
		}
		for _, b := range s.Breaches {
			fmt.Fprintf(env.out, "the rollback guard was bypassed: %s is %v, over %v\n", b.Signal, b.Value, b.Threshold)
		}
		return nil
	})
}
