package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/warehouse"
	"github.com/praetor-engine/praetor/internal/warehouse/files"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres"
)

// The providers of observations.
const (
	ProviderEmbedded = "embedded" // the engine's own store, as without a connection
	ProviderPostgres = "postgres"
	ProviderFiles    = "files"
)

// WarehouseConfig bounds what this node reads from the warehouses of its tenants.
type WarehouseConfig struct {
	Dir     string        // of files; a tenant's are below Dir/tenant; empty: none
	Timeout time.Duration // of one reading
	Limits  warehouse.Limits
}

// DefaultWarehouseTimeout is how long one reading may take.
const DefaultWarehouseTimeout = 5 * time.Minute

// testTimeout bounds the test of a connection.
const testTimeout = 15 * time.Second

// warehouses makes sources of connections and counts what they do.
type warehouses struct {
	config      WarehouseConfig
	dialer      *endpoint.Dialer
	credentials *credentials

	reads, failures, exposures atomic.Uint64
	nanos                      atomic.Int64 // spent reading
}

func newWarehouses(c *Config, credentials *credentials) (*warehouses, error) {
	dialer, err := endpoint.NewDialer(c.Endpoints)
	if err != nil {
		return nil, err
	}
	return &warehouses{config: c.Warehouse, dialer: dialer, credentials: credentials}, nil
}

// CreateConnection gives a tenant its connection. The configuration is the
// provider's; its password is sealed before it goes anywhere.
func (e *Engine) CreateConnection(ctx context.Context, w Write, provider string, config json.RawMessage) (catalogue.Connection, Receipt, error) {
	n := catalogue.Connection{ID: newUUID(), Provider: provider}
	shown, secret, err := e.warehouses.parse(provider, config)
	if err != nil {
		return n, Receipt{}, err
	}
	if n.Config, err = json.Marshal(shown); err != nil {
		return n, Receipt{}, err
	}
	c := command.CreateConnection{Connection: n}
	if secret != "" {
		keys, err := e.credentials.keys()
		if err != nil {
			return n, Receipt{}, err
		}
		if c.Sealed, err = keys.Seal([]byte(secret), w.Principal.TenantID, n.ID); err != nil {
			return n, Receipt{}, err
		}
		// The hash that came with the request is of its body, and would let the
		// password be guessed from the log.
		w.Fingerprint = keys.Fingerprint(append([]byte(provider+"\x00"), config...))
	}
	return do[catalogue.Connection](ctx, e, w.header(command.KindCreateConnection), c)
}

// parse returns what of a configuration may be shown, and the secret.
func (x *warehouses) parse(provider string, config json.RawMessage) (shown any, secret string, err error) {
	switch provider {
	case ProviderEmbedded:
		if len(config) > 0 && !bytes.Equal(bytes.Join(bytes.Fields(config), nil), []byte("{}")) {
			return nil, "", decision.Invalid("config", "must be {} or absent for the provider %s", provider)
		}
		return struct{}{}, "", nil
	case ProviderFiles:
		c, err := files.Parse(config, "config")
		return c, "", err
	case ProviderPostgres:
		c, password, err := postgres.Parse(config, "config")
		if err == nil && c.SSLMode == postgres.Disable && !x.dialer.Plain() {
			err = decision.Invalid("config.sslmode", "must be one with TLS; this server permits no connections without")
		}
		return c, password, err
	}
	return nil, "", decision.Invalid("provider", "must be %s, %s or %s, got %.40q", ProviderEmbedded, ProviderPostgres, ProviderFiles, provider)
}

// DeleteConnection removes a tenant's connection; its models learn from the
// engine's own store again.
func (e *Engine) DeleteConnection(ctx context.Context, w Write, id string) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteConnection), command.DeleteConnection{ID: id})
	return receipt, err
}

// Connections lists a tenant's connections: one or none.
func (e *Engine) Connections(tenant string) []catalogue.Connection {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	if n, _, ok := e.machine.catalogue.Connection(tenant); ok {
		return []catalogue.Connection{n}
	}
	return []catalogue.Connection{}
}

// Connection returns a tenant's connection.
func (e *Engine) Connection(tenant, id string) (catalogue.Connection, error) {
	for _, n := range e.Connections(tenant) {
		if n.ID == id {
			return n, nil
		}
	}
	return catalogue.Connection{}, decision.Errorf(decision.KindNotFound, "warehouse connection %q does not exist", id)
}

// ConnectionTest is what came of the test of a connection.
type ConnectionTest struct {
	Problem  error // nil: it can be read
	Duration time.Duration
}

// TestConnection reaches for what a connection names, from this node, and looks at
// the tenant's metrics there.
func (e *Engine) TestConnection(ctx context.Context, tenant, id string) (ConnectionTest, error) {
	if _, err := e.Connection(tenant, id); err != nil {
		return ConnectionTest{}, err
	}
	began := time.Now()
	source, ok, err := e.warehouseSource(tenant)
	if err == nil && ok {
		ctx, cancel := context.WithTimeout(ctx, testTimeout)
		defer cancel()
		err = errors.Join(source.Test(ctx), source.Close())
	}
	return ConnectionTest{Problem: err, Duration: time.Since(began)}, nil
}

// CreateWarehouseMetric makes a metric. The kind defaults to reward.
func (e *Engine) CreateWarehouseMetric(ctx context.Context, w Write, m catalogue.WarehouseMetric) (catalogue.WarehouseMetric, Receipt, error) {
	if m.Kind == "" {
		m.Kind = string(warehouse.KindReward)
	}
	metric, err := metricOf(&m)
	if err != nil {
		return m, Receipt{}, err
	}
	var p decision.Problems
	metric.Check(&p)
	postgres.CheckSQL(&p, "sql", m.SQL)
	if err := p.Err(); err != nil {
		return m, Receipt{}, err
	}
	m.ID = newUUID()
	if m.ColumnMapping, err = json.Marshal(metric.Mapping); err != nil {
		return m, Receipt{}, err
	}
	return do[catalogue.WarehouseMetric](ctx, e, w.header(command.KindCreateWarehouseMetric), command.CreateWarehouseMetric{
		Metric: m, Exposures: metric.Kind == warehouse.KindExposures,
	})
}

// metricOf reads a metric's mapping.
func metricOf(m *catalogue.WarehouseMetric) (warehouse.Metric, error) {
	metric := warehouse.Metric{Name: m.Name, Kind: warehouse.Kind(m.Kind), Optimization: m.OptimizationID, SQL: m.SQL}
	dec := json.NewDecoder(bytes.NewReader(m.ColumnMapping))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&metric.Mapping); err != nil {
		return metric, decision.Invalid("column_mapping", "must name the columns of fields as text: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return metric, nil
}

// DeleteWarehouseMetric removes a metric.
func (e *Engine) DeleteWarehouseMetric(ctx context.Context, w Write, id string) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteWarehouseMetric), command.DeleteWarehouseMetric{ID: id})
	return receipt, err
}

// WarehouseMetric returns a metric.
func (e *Engine) WarehouseMetric(tenant, id string) (catalogue.WarehouseMetric, error) {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	return e.machine.catalogue.WarehouseMetric(tenant, id)
}

// WarehouseMetrics lists a tenant's metrics, oldest first.
func (e *Engine) WarehouseMetrics(tenant string) []catalogue.WarehouseMetric {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	return e.machine.catalogue.WarehouseMetrics(tenant)
}

// warehouseSource returns where a tenant's observations come from; ok is false when
// that is the engine's own store. The caller closes it.
func (e *Engine) warehouseSource(tenant string) (_ warehouse.Source, ok bool, err error) {
	e.machine.mu.RLock()
	n, sealed, found := e.machine.catalogue.Connection(tenant)
	stored := e.machine.catalogue.WarehouseMetrics(tenant)
	e.machine.mu.RUnlock()
	if !found || n.Provider == ProviderEmbedded {
		return nil, false, nil
	}
	source, err := e.warehouses.source(tenant, &n, sealed, stored)
	if err != nil {
		return nil, false, err
	}
	return &countedSource{source, e.warehouses}, true, nil
}

func (x *warehouses) source(tenant string, n *catalogue.Connection, sealed []byte, stored []catalogue.WarehouseMetric) (warehouse.Source, error) {
	switch n.Provider {
	case ProviderFiles:
		c, err := files.Parse(n.Config, "config")
		if err != nil {
			return nil, fmt.Errorf("engine: the stored connection: %w", err)
		}
		return files.New(c, tenant, files.Options{Root: x.config.Dir, Limits: x.config.Limits}), nil
	case ProviderPostgres:
		c, _, err := postgres.Parse(n.Config, "config")
		if err != nil {
			return nil, fmt.Errorf("engine: the stored connection: %w", err)
		}
		var password []byte
		if sealed != nil {
			if password, err = x.credentials.open(sealed, tenant, n.ID); err != nil {
				return nil, err
			}
		}
		metrics := make([]warehouse.Metric, len(stored))
		for i := range stored {
			if metrics[i], err = metricOf(&stored[i]); err != nil {
				return nil, fmt.Errorf("engine: the stored metric %s: %w", stored[i].ID, err)
			}
		}
		return postgres.New(c, string(password), metrics, postgres.Options{Dialer: x.dialer, Timeout: x.config.Timeout, Limits: x.config.Limits}), nil
	}
	return nil, warehouse.Fault(warehouse.ReasonSetup, nil, "this build does not know the provider %q", n.Provider)
}

// warehouseLookback is how long before an optimization was made its events may have
// been: what was recorded elsewhere may be older than it. The bound is for the
// database, which need not look at everything it has.
const warehouseLookback = 365 * day

// warehouseRequest asks for what was seen of an optimization until now.
func warehouseRequest(rt *optimizationRuntime, now int64) *warehouse.Request {
	o := rt.record.Load().Optimization
	return &warehouse.Request{
		Optimization: o.ID, Space: rt.plan.Space, Rules: rt.plan.Rules, Reward: o.TrainingDataConfig.Reward.Name, Holdout: o.HoldoutPercentage,
		Start: max(int64(o.CreatedAt)-warehouseLookback.Milliseconds(), 1), Now: now,
	}
}

// countedSource counts what its source does, and bounds its time.
type countedSource struct {
	warehouse.Source
	in *warehouses
}

func (s *countedSource) Observations(ctx context.Context, r *warehouse.Request) (*attribution.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, s.in.config.Timeout)
	defer cancel()
	began := time.Now()
	table, err := s.Source.Observations(ctx, r)
	s.in.reads.Add(1)
	s.in.nanos.Add(int64(time.Since(began)))
	if err != nil {
		s.in.failures.Add(1)
		return nil, err
	}
	s.in.exposures.Add(table.Exposures())
	return table, nil
}

func applyCreateConnection(m *machine, ctx *entryContext, tenant string, c command.CreateConnection) (catalogue.Connection, error) {
	return m.catalogue.CreateConnection(tenant, c.Connection, c.Sealed, ctx.at)
}

func applyDeleteConnection(m *machine, _ *entryContext, tenant string, c command.DeleteConnection) (nothing, error) {
	return nothing{}, m.catalogue.DeleteConnection(tenant, c.ID)
}

func applyCreateWarehouseMetric(m *machine, ctx *entryContext, tenant string, c command.CreateWarehouseMetric) (catalogue.WarehouseMetric, error) {
	return m.catalogue.CreateWarehouseMetric(tenant, c.Metric, c.Exposures, ctx.at)
}

func applyDeleteWarehouseMetric(m *machine, _ *entryContext, tenant string, c command.DeleteWarehouseMetric) (nothing, error) {
	return nothing{}, m.catalogue.DeleteWarehouseMetric(tenant, c.ID)
}

func viewConnection(m *machine, tenant, id string) (string, any) {
	if n, _, ok := m.catalogue.Connection(tenant); ok && n.ID == id {
		return n.Provider, n
	}
	return "", nil
}

func viewWarehouseMetric(m *machine, tenant, id string) (string, any) {
	if metric, err := m.catalogue.WarehouseMetric(tenant, id); err == nil {
		return metric.Name, metric
	}
	return "", nil
}
