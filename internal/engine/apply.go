package engine

import (
	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// applier applies one kind of command. It runs on the apply goroutine under the
// machine's lock; an error means that nothing was changed, but for what counts
// requests. A value beside it goes to the proposer too.
type applier func(m *machine, ctx *entryContext, h *command.Header, payload string) (any, error)

// appliers has every kind but Record.
var appliers map[command.Kind]applier

func init() {
	appliers = map[command.Kind]applier{
		command.KindSetSettings:       typed(applySetSettings),
		command.KindCreateTenant:      typed(applyCreateTenant),
		command.KindDeleteTenant:      typed(applyDeleteTenant),
		command.KindCreateKey:         typed(applyCreateKey),
		command.KindRevokeKey:         typed(applyRevokeKey),
		command.KindCreateOutcomeType: typed(applyCreateOutcomeType),
		command.KindUpdateOutcomeType: typed(applyUpdateOutcomeType),
		command.KindDeleteOutcomeType: typed(applyDeleteOutcomeType),
		command.KindCreateModel:       typed(applyCreateModel),
		command.KindUpdateModel:       typed(applyUpdateModel),
		command.KindDeleteModel:       typed(applyDeleteModel),
		command.KindInstallTraining:   typed(applyInstallTraining),
		command.KindResetLearning:     typed(applyResetLearning),
		command.KindRestoreVersion:    typed(applyRestoreVersion),
		command.KindDigest:            typed(applyDigest),
		command.KindImportModel:       typed(applyImportModel),
		command.KindCheck:             typed(applyCheck),
		command.KindReport:            typed(applyReport),
		command.KindAdapt:             typed(applyAdapt),
		command.KindObserve:           typed(applyObserve),
		command.KindDrifted:           typed(applyDrifted),
		command.KindChangeAlerts:      typed(applyChangeAlerts),
		command.KindTransition:        typed(applyTransition),
		command.KindUpgradeModel:      typed(applyUpgradeModel),
		command.KindCreateExperiment:  typed(applyCreateExperiment),
		command.KindUpdateExperiment:  typed(applyUpdateExperiment),
		command.KindDeleteExperiment:  typed(applyDeleteExperiment),
		command.KindAssignCustomers:   typed(applyAssignCustomers),
		command.KindPromoteChallenger: applyPromoteChallenger,
		command.KindSetDecisionLog:    typed(applySetDecisionLog),
		command.KindCreateWebhook:     typed(applyCreateWebhook),
		command.KindUpdateWebhook:     typed(applyUpdateWebhook),
		command.KindDeleteWebhook:     typed(applyDeleteWebhook),
		command.KindReportDeliveries:  applyReportDeliveries,

		command.KindCreateConnection:      typed(applyCreateConnection),
		command.KindDeleteConnection:      typed(applyDeleteConnection),
		command.KindCreateWarehouseMetric: typed(applyCreateWarehouseMetric),
		command.KindDeleteWarehouseMetric: typed(applyDeleteWarehouseMetric),

		command.KindCreateOptimization:          typed(applyCreateOptimization),
		command.KindUpdateOptimization:          typed(applyUpdateOptimization),
		command.KindCreateOptimizationModel:     typed(applyCreateOptimizationModel),
		command.KindDeleteOptimizationModel:     typed(applyDeleteOptimizationModel),
		command.KindBeginOptimizationTraining:   typed(applyBeginOptimizationTraining),
		command.KindEndOptimizationTraining:     typed(applyEndOptimizationTraining),
		command.KindInstallOptimizationTraining: typed(applyInstallOptimizationTraining),
		command.KindRecordEvents:                applyRecordEvents,
	}
}

// typed makes an applier of a function that takes the decoded payload.
func typed[T, R any](f func(m *machine, ctx *entryContext, tenant string, c T) (R, error)) applier {
	return func(m *machine, ctx *entryContext, h *command.Header, payload string) (any, error) {
		c, err := command.Decode[T](payload)
		if err != nil {
			return nil, &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the command cannot be read", Err: err}
		}
		return m.audited(ctx, h, c, func() (any, error) { return f(m, ctx, h.Tenant, c) })
	}
}

// nothing is the answer of a command whose success says it all.
type nothing struct{}

// applySetSettings passes the replicated settings to what they govern.
func applySetSettings(m *machine, ctx *entryContext, _ string, c command.SetSettings) (nothing, error) {
	if err := ctx.batch.SetLimits(historyLimits(c.Settings)); err != nil {
		return nothing{}, err
	}
	m.catalogue.SetSettings(c.Settings)
	m.directory.setPepper(m.catalogue.Settings().Pepper)
	return nothing{}, nil
}

func applyCreateTenant(m *machine, ctx *entryContext, _ string, c command.CreateTenant) (catalogue.Tenant, error) {
	t, err := m.catalogue.CreateTenant(c.ID, c.Name, ctx.at)
	if err != nil {
		return t, err
	}
	m.tenants[t.ID] = &tenantRuntime{Tenant: t, models: map[string]*modelRuntime{}}
	m.refreshTenants()
	return t, nil
}

func applyDeleteTenant(m *machine, ctx *entryContext, _ string, c command.DeleteTenant) (nothing, error) {
	t, models, err := m.catalogue.DeleteTenant(c.ID)
	if err != nil {
		return nothing{}, err
	}
	m.refreshChampions()
	m.book.DropTenant(t.ID) // nobody is left to be told of its alerts
	for _, rec := range models {
		m.retire(ctx, m.tenants[t.ID], rec.ID)
	}
	m.dropOptimizations(ctx, t.ID)
	delete(m.tenants, t.ID)
	if m.decisions != nil {
		m.decisions.DropTenant(t.ID, ctx.at)
	}
	m.refreshTenants()
	m.refreshKeys()
	ctx.batch.DropTenant(t.Ordinal)
	ctx.batch.OnCommit(func() { m.directory.audits.Delete(t.ID) })
	m.dropEvents(ctx, t.ID)
	return nothing{}, nil
}

func applyCreateKey(m *machine, ctx *entryContext, tenant string, c command.CreateKey) (catalogue.Key, error) {
	k, err := m.catalogue.CreateKey(tenant, c.Key, c.Hash, ctx.at)
	if err == nil {
		m.refreshKeys()
	}
	return k, err
}

func applyRevokeKey(m *machine, _ *entryContext, tenant string, c command.RevokeKey) (nothing, error) {
	if err := m.catalogue.RevokeKey(tenant, c.ID); err != nil {
		return nothing{}, err
	}
	m.refreshKeys()
	return nothing{}, nil
}

func applyCreateOutcomeType(m *machine, _ *entryContext, tenant string, c command.PutOutcomeType) (catalogue.OutcomeType, error) {
	return m.catalogue.CreateOutcomeType(tenant, c.Type)
}

func applyUpdateOutcomeType(m *machine, _ *entryContext, tenant string, c command.PutOutcomeType) (catalogue.OutcomeType, error) {
	return m.catalogue.UpdateOutcomeType(tenant, c.Type)
}

func applyDeleteOutcomeType(m *machine, _ *entryContext, tenant string, c command.DeleteOutcomeType) (nothing, error) {
	return nothing{}, m.catalogue.DeleteOutcomeType(tenant, c.Key)
}

// applyCreateModel checks again what the proposer checked: it may have been
// another build.
func applyCreateModel(m *machine, ctx *entryContext, tenant string, c command.CreateModel) (*catalogue.Model, error) {
	if err := checkCreate(&c.Fields); err != nil {
		return nil, err
	}
	spec, err := specOf(modelOf(&c.Fields))
	if err != nil {
		return nil, err
	}
	rec, err := m.catalogue.CreateModel(tenant, c.ID, &c.Fields, ctx.at)
	if err != nil {
		return nil, err
	}
	m.directory.put(rec.ID, m.start(rec, actors.Birth{ID: rec.ID, Spec: spec, JSON: stateOf(&c.Fields), Index: ctx.index}))
	return &rec.Model, nil
}

// stateOf returns the state that the fields bring, nil when they bring none.
func stateOf(f *catalogue.ModelFields) []byte {
	if absent(f.ModelState) {
		return nil
	}
	return f.ModelState
}

// start gives a model its actor. The directory is the caller's to tell.
func (m *machine) start(rec *catalogue.ModelRecord, b actors.Birth) *modelRuntime {
	t := m.tenants[rec.TenantID]
	b.Evidence = evidenceOf(&rec.Model)
	mr := &modelRuntime{id: rec.ID, tenantID: rec.TenantID, ordinal: t.Ordinal, handle: m.actors.Spawn(b), track: m.track(rec)}
	mr.set(rec, b.Spec)
	t.models[rec.ID] = mr
	return mr
}

// retire ends a model's actor and drops its versions.
func (m *machine) retire(ctx *entryContext, t *tenantRuntime, id string) {
	mr := t.models[id]
	delete(t.models, id)
	m.directory.put(id, nil)
	ctx.alerts = append(ctx.alerts, m.book.Drop(t.ID, id, ctx.at)...)
	if m.recorder != nil {
		m.recorder.Forget(id)
	}
	mr.handle.Stop(ctx.pending)
	ctx.batch.DeleteStates(t.Ordinal, id)
}

// applyUpdateModel checks again what the proposer checked: another update may
// have come between.
func applyUpdateModel(m *machine, ctx *entryContext, tenant string, c command.UpdateModel) (*catalogue.Model, error) {
	_, mr, err := m.runtime(tenant, c.ID)
	if err != nil {
		return nil, err
	}
	old := &mr.record.Load().Model
	if err := checkUpdate(old, &c.Fields); err != nil {
		return nil, err
	}
	if c.Fields.Relearns() && stateOf(&c.Fields) == nil {
		if err := fits(old.With(&c.Fields), <-mr.handle.Capture()); err != nil {
			return nil, err
		}
	}
	rec, err := m.catalogue.UpdateModel(tenant, c.ID, &c.Fields, actorOr(c.By), ctx.at)
	if err != nil {
		return nil, err
	}
	m.settleExperiments(ctx, tenant)
	defer m.refreshChampions()
	if !c.Fields.Relearns() {
		mr.record.Store(rec)
		return &rec.Model, nil
	}
	spec, err := specOf(&rec.Model)
	if err != nil {
		return nil, err
	}
	mr.set(rec, spec)
	m.book.Renew(tenant, c.ID, ctx.at)
	mr.handle.Send(&actors.Configure{Index: ctx.index, Spec: spec, Evidence: evidenceOf(&rec.Model), JSON: stateOf(&c.Fields), Pending: ctx.pending})
	return &rec.Model, nil
}

func applyDeleteModel(m *machine, ctx *entryContext, tenant string, c command.DeleteModel) (nothing, error) {
	if !c.Force {
		if err := m.checkUnused(tenant, c.ID); err != nil {
			return nothing{}, err
		}
	}
	if _, err := m.catalogue.DeleteModel(tenant, c.ID, actorOr(c.By), ctx.at); err != nil {
		return nothing{}, err
	}
	m.settleExperiments(ctx, tenant)
	m.refreshChampions()
	m.retire(ctx, m.tenants[tenant], c.ID)
	return nothing{}, nil
}

func applyInstallTraining(m *machine, ctx *entryContext, tenant string, c command.InstallTraining) (*catalogue.Model, error) {
	t, mr, err := m.runtime(tenant, c.ID)
	if err != nil {
		return nil, err
	}
	old := mr.record.Load()
	rec, err := m.catalogue.InstallTraining(tenant, c.ID, c.Revision, c.Metrics, c.SampleCount, ctx.at)
	if err != nil {
		return nil, err
	}
	m.keepUnkept(ctx, t, mr, old)
	mr.record.Store(rec)
	m.book.Renew(tenant, c.ID, ctx.at)
	if c.State == nil {
		m.keep(ctx, t, mr, rec.Version)
	} else {
		ctx.batch.PutState(t.Ordinal, c.ID, rec.Version, c.State)
		mr.handle.Send(&actors.Install{
			Index: ctx.index, State: c.State, Since: m.since(ctx, t, c.Through), Pending: ctx.pending,
		})
	}
	m.dropOldVersions(ctx, t, old, rec)
	return &rec.Model, nil
}

func applyResetLearning(m *machine, ctx *entryContext, tenant string, c command.ModelRef) (*catalogue.Model, error) {
	t, mr, err := m.runtime(tenant, c.ID)
	if err != nil {
		return nil, err
	}
	old := mr.record.Load()
	if err := resettable(&old.Model); err != nil {
		return nil, err
	}
	rec, err := m.catalogue.ResetLearning(tenant, c.ID, ctx.at)
	if err != nil {
		return nil, err
	}
	m.keep(ctx, t, mr, old.Version)
	mr.record.Store(rec)
	m.book.Renew(tenant, c.ID, ctx.at)
	mr.handle.Send(&actors.Reset{Index: ctx.index, Pending: ctx.pending})
	m.keep(ctx, t, mr, rec.Version)
	m.dropOldVersions(ctx, t, old, rec)
	return &rec.Model, nil
}

func applyRestoreVersion(m *machine, ctx *entryContext, tenant string, c command.RestoreVersion) (*catalogue.Model, error) {
	t, mr, err := m.runtime(tenant, c.ID)
	if err != nil {
		return nil, err
	}
	state, err := m.kept(t, c.ID, c.Version)
	if err != nil {
		return nil, err
	}
	old := mr.record.Load()
	if err := fits(&old.Model, actors.Captured{State: state}); err != nil {
		return nil, err
	}
	rec, err := m.catalogue.RestoreVersion(tenant, c.ID, c.Version, ctx.at)
	if err != nil {
		return nil, err
	}
	m.keepUnkept(ctx, t, mr, old)
	mr.record.Store(rec)
	m.book.Renew(tenant, c.ID, ctx.at)
	ctx.batch.PutState(t.Ordinal, c.ID, rec.Version, state)
	mr.handle.Send(&actors.Install{Index: ctx.index, State: state, Pending: ctx.pending})
	m.dropOldVersions(ctx, t, old, rec)
	return &rec.Model, nil
}
