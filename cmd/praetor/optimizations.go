package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/client"
)

type optimizationsCommands struct {
	Create  optimizationsCreate  `cmd:"" help:"Make an optimization of a file with its definition."`
	List    optimizationsList    `cmd:"" help:"List the optimizations."`
	Serve   optimizationsServe   `cmd:"" help:"Ask for a visitor's variant."`
	Train   optimizationsTrain   `cmd:"" help:"Train an optimization's model from what was observed so far."`
	Results optimizationsResults `cmd:"" help:"Show what came of an optimization so far."`
	Status  optimizationsStatus  `cmd:"" help:"Set an optimization live, completed (everyone gets the winner) or archived."`
}

type optimizationsCreate struct {
	connection `embed:""`
	File       string `arg:"" type:"existingfile" help:"The definition as JSON, as POST /api/v2/optimizations takes it."`
}

// Run makes the optimization.
func (c *optimizationsCreate) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var wanted client.NewOptimization
	if err := json.Unmarshal(raw, &wanted); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	o, err := engine.CreateOptimization(ctx, wanted, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, o)
	}
	fmt.Fprintf(env.out, "created optimization %s (%s) with the model %s\n", o.ID, o.Name, o.ModelID)
	return nil
}

type optimizationsList struct {
	connection `embed:""`
	OrderBy    string `enum:"created_at,updated_at,name,exposures,lift" default:"created_at" help:"Descending order: ${enum} (${default})."`
	Archived   bool   `help:"List archived ones too."`
}

// Run lists the optimizations.
func (c *optimizationsList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	all, err := allOptimizations(ctx, engine, client.OptimizationsQuery{OrderBy: c.OrderBy, IncludeArchived: c.Archived})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, all)
	}
	rows := make([][]string, len(all))
	for i, o := range all {
		rows[i] = []string{o.ID, o.Name, o.ModelType, o.Status, o.ModelStatus, "–", "–", "–"}
		if s := o.Summary; s != nil {
			rows[i][5], rows[i][6], rows[i][7] = strconv.FormatUint(s.Exposures, 10), signed(s.Lift), decimal(s.Confidence)
		}
	}
	return printTable(env.out, []string{"ID", "NAME", "TYPE", "STATUS", "MODEL", "EXPOSURES", "LIFT", "CONFIDENCE"}, rows)
}

func allOptimizations(ctx context.Context, engine *client.Client, q client.OptimizationsQuery) ([]client.Optimization, error) {
	all := []client.Optimization{}
	for q.Limit = 100; ; q.Offset = len(all) {
		page, err := engine.Optimizations(ctx, q)
		if err != nil {
			return nil, err
		}
		if all = append(all, page.Optimizations...); len(all) >= page.Total || len(page.Optimizations) == 0 {
			return all, nil
		}
	}
}

// findOptimization finds an optimization by its id, else by its name.
func findOptimization(ctx context.Context, engine *client.Client, name string) (client.Optimization, error) {
	o, err := engine.Optimization(ctx, name)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		return o, err
	}
	all, err := allOptimizations(ctx, engine, client.OptimizationsQuery{IncludeArchived: true})
	if err != nil {
		return o, err
	}
	var found []client.Optimization
	for _, o := range all {
		if o.Name == name {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return o, fmt.Errorf("there is no optimization with the id or the name %q", name)
	case 1:
		return found[0], nil
	}
	return o, fmt.Errorf("%d optimizations have the name %q: give an id", len(found), name)
}

// optimizationArgument is the optimization that a command is about.
type optimizationArgument struct {
	connection   `embed:""`
	Optimization string `arg:"" help:"The optimization's id or name."`
}

// with finds the optimization and does something with it, in the time that calls may take.
func (c *optimizationArgument) with(ctx context.Context, do func(ctx context.Context, engine *client.Client, o *client.Optimization) error) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	o, err := findOptimization(ctx, engine, c.Optimization)
	if err != nil {
		return err
	}
	return do(ctx, engine, &o)
}

type optimizationsServe struct {
	optimizationArgument `embed:""`
	Visitor              string            `arg:"" help:"The visitor's anonymous id."`
	Context              map[string]string `placeholder:"FACTOR=LEVEL" help:"What is known of the visitor."`
	Record               bool              `help:"Record the exposure; otherwise nothing is written."`
}

// Run asks for the variant.
func (c *optimizationsServe) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, o *client.Optimization) error {
		s, err := engine.Serve(ctx, o.ID, client.ServeRequest{AnonymousID: c.Visitor, Context: levelsOf(o, c.Context), DryRun: !c.Record})
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, s)
		}
		fmt.Fprintf(env.out, "variant %d with propensity %.4f: %s\n", s.VariantNumber, s.Propensity, combination(s.Variant))
		if s.IsHoldout {
			fmt.Fprintln(env.out, "the visitor is held out")
		}
		return nil
	})
}

// levelsOf turns what was given on the command line into levels: those of boolean
// factors into booleans.
func levelsOf(o *client.Optimization, given map[string]string) map[string]any {
	levels := map[string]any{}
	for name, level := range given {
		levels[name] = level
		for _, f := range o.TrainingDataConfig.ContextFactors {
			if b, err := strconv.ParseBool(level); f.Name == name && f.Dtype == "bool" && err == nil {
				levels[name] = b
			}
		}
	}
	return levels
}

// combination writes levels by their factors.
func combination(c client.Combination) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s=%v", name, c[name]))
	}
	return strings.Join(parts, " ")
}

type optimizationsTrain struct {
	optimizationArgument `embed:""`
	Bias                 map[string]float64 `placeholder:"FACTOR=B" help:"Explore a design factor more; 0 is plain Thompson sampling."`
}

// Run trains the model.
func (c *optimizationsTrain) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, o *client.Optimization) error {
		t, err := engine.TrainOptimizationModel(ctx, o.ModelID, c.Bias)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, t)
		}
		m := t.InSampleMetrics
		fmt.Fprintf(env.out, "model %s is %s: historic reward %.4f, expected %.4f (%.4f–%.4f)\n",
			t.ModelID, t.Status, m.HistoricReward, m.ExpectedReward.Mean, m.ExpectedReward.Lower, m.ExpectedReward.Upper)
		return nil
	})
}

type optimizationsResults struct {
	optimizationArgument `embed:""`
}

// Run shows the results.
func (c *optimizationsResults) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, o *client.Optimization) error {
		r, err := engine.OptimizationResults(ctx, o.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, r)
		}
		return printOptimizationResults(env.out, o, &r)
	})
}

// maxShownVariants bounds the table; --json has all.
const maxShownVariants = 30

func printOptimizationResults(w io.Writer, o *client.Optimization, r *client.OptimizationResults) error {
	fmt.Fprintf(w, "%s, %s, model %s\n\n", o.Name, o.Status, r.ModelStatus)
	slices.SortStableFunc(r.Variants, func(a, b client.VariantFigures) int { return cmp.Compare(b.Weight, a.Weight) })
	var rows [][]string
	for _, v := range r.Variants[:min(len(r.Variants), maxShownVariants)] {
		expected := "–"
		if v.Mean != nil {
			expected = fmt.Sprintf("%.4f (%.4f–%.4f)", *v.Mean, *v.Lower, *v.Upper)
		}
		rows = append(rows, []string{
			strconv.Itoa(v.Number), combination(v.Variant), strconv.FormatUint(v.Exposures, 10), strconv.FormatFloat(v.Conversions, 'f', -1, 64),
			decimal(v.Rate), fmt.Sprintf("%.4f", v.Weight), expected,
		})
	}
	if err := printTable(w, []string{"NUMBER", "VARIANT", "EXPOSURES", "CONVERSIONS", "RATE", "WEIGHT", "EXPECTED"}, rows); err != nil {
		return err
	}
	if n := len(r.Variants) - len(rows); n > 0 {
		fmt.Fprintf(w, "and %d more\n", n)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Importance)) {
		fmt.Fprintf(w, "\nimportance   %s %.4f", name, r.Importance[name])
	}
	l := &r.Lift
	fmt.Fprintf(w, "\nlift         %s (%s to %s), p %s; %d treated visitors, %d held out\n",
		signed(l.Percent), signed(l.Lower), signed(l.Upper), decimal(l.P), l.TreatedUsers, l.HoldoutUsers)
	if r.Immature > 0 {
		fmt.Fprintf(w, "immature     %d exposures: younger than the conversion window and without a reward\n", r.Immature)
	}
	return nil
}

func decimal(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4f", *v)
}

func signed(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%+.1f %%", *v)
}

type optimizationsStatus struct {
	optimizationArgument `embed:""`
	Status               string `arg:"" enum:"live,completed,archived" help:"What it is to be: ${enum}."`
}

// Run changes the status.
func (c *optimizationsStatus) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, o *client.Optimization) error {
		changed, err := engine.UpdateOptimization(ctx, o.ID, client.OptimizationPatch{Status: &c.Status}, client.IdempotencyKey(rand.Text()))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.out, changed)
		}
		fmt.Fprintf(env.out, "%s is %s\n", changed.Name, changed.Status)
		return nil
	})
}
