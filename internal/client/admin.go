package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const (
	tenantsPath = "/api/v1/tenants"
	keysPath    = "/api/v1/api-keys"
)

// Tenant is one customer of the engine.
type Tenant struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
}

// CreateTenant makes a tenant; an empty id lets the server choose one. Operator
// only, as all calls about tenants.
func (c *Client) CreateTenant(ctx context.Context, id, name string, opts ...Option) (Tenant, error) {
	body := struct {
		ID   string `json:"id,omitempty"`
		Name string `json:"name"`
	}{id, name}
	var t Tenant
	err := c.do(ctx, call{method: http.MethodPost, path: tenantsPath, body: body}, opts, &t)
	return t, err
}

// Tenants returns a page of the tenants.
func (c *Client) Tenants(ctx context.Context, lo ListOptions, opts ...Option) (Page[Tenant], error) {
	return list[Tenant](ctx, c, tenantsPath, lo, opts)
}

// AllTenants walks all tenants.
func (c *Client) AllTenants(ctx context.Context) iter.Seq2[Tenant, error] {
	return all(ctx, c.Tenants)
}

// DeleteTenant deletes a tenant with everything that is its own.
func (c *Client) DeleteTenant(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: tenantsPath + "/" + url.PathEscape(id)}, opts, nil)
}

// Key is an API key. Secret is the raw key; the server shows it once, when the
// key is made.
type Key struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`   // admin, editor or viewer
	Prefix    string     `json:"prefix"` // the first characters, to tell keys apart
	Secret    string     `json:"key,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt"` // nil: never
}

// NewKey says which key to make.
type NewKey struct {
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
}

// CreateKey makes a key of the caller's tenant. Admin only, as all calls about
// keys.
func (c *Client) CreateKey(ctx context.Context, k NewKey, opts ...Option) (Key, error) {
	var out Key
	err := c.do(ctx, call{method: http.MethodPost, path: keysPath, body: k}, opts, &out)
	return out, err
}

// Keys returns a page of the tenant's keys, without their secrets.
func (c *Client) Keys(ctx context.Context, lo ListOptions, opts ...Option) (Page[Key], error) {
	return list[Key](ctx, c, keysPath, lo, opts)
}

// AllKeys walks all keys of the tenant.
func (c *Client) AllKeys(ctx context.Context) iter.Seq2[Key, error] { return all(ctx, c.Keys) }

// RevokeKey ends a key at once.
func (c *Client) RevokeKey(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: keysPath + "/" + url.PathEscape(id)}, opts, nil)
}
