package engine

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"regexp"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// idAlphabet is Crockford's base 32 in lower case.
var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newID makes an id of a kind: its prefix and 80 random bits.
func newID(prefix string) string {
	var raw [10]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return prefix + "_" + idAlphabet.EncodeToString(raw[:])
}

// tenantID is what a tenant's id may be: it appears in headers and logs.
var tenantID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// TenantExists reports whether there is such a tenant.
func (e *Engine) TenantExists(id string) bool {
	_, err := e.machine.directory.tenant(id)
	return err == nil
}

// CreateTenant makes a tenant; an empty id is chosen.
func (e *Engine) CreateTenant(ctx context.Context, w Write, id, name string) (catalogue.Tenant, Receipt, error) {
	if id == "" {
		id = newID("tenant")
	}
	var p decision.Problems
	if !tenantID.MatchString(id) {
		p.Addf("id", "want 1 to 63 of a-z, 0-9, - and _, starting with a letter or digit, got %q", id)
	}
	required(&p, "name", &name)
	if err := p.Err(); err != nil {
		return catalogue.Tenant{}, Receipt{}, err
	}
	w.Principal.TenantID = ""
	return do[catalogue.Tenant](ctx, e, w.header(command.KindCreateTenant), command.CreateTenant{ID: id, Name: name})
}

// DeleteTenant removes a tenant with everything it has.
func (e *Engine) DeleteTenant(ctx context.Context, w Write, id string) (Receipt, error) {
	w.Principal.TenantID = ""
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteTenant), command.DeleteTenant{ID: id})
	return receipt, err
}

// Tenants lists the tenants.
func (e *Engine) Tenants(page Page) (List[catalogue.Tenant], error) {
	return listOf(e, page, func(c *catalogue.Catalogue, after uint64, limit int) ([]catalogue.Tenant, []uint64, int, error) {
		items, sequences, total := c.Tenants(after, limit)
		return items, sequences, total, nil
	})
}

// CreateKey makes an API key; its raw form is in the answer and nowhere else.
func (e *Engine) CreateKey(ctx context.Context, w Write, name, role string, expiresAt decision.Time) (NewKey, Receipt, error) {
	var p decision.Problems
	required(&p, "name", &name)
	if _, ok := decision.ParseRole(role); !ok {
		p.Addf("role", "want admin, editor or viewer, got %q", role)
	}
	if expiresAt != 0 && expiresAt <= decision.TimeOf(time.Now()) {
		p.Addf("expiresAt", "want a time in the future, got %s", expiresAt)
	}
	if err := p.Err(); err != nil {
		return NewKey{}, Receipt{}, err
	}
	pepper := e.machine.directory.pepper.Load()
	if pepper == nil {
		return NewKey{}, Receipt{}, decision.Errorf(decision.KindUnavailable, "the cluster has no settings yet")
	}
	k := catalogue.Key{ID: newID("key"), Name: name, Role: role, ExpiresAt: expiresAt}
	raw := pepper.newRawKey(&w, k.ID)
	k.Prefix = raw[:shownPrefix]
	made, receipt, err := do[catalogue.Key](ctx, e, w.header(command.KindCreateKey), command.CreateKey{Key: k, Hash: pepper.hash([]byte(raw))})
	if err != nil {
		return NewKey{}, receipt, err
	}
	if receipt.Replayed { // the key that the first request made
		raw = pepper.newRawKey(&w, made.ID)
	}
	return NewKey{Key: made, Raw: raw}, receipt, nil
}

// RevokeKey removes an API key; it stops working on every node as soon as the
// command is applied there.
func (e *Engine) RevokeKey(ctx context.Context, w Write, id string) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindRevokeKey), command.RevokeKey{ID: id})
	return receipt, err
}

// Keys lists a tenant's API keys.
func (e *Engine) Keys(tenant string, page Page) (List[catalogue.Key], error) {
	return listOf(e, page, func(c *catalogue.Catalogue, after uint64, limit int) ([]catalogue.Key, []uint64, int, error) {
		return c.Keys(tenant, after, limit)
	})
}
