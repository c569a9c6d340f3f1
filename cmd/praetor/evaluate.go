package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/evaluate"
	"github.com/praetor-engine/praetor/internal/evaluate/logged"
)

type evaluateCommand struct {
	connection `embed:""`
	Log        []string `required:"" type:"path" placeholder:"DIR|FILE,…" help:"Files of logged decisions, or directories with them: those of all nodes."`

	Model         string `xor:"policy" required:"" placeholder:"ID|KEY[@VERSION]" help:"The model to evaluate, from a running engine; as it is now, or a version of it."`
	Export        string `xor:"policy" required:"" type:"existingfile" placeholder:"FILE" help:"The model to evaluate, from a file that models export wrote."`
	ExportVersion uint64 `placeholder:"N" help:"The version in that file; what the model had learned when it was exported unless given."`

	Estimator []string          `enum:"all,replay,ips,snips,dr" default:"all" help:"replay, ips, snips, dr or all (${default})."`
	Reward    map[string]string `mapsep:"," placeholder:"OUTCOME=N|value,…" help:"What outcomes are worth: a number, or value for the conversionValue; 1 for positive ones unless given."`

	LoggedModel string        `placeholder:"ID|KEY" help:"Only decisions of this model."`
	Family      string        `help:"Only decisions of this family's models."`
	Since       time.Time     `format:"2006-01-02T15:04:05Z07:00" placeholder:"TIME" help:"Only decisions from then on, such as 2026-03-14T00:00:00Z."`
	Until       time.Time     `format:"2006-01-02T15:04:05Z07:00" placeholder:"TIME" help:"Only decisions before then."`
	Window      time.Duration `placeholder:"D" help:"How long after its decision an outcome counts; always unless given."`
	Mature      time.Duration `placeholder:"D" help:"Only decisions at least this much older than the newest record."`
	Answered    bool          `help:"Leave out decisions without an outcome, instead of counting them as worth 0."`
	Max         int           `default:"1000000" placeholder:"N" help:"Decisions at most (${default})."`
}

// evaluation is what the command prints.
type evaluation struct {
	Policy evaluatedModel  `json:"policy"`
	Log    *logged.Log     `json:"log"`
	Report evaluate.Report `json:"report"`
}

type evaluatedModel struct {
	ModelID   string             `json:"modelId"`
	ModelKey  string             `json:"modelKey"`
	ModelType decision.ModelType `json:"modelType"`
	Version   uint64             `json:"version"`
}

// Run evaluates the model on the log.
func (c *evaluateCommand) Run(ctx context.Context, env *environment) error {
	rewards, err := logged.ParseRewards(c.Reward)
	if err != nil {
		return fmt.Errorf("--reward: %w", err)
	}
	model, err := c.policy(ctx)
	if err != nil {
		return err
	}
	decisions, log, err := logged.Load(ctx, c.Log, logged.Options{
		Model: c.LoggedModel, Family: c.Family, Since: timeOf(c.Since), Until: timeOf(c.Until),
		Window: c.Window, Mature: c.Mature, Answered: c.Answered, Rewards: rewards, Max: c.Max,
	})
	if err != nil {
		return err
	}
	if len(decisions) == 0 {
		return fmt.Errorf("the log has no decisions to evaluate on: %s", left(log))
	}
	report, err := evaluate.Run(ctx, decisions, evaluate.PolicyOf(model.View, model.Inputs), c.estimators())
	if err != nil {
		return err
	}
	out := evaluation{
		Policy: evaluatedModel{model.Model.ID, model.Model.Key, model.Model.ModelType, model.Version}, Log: log, Report: report,
	}
	out.Report.Warnings = append(out.Report.Warnings, warnings(&model, log)...)
	if c.JSON {
		return printJSON(env.out, out)
	}
	return printEvaluation(env.out, &out)
}

func timeOf(t time.Time) decision.Time {
	if t.IsZero() {
		return 0
	}
	return decision.TimeOf(t)
}

func (c *evaluateCommand) estimators() []string {
	for _, name := range c.Estimator {
		if name == "all" {
			return evaluate.Estimators
		}
	}
	return append([]string{evaluate.Logged}, c.Estimator...)
}

// policy reads the model from the file or the engine.
func (c *evaluateCommand) policy(ctx context.Context) (engine.Offline, error) {
	if c.Export != "" {
		export, err := os.ReadFile(c.Export)
		if err != nil {
			return engine.Offline{}, err
		}
		model, err := engine.ReadOffline(export, c.ExportVersion)
		if err != nil {
			err = fmt.Errorf("%s: %w", c.Export, err)
		}
		return model, err
	}
	name, version := c.Model, uint64(0)
	if before, after, ok := strings.Cut(c.Model, "@"); ok {
		v, err := strconv.ParseUint(after, 10, 64)
		if err != nil || v == 0 {
			return engine.Offline{}, fmt.Errorf("--model: want a version from 1 on behind the @, got %q", after)
		}
		name, version = before, v
	}
	api, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return engine.Offline{}, err
	}
	defer done()
	m, err := findModel(ctx, api, name, false)
	if err != nil {
		return engine.Offline{}, err
	}
	export, err := api.ExportModel(ctx, m.ID, client.FormatPraetor)
	if err != nil {
		return engine.Offline{}, err
	}
	return engine.ReadOffline(export, version)
}

// left says what was left out of a log.
func left(l *logged.Log) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{l.NoChoice, "without a choice"}, {l.Overridden, "overridden by the client"}, {l.Immature, "too young"},
		{l.Repeated, "repeated"}, {l.Excess, "beyond --max"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		return "none left out"
	}
	return "left out " + strings.Join(parts, ", ")
}

// warnings are those that the log and the model give together.
func warnings(m *engine.Offline, l *logged.Log) (all []string) {
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case m.Learns:
		warn("%s learns from every outcome, those of this log too where it had them: its estimate is then too good; evaluate a version from before", m.Model.Key)
	case m.Model.LastTrainedAt > l.From && m.Version == m.Model.Version:
		warn("%s was trained at %s, after decisions of this log, whose outcomes it may know: its estimate is then too good; --since leaves them out", m.Model.Key, m.Model.LastTrainedAt)
	}
	if m.Adapts {
		warn("an engine corrects the scores of %s by evidence; this evaluates its own scores", m.Model.Key)
	}
	if _, bandit := m.View.(interface{ Arms() []string }); l.Bare > 0 && !bandit {
		warn("%d of %d decisions were logged without features: %s scores them as if they had none", l.Bare, l.Decisions, m.Model.Key)
	}
	if l.Degraded > 0 {
		warn("%d decisions were made by a fallback, as the model's endpoint did not answer", l.Degraded)
	}
	return all
}

func printEvaluation(w io.Writer, e *evaluation) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	l, r := e.Log, &e.Report
	line("evaluated", "%s, version %d (%s)", e.Policy.ModelKey, e.Policy.Version, e.Policy.ModelType)
	line("decisions", "%d from %s to %s; %s", l.Decisions, l.From, l.To, left(l))
	for i, m := range l.Models {
		if i == maxDeciders {
			line("", "and %d more", len(l.Models)-i)
			break
		}
		line(map[bool]string{true: "decided by"}[i == 0], "%s, version %d (%s): %d", m.Key, m.Version, m.Type, m.Decisions)
	}
	line("outcomes", "%d for what was chosen, %d decisions without, %d with a reward", l.Outcomes, l.Unanswered, l.Rewarded)
	line("agreement", "%.1f %% of the choices", 100*r.Agreement)
	fmt.Fprintln(w)
	rows := [][]string{}
	for i := range r.Estimates {
		rows = append(rows, estimateRow(&r.Estimates[i]))
	}
	if err := printTable(w, []string{"ESTIMATOR", "REWARD", "95 %", "BOOTSTRAP 95 %", "N", "EFFECTIVE", "LARGEST WEIGHT"}, rows); err != nil {
		return err
	}
	for i, text := range r.Warnings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, "warning:", text)
	}
	return nil
}

// maxDeciders is how many models that decided are named.
const maxDeciders = 5

func estimateRow(e *evaluate.Estimate) []string {
	if e.Value == nil {
		return []string{e.Estimator, e.Reason}
	}
	between := func(i *evaluate.Interval) string {
		if i == nil {
			return "–"
		}
		return fmt.Sprintf("%.4f–%.4f", i.Lower, i.Upper)
	}
	return []string{
		e.Estimator, fmt.Sprintf("%.4f", *e.Value), between(e.Interval), between(e.Bootstrap),
		strconv.Itoa(e.N), fmt.Sprintf("%.0f", e.EffectiveN), fmt.Sprintf("%.2f", e.MaxWeight),
	}
}
