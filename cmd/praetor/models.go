package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
)

type modelsCommands struct {
	List    modelsList    `cmd:"" help:"List the models."`
	Show    modelsShow    `cmd:"" help:"Show a model with its metrics and versions."`
	Train   modelsTrain   `cmd:"" help:"Train a model on the outcomes recorded so far."`
	Monitor modelsMonitor `cmd:"" help:"Show what a model did since it serves: responses, and how good its scores were."`
	Log     modelsLog     `cmd:"" help:"Show or change which of a model's decisions are logged."`
	Upgrade modelsUpgrade `cmd:"" help:"Make a model of the next type on the ladder of a model."`
	Promote modelsPromote `cmd:"" help:"Change a model's standing in its family: make it the champion, or another."`
	Export  modelsExport  `cmd:"" help:"Write a model to standard output, for another engine or library."`
	Import  modelsImport  `cmd:"" help:"Make a model of a file that another engine or library exported."`
}

type modelsList struct {
	connection `embed:""`
}

// Run lists the models.
func (c *modelsList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	titles := []string{"ID", "KEY", "TYPE", "STATUS", "VERSION", "AUC"}
	return printList(env.out, c.JSON, engine.AllModels(ctx), titles, func(m client.Model) []string {
		return []string{m.ID, m.Key, m.ModelType, m.Status, strconv.FormatUint(m.Version, 10), metric(m.Metrics, "auc")}
	})
}

func metric(m client.Metrics, name string) string {
	if v, ok := m.Number(name); ok {
		return strconv.FormatFloat(v, 'f', 4, 64)
	}
	return "–"
}

// findModel returns the model of an id, or else of a key.
func findModel(ctx context.Context, engine *client.Client, idOrKey string, withState bool) (client.Model, error) {
	get := engine.Model
	if withState {
		get = engine.ModelWithState
	}
	m, err := get(ctx, idOrKey)
	var refused *client.Error
	if err == nil || !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		return m, err
	}
	for m, err := range engine.AllModels(ctx) {
		if err != nil {
			return m, err
		}
		if m.Key == idOrKey {
			return get(ctx, m.ID)
		}
	}
	return client.Model{}, fmt.Errorf("no model has the id or the key %q", idOrKey)
}

// modelArgument is the model that a command is about.
type modelArgument struct {
	connection `embed:""`
	Model      string `arg:"" help:"The model's id or key."`
}

// with finds the model and does something with it, in the time that calls may take.
func (c *modelArgument) with(ctx context.Context, do func(ctx context.Context, engine *client.Client, m *client.Model) error) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	m, err := findModel(ctx, engine, c.Model, false)
	if err != nil {
		return err
	}
	return do(ctx, engine, &m)
}

type modelsShow struct {
	connection `embed:""`
	Model      string `arg:"" help:"The model's id or key."`
	State      bool   `help:"Show what it has learned, too."`
}

// Run shows the model.
func (c *modelsShow) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	m, err := findModel(ctx, engine, c.Model, c.State)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, m)
	}
	return printModel(env.out, &m)
}

// printModel writes a model for people: its facts, its versions, and its learned
// state when that was asked for.
func printModel(w io.Writer, m *client.Model) error {
	facts := [][2]string{
		{"id", m.ID},
		{"key", m.Key},
		{"name", m.Name},
		{"description", m.Description},
		{"type", m.ModelType},
		{"status", m.Status},
		{"registry", m.RegistryStatus + " in the family " + m.Family},
		{"version", strconv.FormatUint(m.Version, 10)},
		{"trained", moment(m.LastTrainedAt)},
		{"samples", strconv.Itoa(m.TrainingSamples)},
		{"config", compact(m.Config)},
		{"learning", compact(m.LearningConfig)},
		{"predictors", compact(m.Predictors)},
	}
	for _, f := range facts {
		if f[1] != "" {
			fmt.Fprintf(w, "%-12s %s\n", f[0], f[1])
		}
	}
	printMetrics(w, m.Metrics)
	if len(m.Versions) > 0 {
		rows := make([][]string, len(m.Versions))
		for i, v := range m.Versions {
			rows[i] = []string{strconv.FormatUint(v.Version, 10), v.Reason, strconv.Itoa(v.TrainingSamples), metric(v.Metrics, "auc"), metric(v.Metrics, "logLoss"), moment(&v.CreatedAt)}
		}
		fmt.Fprintln(w)
		if err := printTable(w, []string{"VERSION", "REASON", "SAMPLES", "AUC", "LOG-LOSS", "AT"}, rows); err != nil {
			return err
		}
	}
	if state := compact(m.ModelState); state != "" {
		fmt.Fprintf(w, "\nlearned state\n%s\n", state)
	}
	return nil
}

// printMetrics writes the measures that a training leaves, in one line.
func printMetrics(w io.Writer, m client.Metrics) {
	var b bytes.Buffer
	for _, name := range []string{"auc", "logLoss", "brier", "accuracy", "precision", "recall", "f1"} {
		if v, ok := m.Number(name); ok {
			fmt.Fprintf(&b, " %s %.4f ", name, v)
		}
	}
	if how, ok := m["evaluation"].(string); ok {
		fmt.Fprintf(&b, " (%s)", how)
	}
	if b.Len() > 0 {
		fmt.Fprintf(w, "%-12s%s\n", "metrics", bytes.TrimRight(b.Bytes(), " "))
	}
}

// compact returns JSON in one line, nothing for null and for what is empty.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return ""
	}
	switch b.String() {
	case "null", "{}", "[]":
		return ""
	}
	return b.String()
}

type modelsTrain struct {
	connection `embed:""`
	Model      string `arg:"" help:"The model's id or key."`
	Detach     bool   `help:"Do not wait for the end; print the job."`
}

// pollInterval is how often a waiting command asks for its job.
const pollInterval = 200 * time.Millisecond

// Run starts the training and, unless detached, waits for it. The time limit is
// for each call, not for the training.
func (c *modelsTrain) Run(ctx context.Context, env *environment) error {
	engine, limited, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	m, err := findModel(limited, engine, c.Model, false)
	if err != nil {
		return err
	}
	job, err := engine.StartTraining(limited, m.ID, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.Detach {
		return c.printJob(env, &job)
	}
	if job, err = engine.WaitJob(ctx, job.ID, pollInterval, nil); err != nil {
		return fmt.Errorf("waiting for job %s, which goes on: %w", job.ID, err)
	}
	if job.Error != nil {
		return fmt.Errorf("training %s: %s", m.Key, job.Error.Message)
	}
	return c.printJob(env, &job)
}

func (c *modelsTrain) printJob(env *environment, job *client.Job) error {
	if c.JSON {
		return printJSON(env.out, job)
	}
	fmt.Fprintf(env.out, "%-12s %s\n%-12s %s\n", "job", job.ID, "status", job.Status)
	if job.Version > 0 {
		fmt.Fprintf(env.out, "%-12s %d\n", "version", job.Version)
	}
	printMetrics(env.out, job.Metrics)
	return nil
}
