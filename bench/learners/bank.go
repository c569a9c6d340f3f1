package learners

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// openBank reads the Bank Marketing data (Moro, Cortez, Rita 2014) without
// duration, which is known only after the call.
func openBank(folder string) (*dataset.Table, error) {
	return dataset.Open(filepath.Join(folder, "bank-additional-full.csv.gz"),
		dataset.Options{Label: "y", Positive: "yes", Drop: []string{"duration"}})
}

// duel is one row of the bank's table: a fit of ours beside one of a library's.
type duel struct {
	name, fit    string
	ours         func(context.Context) (result, error) // nil: the library alone
	theirs, mine []float64                             // seconds of the rounds
	library      fitted
	result       result
}

// result is what a training of ours reached on the rows it did not see.
type result struct{ seconds, auc, logLoss float64 }

// bank measures AUC, log-loss and training time on the Bank Marketing data.
func (m *measurement) bank(ctx context.Context) (_ *section, err error) {
	data, err := openBank(m.cfg.Datasets)
	if err != nil {
		return nil, err
	}
	train, test := data.Split()
	folder, err := m.folder("bank")
	if err != nil {
		return nil, err
	}
	if err := newMatrix(data, test).write(folder); err != nil {
		return nil, err
	}
	boosted, stop, err := m.newBoosted(ctx, data, train, test)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	here := func(kind decision.ModelType) func(context.Context) (result, error) {
		return func(ctx context.Context) (result, error) {
			t, err := trainHere(ctx, kind, "", dataset.Source(data, train))
			if err != nil {
				return result{}, err
			}
			got := measure(t.view, data, test)
			return result{t.total, got.AUC, got.LogLoss}, nil
		}
	}
	online := here(decision.OnlineLearner)
	stream := func(ctx context.Context) (result, error) { return progressive(ctx, data, train) }
	duels := []*duel{
		{name: "logistic_regression", fit: "logistic", ours: here(decision.LogisticRegression)},
		{name: "bayesian", fit: "naive_bayes", ours: here(decision.Bayesian)},
		{name: "gradient_boosted", fit: "boosted", ours: boosted.train},
		{name: "", fit: "histogram"},
		{name: "online_learner, one pass in file order", fit: "sgd_in_order", ours: online},
		{name: "", fit: "sgd"},
		{name: "", fit: "vowpal"},
		{name: "online_learner, progressive", fit: "progressive", ours: stream},
		{name: "", fit: "vowpal_progressive"},
	}
	for round := range m.Rounds {
		for _, d := range duels {
			if err := d.round(ctx, m, folder); err != nil {
				return nil, err
			}
		}
		m.logf("  round %d of %d", round+1, m.Rounds)
	}
	s := bankSection(duels)
	return s, m.addTastes(ctx, s)
}

func (d *duel) round(ctx context.Context, m *measurement, folder string) (err error) {
	worker, err := filepath.Abs(m.cfg.Worker)
	if err != nil {
		return err
	}
	if d.library, err = m.reference.fit(task{Fit: d.fit, Data: folder, Worker: worker}); err != nil {
		return err
	}
	d.theirs = append(d.theirs, d.library.Seconds)
	if d.ours == nil {
		return nil
	}
	if d.result, err = d.ours(ctx); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	d.mine = append(d.mine, d.result.seconds)
	return nil
}

func bankSection(duels []*duel) *section {
	s := &section{heads: []string{"type", "reference", "its AUC", "ours", "its log-loss", "ours", "its seconds", "ours"}}
	for _, d := range duels {
		auc, loss := "", ""
		if d.ours != nil {
			auc, loss = fmt.Sprintf("%.4f", d.result.auc), fmt.Sprintf("%.4f", d.result.logLoss)
		}
		s.add(d.name, d.library.Library, fmt.Sprintf("%.4f", d.library.AUC), auc, fmt.Sprintf("%.4f", d.library.LogLoss), loss,
			seconds(d.theirs), seconds(d.mine))
	}
	return s
}

// progressive scores each row before it learns it.
func progressive(ctx context.Context, data *dataset.Table, rows []int) (result, error) {
	kind, _ := types.Of(decision.OnlineLearner)
	l, err := kind.New(learn.Spec{Type: decision.OnlineLearner}, nil)
	if err != nil {
		return result{}, err
	}
	scored := make([]learn.Scored, 0, len(rows))
	var res learn.Result
	start := time.Now()
	err = dataset.Source(data, rows).Scan(ctx, func(ex *learn.Example) error {
		l.Publish().Score(&learn.Request{Row: ex.Row}, &res)
		scored = append(scored, learn.Scored{Score: res.Score, Positive: ex.Positive})
		l.Observe(ex)
		return nil
	})
	took := time.Since(start).Seconds()
	got := learn.Measure(scored, learn.EvaluationHoldout)
	return result{took, got.AUC, got.LogLoss}, err
}

// boostedNode is an engine with the training rows in its history and an ML worker
// beside it.
type boostedNode struct {
	train func(context.Context) (result, error)
}

// newBoosted trains gradient_boosted the way a client does: outcomes recorded, a
// training asked for, trees grown by the worker. The model comes back as
// modelState and scores the test rows here.
func (m *measurement) newBoosted(ctx context.Context, data *dataset.Table, train, test []int) (n *boostedNode, stop func() error, err error) {
	url, stopWorker, err := m.startWorker(ctx)
	if err != nil {
		return nil, nil, err
	}
	var outcomes []client.Outcome
	for _, i := range train {
		o := client.Outcome{CustomerID: "row-" + strconv.Itoa(i), Outcome: "dismiss", Attributes: attributesOf(data.Rows[i])}
		if data.Labels[i] {
			o.Outcome = "accept"
		}
		outcomes = append(outcomes, o)
	}
	e, err := m.startNode(ctx, "boosted", outcomes, "--ml-worker-url="+url)
	if err != nil {
		return nil, nil, errors.Join(err, stopWorker())
	}
	stop = func() error { return errors.Join(e.Stop(), stopWorker()) }
	model, err := e.CreateModel(ctx, client.NewModel{
		Key: "boosted", Name: "Boosted", ModelType: string(decision.GradientBoosted), Config: map[string]any{"seed": trainSeed},
	})
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return &boostedNode{func(ctx context.Context) (result, error) {
		took, err := trainJob(ctx, e, model.ID)
		if err != nil {
			return result{}, err
		}
		trained, err := e.ModelWithState(ctx, model.ID)
		if err != nil {
			return result{}, err
		}
		view, err := viewOf(decision.GradientBoosted, "", trained.ModelState)
		if err != nil {
			return result{}, err
		}
		got := measure(view, data, test)
		return result{took.Seconds(), got.AUC, got.LogLoss}, nil
	}}, stop, nil
}

// viewOf makes a model's view from its configuration and state.
func viewOf(kind decision.ModelType, config string, state json.RawMessage) (learn.View, error) {
	t, ok := types.Of(kind)
	if !ok {
		return nil, fmt.Errorf("no model type %s", kind)
	}
	l, err := t.New(learn.Spec{Type: kind, Config: json.RawMessage(config)}, state)
	if err != nil {
		return nil, err
	}
	return l.Publish(), nil
}
