package online

import (
	"context"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Train streams through the examples one by one, from a fresh state and in the
// order of the source. From learn.MinHoldoutRows rows on the metrics are those of
// a second model, streamed without the held-out rows, on these; with fewer they
// are measured in sample. It scans the source twice and keeps no rows.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	var p decision.Problems
	cfg := readConfig(spec.Config, false, &p)
	if err := p.Err(); err != nil {
		return learn.Trained{}, err
	}
	all, fitting := newLearner(spec, cfg), newLearner(spec, cfg)
	rows, positives, held := 0, 0, 0
	err := src.Scan(ctx, func(ex *learn.Example) error {
		rows++
		if ex.Positive {
			positives++
		}
		if ex.HeldOut() {
			held++
		} else {
			fitting.Observe(ex)
		}
		all.Observe(ex)
		return nil
	})
	if err != nil {
		return learn.Trained{}, err
	}
	if positives == 0 || positives == rows {
		return learn.Trained{}, learn.ErrOneClass("online.Train", rows, positives)
	}
	opts.Report(0.7) // two steps a row of this scan, one score of the next
	evaluation, v := learn.EvaluationHoldout, fitting.Publish()
	if rows < learn.MinHoldoutRows || held == 0 || held == rows {
		evaluation, v = learn.EvaluationInSample, all.Publish()
	}
	var scored []learn.Scored
	var res learn.Result
	err = src.Scan(ctx, func(ex *learn.Example) error {
		if evaluation == learn.EvaluationInSample || ex.HeldOut() {
			v.Score(&learn.Request{Row: ex.Row}, &res)
			scored = append(scored, learn.Scored{Score: res.Score, Positive: ex.Positive})
		}
		return nil
	})
	if err != nil {
		return learn.Trained{}, err
	}
	opts.Report(1)
	return learn.Trained{State: all.AppendState(nil), Metrics: learn.Measure(scored, evaluation), SampleCount: rows}, nil
}
