package httpapi

import (
	"bytes"
	"context"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
)

// access says who may use a route. The zero value is no declaration, and a
// route without one keeps the server from starting.
type access uint8

const (
	undeclared access = iota
	public            // no key at all
	viewer
	editor
	admin
	operator
)

var accessRoles = [...]decision.Role{
	public: decision.RoleNone, viewer: decision.RoleViewer, editor: decision.RoleEditor,
	admin: decision.RoleAdmin, operator: decision.RoleOperator,
}

// String names the access as openapi.yaml's x-role does.
func (a access) String() string {
	if a == public {
		return "public"
	}
	return accessRoles[a].String()
}

// credential returns the key that a request carries, empty when there is none.
func credential(h *fasthttp.RequestHeader) []byte {
	if auth := h.PeekCanonical(headerAuthorization); len(auth) > 0 {
		scheme, key, _ := bytes.Cut(auth, []byte{' '})
		if equalFold(scheme, "bearer") {
			return bytes.TrimSpace(key)
		}
		return nil
	}
	return h.PeekCanonical(headerAPIKey)
}

// The answers to a missing and to an unknown key; what is wrong with a key is
// nobody's business.
var (
	errNoKey  = decision.Errorf(decision.KindUnauthorized, "a key is required: send Authorization: Bearer <key> or X-API-Key: <key>")
	errBadKey = decision.Errorf(decision.KindUnauthorized, "the key is unknown, expired or revoked")
)

// authorise finds out who asks, checks the role that the matched route wants,
// and settles the tenant: a tenant's key is of its tenant whatever X-Tenant-Id
// says, the operator's key acts in the tenant that the header names.
func (rq *request) authorise(h *fasthttp.RequestHeader) error {
	if rq.route.access == public {
		return nil
	}
	key := credential(h)
	if len(key) == 0 {
		return rq.authorisePublic()
	}
	p, ok := rq.server.gate.Authenticate(key)
	if !ok && rq.catchUp(h.PeekCanonical(headerMinIndex)) {
		p, ok = rq.server.gate.Authenticate(key)
	}
	if !ok {
		if err := rq.server.gate.Ready(); err != nil {
			return &decision.Error{Kind: decision.KindUnavailable, Msg: "this node does not know the key, and is not ready: it may not know it yet", Err: err}
		}
		return errBadKey
	}
	if want := accessRoles[rq.route.access]; p.Role < want {
		return decision.Errorf(decision.KindForbidden, "this needs the role %s, the key has %s", want, p.Role)
	}
	rq.principal = p
	if p.Role != decision.RoleOperator {
		return nil
	}
	tenant := h.PeekCanonical(headerTenant)
	switch {
	case len(tenant) > 0:
		id := string(tenant)
		if err := rq.findTenant(id); err != nil {
			return err
		}
		rq.principal.TenantID = id
	case !rq.route.tenantless:
		return decision.Invalid("X-Tenant-Id", "the operator's key needs this header here: the tenant to act in")
	}
	return nil
}

// authorisePublic lets a request without a key in where the route's optimization is
// open to that, as a viewer of its tenant. Where the body names the optimization the
// handler decides, see bestVariant.
func (rq *request) authorisePublic() error {
	if !rq.route.open {
		return errNoKey
	}
	rq.keyless = true
	if len(rq.route.params) == 0 {
		return nil
	}
	tenant, ok := rq.server.publicTenant(rq.params[0])
	if !ok {
		return errNoKey
	}
	rq.principal = publicPrincipal(tenant)
	return nil
}

// catchUp waits for the index that the request names when this node has not
// applied it yet, and reports whether it did: a key that was just made at another
// node is known here from then on. What anybody can have wait here is one
// connection of their own, for MinIndexWait.
func (rq *request) catchUp(minIndex []byte) bool {
	g := rq.server.gate
	index, err := strconv.ParseUint(string(minIndex), 10, 64)
	if err != nil || g.AppliedIndex() >= index {
		return false
	}
	ctx, cancel := context.WithTimeout(rq.ctx, rq.server.cfg.MinIndexWait)
	defer cancel()
	return g.WaitApplied(ctx, index) == nil
}

// findTenant finds the tenant that the operator names. A node that lags behind
// catches up before it denies one.
func (rq *request) findTenant(id string) error {
	g := rq.server.gate
	if g.TenantExists(id) {
		return nil
	}
	if err := rq.barrier(); err != nil {
		return err
	}
	if g.TenantExists(id) {
		return nil
	}
	return decision.Errorf(decision.KindNotFound, "no tenant %q", clip(id))
}
