package learners

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/decision"
)

const (
	pauseConns    = 16
	pauseRequests = 1024
	// pauseTarget bounds the p99 of scores while a training runs, to that of an
	// idle node.
	pauseTarget = 2
)

// disturbance is a training during which scores are measured.
type disturbance struct {
	kind             decision.ModelType
	model            string
	p50, p99, ratios []float64
	trainings        int
}

// pause measures what a training does to the latency of scores.
func (m *measurement) pause(ctx context.Context) (_ *section, err error) {
	_, outcomes, err := newMarket(m.cfg.Rows)
	if err != nil {
		return nil, err
	}
	m.logf("  recording %d interactions", len(outcomes))
	e, err := m.startNode(ctx, "pause", outcomes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	load, err := scoreLoad(ctx, e, outcomes)
	if err != nil {
		return nil, err
	}
	var all []*disturbance
	for _, kind := range []decision.ModelType{decision.LogisticRegression, decision.Bayesian, decision.NeuralCF} {
		d := &disturbance{kind: kind}
		if d.model, err = createModel(ctx, e, kind, ""); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	if _, err := load.Open(ctx, m.cfg.ScoreRate, m.Duration); err != nil { // warm-up
		return nil, err
	}
	var idle, idle50 []float64
	for round := range m.Rounds {
		run, err := load.Open(ctx, m.cfg.ScoreRate, m.Duration)
		if err != nil {
			return nil, err
		}
		idle50, idle = append(idle50, quantile(run, 50)), append(idle, quantile(run, 99))
		for _, d := range all {
			if err := d.round(ctx, m, e, load); err != nil {
				return nil, err
			}
			d.ratios = append(d.ratios, d.p99[round]/idle[round])
			m.logf("  round %d of %d: %s: p99 %.2f ms, idle %.2f ms", round+1, m.Rounds, d.kind, d.p99[round], idle[round])
		}
	}
	return m.pauseSection(idle50, idle, all, len(outcomes)), nil
}

// quantile returns a quantile of a run's latency in milliseconds.
func quantile(r bench.Run, q float64) float64 { return float64(r.Latency.ValueAtQuantile(q)) / 1000 }

// scoreLoad prepares scores of a model that was trained before.
func scoreLoad(ctx context.Context, e *bench.Engine, outcomes []client.Outcome) (*bench.Load, error) {
	model, err := e.CreateModel(ctx, client.NewModel{Key: "scored", Name: "Scored", ModelType: string(decision.LogisticRegression)})
	if err != nil {
		return nil, err
	}
	if _, err := trainJob(ctx, e, model.ID); err != nil {
		return nil, err
	}
	load := &bench.Load{Addr: e.Addr, Conns: pauseConns, Units: func(status int, body []byte) (int, error) {
		if status != 200 {
			return 0, fmt.Errorf("got status %d: %.300s", status, body)
		}
		return 1, nil
	}}
	for i := range min(pauseRequests, len(outcomes)) {
		body, err := json.Marshal(client.ScoreRequest{Attributes: outcomes[i].Attributes})
		if err != nil {
			return nil, err
		}
		load.Requests = append(load.Requests, bench.PrepareRequest("/api/v1/algorithm-models/"+model.ID+"/score", e.Key, body))
	}
	return load, nil
}

// round measures scores while the model is trained, again and again until the
// load ends, when the training under way is cancelled.
func (d *disturbance) round(ctx context.Context, m *measurement, e *bench.Engine, load *bench.Load) error {
	training, stop := context.WithCancel(ctx)
	defer stop()
	first, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.trainOn(training, e, func() { close(first) }) }()
	select {
	case <-first:
	case err := <-ended:
		return err
	}
	run, err := load.Open(ctx, m.cfg.ScoreRate, m.Duration)
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	d.p50, d.p99 = append(d.p50, quantile(run, 50)), append(d.p99, quantile(run, 99))
	return nil
}

// trainOn starts a training, tells so, and another one whenever one has ended;
// when ctx ends it cancels the one under way and waits for its end.
func (d *disturbance) trainOn(ctx context.Context, e *bench.Engine, started func()) error {
	const interval = 100 * time.Millisecond // asking costs the node something too
	for begun := false; ctx.Err() == nil; begun = true {
		j, err := e.StartTraining(ctx, d.model)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if !begun {
			started()
		}
		j, err = e.WaitJob(ctx, j.ID, interval, nil)
		if ctx.Err() != nil {
			rest := context.WithoutCancel(ctx)
			if err := e.CancelJob(rest, j.ID); err != nil {
				return err
			}
			_, err = e.WaitJob(rest, j.ID, interval, nil)
			return err
		}
		if err != nil {
			return err
		}
		if j.Status != client.JobSucceeded {
			return fmt.Errorf("%s: training: got status %s: %+v", d.kind, j.Status, j.Error)
		}
		d.trainings++
	}
	return nil
}

func (m *measurement) pauseSection(idle50, idle []float64, all []*disturbance, rows int) *section {
	s := &section{heads: []string{fmt.Sprintf("training of, on %d rows", rows), "p50 ms", "p99 ms", "p99 to idle"}}
	s.add("none: idle", spread(bench.Summarize(idle50), "%.2f"), spread(bench.Summarize(idle), "%.2f"), "1")
	for _, d := range all {
		s.add(string(d.kind), spread(bench.Summarize(d.p50), "%.2f"), spread(bench.Summarize(d.p99), "%.2f"), against(bench.Summarize(d.ratios), pauseTarget))
	}
	s.notef("%.0f scores due a second on %d connections, %v a run, logistic_regression with explanations.", m.cfg.ScoreRate, pauseConns, m.Duration)
	return s
}
