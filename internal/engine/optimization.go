package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// newUUID makes a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// optimization finds a tenant's optimization; another tenant's is as good as absent.
// It takes no lock and does not allocate.
func (d *directory) optimization(tenantID, id string) (*optimizationRuntime, error) {
	if all := d.optimizations.Load(); all != nil {
		if rt := (*all)[id]; rt != nil && rt.tenantID == tenantID {
			return rt, nil
		}
	}
	return nil, optimization.NotFound(id)
}

// optimizationOrCatchUp finds a tenant's optimization. A node that lags behind does
// not know every one: before it says that there is none, it catches up.
func (e *Engine) optimizationOrCatchUp(ctx context.Context, tenant, id string) (*optimizationRuntime, error) {
	rt, err := e.machine.directory.optimization(tenant, id)
	if err == nil {
		return rt, nil
	}
	if err := e.Barrier(ctx); err != nil {
		return nil, err
	}
	return e.machine.directory.optimization(tenant, id)
}

// CreateOptimization makes an optimization with its model.
func (e *Engine) CreateOptimization(ctx context.Context, w Write, d *optimization.Definition) (*OptimizationDetail, Receipt, error) {
	if _, err := d.Plan(); err != nil {
		return nil, Receipt{}, err
	}
	return do[*OptimizationDetail](ctx, e, w.header(command.KindCreateOptimization), command.CreateOptimization{
		ID: newUUID(), ModelID: newUUID(), Definition: *d,
	})
}

// UpdateOptimization changes the given fields of an optimization.
func (e *Engine) UpdateOptimization(ctx context.Context, w Write, id string, c *optimization.Patch) (*OptimizationDetail, Receipt, error) {
	if err := c.Check(); err != nil {
		return nil, Receipt{}, err
	}
	return do[*OptimizationDetail](ctx, e, w.header(command.KindUpdateOptimization), command.UpdateOptimization{ID: id, Patch: *c})
}

// CreateOptimizationModel makes a new model of an optimization whose model was
// deleted.
func (e *Engine) CreateOptimizationModel(ctx context.Context, w Write, id string) (*OptimizationDetail, Receipt, error) {
	return do[*OptimizationDetail](ctx, e, w.header(command.KindCreateOptimizationModel), command.CreateOptimizationModel{ID: id, ModelID: newUUID()})
}

// DeleteOptimizationModel archives a model for good.
func (e *Engine) DeleteOptimizationModel(ctx context.Context, w Write, id string) (*optimization.Model, Receipt, error) {
	return do[*optimization.Model](ctx, e, w.header(command.KindDeleteOptimizationModel), command.ModelRef{ID: id})
}

// Optimization returns an optimization with its model.
func (e *Engine) Optimization(tenant, id string) (*OptimizationDetail, error) {
	rt, err := e.machine.directory.optimization(tenant, id)
	if err != nil {
		return nil, err
	}
	return rt.record.Load(), nil
}

// The orders of a list of optimizations, all descending.
const (
	OrderCreated   = "created_at"
	OrderUpdated   = "updated_at"
	OrderName      = "name"
	OrderExposures = "exposures"
	OrderLift      = "lift"
)

// OptimizationOrders has the orders of a list of optimizations.
var OptimizationOrders = []string{OrderCreated, OrderUpdated, OrderName, OrderExposures, OrderLift}

// Optimizations returns a tenant's optimizations in an order; archived ones only
// where they are asked for.
func (e *Engine) Optimizations(tenant, order string, archived bool) []*OptimizationDetail {
	e.machine.mu.RLock()
	var all []*OptimizationDetail
	for _, o := range e.machine.optimizations.Optimizations(tenant) {
		if archived || o.Status != optimization.Archived {
			all = append(all, &OptimizationDetail{o, e.machine.optimizations.Current(o)})
		}
	}
	e.machine.mu.RUnlock()
	slices.SortStableFunc(all, func(a, b *OptimizationDetail) int { return compareBy(order, b, a) })
	return all
}

func compareBy(order string, a, b *OptimizationDetail) int {
	switch order {
	case OrderUpdated:
		return cmp.Compare(a.UpdatedAt, b.UpdatedAt)
	case OrderName:
		return cmp.Compare(a.Name, b.Name)
	case OrderExposures:
		x, y := a.Model.Summary, b.Model.Summary
		if x == nil || y == nil {
			return cmp.Compare(bit(x != nil), bit(y != nil))
		}
		return cmp.Compare(x.Exposures, y.Exposures)
	case OrderLift:
		x, y := liftOf(a), liftOf(b)
		if x == nil || y == nil {
			return cmp.Compare(bit(x != nil), bit(y != nil))
		}
		return cmp.Compare(*x, *y)
	}
	return cmp.Compare(a.CreatedAt, b.CreatedAt)
}

func liftOf(d *OptimizationDetail) *float64 {
	if d.Model.Summary == nil {
		return nil
	}
	return d.Model.Summary.Lift
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// OptimizationModels returns a tenant's models, newest first, with their optimizations.
func (e *Engine) OptimizationModels(tenant string) []*OptimizationDetail {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	var all []*OptimizationDetail
	for _, m := range e.machine.optimizations.Models(tenant) {
		if o, err := e.machine.optimizations.Optimization(tenant, m.OptimizationID); err == nil {
			all = append(all, &OptimizationDetail{o, m})
		}
	}
	return all
}

// OptimizationModel returns a model with its optimization.
func (e *Engine) OptimizationModel(tenant, id string) (*OptimizationDetail, error) {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	m, err := e.machine.optimizations.Model(tenant, id)
	if err != nil {
		return nil, err
	}
	o, err := e.machine.optimizations.Optimization(tenant, m.OptimizationID)
	return &OptimizationDetail{o, m}, err
}

// OptimizationState is what an optimization's model learned.
type OptimizationState struct {
	*OptimizationDetail
	Plan    *optimization.Plan
	Trained *posterior.Trained // nil: never, or the model is archived
}

// OptimizationState returns what a model learned.
func (e *Engine) OptimizationState(tenant, modelID string) (OptimizationState, error) {
	d, err := e.OptimizationModel(tenant, modelID)
	if err != nil {
		return OptimizationState{}, err
	}
	rt, err := e.machine.directory.optimization(tenant, d.ID)
	if err != nil {
		return OptimizationState{}, err
	}
	s := OptimizationState{OptimizationDetail: d, Plan: rt.plan}
	if d.Model.Status == optimization.ModelArchived {
		return s, nil
	}
	p := rt.handle.Published()
	if p.Fault != nil {
		return s, p.Fault.Err()
	}
	s.Trained = p.View.Trained
	return s, nil
}

// VariantCount is what was seen of a variant.
type VariantCount struct {
	Exposures uint64
	Rewards   float64
}

// OptimizationResults are what came of an optimization so far.
type OptimizationResults struct {
	OptimizationState
	Counts   []VariantCount // by variant
	Immature uint64         // exposures that are left out as nobody knows yet what they bring
	Lift     factorial.Lift
}

// OptimizationResults returns what came of an optimization: what was counted up to
// its latest event, or, where the observations are elsewhere, by the last training.
func (e *Engine) OptimizationResults(ctx context.Context, tenant, id string) (OptimizationResults, error) {
	rt, err := e.machine.directory.optimization(tenant, id)
	if err != nil {
		return OptimizationResults{}, err
	}
	d := rt.record.Load()
	p := rt.handle.Published()
	if p.Fault != nil {
		return OptimizationResults{}, p.Fault.Err()
	}
	r := OptimizationResults{OptimizationState: OptimizationState{OptimizationDetail: d, Plan: rt.plan, Trained: p.View.Trained}}
	r.Counts = make([]VariantCount, rt.plan.Space.Variants())
	arms := p.View.Arms
	if s := d.Model.Summary; s != nil && s.Source != "" && r.Trained != nil {
		for i, v := range r.Trained.Variants() {
			r.Counts[i] = VariantCount{v.Exposures, v.Rewards}
		}
	} else {
		seen, err := rt.handle.Observations(ctx)
		if err != nil {
			return OptimizationResults{}, err
		}
		for _, o := range seen.Table.Observed() {
			r.Counts[o.Variant].Exposures += o.N
			r.Counts[o.Variant].Rewards += o.Sum
		}
		arms, r.Immature = optimization.ArmsOf(seen.Table), seen.Table.Immature()
	}
	r.Lift = factorial.MeasureLift(arms.Treated, arms.Holdout, rt.plan.Rules.Numeric)
	return r, nil
}

// Optimizer serves the variants of one optimization.
type Optimizer struct {
	*OptimizationDetail
	Plan *optimization.Plan
	view *optimization.View
}

// Optimizer finds an optimization to serve from. It takes no lock and does not
// allocate.
func (e *Engine) Optimizer(tenant, id string) (Optimizer, error) {
	rt, err := e.machine.directory.optimization(tenant, id)
	if err != nil {
		return Optimizer{}, err
	}
	return rt.optimizer()
}

func (rt *optimizationRuntime) optimizer() (Optimizer, error) {
	d := rt.record.Load()
	switch {
	case d.Status == optimization.Archived:
		return Optimizer{}, errArchivedOptimization
	case d.Model.Status == optimization.ModelArchived:
		return Optimizer{}, errArchivedModel
	}
	p := rt.handle.Published()
	if p.Fault != nil {
		return Optimizer{}, p.Fault.Err()
	}
	return Optimizer{OptimizationDetail: d, Plan: rt.plan, view: p.View}, nil
}

var (
	errArchivedOptimization = decision.Errorf(decision.KindConflict, "the optimization is archived")
	errArchivedModel        = decision.Errorf(decision.KindConflict, "the optimization's model is archived; make a new one with POST /api/v2/optimizations/{id}/models")
)

// PublicTenant returns the tenant of an optimization that serves without a key.
func (e *Engine) PublicTenant(id string) (tenant string, ok bool) {
	if all := e.machine.directory.optimizations.Load(); all != nil {
		if rt := (*all)[id]; rt != nil && rt.record.Load().PublicServe {
			return rt.tenantID, true
		}
	}
	return "", false
}

// Serve decides what a visitor in a context cell gets now. It does not allocate.
func (o *Optimizer) Serve(visitor string, cell uint64, now decision.Time) posterior.Served {
	return o.OptimizationDetail.Serve(o.Plan, o.view, visitor, cell, int64(now))
}

// Expose records that a visitor was served. It returns when that is durable.
func (e *Engine) Expose(o *Optimizer, s posterior.Served, visitor string, cell uint64) (Receipt, error) {
	event := o.Exposed(s, visitor, cell)
	index, err := e.exposures.record(&event)
	return Receipt{Index: index}, err
}

// MaxEvents is how many events one request may bring.
const MaxEvents = 500

// IngestEvent is an exposure or a reward as a client sent it.
type IngestEvent struct {
	AnonymousID    string
	OptimizationID string // of a reward: empty for every optimization that has its name
	Variant        factorial.Combination
	Context        map[string]factorial.Value
	RewardName     string // of a reward
	Value          float64
	At             decision.Time // 0: now
	IdempotencyKey string
	Err            error // what was wrong with it already
}

// IngestResult is what became of a request's events.
type IngestResult struct {
	Accepted, Duplicates int
	Rejected             []IngestRejection
}

// IngestRejection is an event that was not taken.
type IngestRejection struct {
	Index int
	Err   error
}

// Ingest records events of one kind, each by itself. A non-nil error means that
// nothing was recorded, or, when it is indeterminate, that all may have been.
func (e *Engine) Ingest(ctx context.Context, w Write, rewards bool, events []IngestEvent, now decision.Time) (IngestResult, Receipt, error) {
	if n := len(events); n < 1 || n > MaxEvents {
		return IngestResult{}, Receipt{}, decision.Invalid("events", "must have 1 to %d items, got %d", MaxEvents, n)
	}
	if _, err := e.machine.directory.tenant(w.Principal.TenantID); err != nil {
		return IngestResult{}, Receipt{}, err
	}
	var result IngestResult
	b := command.AppendHeader(nil, w.header(command.KindRecordEvents))
	var places []int
	for i := range events {
		in := &events[i]
		event, err := optimization.Event{}, in.Err
		if err == nil {
			event, err = e.eventOf(ctx, w.Principal.TenantID, rewards, in, now)
		}
		if err != nil {
			result.Rejected = append(result.Rejected, IngestRejection{i, err})
			continue
		}
		b = event.Append(b)
		places = append(places, i)
	}
	if len(places) == 0 {
		return result, Receipt{}, nil
	}
	receipt, outcomes, err := e.proposeEvents(ctx, b)
	if err != nil {
		return IngestResult{}, receipt, err
	}
	for i, o := range outcomes {
		switch o {
		case optimization.Accepted:
			result.Accepted++
		case optimization.Duplicate:
			result.Duplicates++
		default:
			result.Rejected = append(result.Rejected, IngestRejection{places[i], notRecorded(o, &events[places[i]])})
		}
	}
	slices.SortFunc(result.Rejected, func(a, b IngestRejection) int { return cmp.Compare(a.Index, b.Index) })
	return result, receipt, nil
}

func (e *Engine) proposeEvents(ctx context.Context, b []byte) (Receipt, []optimization.Outcome, error) {
	result, err := e.node.Propose(ctx, b)
	if err != nil {
		return Receipt{}, nil, err
	}
	receipt := Receipt{Index: result.Index}
	r, ok := result.Value.(*reply)
	if !ok {
		return receipt, nil, fmt.Errorf("engine: events were answered with a %T", result.Value)
	}
	if r.err != nil {
		return receipt, nil, r.err
	}
	recorded, ok := r.value.(*recordedEvents)
	if !ok {
		return receipt, nil, fmt.Errorf("engine: events were answered with a %T", r.value)
	}
	return receipt, recorded.byEvent(), nil
}

// notRecorded says why an event was not recorded.
func notRecorded(o optimization.Outcome, in *IngestEvent) error {
	switch o {
	case optimization.TooLate:
		return &decision.Error{Kind: decision.KindConflict, Reason: "too_late",
			Msg: "timestamp: the event is older than what is remembered; nothing can be credited any more"}
	case optimization.NoRoom:
		return &decision.Error{Kind: decision.KindUnavailable, Reason: "no_room", Msg: fmt.Sprintf(
			"too many events are remembered: %d of one anonymous_id, %d of the optimization at most", optimization.MaxEventsOfVisitor, optimization.MaxEvents)}
	}
	if in.OptimizationID == "" {
		return decision.Errorf(decision.KindNotFound, "name: no optimization has a reward %.60q", in.RewardName)
	}
	return errForeign(in.OptimizationID)
}

func errForeign(id string) error {
	return decision.Errorf(decision.KindForbidden, "optimization_id: the organization has no optimization %.60q", id)
}

// eventOf checks an event and brings it into the log's form.
func (e *Engine) eventOf(ctx context.Context, tenant string, reward bool, in *IngestEvent, now decision.Time) (optimization.Event, error) {
	var p decision.Problems
	if n := utf8.RuneCountInString(in.AnonymousID); n < 1 || n > maxIDLength {
		p.Addf("anonymous_id", "must be 1 to %d characters, got %d", maxIDLength, n)
	}
	at := in.At
	if at == 0 {
		at = now
	}
	if at < 0 {
		p.Addf("timestamp", "must be after 1970, got %s", at)
	} else if at > now+maxClockAhead {
		p.Addf("timestamp", "must be at most 24 hours in the future, got %s", at)
	}
	if utf8.RuneCountInString(in.IdempotencyKey) > maxIDLength {
		p.Addf("idempotency_key", "must be at most %d characters", maxIDLength)
	}
	if err := p.Err(); err != nil {
		return optimization.Event{}, err
	}
	event := optimization.Event{Visitor: in.AnonymousID, IsReward: reward}
	var rt *optimizationRuntime
	if in.OptimizationID != "" || !reward {
		var err error
		rt, err = e.optimizationOrCatchUp(ctx, tenant, in.OptimizationID)
		switch decision.KindOf(err) {
		case decision.KindNotFound:
			return event, errForeign(in.OptimizationID)
		default:
			if err != nil {
				return event, err
			}
		}
		event.Sequence = rt.record.Load().Sequence
	}
	if reward {
		return event, rewardOf(&event, rt, in, at)
	}
	return event, exposureOf(&event, rt, in, at)
}

func rewardOf(event *optimization.Event, rt *optimizationRuntime, in *IngestEvent, at decision.Time) error {
	amount, err := attribution.AmountOf(in.Value)
	if err != nil {
		return decision.Invalid("value", "must be a number of at most %g in magnitude, got %v", float64(attribution.MaxValue), in.Value)
	}
	event.Reward = attribution.Reward{At: int64(at), Key: attribution.KeyOf(in.IdempotencyKey), Value: amount}
	if rt == nil {
		event.Name = in.RewardName
		return nil
	}
	if want := rt.record.Load().TrainingDataConfig.Reward.Name; in.RewardName != want {
		return decision.Invalid("name", "must be the optimization's reward %q, got %.60q", want, in.RewardName)
	}
	return nil
}

// exposureOf is an exposure that binds its visitor as one that was served here does.
func exposureOf(event *optimization.Event, rt *optimizationRuntime, in *IngestEvent, at decision.Time) error {
	space := rt.plan.Space
	variant, err := space.VariantOf(in.Variant, "variant")
	if err != nil {
		return err
	}
	d := rt.record.Load()
	x := attribution.Exposure{At: int64(at), Key: attribution.KeyOf(in.IdempotencyKey), Cell: space.CellOf(in.Context), Variant: uint16(variant)}
	x.Holdout = variant == factorial.Baseline && factorial.HeldOut(d.ID, in.AnonymousID, d.HoldoutPercentage)
	event.Exposure = x
	p := rt.handle.Published()
	event.Binds = !x.Holdout && p.Fault == nil && d.Status == optimization.Live && !space.Excluded(variant)
	if event.Binds {
		event.Propensity = d.Propensity(rt.plan, p.View, variant, x.Cell)
	}
	return nil
}
