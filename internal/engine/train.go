package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// MinTrainingInteractions is how many interactions a tenant needs before any of
// its models can be trained.
const MinTrainingInteractions = 50

// ReasonInsufficientData refines the error of a training without enough rows.
const ReasonInsufficientData = "insufficient_data"

// Train trains a model on the tenant's history and waits for it.
func (e *Engine) Train(ctx context.Context, w Write, id string) (TrainResult, Receipt, error) {
	j, err := e.submit(ctx, w, id, TriggerRequest)
	if err != nil {
		return TrainResult{}, Receipt{}, err
	}
	select {
	case <-j.done:
		return j.result, j.receipt, j.err
	case <-ctx.Done():
		return TrainResult{}, Receipt{}, &decision.Error{
			Kind: decision.KindUnavailable, Msg: "the training did not end in time; it goes on as job " + j.id, Err: ctx.Err(),
		}
	}
}

// StartTraining starts a training in the background.
func (e *Engine) StartTraining(ctx context.Context, w Write, id string) (Job, error) {
	j, err := e.submit(ctx, w, id, TriggerRequest)
	if err != nil {
		return Job{}, err
	}
	return j.snapshot(), nil
}

// submit checks that a model can be trained and queues its training.
func (e *Engine) submit(ctx context.Context, w Write, id, trigger string) (*job, error) {
	// What was recorded through other nodes counts too, also by when it is enough.
	if err := e.Barrier(ctx); err != nil {
		return nil, err
	}
	mr, err := e.machine.directory.model(w.Principal.TenantID, id)
	if err != nil {
		return nil, err
	}
	m := &mr.record.Load().Model
	if e.trainer(m.ModelType) == nil {
		return nil, decision.Errorf(decision.KindBadRequest, "a model of type %s cannot be trained", m.ModelType)
	}
	if n := e.machine.history.Count(mr.ordinal); n < MinTrainingInteractions {
		return nil, &decision.Error{
			Kind: decision.KindUnprocessable, Reason: ReasonInsufficientData,
			Msg: fmt.Sprintf("training needs at least %d interactions, the tenant has %d", MinTrainingInteractions, n),
		}
	}
	if err := e.trainedElsewhere(ctx, mr.tenantID, id); err != nil {
		return nil, err
	}
	once := idempotency{w.IdempotencyKey, w.Fingerprint}
	return e.jobs.startOnce(once, mr.tenantID, id, trigger, func(ctx context.Context, j *job) error { return e.train(ctx, w, mr, j) })
}

// train fits the model outside of its actor and proposes the result.
func (e *Engine) train(ctx context.Context, w Write, mr *modelRuntime, j *job) error {
	rec := mr.record.Load()
	spec, err := specOf(&rec.Model)
	if err != nil {
		return err
	}
	through := e.AppliedIndex()
	src := &source{machine: e.machine, ordinal: mr.ordinal, modelID: mr.id, spec: &spec, through: through}
	trained, err := e.trainer(spec.Type)(ctx, spec, src, learn.TrainOptions{Seed: through, Progress: j.report})
	if err != nil {
		return err
	}
	metrics, err := json.Marshal(trained.Metrics)
	if err != nil {
		return fmt.Errorf("engine: encode the metrics: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on a cancel comes too late: the job tells what the log says.
	m, receipt, err := do[*catalogue.Model](context.WithoutCancel(ctx), e, w.header(command.KindInstallTraining), command.InstallTraining{
		ID: mr.id, Revision: rec.Revision, Through: through,
		State: trained.State, Metrics: metrics, SampleCount: trained.SampleCount,
	})
	if err != nil {
		return err
	}
	j.result = TrainResult{Model: m, SampleCount: trained.SampleCount, Metrics: trained.Metrics}
	if receipt.Replayed { // this training's result was not installed, the first one's was
		j.result.SampleCount = m.TrainingSamples
		if err := json.Unmarshal(m.Metrics, &j.result.Metrics); err != nil {
			return fmt.Errorf("engine: read the first training's metrics: %w", err)
		}
	}
	j.receipt = receipt
	return nil
}

// source gives a training the tenant's history up to a log index, as the
// model's labelled examples.
type source struct {
	machine *machine
	ordinal uint32
	modelID string
	spec    *learn.Spec
	through uint64
}

// Scan implements learn.Source.
func (s *source) Scan(ctx context.Context, f func(*learn.Example) error) error {
	var ex learn.Example
	var scratch decision.Row
	return s.machine.history.Scan(ctx, s.ordinal, s.through, func(o *decision.Outcome) error {
		if s.spec.Example(s.modelID, o, &ex, &scratch) {
			return f(&ex)
		}
		return nil
	})
}
