package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/praetor-engine/praetor/internal/client"
)

const (
	outcomeConns    = 8
	outcomeRequests = 128 // prepared; sent again and again, as nothing depends on their being new
	// outcomeTarget is the project's, with learning models, on two cores.
	outcomeTarget = 50_000
)

// learners are the models that learn from every outcome as it arrives.
func learners() []client.NewModel {
	auto := map[string]any{"autoLearn": true}
	return []client.NewModel{
		{Key: "bandit", Name: "Bandit", ModelType: "thompson_bandit", Status: "active"},
		{Key: "online", Name: "Online", ModelType: "online_learner", Status: "active"},
		{Key: "bayes", Name: "Bayes", ModelType: "bayesian", Status: "active", LearningConfig: auto},
	}
}

// createAll creates the models in order and returns their ids.
func (e *Engine) createAll(ctx context.Context, models []client.NewModel) (ids []string, err error) {
	for _, m := range models {
		created, err := e.CreateModel(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("bench: create model %s: %w", m.Key, err)
		}
		ids = append(ids, created.ID)
	}
	return ids, nil
}

// Outcomes measures acknowledged outcomes a second in bulk requests, with
// learning models and without.
func (o *Options) Outcomes(ctx context.Context) (_ *Report, err error) {
	r := &Report{
		Name:   "outcomes: bulk outcomes acknowledged",
		Method: fmt.Sprintf("closed loop, %d outcomes a request, %d connections, one node, fsync on, client on the same machine", BulkSize, outcomeConns),
	}
	variants, stop, err := o.outcomeVariants(ctx, r)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	if err := o.alternate(ctx, variants...); err != nil {
		return nil, err
	}
	for _, v := range variants {
		r.Rows = append(r.Rows, v.row("outcomes"))
	}
	r.Ratios = []Ratio{ratio(variants[0], variants[1], 0)}
	verdict := "met"
	if r.Rows[0].Rate.Median < outcomeTarget {
		verdict = "missed"
	}
	r.Notes = append(r.Notes, fmt.Sprintf("target on two cores: %d/s with learning models: %s", outcomeTarget, verdict))
	return r, nil
}

func (o *Options) outcomeVariants(ctx context.Context, r *Report) (variants []*variant, stop func() error, err error) {
	dir, remove, err := o.workDir()
	if err != nil {
		return nil, func() error { return nil }, err
	}
	var engines []*Engine
	stop = func() error {
		defer remove()
		return stopAll(engines)
	}
	if r.Machine, err = Describe(dir); err != nil {
		return nil, stop, err
	}
	for _, kind := range []struct {
		name   string
		models []client.NewModel
	}{{"3 learning models", learners()}, {"no model", nil}} {
		e, err := o.StartEngine(ctx, filepath.Join(dir, fileName(kind.name)), "")
		if err != nil {
			return nil, stop, err
		}
		engines = append(engines, e)
		if _, err := e.createAll(ctx, kind.models); err != nil {
			return nil, stop, err
		}
		w, err := newWorkload()
		if err != nil {
			return nil, stop, err
		}
		requests, err := w.bulk(e.Key, outcomeRequests)
		if err != nil {
			return nil, stop, err
		}
		variants = append(variants, &variant{
			name: kind.name, pid: e.Pid(), engine: e,
			load: &Load{Addr: e.Addr, Requests: requests, Conns: outcomeConns, Units: bulkUnits},
		})
	}
	return variants, stop, nil
}

func stopAll(engines []*Engine) error {
	var errs []error
	for _, e := range engines {
		errs = append(errs, e.Stop())
	}
	return errors.Join(errs...)
}
