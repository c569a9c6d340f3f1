package bayes

import (
	"context"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/learn/tape"
)

// Train counts the labelled rows. It scans them three times, the second and third
// time from what it remembers of them where package tape has room for that:
//
//  1. the deciles of the numeric fields, from the rows that are not held out;
//  2. the counts of all rows, which are the new state, and those of the rows that
//     are not held out, which are the model that is measured;
//  3. the scores of the held-out rows under the second model, which give the
//     calibration and the metrics.
//
// A field is numeric when all its values are numbers, or when config.binEdges has
// it. With fewer than learn.MinHoldoutRows rows the metrics are those of the new
// state on its own rows, and there is no calibration. Memory: two models, at most
// maxSample values of each numeric field, 24 bytes for each held-out row, and the
// remembered rows, at most tape.Limit. The new state does not depend on
// opts.Seed: nothing is random.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	var problems decision.Problems
	cfg := readConfig(spec.Config, &problems)
	if err := problems.Err(); err != nil {
		return learn.Trained{}, err
	}
	inputs := encode.NewInputs(&spec)
	t := &trainer{src: tape.Remember(src, inputs.Uses), opts: opts, inputs: inputs}
	if err := t.profile(ctx, cfg); err != nil {
		return learn.Trained{}, err
	}
	if err := t.count(ctx); err != nil {
		return learn.Trained{}, err
	}
	metrics, err := t.evaluate(ctx)
	if err != nil {
		return learn.Trained{}, err
	}
	return learn.Trained{State: t.full.append(nil), Metrics: metrics, SampleCount: t.rows}, nil
}

type trainer struct {
	src    learn.Source
	opts   learn.TrainOptions
	inputs *encode.Inputs
	cfg    *config // with the edges that were found

	rows, positives int
	full            *model // of all rows
	fitted          *model // of those that are not held out
}

// The shares of the work after the first and the second scan.
const (
	doneProfile = 0.3
	doneCount   = 0.8
)

// scan calls f for every row and reports the progress from one share to another.
func (t *trainer) scan(ctx context.Context, from, to float64, f func(*learn.Example)) error {
	const reportEvery = 4096 // rows
	n := 0
	err := t.src.Scan(ctx, func(ex *learn.Example) error {
		f(ex)
		if n++; n%reportEvery == 0 && t.rows >= n {
			t.opts.Report(from + (to-from)*float64(n)/float64(t.rows))
		}
		return nil
	})
	if err == nil {
		t.opts.Report(to)
	}
	return err
}

func (t *trainer) profile(ctx context.Context, cfg *config) error {
	p := newProfile(cfg, t.inputs)
	rows, positives := 0, 0
	err := t.scan(ctx, 0, doneProfile, func(ex *learn.Example) {
		rows++
		if ex.Positive {
			positives++
		}
		if !ex.HeldOut() {
			p.observe(ex.Row)
		}
	})
	switch {
	case err != nil:
		return err
	case positives == 0 || positives == rows:
		return learn.ErrOneClass("bayes.Train", rows, positives)
	}
	t.rows, t.positives = rows, positives
	found := *cfg
	found.edges = p.edges()
	t.cfg = &found
	return nil
}

func (t *trainer) holdsOut() bool { return t.rows >= learn.MinHoldoutRows }

func (t *trainer) count(ctx context.Context) error {
	t.full, t.fitted = newModel(t.cfg, t.inputs), newModel(t.cfg, t.inputs)
	return t.scan(ctx, doneProfile, doneCount, func(ex *learn.Example) {
		t.full.observe(ex)
		if t.holdsOut() && !ex.HeldOut() {
			t.fitted.observe(ex)
		}
	})
}

func (t *trainer) evaluate(ctx context.Context) (learn.Metrics, error) {
	if !t.holdsOut() {
		view := newView(t.full)
		rows := make([]learn.Scored, 0, t.rows)
		err := t.scan(ctx, doneCount, 1, func(ex *learn.Example) {
			rows = append(rows, learn.Scored{Score: identity.score(view.logOdds(ex.Row, nil)), Positive: ex.Positive})
		})
		return learn.Measure(rows, learn.EvaluationInSample), err
	}
	view := newView(t.fitted)
	rows := make([]scored, 0, t.rows/4)
	err := t.scan(ctx, doneCount, 1, func(ex *learn.Example) {
		if ex.HeldOut() {
			rows = append(rows, scored{
				z: view.logOdds(ex.Row, nil), weight: ex.Weight, positive: ex.Positive,
				half: uint8(ex.ID.Hash() / 5 & 1), // the residue modulo 5 is used up
			})
		}
	})
	if err != nil {
		return learn.Metrics{}, err
	}
	var metrics learn.Metrics
	t.full.calibration, metrics = calibrate(rows, t.cfg.calibrate)
	return metrics, nil
}
