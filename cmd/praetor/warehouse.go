package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
)

type warehouseCommands struct {
	Show       warehouseShow       `cmd:"" help:"Show the connection and its metrics."`
	Connect    warehouseConnect    `cmd:"" help:"Have optimizations learn from a database or from files."`
	Test       warehouseTest       `cmd:"" help:"Try the connection, from the node that answers."`
	Disconnect warehouseDisconnect `cmd:"" help:"Have optimizations learn from the engine's own store again."`
	Metrics    warehouseMetrics    `cmd:"" help:"Define the queries that give exposures and rewards."`
}

// theConnection returns the tenant's connection.
func theConnection(ctx context.Context, engine *client.Client) (client.WarehouseConnection, error) {
	all, err := engine.WarehouseConnections(ctx)
	if err != nil {
		return client.WarehouseConnection{}, err
	}
	if len(all) == 0 {
		return client.WarehouseConnection{}, errors.New("there is no connection: optimizations learn from the engine's own store")
	}
	return all[0], nil
}

type warehouseShow struct {
	connection `embed:""`
}

// Run shows the connection.
func (c *warehouseShow) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	n, err := theConnection(ctx, engine)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, n)
	}
	return printConnection(env.out, &n)
}

func printConnection(w io.Writer, n *client.WarehouseConnection) error {
	credentials := "none"
	if n.HasCredentials {
		credentials = "stored, sealed"
	}
	var config bytes.Buffer
	if err := json.Indent(&config, n.Config, "             ", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "id           %s\nprovider     %s\ncredentials  %s\ncreated      %s\nconfig       %s\n", n.ID, n.Provider, credentials, moment(&n.CreatedAt), config.String())
	return err
}

type warehouseConnect struct {
	connection `embed:""`
	Provider   string `arg:"" enum:"postgres,files,embedded" help:"${enum}."`
	Config     string `placeholder:"FILE" help:"A JSON file with the provider's configuration, its password too; - reads it from the input."`
}

// Run makes the connection and tries it.
func (c *warehouseConnect) Run(ctx context.Context, env *environment) error {
	wanted := client.NewWarehouseConnection{Provider: c.Provider}
	if c.Config != "" {
		config, err := readFile(c.Config)
		if err != nil {
			return err
		}
		if !json.Valid(config) {
			return fmt.Errorf("%s is not JSON", c.Config)
		}
		wanted.Config = config
	}
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	n, err := engine.CreateWarehouseConnection(ctx, wanted, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, n)
	}
	if err := printConnection(env.out, &n); err != nil {
		return err
	}
	return try(ctx, engine, env.out, n.ID)
}

// try tries a connection; that it does not work is an error.
func try(ctx context.Context, engine *client.Client, w io.Writer, id string) error {
	tested, err := engine.TestWarehouseConnection(ctx, id)
	if err != nil {
		return err
	}
	if !tested.OK && tested.Error != nil {
		return fmt.Errorf("the connection does not work: %s (%s)", tested.Error.Message, cmp.Or(tested.Error.Reason, tested.Error.Code))
	}
	_, err = fmt.Fprintf(w, "it works, in %s\n", time.Duration(tested.DurationMS)*time.Millisecond)
	return err
}

type warehouseTest struct {
	connection `embed:""`
}

// Run tries the connection.
func (c *warehouseTest) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	n, err := theConnection(ctx, engine)
	if err != nil {
		return err
	}
	return try(ctx, engine, env.out, n.ID)
}

type warehouseDisconnect struct {
	connection `embed:""`
}

// Run removes the connection.
func (c *warehouseDisconnect) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	n, err := theConnection(ctx, engine)
	if err != nil {
		return err
	}
	if err := engine.DeleteWarehouseConnection(ctx, n.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.out, "deleted connection %s (%s)\n", n.ID, n.Provider)
	return err
}

type warehouseMetrics struct {
	List   metricsList   `cmd:"" help:"List the metrics."`
	Create metricsCreate `cmd:"" help:"Define a metric."`
	Delete metricsDelete `cmd:"" help:"Delete a metric."`
}

type metricsList struct {
	connection `embed:""`
}

// Run lists the metrics.
func (c *metricsList) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	all, err := engine.WarehouseMetrics(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, all)
	}
	rows := [][]string{}
	for _, m := range all {
		of := "all"
		if m.OptimizationID != nil {
			of = *m.OptimizationID
		}
		rows = append(rows, []string{m.ID, m.Name, m.Kind, of, moment(m.CreatedAt)})
	}
	return printTable(env.out, []string{"ID", "NAME", "KIND", "OPTIMIZATION", "CREATED"}, rows)
}

type metricsCreate struct {
	connection   `embed:""`
	Name         string            `arg:"" help:"The metric's name; of rewards the name that optimizations ask for."`
	Kind         string            `enum:"exposures,reward" default:"reward" help:"exposures or reward (${default})."`
	Optimization string            `placeholder:"ID" help:"Whose exposures they are; none: those of all without a metric of their own."`
	SQL          string            `name:"sql" required:"" placeholder:"FILE" help:"A file with the query; - reads it from the input."`
	Map          map[string]string `required:"" placeholder:"FIELD=COLUMN" help:"The column of a field: anonymous_id, timestamp, value, idempotency_key, … May be repeated."`
	Design       map[string]string `placeholder:"FACTOR=COLUMN" help:"The column of a design factor; its own name if not given."`
	Context      map[string]string `placeholder:"FACTOR=COLUMN" help:"The column of a context factor; its own name if not given."`
}

// Run makes the metric.
func (c *metricsCreate) Run(ctx context.Context, env *environment) error {
	query, err := readFile(c.SQL)
	if err != nil {
		return err
	}
	m := client.WarehouseMetric{Name: c.Name, Kind: c.Kind, SQL: string(query)}
	if c.Optimization != "" {
		m.OptimizationID = &c.Optimization
	}
	fields, err := json.Marshal(c.Map)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(fields))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m.ColumnMapping); err != nil {
		return fmt.Errorf("--map: %w", err)
	}
	m.ColumnMapping.DesignFactors, m.ColumnMapping.ContextFactors = c.Design, c.Context
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	if m, err = engine.CreateWarehouseMetric(ctx, m, client.IdempotencyKey(rand.Text())); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, m)
	}
	_, err = fmt.Fprintf(env.out, "created the %s metric %s (%s)\n", m.Kind, m.ID, m.Name)
	return err
}

type metricsDelete struct {
	connection `embed:""`
	Metric     string `arg:"" help:"The metric's id or name."`
}

// Run deletes the metric.
func (c *metricsDelete) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	all, err := engine.WarehouseMetrics(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.ID != c.Metric && m.Name != c.Metric {
			continue
		}
		if err := engine.DeleteWarehouseMetric(ctx, m.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(env.out, "deleted the metric %s (%s)\n", m.ID, m.Name)
		return err
	}
	return fmt.Errorf("there is no metric with the id or the name %q", c.Metric)
}
