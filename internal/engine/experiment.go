package engine

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/experiment"
	"github.com/praetor-engine/praetor/internal/wire"
)

// Assignment is what a customer gets in an experiment.
type Assignment struct {
	ExperimentID string
	CustomerID   string
	Variant      string
	ModelID      string
	Bucket       int
}

// ExperimentResults are what came of an experiment.
type ExperimentResults struct {
	*catalogue.Experiment
	experiment.Results
	// Shadow is what this node scored of all its variants.
	Shadow ShadowResults
}

// Experiments lists a tenant's experiments.
func (e *Engine) Experiments(tenant string, page Page) (List[*catalogue.Experiment], error) {
	return listOf(e, page, func(c *catalogue.Catalogue, after uint64, limit int) ([]*catalogue.Experiment, []uint64, int, error) {
		return c.Experiments(tenant, after, limit)
	})
}

// Experiment returns an experiment.
func (e *Engine) Experiment(tenant, id string) (*catalogue.Experiment, error) {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	return e.machine.catalogue.Experiment(tenant, id)
}

// CreateExperiment makes an experiment of its definition, as the API has it.
func (e *Engine) CreateExperiment(ctx context.Context, w Write, definition json.RawMessage) (*catalogue.Experiment, Receipt, error) {
	d, err := experiment.Read(definition)
	if err != nil {
		return nil, Receipt{}, err
	}
	return do[*catalogue.Experiment](ctx, e, w.header(command.KindCreateExperiment), command.CreateExperiment{ID: newID("exp"), Definition: d})
}

// UpdateExperiment changes the given fields of an experiment.
func (e *Engine) UpdateExperiment(ctx context.Context, w Write, id string, fields json.RawMessage) (*catalogue.Experiment, Receipt, error) {
	old, err := e.Experiment(w.Principal.TenantID, id)
	if err != nil {
		return nil, Receipt{}, err
	}
	if _, err := old.Definition.With(fields); err != nil {
		return nil, Receipt{}, err
	}
	return do[*catalogue.Experiment](ctx, e, w.header(command.KindUpdateExperiment), command.UpdateExperiment{ID: id, Fields: fields})
}

// DeleteExperiment removes an experiment that is not active.
func (e *Engine) DeleteExperiment(ctx context.Context, w Write, id string) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteExperiment), command.ExperimentRef{ID: id})
	return receipt, err
}

// Results evaluates an experiment as of the time at.
func (e *Engine) Results(tenant, id string, at decision.Time) (ExperimentResults, error) {
	e.machine.mu.RLock()
	x, r, err := e.machine.catalogue.Results(tenant, id, at)
	e.machine.mu.RUnlock()
	if err != nil {
		return ExperimentResults{}, err
	}
	return ExperimentResults{Experiment: x, Results: r, Shadow: e.shadow.results(x, r.Variants)}, nil
}

func applyCreateExperiment(m *machine, ctx *entryContext, tenant string, c command.CreateExperiment) (*catalogue.Experiment, error) {
	x, err := m.catalogue.CreateExperiment(tenant, c.ID, &c.Definition, ctx.at)
	if err != nil {
		return nil, err
	}
	m.refreshExperiments()
	return x, nil
}

func applyUpdateExperiment(m *machine, ctx *entryContext, tenant string, c command.UpdateExperiment) (*catalogue.Experiment, error) {
	x, err := m.catalogue.UpdateExperiment(tenant, c.ID, c.Fields, ctx.at)
	if err != nil {
		return nil, err
	}
	m.refreshExperiments()
	return x, nil
}

func applyDeleteExperiment(m *machine, _ *entryContext, tenant string, c command.ExperimentRef) (nothing, error) {
	return nothing{}, m.catalogue.DeleteExperiment(tenant, c.ID)
}

func applyAssignCustomers(m *machine, ctx *entryContext, tenant string, c command.AssignCustomers) (nothing, error) {
	r := wire.NewReader(string(c.Customers))
	hashes := experiment.ReadHashes(&r)
	if err := r.Close(); err != nil {
		return nothing{}, &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the customers cannot be read", Err: err}
	}
	m.catalogue.AssignCustomers(tenant, c.ID, c.Revision, hashes, ctx.at)
	m.refreshExperiments()
	return nothing{}, nil
}

// settleExperiments completes the experiments that a change of the tenant's models
// leaves nothing to compare. The caller publishes it, with the champions.
func (m *machine) settleExperiments(ctx *entryContext, tenant string) {
	m.catalogue.SettleExperiments(tenant, ctx.at)
}

// checkUnused is an error for a model that a running experiment uses.
func (m *machine) checkUnused(tenant, modelID string) error {
	id := m.catalogue.UsedBy(tenant, modelID)
	if id == "" {
		return nil
	}
	return decision.Errorf(decision.KindConflict, "the running experiment %q uses the model; force=true deletes it and completes the experiment", id)
}

// running are the active experiments, immutable and replaced whole.
type running struct {
	byID     map[string]*experimentRuntime
	byFamily map[familyKey]*experimentRuntime
}

// experimentRuntime is one split of an active experiment in this process. All its
// fields may be used by any goroutine.
type experimentRuntime struct {
	catalogue.ActiveExperiment
	models []*modelRuntime // of the plan's variants
	shadow *shadowStats
	seen   *experiment.Seen // customers told to the other nodes, by any split
	fresh  experiment.Fresh // those still to be told, by this one
	// before is the runtime that this one goes on from, if that may have customers to
	// tell still. The reporter takes it.
	before atomic.Pointer[experimentRuntime]
}

// assigned notes that a customer was assigned. A customer seen before costs no
// memory; no customer waits.
func (x *experimentRuntime) assigned(hash uint64) {
	if x.seen.Add(hash) {
		x.fresh.Push(hash)
	}
}

// refreshExperiments publishes the active experiments as the catalogue has them.
func (m *machine) refreshExperiments() {
	old := m.directory.experiments.Load()
	next := &running{byID: map[string]*experimentRuntime{}, byFamily: map[familyKey]*experimentRuntime{}}
	m.catalogue.EachActive(func(x catalogue.ActiveExperiment) {
		rt := m.experimentRuntime(x, old)
		next.byID[x.ID] = rt
		next.byFamily[familyKey{x.TenantID, x.Family}] = rt
	})
	m.directory.experiments.Store(next)
}

// experimentRuntime returns the runtime that there is for the experiment, or a new
// one that goes on from it.
func (m *machine) experimentRuntime(x catalogue.ActiveExperiment, old *running) *experimentRuntime {
	rt := &experimentRuntime{ActiveExperiment: x}
	models := m.tenants[x.TenantID].models
	for _, v := range x.Plan.Variants {
		rt.models = append(rt.models, models[v.ModelID])
	}
	var had *experimentRuntime
	if old != nil {
		had = old.byID[x.ID]
	}
	if had == nil || had.TenantID != x.TenantID {
		rt.seen, rt.shadow = &experiment.Seen{}, newShadowStats(m.shadow, nil, x.Plan)
		return rt
	}
	const champion = 1
	if had.ActiveExperiment == x && had.models[champion] == rt.models[champion] {
		return had
	}
	rt.seen, rt.shadow = had.seen, newShadowStats(m.shadow, had.shadow, x.Plan)
	if !had.fresh.Empty() || had.before.Load() != nil {
		rt.before.Store(had)
	}
	return rt
}

// running finds the active experiment of a tenant's family, nil when there is
// none. It takes no lock and does not allocate.
func (d *directory) running(tenantID, family string) *experimentRuntime {
	all := d.experiments.Load()
	if all == nil || len(all.byFamily) == 0 {
		return nil
	}
	return all.byFamily[familyKey{tenantID, family}]
}

// Assignment assigns a customer as of the time at. It takes no lock and does not
// allocate.
func (e *Engine) Assignment(tenant, id, customerID string, at decision.Time) (Assignment, error) {
	if n := utf8.RuneCountInString(customerID); n < 1 || n > maxIDLength {
		return Assignment{}, decision.Invalid("customerId", "want 1 to %d characters, got %d", maxIDLength, n)
	}
	if all := e.machine.directory.experiments.Load(); all != nil {
		if x := all.byID[id]; x != nil && x.TenantID == tenant {
			a := x.Plan.Assign(customerID, int64(at))
			x.assigned(a.Hash)
			return Assignment{x.ID, customerID, a.Variant.Name, a.Variant.ModelID, a.Bucket}, nil
		}
	}
	x, err := e.Experiment(tenant, id)
	if err != nil {
		return Assignment{}, err
	}
	return Assignment{}, decision.Errorf(decision.KindConflict, "the experiment is %s; only an active one assigns", x.Status)
}

// FamilyScorer finds the model that decides for a family, to score with it as of
// the time at: the champion, or in an active experiment the customer's variant. A
// challenger that cannot score is stood in for by the champion; the scorer then
// names no experiment. Like Scorer it takes no lock and does not allocate, but for
// a customer whom this node has not seen in the experiment.
func (e *Engine) FamilyScorer(tenant, family, customerID string, at decision.Time) (Scorer, error) {
	d := &e.machine.directory
	x := d.running(tenant, family)
	if x == nil {
		mr, err := d.champion(tenant, family)
		if err != nil {
			return Scorer{}, err
		}
		return e.scorerOf(mr)
	}
	const champion = 1
	if customerID != "" {
		a := x.Plan.Assign(customerID, int64(at))
		s, err := e.scorerOf(x.models[a.Index])
		if err == nil {
			x.assigned(a.Hash)
			s.Variant, s.ExperimentID, s.running = a.Variant.Name, x.ID, x
			return s, nil
		}
		if a.Index <= champion {
			return s, err
		}
		e.fallbacks.Add(1)
	}
	s, err := e.scorerOf(x.models[champion])
	s.running = x
	return s, err
}

// reportInterval is how long a node waits at most before it tells the others whom
// it assigned. It bounds what a change of the split does not know of.
const reportInterval = 500 * time.Millisecond

// maxReported bounds the customers of one command.
const maxReported = 1 << 14

// reporter tells the other nodes, through the log, whom this one assigned.
type reporter struct {
	engine *Engine
	late   []*experimentRuntime // replaced, but with customers to tell when last looked at
}

func (r *reporter) run(ctx context.Context) {
	every(ctx, reportInterval, func(time.Time) { r.tell(ctx) })
}

// tell tells everything there is to tell. A request that began before its
// experiment was changed may add to a runtime that is replaced, so that these are
// looked at until they have nothing.
func (r *reporter) tell(ctx context.Context) {
	all := r.engine.machine.directory.experiments.Load()
	if all == nil || r.engine.Ready() != nil {
		return
	}
	late := r.late
	r.late = nil
	for _, x := range all.byID {
		for was := x.before.Swap(nil); was != nil; was = was.before.Swap(nil) {
			late = append(late, was)
		}
		if !x.fresh.Empty() {
			r.tellOf(ctx, x)
		}
	}
	for _, x := range late {
		if !x.fresh.Empty() {
			r.tellOf(ctx, x)
			r.late = append(r.late, x)
		}
	}
}

func (r *reporter) tellOf(ctx context.Context, x *experimentRuntime) {
	e := r.engine
	customers := x.fresh.Take()
	e.machine.mu.RLock()
	customers, room := e.machine.catalogue.Unassigned(x.TenantID, x.ID, customers)
	e.machine.mu.RUnlock()
	if over := len(customers) - room; over > 0 {
		e.overflow.Add(uint64(over)) // the log need not hear of them
		customers = customers[:room]
	}
	for len(customers) > 0 {
		some := customers[:min(len(customers), maxReported)]
		_, _, err := do[nothing](ctx, e, &command.Header{Kind: command.KindAssignCustomers, Tenant: x.TenantID}, command.AssignCustomers{
			ID: x.ID, Revision: x.Revision, Customers: experiment.AppendHashes(nil, some),
		})
		if err != nil {
			for _, h := range customers {
				x.fresh.Push(h) // the next tick tries again; telling twice is telling once
			}
			return
		}
		customers = customers[len(some):]
	}
}
