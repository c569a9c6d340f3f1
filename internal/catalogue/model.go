package catalogue

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The bounds of a model's histories; beyond them the oldest entries go.
const (
	MaxMetricsHistory = 500 // the API's limit on metricsHistory
	MaxVersions       = 500
)

// ModelRecord is a model with what the API does not show. Like every entity it
// is immutable; a change makes a new record.
type ModelRecord struct {
	Model
	TenantID string
	// Revision rises with every change that a training under way must not
	// overwrite: of the configuration, the state, or the version.
	Revision uint64
	// Sequence numbers the entities in the order of their making.
	Sequence  uint64
	Versions  []Version // oldest first
	Promotion RegistryPromotion
	Lineage   Lineage
}

// RegistryPromotion is what the registry remembers of a model's standing: the
// last one before, and when, by whom and with which metrics the registry was last
// asked to change it. Being displaced changes the standing before alone.
type RegistryPromotion struct {
	At       decision.Time           `json:"at"`
	By       *string                 `json:"by"`
	Previous decision.RegistryStatus `json:"previous"`
	Metrics  json.RawMessage         `json:"metrics"`
}

// Registry returns the model's registry metadata.
func (m *ModelRecord) Registry() RegistryEntry {
	return RegistryEntry{
		Status: m.RegistryStatus, Family: m.Family, PromotedAt: m.Promotion.At, PromotedBy: m.Promotion.By,
		PreviousStatus: m.Promotion.Previous, MetricsAtPromotion: m.Promotion.Metrics,
	}
}

var (
	emptyObject = json.RawMessage("{}")
	emptyArray  = json.RawMessage("[]")
	nullJSON    = json.RawMessage("null")
)

// Model returns a tenant's model.
func (c *Catalogue) Model(tenantID, id string) (*ModelRecord, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, err
	}
	return t.model(id)
}

func (t *tenant) model(id string) (*ModelRecord, error) {
	m, ok := t.models[id]
	if !ok {
		return nil, decision.Errorf(decision.KindNotFound, "algorithm model %q does not exist", id)
	}
	return m, nil
}

// Models lists a tenant's models.
func (c *Catalogue) Models(tenantID string, after uint64, limit int) (items []*Model, sequences []uint64, total int, err error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, 0, err
	}
	items, sequences, total = page(t.models, after, limit, func(m *ModelRecord) (*Model, uint64) { return &m.Model, m.Sequence })
	return items, sequences, total, nil
}

// AllModels returns every model of every tenant, ordered by tenant and id.
func (c *Catalogue) AllModels() []*ModelRecord {
	var all []*ModelRecord
	for _, t := range c.sortedTenants() {
		all = append(all, t.sortedModels()...)
	}
	return all
}

// CreateModel makes a model.
func (c *Catalogue) CreateModel(tenantID, id string, f *ModelFields, at decision.Time) (*ModelRecord, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, err
	}
	if _, ok := t.models[id]; ok {
		return nil, decision.Errorf(decision.KindConflict, "algorithm model %q exists already", id)
	}
	if _, ok := t.modelKeys[*f.Key]; ok {
		return nil, decision.Invalid("key", "a model with the key %q exists already", *f.Key)
	}
	m := &ModelRecord{TenantID: tenantID, Revision: 1, Sequence: c.next()}
	m.Model = Model{
		ID: id, Key: *f.Key, ModelType: *f.ModelType, Status: decision.StatusDraft, Version: 1,
		Config: emptyObject, Predictors: emptyArray, Metrics: emptyObject, MetricsHistory: []json.RawMessage{},
		LearningConfig: emptyObject, OutcomeWeights: nullJSON, InteractionFeatures: emptyObject,
		EvolutionConfig: emptyObject, RegistryStatus: decision.RegistryDraft, CreatedAt: at, UpdatedAt: at,
	}
	m.set(f)
	if m.Family == "" {
		m.Family = m.Name
	}
	t.models[id] = m
	t.modelKeys[m.Key] = id
	c.join(t, m)
	return m, nil
}

// ImportedModel is a model with the life it had in another catalogue.
type ImportedModel struct {
	Fields          ModelFields   `json:"fields"`
	Version         uint64        `json:"version"`
	TrainingSamples int           `json:"trainingSamples"`
	LastTrainedAt   decision.Time `json:"lastTrainedAt"`
	Versions        []Version     `json:"versions"` // oldest first
}

// ImportModel makes a model that has lived elsewhere: its version, its histories
// and its samples go on from there. In the registry it starts as a draft, like
// every new model: who is champion is decided here.
func (c *Catalogue) ImportModel(tenantID, id string, in *ImportedModel, at decision.Time) (*ModelRecord, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m, err := c.CreateModel(tenantID, id, &in.Fields, at)
	if err != nil {
		return nil, err
	}
	m.Version, m.Versions = in.Version, slices.Clone(in.Versions)
	m.TrainingSamples, m.LastTrainedAt = in.TrainingSamples, in.LastTrainedAt
	return m, nil
}

// check names everything wrong with the life that a model brings.
func (in *ImportedModel) check() error {
	var p decision.Problems
	if in.Version < 1 {
		p.Addf("version", "want at least 1, got %d", in.Version)
	}
	if in.TrainingSamples < 0 {
		p.Addf("trainingSamples", "want at least 0, got %d", in.TrainingSamples)
	}
	if len(in.Versions) > MaxVersions {
		p.Addf("versions", "want at most %d, got %d", MaxVersions, len(in.Versions))
	}
	if len(in.Fields.MetricsHistory) > MaxMetricsHistory {
		p.Addf("metricsHistory", "want at most %d, got %d", MaxMetricsHistory, len(in.Fields.MetricsHistory))
	}
	before := uint64(0)
	for _, v := range in.Versions {
		if v.Version <= before || v.Version > in.Version {
			p.Addf("versions", "want different numbers of 1 to %d in their order, got %d after %d", in.Version, v.Version, before)
		}
		if !slices.Contains(reasons, v.Reason) {
			p.Addf("versions", "version %d: want reason %s, got %.40q", v.Version, strings.Join(reasons, ", "), v.Reason)
		}
		before = v.Version
	}
	return p.Err()
}

// With returns a copy of the model with the given fields set.
func (m *Model) With(f *ModelFields) *Model {
	next := *m
	next.set(f)
	return &next
}

// Fields returns everything of the model that a client can set.
func (m *Model) Fields() ModelFields {
	next := *m // the fields must not point into a model in the catalogue
	return ModelFields{
		Key: &next.Key, ModelType: &next.ModelType, Name: &next.Name, Description: &next.Description, Status: &next.Status,
		Config: m.Config, TargetField: m.TargetField, TargetSchemaKey: m.TargetSchemaKey, Predictors: m.Predictors,
		Metrics: m.Metrics, MetricsHistory: m.MetricsHistory, LearningConfig: m.LearningConfig, OutcomeWeights: m.OutcomeWeights,
		InteractionFeatures: m.InteractionFeatures, EvolutionConfig: m.EvolutionConfig, Family: &next.Family,
	}
}

// set puts the given fields into the model.
func (m *Model) set(f *ModelFields) {
	setValue(&m.Name, f.Name)
	setValue(&m.Description, f.Description)
	setValue(&m.Status, f.Status)
	setValue(&m.Family, f.Family)
	if f.TargetField != nil {
		m.TargetField = f.TargetField
	}
	if f.TargetSchemaKey != nil {
		m.TargetSchemaKey = f.TargetSchemaKey
	}
	setJSON(&m.Config, f.Config)
	setJSON(&m.Predictors, f.Predictors)
	setJSON(&m.Metrics, f.Metrics)
	setJSON(&m.LearningConfig, f.LearningConfig)
	setJSON(&m.OutcomeWeights, f.OutcomeWeights)
	setJSON(&m.InteractionFeatures, f.InteractionFeatures)
	setJSON(&m.EvolutionConfig, f.EvolutionConfig)
	if f.MetricsHistory != nil {
		m.MetricsHistory = f.MetricsHistory
	}
}

func setValue[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

func setJSON(dst *json.RawMessage, v json.RawMessage) {
	if v != nil {
		*dst = v
	}
}

// Relearns reports whether the fields change what the learner works with.
func (f *ModelFields) Relearns() bool {
	return f.Config != nil || f.TargetField != nil || f.Predictors != nil || f.ModelState != nil ||
		f.LearningConfig != nil || f.OutcomeWeights != nil || f.InteractionFeatures != nil
}

// UpdateModel changes the given fields; by says for a family's history who does.
// A champion cannot move into a family that has one.
func (c *Catalogue) UpdateModel(tenantID, id string, f *ModelFields, by string, at decision.Time) (*ModelRecord, error) {
	t, old, err := c.find(tenantID, id)
	if err != nil {
		return nil, err
	}
	m := old.copy(at)
	m.set(f)
	if m.Family == "" {
		m.Family = m.Name
	}
	if m.Family != old.Family {
		if err := c.move(t, old, m, by, at); err != nil {
			return nil, err
		}
	}
	if f.Relearns() {
		m.Revision++
	}
	t.models[id] = m
	return m, nil
}

func (c *Catalogue) find(tenantID, id string) (*tenant, *ModelRecord, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, err
	}
	m, err := t.model(id)
	return t, m, err
}

// copy returns a copy to be changed; its histories are its own.
func (m *ModelRecord) copy(at decision.Time) *ModelRecord {
	next := *m
	next.MetricsHistory = slices.Clone(m.MetricsHistory)
	next.Versions = slices.Clone(m.Versions)
	next.UpdatedAt = at
	return &next
}

// DeleteModel removes a model; by says for its family's history who does.
func (c *Catalogue) DeleteModel(tenantID, id, by string, at decision.Time) (*ModelRecord, error) {
	t, m, err := c.find(tenantID, id)
	if err != nil {
		return nil, err
	}
	delete(t.models, id)
	delete(t.modelKeys, m.Key)
	delete(t.decisionLogs, DecisionLogOf{ModelID: id})
	t.leave(m, ChangeDeleted, by, at)
	return m, nil
}

// InstallTraining raises the version, takes the metrics, and sets the model
// active. A model that was changed since revision keeps what it has.
func (c *Catalogue) InstallTraining(tenantID, id string, revision uint64, metrics json.RawMessage, samples int, at decision.Time) (*ModelRecord, error) {
	t, old, err := c.find(tenantID, id)
	if err != nil {
		return nil, err
	}
	if old.Revision != revision {
		return nil, decision.Errorf(decision.KindConflict, "the model was changed while it was trained; the training's result was discarded")
	}
	m := old.copy(at)
	m.Metrics, m.TrainingSamples, m.LastTrainedAt, m.Status = metrics, samples, at, decision.StatusActive
	m.raise(old, ReasonTrain, at)
	entry, err := json.Marshal(struct {
		Version uint64          `json:"version"`
		Metrics json.RawMessage `json:"metrics"`
		At      decision.Time   `json:"at"`
	}{m.Version, metrics, at})
	if err != nil {
		return nil, &decision.Error{Kind: decision.KindBadRequest, Msg: "metrics are not JSON", Err: err}
	}
	m.MetricsHistory = last(append(m.MetricsHistory, entry), MaxMetricsHistory)
	t.models[id] = m
	return m, nil
}

// HasVersion reports whether the version is in the model's history, so that its
// state is kept.
func (m *ModelRecord) HasVersion(version uint64) bool {
	return slices.ContainsFunc(m.Versions, func(v Version) bool { return v.Version == version })
}

// raise makes the next version. The version it replaces gets an entry too when
// it has none (the first one, made by creating the model), so that every state
// a model ever had a number for can be restored.
func (m *ModelRecord) raise(old *ModelRecord, reason string, at decision.Time) {
	if !m.HasVersion(old.Version) {
		m.Versions = append(m.Versions, old.entry(reason, at))
	}
	m.Version++
	m.Revision++
	m.Versions = last(append(m.Versions, m.entry(reason, at)), MaxVersions)
}

func (m *ModelRecord) entry(reason string, at decision.Time) Version {
	return Version{
		Version: m.Version, ModelType: m.ModelType, Metrics: m.Metrics,
		TrainingSamples: m.TrainingSamples, Reason: reason, CreatedAt: at,
	}
}

// last returns the newest n elements.
func last[T any](all []T, n int) []T {
	return all[max(len(all)-n, 0):]
}

// ResetLearning puts a model back to its fresh defaults.
func (c *Catalogue) ResetLearning(tenantID, id string, at decision.Time) (*ModelRecord, error) {
	t, old, err := c.find(tenantID, id)
	if err != nil {
		return nil, err
	}
	m := old.copy(at)
	m.Metrics, m.MetricsHistory = emptyObject, []json.RawMessage{}
	m.TrainingSamples, m.LastTrainedAt, m.Status = 0, 0, decision.StatusDraft
	m.raise(old, ReasonReset, at)
	t.models[id] = m
	return m, nil
}

// RestoreVersion makes a new version with an earlier one's metrics.
func (c *Catalogue) RestoreVersion(tenantID, id string, version uint64, at decision.Time) (*ModelRecord, error) {
	t, old, err := c.find(tenantID, id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(old.Versions, func(v Version) bool { return v.Version == version })
	if i < 0 {
		return nil, decision.Errorf(decision.KindNotFound, "algorithm model %q has no version %d to restore", id, version)
	}
	m := old.copy(at)
	m.Metrics, m.TrainingSamples = old.Versions[i].Metrics, old.Versions[i].TrainingSamples
	m.raise(old, ReasonRestore, at)
	t.models[id] = m
	return m, nil
}
