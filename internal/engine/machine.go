package engine

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/history"
	"github.com/praetor-engine/praetor/internal/monitor"
	"github.com/praetor-engine/praetor/internal/optimization"
	"github.com/praetor-engine/praetor/internal/webhook"
	"github.com/praetor-engine/praetor/internal/wire"
)

// machine is what the log drives: the catalogue, the history and the model
// actors. Everything but what its comment says otherwise belongs to the apply
// goroutine.
type machine struct {
	// mu lets lists read the catalogue while the log goes on. The apply
	// goroutine, its only writer, takes it to write and not to read.
	mu        sync.RWMutex
	catalogue *catalogue.Catalogue
	history   *history.Store // reads are safe from any goroutine
	actors    *actors.System
	directory directory // reads are safe from any goroutine
	tenants   map[string]*tenantRuntime
	onCheck   *checker          // nil in a replay
	shadow    *shadow           // nil in a replay
	decisions *decisionlog.Log  // nil in a replay
	book      *monitor.Book     // reads are safe from any goroutine
	recorder  *monitor.Recorder // the same; nil in a replay, and when served scores are not monitored
	feed      *feed             // nil in a replay
	events    *event.Store
	webhooks  *webhook.Set
	log       zerolog.Logger

	optimizations *optimization.Registry // like the catalogue
	serving       map[uint64]*optimizationRuntime
}

// tenantRuntime is what applying outcomes needs of a tenant.
type tenantRuntime struct {
	catalogue.Tenant
	models map[string]*modelRuntime
	// batch has what this entry recorded so far; the first sent of it went to
	// the actors, which share it and read only.
	batch []decision.Outcome
	sent  int
}

// reply is what applying one command gives its proposer.
type reply struct {
	value    any    // nil when body is set; beside an error, what the applier tells with it
	body     []byte // the value of the first answer to the idempotency key, JSON
	replayed bool
	err      error
}

func newMachine(store *history.Store, system *actors.System, log zerolog.Logger) *machine {
	return &machine{
		catalogue: catalogue.New(), history: store, actors: system, log: log,
		tenants: map[string]*tenantRuntime{}, book: monitor.NewBook(),
		optimizations: optimization.NewRegistry(), serving: map[uint64]*optimizationRuntime{},
		events: event.NewStore(), webhooks: webhook.NewSet(),
	}
}

// entryContext is what the commands of one log entry share.
type entryContext struct {
	index   uint64
	at      decision.Time
	batch   *history.Batch
	pending *actors.Pending
	tenants []*tenantRuntime // those with outcomes in this entry
	// promoting is the experiment that promotes its winner: the audit log has its end
	// in the entry of that.
	promoting string
	alerts    []monitor.Standing // that the command under way opened or closed
	// changes are what the command changed, for the events that it makes; emitted
	// counts those of the entry.
	changes []event.Change
	emitted uint32
}

// Apply applies one log entry; a storage error ends the process (see halt).
func (m *machine) Apply(e *cluster.Entry) cluster.Applied {
	ctx := &entryContext{
		index: e.Index, at: decision.Time(e.At),
		batch: m.history.Begin(e.Index, e.At), pending: actors.NewPending(),
	}
	results := make([]any, len(e.Commands))
	for i, c := range e.Commands {
		results[i] = m.applyCommand(ctx, c)
	}
	m.flush(ctx)
	for _, t := range ctx.tenants {
		t.batch, t.sent = nil, 0
	}
	if err := ctx.batch.Commit(); err != nil {
		m.halt(err, "cannot store log entry %d", e.Index)
	}
	ctx.pending.Done()
	return cluster.Applied{Results: results, Done: ctx.pending.Passed()}
}

func (m *machine) applyCommand(ctx *entryContext, c string) any {
	r := wire.NewReader(c)
	h := command.ReadHeader(&r)
	if err := r.Err(); err != nil {
		return &reply{err: &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the command cannot be read", Err: err}}
	}
	if h.Kind == command.KindRecord {
		return m.applyRecord(ctx, &h, &r)
	}
	m.flush(ctx) // what was recorded before comes before
	return m.applyOnce(ctx, &h, r.Rest())
}

// applyOnce applies a command other than Record, unless its idempotency key has
// an answer already.
func (m *machine) applyOnce(ctx *entryContext, h *command.Header, payload string) *reply {
	var key catalogue.AnswerKey
	ordinal := m.ordinal(h.Tenant)
	if h.Tenant != "" && ordinal == 0 {
		return &reply{err: decision.Errorf(decision.KindNotFound, "tenant %q does not exist", h.Tenant)}
	}
	if h.IdempotencyKey != "" {
		key = catalogue.KeyOf(ordinal, "request", h.IdempotencyKey)
		first, err := m.catalogue.Answers().Find(key, h.Fingerprint, ctx.at)
		if err != nil {
			return &reply{err: err}
		}
		if first != nil {
			return &reply{body: first.Body, replayed: true}
		}
	}
	apply, ok := appliers[h.Kind]
	if !ok {
		return &reply{err: decision.Errorf(decision.KindInternal, "command kind %d is not known to this build", h.Kind)}
	}
	m.mu.Lock()
	value, err := apply(m, ctx, h, payload)
	m.mu.Unlock()
	if h.IdempotencyKey != "" {
		body, encoding := json.Marshal(value)
		if err != nil {
			body, encoding = refusalBody(err, value)
		}
		if encoding != nil {
			return &reply{err: fmt.Errorf("engine: encode the answer of command kind %d: %w", h.Kind, encoding)}
		}
		if body != nil {
			m.catalogue.Answers().Add(&catalogue.Answer{Key: key, Tenant: ordinal, Fingerprint: h.Fingerprint, At: ctx.at, Body: body})
		}
	}
	return &reply{value: value, err: err}
}

// ordinal returns a tenant's number, 0 for the operator's own commands.
func (m *machine) ordinal(tenantID string) uint32 {
	t, _ := m.catalogue.Tenant(tenantID)
	return t.Ordinal
}

// flush sends what the entry recorded so far to the learning models.
func (m *machine) flush(ctx *entryContext) {
	for _, t := range ctx.tenants {
		batch := t.batch[t.sent:]
		if len(batch) == 0 {
			continue
		}
		t.sent = len(t.batch)
		for _, mr := range t.models {
			if mr.learns {
				mr.handle.Send(&actors.Observe{Index: ctx.index, Outcomes: batch, Pending: ctx.pending})
			}
		}
	}
}
