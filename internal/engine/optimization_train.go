package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/optimization"
)

// A training of an optimization's model is two commands with the work between them.
// The first marks the model as in training on every node, so that no other begins
// beside it, and takes what was observed as of its place in the log. The second
// brings the result, and counts only while the mark is the first one's: a model that
// was deleted meanwhile discards it. Serving goes on with the old table until then.

// TrainOptimizationModel trains an optimization's model and waits for it.
func (e *Engine) TrainOptimizationModel(ctx context.Context, w Write, id string, bias map[string]float64) (*optimization.Model, Receipt, error) {
	// What was recorded through other nodes counts too.
	if err := e.Barrier(ctx); err != nil {
		return nil, Receipt{}, err
	}
	return e.trainOptimizationModel(ctx, w, id, TriggerRequest, bias)
}

func (e *Engine) trainOptimizationModel(ctx context.Context, w Write, id, trigger string, bias map[string]float64) (*optimization.Model, Receipt, error) {
	d, err := e.OptimizationModel(w.Principal.TenantID, id)
	if err != nil {
		return nil, Receipt{}, err
	}
	if d.Model.Status == optimization.ModelArchived {
		return nil, Receipt{}, decision.Errorf(decision.KindConflict, "the model is archived")
	}
	rt, err := e.machine.directory.optimization(w.Principal.TenantID, d.ID)
	if err != nil {
		return nil, Receipt{}, err
	}
	t := &optimizationTraining{engine: e, rt: rt, write: w, modelID: id, bias: bias}
	t.write.IdempotencyKey = "" // a training again is another training
	if t.options.Bias, err = posterior.ParseBias(rt.plan.Space, bias); err != nil {
		return nil, Receipt{}, err
	}
	j, err := e.jobs.start(rt.tenantID, id, trigger, t.run)
	if err != nil {
		return nil, Receipt{}, err
	}
	select {
	case <-j.done:
		return t.model, t.receipt, j.err
	case <-ctx.Done():
		return nil, Receipt{}, &decision.Error{
			Kind: decision.KindUnavailable, Msg: "the training did not end in time; it goes on as job " + j.id, Err: ctx.Err(),
		}
	}
}

// optimizationTraining is one training.
type optimizationTraining struct {
	engine  *Engine
	rt      *optimizationRuntime
	write   Write
	modelID string
	bias    map[string]float64
	options posterior.Options
	model   *optimization.Model // as the training left it
	receipt Receipt
}

func (t *optimizationTraining) run(ctx context.Context, j *job) error {
	begun, _, err := do[*begunTraining](ctx, t.engine, t.write.header(command.KindBeginOptimizationTraining), command.BeginOptimizationTraining{
		ModelID: t.modelID, Node: t.engine.config.Cluster.NodeID,
	})
	if err != nil {
		return err
	}
	j.report(0.1)
	result, err := t.learn(ctx, begun)
	if err != nil {
		t.abandon(begun.model.Run, err)
		return err
	}
	result.ModelID, result.Run = t.modelID, begun.model.Run
	// From here on a cancel comes too late: the job tells what the log says.
	t.model, t.receipt, err = do[*optimization.Model](context.WithoutCancel(ctx), t.engine, t.write.header(command.KindInstallOptimizationTraining), result)
	return err
}

// learn does the work: nothing of it is known to anyone until it is done.
func (t *optimizationTraining) learn(ctx context.Context, begun *begunTraining) (*command.InstallOptimizationTraining, error) {
	table, seen, source, err := t.observations(ctx, begun)
	if err != nil {
		return nil, err
	}
	if table.Exposures() == 0 {
		return nil, errNoObservations(table)
	}
	plan := t.rt.plan
	t.options.Seed = begun.model.Run
	trained, err := posterior.Train(ctx, plan.Space, plan.Model, plan.Reward, table.Observed(), t.options)
	if err != nil {
		return nil, err
	}
	arms := optimization.ArmsOf(table)
	lift := factorial.MeasureLift(arms.Treated, arms.Holdout, plan.Rules.Numeric)
	summary := optimization.Summary{
		VariantsCount: len(plan.Space.Allowed()), Exposures: trained.Exposures(), Seen: seen,
		Historic: trained.HistoricReward(), Expected: trained.ExpectedReward(), Bias: t.bias, Confidence: optimization.Confidence(&lift), Source: source,
	}
	if lift.Known {
		summary.Lift = &lift.Percent
	}
	return &command.InstallOptimizationTraining{State: trained.Append(nil), Arms: arms, Summary: summary}, nil
}

// observations returns what there is to learn from: what the engine observed as of
// the mark, or what the tenant's warehouse has, which is the source then. seen is of
// the engine in any case.
func (t *optimizationTraining) observations(ctx context.Context, begun *begunTraining) (table *attribution.Table, seen uint64, from string, err error) {
	select {
	case o := <-begun.observed:
		table, seen, err = o.Table, o.Seen, o.Err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, 0, "", err
	}
	source, ok, err := t.engine.warehouseSource(t.rt.tenantID)
	if err != nil || !ok {
		return table, seen, "", err
	}
	table, err = source.Observations(ctx, warehouseRequest(t.rt, time.Now().UnixMilli()))
	return table, seen, sourceWarehouse, errors.Join(err, source.Close())
}

func errNoObservations(table *attribution.Table) error {
	message := "there are no observations to learn from"
	if n := table.Immature(); n > 0 {
		message = fmt.Sprintf("there are no observations to learn from yet: %d exposures are younger than the conversion window and have no reward", n)
	}
	return &decision.Error{Kind: decision.KindConflict, Reason: "no_observations", Msg: message}
}

// sourceWarehouse names the source of observations that are not the engine's own.
const sourceWarehouse = "warehouse"

// endTimeout bounds the telling that a training came to nothing. Nobody waits for it.
const endTimeout = 10 * time.Second

// abandon takes the mark off the model. A failure that is nobody's fault is kept with
// it; a training that could not be, or was cancelled, is as if it had not been.
func (t *optimizationTraining) abandon(run uint64, cause error) {
	problem := ""
	switch decision.KindOf(cause) {
	case decision.KindConflict, decision.KindBadRequest:
	default:
		if t.engine.jobs.ctx.Err() == nil {
			problem = jobError(cause).Message
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := t.engine.endTraining(ctx, t.write, t.modelID, run, problem); err != nil {
		t.engine.log.Warn().Err(err).Str("model", t.modelID).Msg("cannot take back that a model is in training; trying again")
	}
}

func (e *Engine) endTraining(ctx context.Context, w Write, modelID string, run uint64, problem string) error {
	_, _, err := do[*optimization.Model](ctx, e, w.header(command.KindEndOptimizationTraining), command.EndOptimizationTraining{
		ModelID: modelID, Run: run, Problem: problem,
	})
	return err
}

// optimizationTrainer starts the trainings that are due while this node leads, and
// takes back the marks of its own trainings that ended without telling, as with a
// process that was killed.
type optimizationTrainer struct {
	engine *Engine
	tried  map[string]time.Time // model → when a training was last started here
}

// autoTrainInterval is how often it looks.
const autoTrainInterval = 5 * time.Second

// autoTrainPause is how long after a training that came to nothing it is tried again.
const autoTrainPause = time.Minute

func (r *optimizationTrainer) run(ctx context.Context) {
	every(ctx, autoTrainInterval, func(now time.Time) { r.look(ctx, now) })
}

func (r *optimizationTrainer) look(ctx context.Context, now time.Time) {
	e := r.engine
	if e.Ready() != nil {
		return
	}
	if !e.node.IsLeader() {
		clear(r.tried)
	}
	all := e.machine.directory.optimizations.Load()
	if all == nil {
		return
	}
	for _, rt := range *all {
		d := rt.record.Load()
		switch {
		case d.Model.Run != 0 && d.Model.Node == e.config.Cluster.NodeID && e.jobs.trainingOf(d.Model.ID) == nil:
			if err := e.endTraining(ctx, r.writeOf(rt), d.Model.ID, d.Model.Run, ""); err != nil && decision.KindOf(err) != decision.KindConflict {
				e.log.Warn().Err(err).Str("model", d.Model.ID).Msg("cannot take back that a model is in training")
			}
		case e.node.IsLeader() && r.due(rt, d, now):
			r.tried[d.Model.ID] = now
			e.working.Go(func() { r.train(ctx, rt, d.Model.ID) })
		}
	}
}

func (r *optimizationTrainer) writeOf(rt *optimizationRuntime) Write {
	return Write{Principal: Principal{TenantID: rt.tenantID, KeyName: "auto_train", Role: decision.RoleEditor}, RequestID: newID("auto")}
}

// due reports whether an optimization's model is to be trained now.
func (r *optimizationTrainer) due(rt *optimizationRuntime, d *OptimizationDetail, now time.Time) bool {
	auto, p := d.AutoTrain, rt.handle.Published()
	if auto == nil || d.Status != optimization.Live || d.Model.Status == optimization.ModelArchived || d.Model.Run != 0 || p.Fault != nil {
		return false
	}
	if t, ok := r.tried[d.Model.ID]; ok && now.Sub(t) < autoTrainPause {
		return false
	}
	since, at := p.View.Seen, d.Model.CreatedAt
	if s := d.Model.Summary; s != nil {
		since, at = since-min(since, s.Seen), s.At
	}
	age := time.Duration(decision.TimeOf(now)-at) * time.Millisecond
	// What is new in a warehouse only a training finds out.
	news := since > 0 || auto.EveryMinutes > 0 && r.engine.observesElsewhere(rt.tenantID)
	return auto.EveryObservations > 0 && since >= auto.EveryObservations ||
		auto.EveryMinutes > 0 && news && age >= time.Duration(auto.EveryMinutes)*time.Minute
}

func (r *optimizationTrainer) train(ctx context.Context, rt *optimizationRuntime, modelID string) {
	e := r.engine
	log := e.log.With().Str("tenant", rt.tenantID).Str("optimization", rt.id).Str("model", modelID).Logger()
	if _, _, err := e.trainOptimizationModel(ctx, r.writeOf(rt), modelID, TriggerSchedule, nil); err != nil {
		log.Info().Err(err).Msg("an automatic training came to nothing")
		return
	}
	log.Info().Msg("trained automatically")
}

// observesElsewhere reports whether a tenant's observations are in a warehouse.
func (e *Engine) observesElsewhere(tenant string) bool {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	n, _, found := e.machine.catalogue.Connection(tenant)
	return found && n.Provider != ProviderEmbedded
}
