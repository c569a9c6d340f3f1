package catalogue

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Connection is where an organization's observations come from.
type Connection struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	// Config is what the provider needs, without what is secret of it.
	Config json.RawMessage `json:"config"`
	// HasCredentials tells that there is a secret beside it, which is shown to nobody.
	HasCredentials bool          `json:"has_credentials"`
	CreatedAt      decision.Time `json:"created_at"`
}

// WarehouseMetric is a query that gives events.
type WarehouseMetric struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	Kind           string          `json:"kind"`
	OptimizationID string          `json:"optimization_id,omitempty"`
	SQL            string          `json:"sql"`
	ColumnMapping  json.RawMessage `json:"column_mapping"`
	CreatedAt      decision.Time   `json:"created_at"`
}

// MaxWarehouseMetrics bounds the metrics of a tenant.
const MaxWarehouseMetrics = 1000

// connectionRecord is a connection with its sealed secret.
type connectionRecord struct {
	Connection
	sealed []byte
}

type metricRecord struct {
	WarehouseMetric
	sequence uint64
}

// sourceDocument is a tenant's part of a snapshot.
type sourceDocument struct {
	Connection *Connection      `json:"connection,omitempty"`
	Sealed     []byte           `json:"sealed,omitempty"`
	Metrics    []metricDocument `json:"metrics,omitempty"`
}

type metricDocument struct {
	Metric   WarehouseMetric `json:"metric"`
	Sequence uint64          `json:"sequence"`
}

// CreateConnection gives a tenant its connection; there is one at most.
func (c *Catalogue) CreateConnection(tenantID string, n Connection, sealed []byte, at decision.Time) (Connection, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return Connection{}, err
	}
	if t.connection != nil {
		return Connection{}, decision.Errorf(decision.KindConflict, "the organization has the connection %q already; delete it first", t.connection.ID)
	}
	n.HasCredentials, n.CreatedAt = len(sealed) > 0, at
	t.connection = &connectionRecord{n, sealed}
	return n, nil
}

// DeleteConnection removes a tenant's connection.
func (c *Catalogue) DeleteConnection(tenantID, id string) error {
	t, err := c.tenant(tenantID)
	if err != nil {
		return err
	}
	if t.connection == nil || t.connection.ID != id {
		return errNoConnection(id)
	}
	t.connection = nil
	return nil
}

// Connection returns a tenant's connection and its sealed secret, nil for none.
func (c *Catalogue) Connection(tenantID string) (n Connection, sealed []byte, ok bool) {
	if t := c.tenants[tenantID]; t != nil && t.connection != nil {
		return t.connection.Connection, t.connection.sealed, true
	}
	return n, nil, false
}

func errNoConnection(id string) error {
	return decision.Errorf(decision.KindNotFound, "warehouse connection %q does not exist", id)
}

// CreateWarehouseMetric makes a metric. Names are unique in a tenant, and an
// optimization has the exposures of one.
func (c *Catalogue) CreateWarehouseMetric(tenantID string, m WarehouseMetric, exposures bool, at decision.Time) (WarehouseMetric, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return WarehouseMetric{}, err
	}
	if len(t.metrics) >= MaxWarehouseMetrics {
		return WarehouseMetric{}, decision.Errorf(decision.KindConflict, "the organization has %d warehouse metrics, which is the most there may be", len(t.metrics))
	}
	for _, other := range t.sortedMetrics() {
		switch {
		case other.Name == m.Name:
			return WarehouseMetric{}, decision.Errorf(decision.KindConflict, "the warehouse metric %q has the name %q already", other.ID, m.Name)
		case exposures && other.Kind == m.Kind && other.OptimizationID == m.OptimizationID:
			return WarehouseMetric{}, decision.Errorf(decision.KindConflict, "the warehouse metric %q gives the same exposures already", other.ID)
		}
	}
	m.CreatedAt = at
	if t.metrics == nil {
		t.metrics = map[string]*metricRecord{}
	}
	t.metrics[m.ID] = &metricRecord{m, c.next()}
	return m, nil
}

// DeleteWarehouseMetric removes a metric.
func (c *Catalogue) DeleteWarehouseMetric(tenantID, id string) error {
	if _, err := c.WarehouseMetric(tenantID, id); err != nil {
		return err
	}
	delete(c.tenants[tenantID].metrics, id)
	return nil
}

// WarehouseMetric returns a tenant's metric.
func (c *Catalogue) WarehouseMetric(tenantID, id string) (WarehouseMetric, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return WarehouseMetric{}, err
	}
	m, ok := t.metrics[id]
	if !ok {
		return WarehouseMetric{}, decision.Errorf(decision.KindNotFound, "warehouse metric %q does not exist", id)
	}
	return m.WarehouseMetric, nil
}

// WarehouseMetrics returns a tenant's metrics, oldest first.
func (c *Catalogue) WarehouseMetrics(tenantID string) []WarehouseMetric {
	all := []WarehouseMetric{}
	if t := c.tenants[tenantID]; t != nil {
		for _, m := range t.sortedMetrics() {
			all = append(all, m.WarehouseMetric)
		}
	}
	return all
}

// Warehouses returns how many tenants have a connection.
func (c *Catalogue) Warehouses() (n int) {
	for _, t := range c.tenants {
		if t.connection != nil {
			n++
		}
	}
	return n
}

func (t *tenant) sortedMetrics() []*metricRecord {
	return slices.SortedFunc(maps.Values(t.metrics), func(a, b *metricRecord) int { return cmp.Compare(a.sequence, b.sequence) })
}

// warehouse returns the tenant's part of a snapshot, nil when there is nothing.
func (t *tenant) warehouse() *sourceDocument {
	if t.connection == nil && len(t.metrics) == 0 {
		return nil
	}
	d := &sourceDocument{}
	if t.connection != nil {
		d.Connection, d.Sealed = &t.connection.Connection, t.connection.sealed
	}
	for _, m := range t.sortedMetrics() {
		d.Metrics = append(d.Metrics, metricDocument{m.WarehouseMetric, m.sequence})
	}
	return d
}

func (t *tenant) restoreWarehouse(d *sourceDocument) {
	if d == nil {
		return
	}
	if d.Connection != nil {
		t.connection = &connectionRecord{*d.Connection, d.Sealed}
	}
	t.metrics = make(map[string]*metricRecord, len(d.Metrics))
	for _, m := range d.Metrics {
		t.metrics[m.Metric.ID] = &metricRecord{m.Metric, m.Sequence}
	}
}
