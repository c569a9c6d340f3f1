package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/optimization"
	"github.com/praetor-engine/praetor/internal/wire"
	"github.com/praetor-engine/praetor/snapshot"
)

// optimizationRuntime is an optimization in this process: its actor and what the
// registry has of it.
type optimizationRuntime struct {
	id       string
	tenantID string
	plan     *optimization.Plan
	handle   *actors.Optimization
	record   atomic.Pointer[OptimizationDetail]
	batch    []optimization.Event // of the apply goroutine: what the entry brings
}

// OptimizationDetail is an optimization with its newest model.
type OptimizationDetail struct {
	*optimization.Optimization
	Model *optimization.Model `json:"model"`
}

// refreshOptimization publishes an optimization as the registry has it.
func (m *machine) refreshOptimization(o *optimization.Optimization) *OptimizationDetail {
	d := &OptimizationDetail{o, m.optimizations.Current(o)}
	m.serving[o.Sequence].record.Store(d)
	return d
}

// startOptimization gives an optimization its actor. The directory is the caller's
// to tell.
func (m *machine) startOptimization(o *optimization.Optimization, b actors.OptimizationBirth) (*optimizationRuntime, error) {
	plan, err := o.Plan()
	if err != nil {
		return nil, err
	}
	b.ID, b.Plan = o.ID, plan
	rt := &optimizationRuntime{id: o.ID, tenantID: o.TenantID, plan: plan, handle: m.actors.SpawnOptimization(b)}
	m.serving[o.Sequence] = rt
	m.refreshOptimization(o)
	return rt, nil
}

// putOptimization adds (or with nil removes) an optimization.
func (d *directory) putOptimization(id string, rt *optimizationRuntime) {
	next := map[string]*optimizationRuntime{}
	if old := d.optimizations.Load(); old != nil {
		next = maps.Clone(*old)
	}
	if rt == nil {
		delete(next, id)
	} else {
		next[id] = rt
	}
	d.optimizations.Store(&next)
}

// applyCreateOptimization checks again what the proposer checked: it may have been
// another build.
func applyCreateOptimization(m *machine, ctx *entryContext, tenant string, c command.CreateOptimization) (*OptimizationDetail, error) {
	if _, err := c.Definition.Plan(); err != nil {
		return nil, err
	}
	o, err := m.optimizations.Create(tenant, c.ID, c.ModelID, &c.Definition, ctx.at)
	if err != nil {
		return nil, err
	}
	rt, err := m.startOptimization(o, actors.OptimizationBirth{})
	if err != nil {
		return nil, err // of a definition that was found valid above
	}
	m.directory.putOptimization(o.ID, rt)
	return rt.record.Load(), nil
}

func applyUpdateOptimization(m *machine, ctx *entryContext, tenant string, c command.UpdateOptimization) (*OptimizationDetail, error) {
	if err := c.Patch.Check(); err != nil {
		return nil, err
	}
	o, err := m.optimizations.Patch(tenant, c.ID, &c.Patch, ctx.at)
	if err != nil {
		return nil, err
	}
	return m.refreshOptimization(o), nil
}

func applyCreateOptimizationModel(m *machine, ctx *entryContext, tenant string, c command.CreateOptimizationModel) (*OptimizationDetail, error) {
	o, _, err := m.optimizations.CreateModel(tenant, c.ID, c.ModelID, ctx.at)
	if err != nil {
		return nil, err
	}
	m.serving[o.Sequence].handle.Send(&actors.ForgetTrained{Index: ctx.index, Pending: ctx.pending})
	return m.refreshOptimization(o), nil
}

func applyDeleteOptimizationModel(m *machine, ctx *entryContext, tenant string, c command.ModelRef) (*optimization.Model, error) {
	model, err := m.optimizations.DeleteModel(tenant, c.ID, ctx.at)
	if err != nil {
		return nil, err
	}
	rt := m.modelChanged(tenant, model)
	rt.handle.Send(&actors.ForgetTrained{Index: ctx.index, Pending: ctx.pending})
	return model, nil
}

// modelChanged publishes an optimization whose model was changed.
func (m *machine) modelChanged(tenant string, model *optimization.Model) *optimizationRuntime {
	o, err := m.optimizations.Optimization(tenant, model.OptimizationID)
	if err != nil {
		m.halt(err, "model %s has no optimization", model.ID) // the registry is broken
	}
	m.refreshOptimization(o)
	return m.serving[o.Sequence]
}

// begunTraining is a training that may go on: the model as it then was, and what was
// observed by then.
type begunTraining struct {
	model    *optimization.Model
	observed <-chan actors.Observations
}

func applyBeginOptimizationTraining(m *machine, ctx *entryContext, tenant string, c command.BeginOptimizationTraining) (*begunTraining, error) {
	model, err := m.optimizations.Begin(tenant, c.ModelID, ctx.index, c.Node, ctx.at)
	if err != nil {
		return nil, err
	}
	observed := make(chan actors.Observations, 1)
	m.modelChanged(tenant, model).handle.Send(&actors.MarkObservations{
		Index: ctx.index, At: int64(ctx.at), Reply: observed, Pending: ctx.pending,
	})
	return &begunTraining{model, observed}, nil
}

func applyEndOptimizationTraining(m *machine, ctx *entryContext, tenant string, c command.EndOptimizationTraining) (*optimization.Model, error) {
	model, err := m.optimizations.End(tenant, c.ModelID, c.Run, c.Problem, ctx.at)
	if err == nil {
		m.modelChanged(tenant, model)
	}
	return model, err
}

func applyInstallOptimizationTraining(m *machine, ctx *entryContext, tenant string, c command.InstallOptimizationTraining) (*optimization.Model, error) {
	model, err := m.optimizations.Install(tenant, c.ModelID, c.Run, &c.Summary, ctx.at)
	if err != nil {
		return nil, err
	}
	m.modelChanged(tenant, model).handle.Send(&actors.InstallTrained{
		Index: ctx.index, State: string(c.State), Arms: c.Arms, Pending: ctx.pending,
	})
	return model, nil
}

// applyRecordEvents gives the events to the optimizations that they concern. Those
// of a tenant's request are answered with what became of each, by the actors, before
// the entry is visible.
func applyRecordEvents(m *machine, ctx *entryContext, h *command.Header, payload string) (any, error) {
	r := wire.NewReader(payload)
	events := optimization.ReadEvents(&r, int64(ctx.at))
	if err := r.Close(); err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the events cannot be read", Err: err}
	}
	var touched []*optimizationRuntime
	give := func(rt *optimizationRuntime, e *optimization.Event) {
		if len(rt.batch) == 0 {
			touched = append(touched, rt)
		}
		rt.batch = append(rt.batch, *e)
	}
	outcomes := []*optimization.Outcome(nil)
	places := []int(nil)
	for i := range events {
		e := &events[i]
		for _, rt := range m.concerned(h.Tenant, e) {
			if h.Tenant != "" {
				e.Outcome = new(optimization.Outcome)
				outcomes, places = append(outcomes, e.Outcome), append(places, i)
			}
			give(rt, e)
		}
	}
	for _, rt := range touched {
		rt.handle.Send(&actors.RecordEvents{Index: ctx.index, At: int64(ctx.at), Events: rt.batch, Pending: ctx.pending})
		rt.batch = nil
	}
	if h.Tenant == "" {
		return nothing{}, nil
	}
	return &recordedEvents{len(events), outcomes, places}, nil
}

// recordedEvents is what became of a request's events. The outcomes are the actors'
// to write until the entry is visible.
type recordedEvents struct {
	events   int
	outcomes []*optimization.Outcome
	places   []int // of the event of each outcome
}

// byEvent returns what became of each event: of one that concerned several
// optimizations the best.
func (r *recordedEvents) byEvent() []optimization.Outcome {
	all := make([]optimization.Outcome, r.events)
	for i, o := range r.outcomes {
		all[r.places[i]] = max(all[r.places[i]], *o)
	}
	return all
}

// concerned returns the optimizations that an event is for: of a tenant, if there is
// one.
func (m *machine) concerned(tenant string, e *optimization.Event) []*optimizationRuntime {
	if e.Sequence != 0 {
		if rt := m.serving[e.Sequence]; rt != nil && (tenant == "" || rt.tenantID == tenant) {
			return []*optimizationRuntime{rt}
		}
		return nil
	}
	var all []*optimizationRuntime
	for _, o := range m.optimizations.Rewarded(tenant, e.Name) {
		all = append(all, m.serving[o.Sequence])
	}
	return all
}

// dropOptimizations removes a deleted tenant's.
func (m *machine) dropOptimizations(ctx *entryContext, tenant string) {
	for _, o := range m.optimizations.DropTenant(tenant) {
		m.serving[o.Sequence].handle.Stop(ctx.pending)
		delete(m.serving, o.Sequence)
		m.directory.putOptimization(o.ID, nil)
	}
}

// captureOptimizations asks every optimization for its state or for a fingerprint,
// ordered by their ids.
func (m *machine) captureOptimizations(what func(*actors.Optimization) <-chan actors.Captured) []capturedModel {
	var all []capturedModel
	for _, rt := range m.serving {
		all = append(all, capturedModel{rt.id, what(rt.handle)})
	}
	slices.SortFunc(all, func(a, b capturedModel) int { return cmp.Compare(a.id, b.id) })
	return all
}

// restoreOptimizations gives every optimization of a snapshot its actor with its
// state.
func (m *machine) restoreOptimizations(src *snapshot.Source) error {
	form, err := readSection(src, sectionOptimizations)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	registry, err := optimization.ReadRegistry(form)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.optimizations = registry
	m.mu.Unlock()
	next := map[string]*optimizationRuntime{}
	if form != "" {
		states, err := readSection(src, sectionObservations)
		if err != nil {
			return err
		}
		births, err := readModels(states)
		if err != nil {
			return err
		}
		for _, o := range registry.All() {
			b, ok := births[o.ID]
			if !ok {
				return fmt.Errorf("optimization %s has no state in the snapshot", o.ID)
			}
			rt, err := m.startOptimization(o, actors.OptimizationBirth{State: b.State, Fault: b.Fault})
			if err != nil {
				return fmt.Errorf("optimization %s: %w", o.ID, err)
			}
			if f := rt.handle.Published().Fault; f != nil && b.Fault == nil {
				return fmt.Errorf("optimization %s: its state cannot be loaded: %s", o.ID, f.Reason)
			}
			next[o.ID] = rt
		}
	}
	m.directory.optimizations.Store(&next)
	return nil
}

// viewOptimization leaves out the time, which the entry has.
func viewOptimization(m *machine, tenant, id string) (string, any) {
	o, err := m.optimizations.Optimization(tenant, id)
	if err != nil {
		return "", nil
	}
	return o.Name, struct {
		optimization.Optimization
		UpdatedAt *struct{} `json:"updatedAt,omitempty"`
	}{Optimization: *o}
}

// viewOptimizationModel leaves out the times and a training's marks.
func viewOptimizationModel(m *machine, tenant, id string) (string, any) {
	model, err := m.optimizations.Model(tenant, id)
	if err != nil {
		return "", nil
	}
	name := ""
	if o, err := m.optimizations.Optimization(tenant, model.OptimizationID); err == nil {
		name = o.Name
	}
	return name, struct {
		optimization.Model
		UpdatedAt *struct{} `json:"updatedAt,omitempty"`
		Run       *struct{} `json:"run,omitempty"`
		RunAt     *struct{} `json:"runAt,omitempty"`
		Node      *struct{} `json:"node,omitempty"`
		Before    *struct{} `json:"before,omitempty"`
	}{Model: *model}
}
