package optimization

import (
	"cmp"
	"maps"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
)

// Status is where an optimization is in its life.
type Status string

// The statuses of optimizations.
const (
	Live      Status = "live"
	Completed Status = "completed" // everyone gets the winner
	Archived  Status = "archived"  // nobody gets anything
)

// Statuses has the statuses of optimizations.
var Statuses = []Status{Live, Completed, Archived}

// ModelStatus is where a model is in its life.
type ModelStatus string

// The statuses of models.
const (
	ModelCreated  ModelStatus = "created"
	ModelTraining ModelStatus = "training"
	ModelTrained  ModelStatus = "trained"
	ModelFailed   ModelStatus = "failed"
	ModelArchived ModelStatus = "archived"
)

// The bounds of a tenant's registry.
const (
	MaxOptimizations  = 1000 // archived ones included
	maxArchivedModels = 20   // remembered of one optimization
)

// TrainingLease is how long a training may take, in milliseconds; one that takes
// longer may be begun anew: its node is gone.
const TrainingLease = 60 * 60 * 1000

// Optimization is one, immutable and replaced whole.
type Optimization struct {
	ID       string `json:"id"`
	TenantID string `json:"tenantId"`
	Sequence uint64 `json:"sequence"` // unlike every other's, of any tenant
	Definition
	Status    Status        `json:"status"`
	ModelID   string        `json:"modelId"` // the newest model
	CreatedAt decision.Time `json:"createdAt"`
	UpdatedAt decision.Time `json:"updatedAt"`
}

// Model is an optimization's model, immutable and replaced whole.
type Model struct {
	ID             string        `json:"id"`
	TenantID       string        `json:"tenantId"`
	OptimizationID string        `json:"optimizationId"`
	Sequence       uint64        `json:"sequence"`
	Status         ModelStatus   `json:"status"`
	CreatedAt      decision.Time `json:"createdAt"`
	UpdatedAt      decision.Time `json:"updatedAt"`
	// Run is the training under way, 0 for none; since when, on which node, and what
	// the status was before.
	Run    uint64        `json:"run,omitempty"`
	RunAt  decision.Time `json:"runAt,omitempty"`
	Node   string        `json:"node,omitempty"`
	Before ModelStatus   `json:"before,omitempty"`

	Summary *Summary `json:"summary,omitempty"` // of the last training
	Problem string   `json:"problem,omitempty"` // why the last one failed
}

// Summary is what a training came to.
type Summary struct {
	At            decision.Time      `json:"at"`
	VariantsCount int                `json:"variantsCount"`
	Exposures     uint64             `json:"exposures"` // learned from
	Seen          uint64             `json:"seen"`      // recorded by then, immature ones included
	Lift          *float64           `json:"lift,omitempty"`
	Confidence    *float64           `json:"confidence,omitempty"`
	Historic      float64            `json:"historic"`
	Expected      posterior.Estimate `json:"expected"`
	Bias          map[string]float64 `json:"bias,omitempty"`
	Source        string             `json:"source,omitempty"` // of the observations; empty: the engine's own store
}

// Registry has the optimizations of all tenants and their models. Its methods that
// change something belong to one goroutine; an error means that nothing was changed.
type Registry struct {
	optimizations map[string]*Optimization
	models        map[string]*Model
	sequence      uint64
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{optimizations: map[string]*Optimization{}, models: map[string]*Model{}}
}

// Optimization returns a tenant's optimization; another tenant's is as good as absent.
func (r *Registry) Optimization(tenant, id string) (*Optimization, error) {
	if o := r.optimizations[id]; o != nil && o.TenantID == tenant {
		return o, nil
	}
	return nil, NotFound(id)
}

// NotFound says that there is no such optimization.
func NotFound(id string) error {
	return decision.Errorf(decision.KindNotFound, "optimization %.60q does not exist", id)
}

// Model returns a tenant's model.
func (r *Registry) Model(tenant, id string) (*Model, error) {
	if m := r.models[id]; m != nil && m.TenantID == tenant {
		return m, nil
	}
	return nil, decision.Errorf(decision.KindNotFound, "model %.60q does not exist", id)
}

// Current returns an optimization's newest model.
func (r *Registry) Current(o *Optimization) *Model { return r.models[o.ModelID] }

// Optimizations returns a tenant's optimizations, newest first.
func (r *Registry) Optimizations(tenant string) []*Optimization {
	var all []*Optimization
	for _, o := range r.optimizations {
		if o.TenantID == tenant {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *Optimization) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return all
}

// All returns every optimization, oldest first.
func (r *Registry) All() []*Optimization {
	return slices.SortedFunc(maps.Values(r.optimizations), func(a, b *Optimization) int { return cmp.Compare(a.Sequence, b.Sequence) })
}

// Models returns a tenant's models, newest first.
func (r *Registry) Models(tenant string) []*Model {
	var all []*Model
	for _, m := range r.models {
		if m.TenantID == tenant {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *Model) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return all
}

func (r *Registry) next() uint64 {
	r.sequence++
	return r.sequence
}

// Create makes an optimization with its model. The definition is valid.
func (r *Registry) Create(tenant, id, modelID string, d *Definition, at decision.Time) (*Optimization, error) {
	if r.optimizations[id] != nil || r.models[modelID] != nil {
		return nil, decision.Errorf(decision.KindConflict, "optimization %.60q exists already", id)
	}
	if n := len(r.Optimizations(tenant)); n >= MaxOptimizations {
		return nil, decision.Errorf(decision.KindConflict, "the organization has %d optimizations, at most %d are allowed", n, MaxOptimizations)
	}
	o := &Optimization{
		ID: id, TenantID: tenant, Sequence: r.next(), Definition: *d, Status: Live, ModelID: modelID, CreatedAt: at, UpdatedAt: at,
	}
	r.optimizations[id] = o
	r.addModel(o, at)
	return o, nil
}

func (r *Registry) addModel(o *Optimization, at decision.Time) {
	r.models[o.ModelID] = &Model{
		ID: o.ModelID, TenantID: o.TenantID, OptimizationID: o.ID, Sequence: r.next(), Status: ModelCreated, CreatedAt: at, UpdatedAt: at,
	}
}

// Patch changes an optimization. The patch is valid.
func (r *Registry) Patch(tenant, id string, c *Patch, at decision.Time) (*Optimization, error) {
	o, err := r.Optimization(tenant, id)
	if err != nil {
		return nil, err
	}
	changed := *o
	c.apply(&changed)
	changed.UpdatedAt = at
	r.optimizations[id] = &changed
	return &changed, nil
}

// CreateModel makes a new model after the old one was deleted.
func (r *Registry) CreateModel(tenant, id, modelID string, at decision.Time) (*Optimization, *Model, error) {
	o, err := r.Optimization(tenant, id)
	if err != nil {
		return nil, nil, err
	}
	if m := r.Current(o); m.Status != ModelArchived {
		return nil, nil, decision.Errorf(decision.KindConflict, "the optimization has the model %s, which is %s; delete it first", m.ID, m.Status)
	}
	if r.models[modelID] != nil {
		return nil, nil, decision.Errorf(decision.KindConflict, "model %.60q exists already", modelID)
	}
	changed := *o
	changed.ModelID, changed.UpdatedAt = modelID, at
	r.optimizations[id] = &changed
	r.addModel(&changed, at)
	r.forgetModels(id)
	return &changed, r.models[modelID], nil
}

// forgetModels drops an optimization's oldest archived models beyond the bound.
func (r *Registry) forgetModels(id string) {
	var archived []*Model
	for _, m := range r.models {
		if m.OptimizationID == id && m.Status == ModelArchived {
			archived = append(archived, m)
		}
	}
	slices.SortFunc(archived, func(a, b *Model) int { return cmp.Compare(b.Sequence, a.Sequence) })
	for i := maxArchivedModels; i < len(archived); i++ {
		delete(r.models, archived[i].ID)
	}
}

// Begin begins a training under a number of its own, on a node.
func (r *Registry) Begin(tenant, id string, run uint64, node string, at decision.Time) (*Model, error) {
	m, err := r.Model(tenant, id)
	if err != nil {
		return nil, err
	}
	if m.Status == ModelArchived {
		return nil, decision.Errorf(decision.KindConflict, "the model is archived")
	}
	changed := *m
	if m.Run == 0 {
		changed.Before = m.Status
	} else if at-m.RunAt < TrainingLease {
		return nil, decision.Errorf(decision.KindConflict, "the model is being trained already, since %s", m.RunAt)
	}
	changed.Status, changed.Run, changed.RunAt, changed.Node, changed.UpdatedAt = ModelTraining, run, at, node, at
	r.models[id] = &changed
	return &changed, nil
}

// underWay returns the model of a training that still is.
func (r *Registry) underWay(tenant, id string, run uint64) (*Model, error) {
	m, err := r.Model(tenant, id)
	if err != nil {
		return nil, err
	}
	if m.Run != run || m.Status != ModelTraining {
		return nil, decision.Errorf(decision.KindConflict, "the model was changed while it was trained; the result is discarded")
	}
	return m, nil
}

// End ends a training without a result. With a problem it failed, else it is as if
// it had not been.
func (r *Registry) End(tenant, id string, run uint64, problem string, at decision.Time) (*Model, error) {
	m, err := r.underWay(tenant, id, run)
	if err != nil {
		return nil, err
	}
	changed := m.settled(at)
	changed.Status, changed.Problem = m.Before, m.Problem
	if problem != "" {
		changed.Status, changed.Problem = ModelFailed, problem
	}
	r.models[id] = changed
	return changed, nil
}

// Install ends a training with its result.
func (r *Registry) Install(tenant, id string, run uint64, s *Summary, at decision.Time) (*Model, error) {
	m, err := r.underWay(tenant, id, run)
	if err != nil {
		return nil, err
	}
	changed := m.settled(at)
	summary := *s
	summary.At = at
	changed.Status, changed.Summary, changed.Problem = ModelTrained, &summary, ""
	r.models[id] = changed
	return changed, nil
}

// settled is a copy without a training.
func (m *Model) settled(at decision.Time) *Model {
	changed := *m
	changed.Run, changed.RunAt, changed.Node, changed.Before, changed.UpdatedAt = 0, 0, "", "", at
	return &changed
}

// DeleteModel archives a model for good. A second time it is not found.
func (r *Registry) DeleteModel(tenant, id string, at decision.Time) (*Model, error) {
	m, err := r.Model(tenant, id)
	if err != nil {
		return nil, err
	}
	if m.Status == ModelArchived {
		return nil, decision.Errorf(decision.KindNotFound, "model %.60q does not exist: it was deleted", id)
	}
	changed := m.settled(at)
	changed.Status = ModelArchived
	r.models[id] = changed
	return changed, nil
}

// DropTenant removes everything of a tenant and returns its optimizations.
func (r *Registry) DropTenant(tenant string) []*Optimization {
	gone := r.Optimizations(tenant)
	for _, o := range gone {
		delete(r.optimizations, o.ID)
	}
	maps.DeleteFunc(r.models, func(_ string, m *Model) bool { return m.TenantID == tenant })
	return gone
}

// Rewarded returns a tenant's optimizations whose reward has a name, by sequence.
func (r *Registry) Rewarded(tenant, reward string) []*Optimization {
	var all []*Optimization
	for _, o := range r.optimizations {
		if o.TenantID == tenant && o.TrainingDataConfig.Reward.Name == reward && o.Status != Archived {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *Optimization) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all
}
