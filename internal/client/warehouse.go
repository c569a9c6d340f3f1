package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

const (
	connectionsPath      = "/api/v2/warehouse/connections"
	warehouseMetricsPath = "/api/v2/warehouse/metrics"
)

// WarehouseConnection is where the observations of the tenant's optimizations come
// from.
type WarehouseConnection struct {
	ID             string          `json:"id"`
	Provider       string          `json:"provider"` // embedded, postgres or files
	Config         json.RawMessage `json:"config"`   // without what is secret
	HasCredentials bool            `json:"has_credentials"`
	CreatedAt      time.Time       `json:"created_at"`
}

// NewWarehouseConnection is a connection to be made; the password, if there is one,
// is in the configuration.
type NewWarehouseConnection struct {
	Provider string          `json:"provider"`
	Config   json.RawMessage `json:"config,omitempty"`
}

// ConnectionTest is what came of trying a connection.
type ConnectionTest struct {
	OK    bool `json:"ok"`
	Error *struct {
		Code    string `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"error"`
	DurationMS int64 `json:"duration_ms"`
}

// WarehouseMetric is a query that gives events.
type WarehouseMetric struct {
	ID             string        `json:"id,omitempty"`
	Name           string        `json:"name"`
	Kind           string        `json:"kind,omitempty"` // exposures or reward
	OptimizationID *string       `json:"optimization_id,omitempty"`
	SQL            string        `json:"sql"`
	ColumnMapping  ColumnMapping `json:"column_mapping"`
	CreatedAt      *time.Time    `json:"created_at,omitempty"`
}

// ColumnMapping says in which columns the fields of events are.
type ColumnMapping struct {
	AnonymousID    string            `json:"anonymous_id,omitempty"`
	Timestamp      string            `json:"timestamp,omitempty"`
	TimestampUnit  string            `json:"timestamp_unit,omitempty"` // of numbers: s, ms, us or ns
	OptimizationID string            `json:"optimization_id,omitempty"`
	IdempotencyKey string            `json:"idempotency_key,omitempty"`
	VariantNumber  string            `json:"variant_number,omitempty"`
	DesignFactors  map[string]string `json:"design_factors,omitempty"`
	ContextFactors map[string]string `json:"context_factors,omitempty"`
	IsHoldout      string            `json:"is_holdout,omitempty"`
	Name           string            `json:"name,omitempty"`
	Value          string            `json:"value,omitempty"`
}

// WarehouseConnections returns the tenant's connection: one or none.
func (c *Client) WarehouseConnections(ctx context.Context, opts ...Option) ([]WarehouseConnection, error) {
	var out struct {
		Connections []WarehouseConnection `json:"connections"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: connectionsPath, safe: true}, opts, &out)
	return out.Connections, err
}

// WarehouseConnection returns a connection.
func (c *Client) WarehouseConnection(ctx context.Context, id string, opts ...Option) (out WarehouseConnection, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: connectionsPath + "/" + url.PathEscape(id), safe: true}, opts, &out)
	return out, err
}

// CreateWarehouseConnection makes the tenant's connection.
func (c *Client) CreateWarehouseConnection(ctx context.Context, n NewWarehouseConnection, opts ...Option) (out WarehouseConnection, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: connectionsPath, body: n}, opts, &out)
	return out, err
}

// DeleteWarehouseConnection removes it.
func (c *Client) DeleteWarehouseConnection(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: connectionsPath + "/" + url.PathEscape(id)}, opts, nil)
}

// TestWarehouseConnection tries a connection from the node that answers.
func (c *Client) TestWarehouseConnection(ctx context.Context, id string, opts ...Option) (out ConnectionTest, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: connectionsPath + "/" + url.PathEscape(id) + "/test", safe: true}, opts, &out)
	return out, err
}

// WarehouseMetrics returns the tenant's metrics, oldest first.
func (c *Client) WarehouseMetrics(ctx context.Context, opts ...Option) ([]WarehouseMetric, error) {
	var out struct {
		Metrics []WarehouseMetric `json:"metrics"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: warehouseMetricsPath, safe: true}, opts, &out)
	return out.Metrics, err
}

// WarehouseMetric returns a metric.
func (c *Client) WarehouseMetric(ctx context.Context, id string, opts ...Option) (out WarehouseMetric, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: warehouseMetricsPath + "/" + url.PathEscape(id), safe: true}, opts, &out)
	return out, err
}

// CreateWarehouseMetric makes a metric.
func (c *Client) CreateWarehouseMetric(ctx context.Context, m WarehouseMetric, opts ...Option) (out WarehouseMetric, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: warehouseMetricsPath, body: m}, opts, &out)
	return out, err
}

// DeleteWarehouseMetric removes a metric.
func (c *Client) DeleteWarehouseMetric(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: warehouseMetricsPath + "/" + url.PathEscape(id)}, opts, nil)
}
