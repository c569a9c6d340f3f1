package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// What a command changed, as the audit log has it, makes the events that the
// tenant's other systems are told (package event). They are part of the state that
// the log drives, so every node has the same ones; readers see them once the log
// entry is stored.

// takeChanges returns what the command changed, and forgets it.
func (ctx *entryContext) takeChanges() []event.Change {
	all := ctx.changes
	ctx.changes = nil
	return all
}

// nameModel adds to the change just noted what the model is called that it is
// about.
func (m *machine) nameModel(ctx *entryContext, tenant, id string) {
	rec, err := m.catalogue.Model(tenant, id)
	if err != nil {
		return // it was deleted by the same command, whose changes have it
	}
	ctx.changes[len(ctx.changes)-1].Told = membersOf(struct {
		Key    string `json:"key"`
		Name   string `json:"name"`
		Family string `json:"family"`
	}{rec.Key, rec.Name, rec.Family})
}

// tell makes the events of what the command changed.
func (m *machine) tell(ctx *entryContext, h *command.Header, actor string) {
	if len(ctx.changes) > 0 {
		m.emit(ctx, h.Tenant, event.Derive(event.Cause{Actor: actor, ExperimentID: ctx.promoting}, ctx.takeChanges()))
	}
}

// emit makes events of the tenant.
func (m *machine) emit(ctx *entryContext, tenant string, drafts []event.Draft) {
	if tenant == "" || len(drafts) == 0 {
		return
	}
	forgot := false
	for i := range drafts {
		ctx.emitted++ // the first one's place is 1: a webhook may stand before it
		e, err := drafts[i].Stamp(event.ID{Index: ctx.index, Seq: ctx.emitted}, tenant, ctx.at)
		if err != nil {
			m.halt(err, "cannot make an event of log entry %d", ctx.index)
		}
		if m.webhooks.Forget(tenant, m.events.Append(e)) {
			forgot = true
		}
	}
	if forgot {
		m.refreshWebhooks(ctx)
	}
	view := m.events.View(tenant)
	ctx.batch.OnCommit(func() {
		m.directory.events.Store(tenant, view)
		m.feed.tell(tenant)
	})
}

// dropEvents forgets a tenant's events and who was to be told of them.
func (m *machine) dropEvents(ctx *entryContext, tenant string) {
	m.events.DropTenant(tenant)
	m.webhooks.DropTenant(tenant)
	m.refreshWebhooks(ctx)
	ctx.batch.OnCommit(func() {
		m.directory.events.Delete(tenant)
		m.feed.tell(tenant)
	})
}

// refreshEvents publishes all events and webhooks as they were restored.
func (m *machine) refreshEvents() {
	m.directory.events.Clear()
	m.events.Each(func(tenant string, v event.View) {
		m.directory.events.Store(tenant, v)
		m.feed.tell(tenant)
	})
	all := m.webhooks.All()
	m.directory.webhooks.Store(&all)
}

// Events returns a tenant's events as they are on this node. It takes no lock.
func (e *Engine) Events(tenant string) event.View {
	if v, ok := e.machine.directory.events.Load(tenant); ok {
		return v.(event.View)
	}
	return event.View{}
}

// eventFigures returns how many events of all tenants are kept, and how many of
// them were dropped.
func (d *directory) eventFigures() (kept, dropped uint64) {
	d.events.Range(func(_, v any) bool {
		view := v.(event.View)
		kept, dropped = kept+uint64(len(view.Events)), dropped+view.Count
		return true
	})
	return kept, dropped
}

// feed tells who waits for events that there are some. It costs the apply
// goroutine next to nothing, whoever listens.
type feed struct {
	wake      func() // the deliverer
	listening atomic.Int64

	mu        sync.Mutex
	listeners map[string]map[*Listener]struct{} // by tenant
}

func newFeed(wake func()) *feed {
	return &feed{wake: wake, listeners: map[string]map[*Listener]struct{}{}}
}

// tell wakes those who wait for the tenant's events. A nil feed tells nobody.
func (f *feed) tell(tenant string) {
	if f == nil {
		return
	}
	f.wake()
	if f.listening.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners[tenant] {
		select {
		case l.woken <- struct{}{}:
		default: // it has yet to look
		}
	}
}

// Listener waits for a tenant's events.
type Listener struct {
	feed   *feed
	tenant string
	woken  chan struct{}
}

// Listen returns a listener to a tenant's events; Close ends it.
func (e *Engine) Listen(tenant string) *Listener {
	f := e.machine.feed
	l := &Listener{feed: f, tenant: tenant, woken: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners[tenant] == nil {
		f.listeners[tenant] = map[*Listener]struct{}{}
	}
	f.listeners[tenant][l] = struct{}{}
	f.listening.Add(1)
	return l
}

// Woken gets a value when there may be events that were not there when the last
// one was taken.
func (l *Listener) Woken() <-chan struct{} { return l.woken }

// Close ends the listener.
func (l *Listener) Close() {
	f := l.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners[l.tenant], l)
	if len(f.listeners[l.tenant]) == 0 {
		delete(f.listeners, l.tenant)
	}
	f.listening.Add(-1)
}

// Holds reports whether a principal that was authenticated before still is one: its
// key was not revoked and has not expired, its tenant is there. It looks at every
// key; it is for what goes on for minutes.
func (e *Engine) Holds(p *Principal) bool {
	if p.Role == decision.RoleOperator {
		return p.TenantID == "" || e.TenantExists(p.TenantID)
	}
	all := e.machine.directory.principals.Load()
	if all == nil {
		return false
	}
	now := decision.TimeOf(time.Now())
	for _, k := range *all {
		if k.KeyID == p.KeyID && k.TenantID == p.TenantID {
			return k.ExpiresAt == 0 || now < k.ExpiresAt
		}
	}
	return false
}
