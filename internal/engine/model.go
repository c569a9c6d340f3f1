package engine

import (
	"context"
	"slices"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// Models lists a tenant's models.
func (e *Engine) Models(tenant string, page Page) (List[*catalogue.Model], error) {
	return listOf(e, page, func(c *catalogue.Catalogue, after uint64, limit int) ([]*catalogue.Model, []uint64, int, error) {
		return c.Models(tenant, after, limit)
	})
}

// Model returns a model.
func (e *Engine) Model(tenant, id string) (*catalogue.Model, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return nil, err
	}
	return &mr.record.Load().Model, nil
}

// ModelDetail returns a model with its versions and, when asked for, its state.
func (e *Engine) ModelDetail(ctx context.Context, tenant, id string, withState bool) (ModelDetail, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return ModelDetail{}, err
	}
	rec := mr.record.Load()
	d := ModelDetail{Model: &rec.Model, Versions: slices.Clone(rec.Versions)}
	slices.Reverse(d.Versions)
	if withState {
		d.ModelState, err = mr.handle.StateJSON(ctx)
	}
	return d, err
}

// CreateModel makes a model.
func (e *Engine) CreateModel(ctx context.Context, w Write, f catalogue.ModelFields) (*catalogue.Model, Receipt, error) {
	if err := checkCreate(&f); err != nil {
		return nil, Receipt{}, err
	}
	if err := e.checkEndpoint(modelOf(&f)); err != nil {
		return nil, Receipt{}, err
	}
	return do[*catalogue.Model](ctx, e, w.header(command.KindCreateModel), command.CreateModel{ID: newID("model"), Fields: f})
}

// UpdateModel changes the given fields of a model.
func (e *Engine) UpdateModel(ctx context.Context, w Write, id string, f catalogue.ModelFields) (*catalogue.Model, Receipt, error) {
	f.Key, f.ModelType, f.MetricsHistory = nil, nil, nil // of a create alone
	switch mr, err := e.modelToChange(ctx, w.Principal.TenantID, id); {
	case err == nil:
		if err := e.prepareUpdate(&mr.record.Load().Model, &f); err != nil {
			return nil, Receipt{}, err
		}
	case w.IdempotencyKey == "" || decision.KindOf(err) != decision.KindNotFound:
		return nil, Receipt{}, err
	default: // the log refuses it, and remembers
	}
	return do[*catalogue.Model](ctx, e, w.header(command.KindUpdateModel), command.UpdateModel{ID: id, Fields: f, By: w.Principal.actor()})
}

// modelToChange finds the model that a request changes. A node that lags behind
// does not know every model: before it says that there is none, it catches up.
func (e *Engine) modelToChange(ctx context.Context, tenant, id string) (*modelRuntime, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err == nil {
		return mr, nil
	}
	if err := e.Barrier(ctx); err != nil {
		return nil, err
	}
	return e.machine.directory.model(tenant, id)
}

// prepareUpdate checks a change of a model and puts the stored secrets into it.
func (e *Engine) prepareUpdate(old *catalogue.Model, f *catalogue.ModelFields) error {
	if err := keepSecrets(old, f); err != nil {
		return err
	}
	if err := checkUpdate(old, f); err != nil {
		return err
	}
	if f.Config == nil {
		return nil
	}
	return e.checkEndpoint(old.With(f))
}

// DeleteModel removes a model for good.
func (e *Engine) DeleteModel(ctx context.Context, w Write, id string, force bool) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteModel), command.DeleteModel{ID: id, Force: force, By: w.Principal.actor()})
	if err == nil {
		e.endpoints.scorer.Forget(w.Principal.TenantID, id)
	}
	return receipt, err
}

// ResetLearning puts a model's learned state back to fresh defaults.
func (e *Engine) ResetLearning(ctx context.Context, w Write, id string) (*catalogue.Model, Receipt, error) {
	return do[*catalogue.Model](ctx, e, w.header(command.KindResetLearning), command.ModelRef{ID: id})
}

// RestoreVersion brings a version's state back as a new version.
func (e *Engine) RestoreVersion(ctx context.Context, w Write, id string, version uint64) (*catalogue.Model, Receipt, error) {
	if version == 0 {
		return nil, Receipt{}, decision.Invalid("version", "want a version of the model, from 1 on")
	}
	return do[*catalogue.Model](ctx, e, w.header(command.KindRestoreVersion), command.RestoreVersion{ID: id, Version: version})
}
