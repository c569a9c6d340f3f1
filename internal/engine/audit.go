package engine

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// Every change leaves an entry in the audit log of its tenant, or of the operator
// where it is no tenant's. The entry is written by the same applier, in the same
// step, so it can neither be lost nor appear alone; a command that failed, or
// that was answered from its idempotency key, changes nothing and leaves none.
//
// The appliers know nothing of this. What a kind of command changes is looked at
// before and after it was applied, as the API would show it, so without secrets;
// the entry has the members that differ.

// The types of entities in the audit log.
const (
	auditModel       = event.EntityModel
	auditKey         = "apiKey"
	auditOutcomeType = "outcomeType"
	auditTenant      = "tenant"
	auditSettings    = "settings"
	auditExperiment  = event.EntityExperiment
	auditAlert       = "alert"
	auditDecisionLog = "decisionLog"
	auditWebhook     = "webhook"

	auditConnection      = "warehouseConnection"
	auditWarehouseMetric = "warehouseMetric"

	auditOptimization      = "optimization"
	auditOptimizationModel = "optimizationModel"
)

// auditedEntity is a kind of thing that the audit log is about.
type auditedEntity struct {
	entityType string
	// view returns what the entity is called and what of it may be shown; nil
	// when it does not exist.
	view func(m *machine, tenant, id string) (name string, shown any)
}

var (
	auditedModels       = &auditedEntity{auditModel, viewModel}
	auditedKeys         = &auditedEntity{auditKey, viewKey}
	auditedOutcomeTypes = &auditedEntity{auditOutcomeType, viewOutcomeType}
	auditedTenants      = &auditedEntity{auditTenant, viewTenant}
	auditedSettings     = &auditedEntity{auditSettings, viewSettings}
	auditedExperiments  = &auditedEntity{auditExperiment, viewExperiment}
	auditedDecisionLogs = &auditedEntity{auditDecisionLog, viewDecisionLog}
	auditedWebhooks     = &auditedEntity{auditWebhook, viewWebhook}

	auditedConnections      = &auditedEntity{auditConnection, viewConnection}
	auditedWarehouseMetrics = &auditedEntity{auditWarehouseMetric, viewWarehouseMetric}

	auditedOptimizations      = &auditedEntity{auditOptimization, viewOptimization}
	auditedOptimizationModels = &auditedEntity{auditOptimizationModel, viewOptimizationModel}
)

// auditRule says what a kind of command leaves in the audit log.
type auditRule struct {
	action string
	entity *auditedEntity
	// id returns the entity that the command is about.
	id func(command any) string
	// also returns another entity that the command may change, and the action of
	// its entry; an entry is written when it was changed.
	also func(m *machine, tenant string, command any) (id, action string)
	// experiment returns the id of an experiment that the command makes beside what
	// it is about; it has an entry of its own.
	experiment func(command any) string
	// settles: the command may complete experiments; each that it does has an entry.
	settles bool
	// claimed returns who the client says it was; empty: the key's name.
	claimed func(command any) string
	// told returns members that the entry has beside what was changed.
	told func(command, result any) any
}

// auditRules has what the kinds of commands leave in the audit log. A kind that
// is not here leaves nothing: it changes nothing that the API shows.
var auditRules map[command.Kind]*auditRule

func init() {
	auditRules = map[command.Kind]*auditRule{
		command.KindSetSettings:       audits("update", auditedSettings, func(command.SetSettings) string { return "cluster" }),
		command.KindCreateTenant:      audits("create", auditedTenants, func(c command.CreateTenant) string { return c.ID }),
		command.KindDeleteTenant:      audits("delete", auditedTenants, func(c command.DeleteTenant) string { return c.ID }),
		command.KindCreateKey:         audits("create", auditedKeys, func(c command.CreateKey) string { return c.Key.ID }),
		command.KindRevokeKey:         audits("revoke", auditedKeys, func(c command.RevokeKey) string { return c.ID }),
		command.KindCreateOutcomeType: audits("create", auditedOutcomeTypes, func(c command.PutOutcomeType) string { return c.Type.Key }),
		command.KindUpdateOutcomeType: audits("update", auditedOutcomeTypes, func(c command.PutOutcomeType) string { return c.Type.Key }),
		command.KindDeleteOutcomeType: audits("delete", auditedOutcomeTypes, func(c command.DeleteOutcomeType) string { return c.Key }),
		command.KindCreateModel:       audits("create", auditedModels, func(c command.CreateModel) string { return c.ID }).telling(tellCreated),
		command.KindImportModel:       audits("import", auditedModels, func(c command.ImportModel) string { return c.ID }).telling(tellImported),
		command.KindUpdateModel:       audits("update", auditedModels, func(c command.UpdateModel) string { return c.ID }).telling(tellUpdated).settling(),
		command.KindDeleteModel:       audits("delete", auditedModels, func(c command.DeleteModel) string { return c.ID }).settling(),
		command.KindInstallTraining:   audits("train", auditedModels, func(c command.InstallTraining) string { return c.ID }),
		command.KindResetLearning:     audits("reset-learning", auditedModels, func(c command.ModelRef) string { return c.ID }),
		command.KindRestoreVersion:    audits("restore", auditedModels, func(c command.RestoreVersion) string { return c.ID }).telling(tellRestored),
		command.KindAdapt:             audits("reset-offer", auditedModels, func(c command.Adapt) string { return c.ID }).telling(tellAdapted),
		command.KindUpgradeModel:      audits("upgrade", auditedModels, func(c command.UpgradeModel) string { return c.NewID }).telling(tellUpgraded).founding(func(c any) string { return c.(command.UpgradeModel).ExperimentID }),
		command.KindTransition: audits("transition", auditedModels, func(c command.Transition) string { return c.ID }).
			telling(tellTransition).claiming(func(c any) string { return c.(command.Transition).Transition.Actor }).displacing(displaced).settling(),
		command.KindCreateExperiment: audits("create", auditedExperiments, func(c command.CreateExperiment) string { return c.ID }),
		command.KindUpdateExperiment: audits("update", auditedExperiments, func(c command.UpdateExperiment) string { return c.ID }),
		command.KindSetDecisionLog:   audits("set", auditedDecisionLogs, func(c command.SetDecisionLog) string { return c.Of.String() }),
		command.KindDeleteExperiment: audits("delete", auditedExperiments, func(c command.ExperimentRef) string { return c.ID }),
		command.KindPromoteChallenger: audits("promote", auditedExperiments, func(c command.PromoteChallenger) string { return c.ID }).
			claiming(func(c any) string { return c.(command.PromoteChallenger).Transition.Actor }),

		command.KindCreateConnection:            audits("create", auditedConnections, func(c command.CreateConnection) string { return c.Connection.ID }),
		command.KindDeleteConnection:            audits("delete", auditedConnections, func(c command.DeleteConnection) string { return c.ID }),
		command.KindCreateWarehouseMetric:       audits("create", auditedWarehouseMetrics, func(c command.CreateWarehouseMetric) string { return c.Metric.ID }),
		command.KindDeleteWarehouseMetric:       audits("delete", auditedWarehouseMetrics, func(c command.DeleteWarehouseMetric) string { return c.ID }),
		command.KindCreateOptimization:          audits("create", auditedOptimizations, func(c command.CreateOptimization) string { return c.ID }),
		command.KindUpdateOptimization:          audits("update", auditedOptimizations, func(c command.UpdateOptimization) string { return c.ID }),
		command.KindCreateOptimizationModel:     audits("create", auditedOptimizationModels, func(c command.CreateOptimizationModel) string { return c.ModelID }),
		command.KindDeleteOptimizationModel:     audits("delete", auditedOptimizationModels, func(c command.ModelRef) string { return c.ID }),
		command.KindInstallOptimizationTraining: audits("train", auditedOptimizationModels, func(c command.InstallOptimizationTraining) string { return c.ModelID }),
		command.KindCreateWebhook:               audits("create", auditedWebhooks, func(c command.PutWebhook) string { return c.ID }),
		command.KindUpdateWebhook:               audits("update", auditedWebhooks, func(c command.PutWebhook) string { return c.ID }),
		command.KindDeleteWebhook:               audits("delete", auditedWebhooks, func(c command.WebhookRef) string { return c.ID }),
	}
}

// audits makes the rule of a kind whose commands are of the type T.
func audits[T any](action string, entity *auditedEntity, id func(T) string) *auditRule {
	return &auditRule{action: action, entity: entity, id: func(c any) string { return id(c.(T)) }}
}

func (r *auditRule) telling(f func(command, result any) any) *auditRule {
	r.told = f
	return r
}

func (r *auditRule) claiming(f func(command any) string) *auditRule {
	r.claimed = f
	return r
}

func (r *auditRule) displacing(f func(m *machine, tenant string, command any) (id, action string)) *auditRule {
	r.also = f
	return r
}

func (r *auditRule) founding(f func(command any) string) *auditRule {
	r.experiment = f
	return r
}

func (r *auditRule) settling() *auditRule {
	r.settles = true
	return r
}

// auditView is an entity at a moment, by the members of its JSON; nil members:
// it does not exist.
type auditView struct {
	name    string
	members map[string]json.RawMessage
}

func (m *machine) auditView(e *auditedEntity, tenant, id string) (v auditView) {
	name, shown := e.view(m, tenant, id)
	if shown == nil {
		return v
	}
	v.name, v.members = name, membersOf(shown)
	return v
}

// membersOf returns the members of what is an object in JSON. What cannot be
// encoded is not there: nothing in the catalogue cannot.
func membersOf(v any) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if raw, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(raw, &members)
	}
	return members
}

// audited applies a command and writes what it changed into the audit log.
func (m *machine) audited(ctx *entryContext, h *command.Header, c any, apply func() (any, error)) (any, error) {
	rule := auditRules[h.Kind]
	if rule == nil {
		result, err := apply()
		m.alertsChanged(ctx, h)
		m.tell(ctx, h, m.actorOf(h))
		return result, err
	}
	id, actor := rule.id(c), m.actorOf(h)
	before := m.auditView(rule.entity, h.Tenant, id)
	var other, otherAction string
	var otherBefore auditView
	if rule.also != nil {
		if other, otherAction = rule.also(m, h.Tenant, c); other != "" {
			otherBefore = m.auditView(rule.entity, h.Tenant, other)
		}
	}
	running := m.runningExperiments(ctx, rule, h.Tenant)
	result, err := apply()
	if err != nil {
		return result, err
	}
	if rule.claimed != nil {
		if by := rule.claimed(c); by != "" {
			actor = by
		}
	}
	var told map[string]json.RawMessage
	if rule.told != nil {
		told = membersOf(rule.told(c, result))
	}
	write := func(action, id string, before, after auditView, told map[string]json.RawMessage) {
		m.writeAudit(ctx, h, &audit.Entry{
			Action: action, EntityType: rule.entity.entityType, EntityID: id, EntityName: cmp.Or(after.name, before.name), Actor: actor,
		}, before, after, told)
	}
	if other != "" {
		if after := m.auditView(rule.entity, h.Tenant, other); differ(otherBefore, after) {
			write(otherAction, other, otherBefore, after, nil)
		}
	}
	for _, x := range running {
		if after := m.auditView(auditedExperiments, h.Tenant, x.id); differ(x.before, after) {
			m.writeAudit(ctx, h, &audit.Entry{
				Action: "complete", EntityType: auditExperiment, EntityID: x.id, EntityName: after.name, Actor: actor,
			}, x.before, after, nil)
		}
	}
	write(rule.action, id, before, m.auditView(rule.entity, h.Tenant, id), told)
	m.alertsChanged(ctx, h)
	if rule.experiment != nil {
		if x := rule.experiment(c); x != "" {
			after := m.auditView(auditedExperiments, h.Tenant, x)
			m.writeAudit(ctx, h, &audit.Entry{
				Action: "create", EntityType: auditExperiment, EntityID: x, EntityName: after.name, Actor: actor,
			}, auditView{}, after, nil)
		}
	}
	m.tell(ctx, h, actor)
	return result, nil
}

// runningExperiment is an experiment before a command that may complete it.
type runningExperiment struct {
	id     string
	before auditView
}

func (m *machine) runningExperiments(ctx *entryContext, rule *auditRule, tenant string) (all []runningExperiment) {
	if !rule.settles {
		return nil
	}
	for _, id := range m.catalogue.RunningExperiments(tenant) {
		if id != ctx.promoting {
			all = append(all, runningExperiment{id, m.auditView(auditedExperiments, tenant, id)})
		}
	}
	return all
}

// writeAudit chains the entry and stores it with the log entry.
func (m *machine) writeAudit(ctx *entryContext, h *command.Header, e *audit.Entry, before, after auditView, told map[string]json.RawMessage) {
	ctx.changes = append(ctx.changes, event.Change{
		Action: e.Action, EntityType: e.EntityType, EntityID: e.EntityID, Before: before.members, After: after.members, Told: told,
	})
	e.KeyID, e.RequestID, e.Timestamp = h.KeyID, h.RequestID, ctx.at
	e.Before, e.After = changed(before, after, told)
	done, err := m.catalogue.AppendAudit(h.Tenant, e)
	if err != nil { // a number beyond what JSON's readers hold: kept as its text
		e.Before, e.After = textOf(e.Before), textOf(e.After)
		if done, err = m.catalogue.AppendAudit(h.Tenant, e); err != nil {
			m.halt(err, "cannot chain the audit entry of log entry %d", ctx.index)
		}
	}
	ctx.batch.PutAudit(done.Ordinal, done.Chain.Length, e.Append(nil))
	if done.DroppedTo > 0 {
		ctx.batch.DropAudit(done.Ordinal, done.DroppedFrom, done.DroppedTo)
	}
	ctx.batch.OnCommit(func() { m.directory.audits.Store(h.Tenant, auditChain{done.Ordinal, done.Chain}) })
}

func textOf(raw json.RawMessage) json.RawMessage {
	b, _ := json.Marshal(string(raw)) // a string always has a form
	return b
}

// differ reports whether an entity was changed.
func differ(before, after auditView) bool {
	b, a := changed(before, after, nil)
	return !bytes.Equal(b, a)
}

// changed returns the members of an entity that differ, as they were and as they
// are, both null where it did not exist; what is told beside them is in the
// latter.
func changed(before, after auditView, told map[string]json.RawMessage) (was, is json.RawMessage) {
	b, a := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for name, v := range before.members {
		if after.members == nil || !bytes.Equal(v, after.members[name]) {
			b[name] = bounded(v)
		}
	}
	for name, v := range after.members {
		if before.members == nil || !bytes.Equal(v, before.members[name]) {
			a[name] = bounded(v)
		}
	}
	for name, v := range told {
		a[name] = bounded(v)
	}
	was, is = json.RawMessage("null"), json.RawMessage("null")
	if before.members != nil {
		was, _ = json.Marshal(b) // made of valid JSON
	}
	if after.members != nil || len(told) > 0 {
		is, _ = json.Marshal(a)
	}
	return was, is
}

// maxAuditMember bounds a member of an entry; a longer one is told by its length
// and hash. A list of entries stays one that can be sent.
const maxAuditMember = 32 << 10

// auditSum stands for content that the audit log does not keep.
type auditSum struct {
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func sumOf(raw []byte) *auditSum {
	return &auditSum{Bytes: len(raw), SHA256: fmt.Sprintf("%x", sha256.Sum256(raw))}
}

func bounded(v json.RawMessage) json.RawMessage {
	if len(v) <= maxAuditMember {
		return v
	}
	b, _ := json.Marshal(sumOf(v)) // always has a form
	return b
}

// keyID is what the log knows a principal by: its key, or what stands for one.
func (p *Principal) keyID() string { return cmp.Or(p.KeyID, p.KeyName) }

// actorOf names who sent a command: the key's name, what stands for a key, or
// the system.
func (m *machine) actorOf(h *command.Header) string {
	if k, ok := m.catalogue.Key(h.Tenant, h.KeyID); ok && k.Name != "" {
		return k.Name
	}
	return actorOr(h.KeyID)
}

// viewModel leaves out what every entry would repeat: the history of metrics,
// whose newest the metrics are, and the time, which the entry has.
func viewModel(m *machine, tenant, id string) (string, any) {
	rec, err := m.catalogue.Model(tenant, id)
	if err != nil {
		return "", nil
	}
	return rec.Name, struct {
		catalogue.Model
		MetricsHistory *struct{} `json:"metricsHistory,omitempty"`
		UpdatedAt      *struct{} `json:"updatedAt,omitempty"`
	}{Model: Shown(&rec.Model)}
}

// viewExperiment leaves out the time, which the entry has.
func viewExperiment(m *machine, tenant, id string) (string, any) {
	x, err := m.catalogue.Experiment(tenant, id)
	if err != nil {
		return "", nil
	}
	return x.Name, struct {
		catalogue.Experiment
		UpdatedAt *struct{} `json:"updatedAt,omitempty"`
	}{Experiment: *x}
}

func viewKey(m *machine, tenant, id string) (string, any) {
	if k, ok := m.catalogue.Key(tenant, id); ok {
		return k.Name, k
	}
	return "", nil
}

func viewOutcomeType(m *machine, tenant, key string) (string, any) {
	if o, ok := m.catalogue.OutcomeType(tenant, key); ok {
		return o.Name, o
	}
	return "", nil
}

// viewTenant has where the tenant's own audit log ends: what is left of it when
// the tenant is deleted.
func viewTenant(m *machine, _, id string) (string, any) {
	t, ok := m.catalogue.Tenant(id)
	if !ok {
		return "", nil
	}
	chain := m.catalogue.AuditChain(id)
	return t.Name, struct {
		catalogue.Tenant
		AuditLength uint64     `json:"auditLength"`
		AuditHead   audit.Hash `json:"auditHead"`
	}{t, chain.Length, chain.Head}
}

// viewSettings leaves out the pepper.
func viewSettings(m *machine, _, _ string) (string, any) {
	return "", struct {
		catalogue.Settings
		Pepper *struct{} `json:"pepper,omitempty"`
	}{Settings: m.catalogue.Settings()}
}

// A state that a client brings is told by its hash.
type toldState struct {
	ModelState *auditSum `json:"modelState,omitempty"`
}

func tellState(f *catalogue.ModelFields) toldState {
	if absent(f.ModelState) {
		return toldState{}
	}
	return toldState{sumOf(f.ModelState)}
}

func tellCreated(c, _ any) any  { f := c.(command.CreateModel).Fields; return tellState(&f) }
func tellImported(c, _ any) any { f := c.(command.ImportModel).Model.Fields; return tellState(&f) }

// tellUpdated names the fields that were set: a new secret shows as no other.
func tellUpdated(c, _ any) any {
	f := c.(command.UpdateModel).Fields
	return struct {
		toldState
		FieldsSet []string `json:"fieldsSet"`
	}{tellState(&f), slices.Sorted(maps.Keys(membersOf(f)))}
}

func tellUpgraded(c, _ any) any {
	return struct {
		From string `json:"upgradedFrom"`
		Auto bool   `json:"autoEvolve"`
	}{c.(command.UpgradeModel).ID, c.(command.UpgradeModel).Auto}
}

func tellRestored(c, _ any) any {
	return struct {
		RestoredVersion uint64 `json:"restoredVersion"`
	}{c.(command.RestoreVersion).Version}
}

// tellAdapted is the answer to the request; the reason is in it.
func tellAdapted(_, result any) any { return result.(Adaptation) }

// tellTransition has what the standing was changed with.
func tellTransition(c, result any) any {
	t := c.(command.Transition).Transition
	return struct {
		PreviousStatus decision.RegistryStatus `json:"previousStatus"`
		Displaced      string                  `json:"demotedChampionId,omitempty"`
		Metrics        map[string]float64      `json:"metricsSnapshot,omitempty"`
		Bypassed       bool                    `json:"bypassRollbackGuard,omitempty"`
		Breaches       []catalogue.Breach      `json:"rollbackGuardBreaches,omitempty"`
	}{result.(Standing).PreviousStatus, result.(Standing).DemotedChampionID, t.Metrics, t.BypassGuard, result.(Standing).Breaches}
}

// displaced returns the champion whose place a transition may take.
func displaced(m *machine, tenant string, c any) (id, action string) {
	rec, err := m.catalogue.Model(tenant, c.(command.Transition).ID)
	if err != nil {
		return "", ""
	}
	if id = m.catalogue.ChampionOf(tenant, rec.Family); id == rec.ID {
		return "", ""
	}
	return id, "displace"
}
