package neuralcf

import (
	"context"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// patience is how many passes may go by without a lower held-out log-loss before
// training stops.
const patience = 5

// The shares of a training's work, for its progress.
const (
	read     = 0.1
	measured = 0.55
)

// Train fits the model. From learn.MinHoldoutRows rows on it first fits without
// the held-out rows until their log-loss no longer falls, measures there, and
// then fits all rows with the number of passes that was best; with fewer rows it
// makes all passes and measures in sample. Rows without an offer are left out.
// Customers beyond config.maxCustomers, those with the fewest rows, count as
// unknown; so do those of the held-out rows that no fitted row knows, as they
// would have then.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	var p decision.Problems
	cfg := readConfig(spec.Config, &p)
	if err := p.Err(); err != nil {
		return learn.Trained{}, err
	}
	if !cfg.seeded {
		cfg.seed = opts.Seed
	}
	r, err := readRows(ctx, &cfg, src)
	if err != nil {
		return learn.Trained{}, err
	}
	opts.Report(read)
	t := training{cfg: &cfg, opts: &opts, rows: r}
	metrics, err := t.fit(ctx)
	if err != nil {
		return learn.Trained{}, err
	}
	state := t.model().append(nil)
	if _, err := decodeState(string(state)); err != nil { // a number that is not finite
		return learn.Trained{}, &decision.Error{
			Kind: decision.KindUnprocessable, Op: "neuralcf.Train", Err: err,
			Msg: "the weights grew beyond what a number can hold; a lower config.learningRate is needed",
		}
	}
	opts.Report(1)
	return learn.Trained{State: state, Metrics: metrics, SampleCount: len(r.labels)}, nil
}

// training is one run of Train.
type training struct {
	cfg    *config
	opts   *learn.TrainOptions
	rows   *rows
	final  *fit
	scored []learn.Scored
}

// The streams of random numbers of the two fits.
const (
	holdoutStream = 1
	finalStream   = 2
)

// fit fits and measures.
func (t *training) fit(ctx context.Context) (learn.Metrics, error) {
	passes, total := t.cfg.epochs, len(t.rows.labels)
	var metrics learn.Metrics
	if t.rows.fitting < total {
		var err error
		if metrics, passes, err = t.holdout(ctx); err != nil {
			return metrics, err
		}
	}
	t.final = newFit(t.cfg, t.rows, total, finalStream)
	for pass := range passes {
		if err := t.final.epoch(ctx, t.rows); err != nil {
			return metrics, err
		}
		t.opts.Report(measured + (1-measured)*float64(pass+1)/float64(passes+1))
	}
	if t.rows.fitting == total {
		t.score(t.final, 0, total)
		metrics = learn.Measure(t.scored, learn.EvaluationInSample)
	}
	return metrics, nil
}

// holdout fits without the held-out rows and returns the metrics on them and the
// number of passes after which they were best.
func (t *training) holdout(ctx context.Context) (best learn.Metrics, passes int, err error) {
	f := newFit(t.cfg, t.rows, t.rows.fitting, holdoutStream)
	for pass := 1; pass <= t.cfg.epochs && pass <= passes+patience; pass++ {
		if err := f.epoch(ctx, t.rows); err != nil {
			return best, 0, err
		}
		t.score(f, t.rows.fitting, len(t.rows.labels))
		now := learn.Measure(t.scored, learn.EvaluationHoldout)
		if passes == 0 || now.LogLoss < best.LogLoss {
			best, passes = now, pass
		}
		t.opts.Report(read + (measured-read)*float64(pass)/float64(t.cfg.epochs))
	}
	return best, passes, nil
}

// score fills scored with the rows [from, to).
func (t *training) score(f *fit, from, to int) {
	t.scored = t.scored[:0]
	for i := from; i < to; i++ {
		p := f.forward(f.users.known(t.rows.users[i]), f.items.known(t.rows.items[i]))
		t.scored = append(t.scored, learn.Scored{Score: p, Positive: t.rows.labels[i] > 0})
	}
}

// model returns the final fit as a state.
func (t *training) model() *model {
	f, dim := t.final, t.cfg.dim
	return &model{
		network: f.net,
		users:   newTable(t.rows.userIDs, f.users.values[:len(t.rows.userIDs)*dim]),
		items:   newTable(t.rows.itemIDs, f.items.values[:len(t.rows.itemIDs)*dim]),
	}
}
