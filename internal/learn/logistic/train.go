package logistic

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/tape"
)

// patience is how many passes may go by without a lower held-out log-loss before
// training stops.
const patience = 5

// Train fits the model. From learn.MinHoldoutRows rows on it first fits without
// the held-out rows until their log-loss no longer falls, measures there, and
// then fits all rows with the number of passes that was best; with fewer rows it
// makes all passes and measures in sample. Means, deviations and the choice of
// categories are those of all rows; labels have no part in them.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	var p decision.Problems
	cfg := readConfig(spec.Config, &p)
	if err := p.Err(); err != nil {
		return learn.Trained{}, err
	}
	if !cfg.seeded {
		cfg.seed = opts.Seed
	}
	t := training{cfg: cfg, opts: &opts, rng: rand.New(rand.NewPCG(cfg.seed, 0)), remember: tape.Limit}
	if err := t.read(ctx, &spec, src); err != nil {
		return learn.Trained{}, err
	}
	metrics, err := t.fit(ctx)
	if err != nil {
		return learn.Trained{}, err
	}
	state := t.d.fold(t.m).append(nil)
	if _, err := decodeState(string(state)); err != nil { // a number that is not finite
		return learn.Trained{}, &decision.Error{
			Kind: decision.KindUnprocessable, Op: "logistic.Train", Err: err,
			Msg: "the weights grew beyond what a number can hold; a lower config.learningRate or values of a smaller range are needed",
		}
	}
	opts.Report(1)
	return learn.Trained{State: state, Metrics: metrics, SampleCount: t.d.rows}, nil
}

// training is one run of Train.
type training struct {
	cfg    config
	opts   *learn.TrainOptions
	rng    *rand.Rand
	d      *design
	m      *model
	base   float64
	scored []learn.Scored
	// remember is how many bytes of rows may be kept from the first scan to spare
	// the second.
	remember int
}

// The shares of a training's work, for its progress.
const (
	profiled = 0.1
	designed = 0.25
	measured = 0.65
)

// read scans the source for the profile and fills the design matrix, from what
// it remembers of the rows or from a second scan.
func (t *training) read(ctx context.Context, spec *learn.Spec, src learn.Source) error {
	const op = "logistic.Train"
	p := newProfile(spec)
	remembered := tape.New(t.remember, p.inputs.Uses)
	if err := src.Scan(ctx, func(ex *learn.Example) error {
		p.add(ex)
		remembered.Add(ex)
		return nil
	}); err != nil {
		return err
	}
	t.opts.Report(profiled)
	if p.positives == 0 || p.positives == p.rows {
		return learn.ErrOneClass(op, p.rows, p.positives)
	}
	if p.rows > math.MaxUint32/2 {
		return &decision.Error{Kind: decision.KindUnprocessable, Op: op, Msg: "over 2147483647 labelled interactions; narrow the model's filter"}
	}
	if p.rows < learn.MinHoldoutRows || p.heldOutRows == p.rows {
		p.heldOutRows = 0
	}
	places := newLayout(p, t.rng)
	t.d = newDesign(p)
	// Half a row more of each class keeps the log-odds finite in a part without
	// positives (Anscombe, On estimating binomial response relations, 1956).
	t.base = math.Log((float64(p.positives) + 0.5) / (float64(p.rows-p.positives) + 0.5))
	var filled int
	var err error
	if remembered.Complete() {
		filled, err = t.replay(ctx, p, places, remembered)
	} else {
		filled, err = t.rescan(ctx, p, places, src)
	}
	if err == nil && filled != p.rows {
		err = decision.Errorf(decision.KindInternal, "the second scan gave %d rows, the first %d", filled, p.rows)
	}
	t.opts.Report(designed)
	return err
}

// replay fills the design matrix with the rows of the tape.
func (t *training) replay(ctx context.Context, p *profile, places layout, rows *tape.Tape) (filled int, err error) {
	fields := t.d.tapedFields(rows)
	err = rows.Each(ctx, func(r *tape.Row) error {
		ex := learn.Example{ID: r.ID, Positive: r.Positive, Weight: r.Weight}
		t.d.setTaped(places.next(p.heldOutRows > 0 && ex.HeldOut()), &ex, r.Values, fields)
		filled++
		return nil
	})
	return filled, err
}

// rescan fills the design matrix with the rows of a second scan.
func (t *training) rescan(ctx context.Context, p *profile, places layout, src learn.Source) (filled int, err error) {
	err = src.Scan(ctx, func(ex *learn.Example) error {
		i := places.next(p.heldOutRows > 0 && ex.HeldOut())
		if i < 0 {
			return &decision.Error{Kind: decision.KindInternal, Op: "logistic.Train", Msg: "the second scan gave other rows than the first"}
		}
		t.d.set(i, ex)
		filled++
		return nil
	})
	return filled, err
}

// fit fits and measures.
func (t *training) fit(ctx context.Context) (learn.Metrics, error) {
	passes := t.cfg.epochs
	var metrics learn.Metrics
	if t.d.fitting < t.d.rows {
		var err error
		if metrics, passes, err = t.holdout(ctx); err != nil {
			return metrics, err
		}
	}
	t.m = newModel(&t.cfg, t.d, t.base)
	for pass := range passes {
		if err := t.m.epoch(ctx, t.d, t.d.rows, t.rng); err != nil {
			return metrics, err
		}
		t.opts.Report(measured + (1-measured)*float64(pass+1)/float64(passes+1))
	}
	if t.d.fitting == t.d.rows {
		t.score(t.m, 0, t.d.rows)
		metrics = learn.Measure(t.scored, learn.EvaluationInSample)
	}
	return metrics, nil
}

// holdout fits without the held-out rows and returns the metrics on them and the
// number of passes after which they were best.
func (t *training) holdout(ctx context.Context) (best learn.Metrics, passes int, err error) {
	m := newModel(&t.cfg, t.d, t.base)
	for pass := 1; pass <= t.cfg.epochs && pass <= passes+patience; pass++ {
		if err := m.epoch(ctx, t.d, t.d.fitting, t.rng); err != nil {
			return best, 0, err
		}
		t.score(m, t.d.fitting, t.d.rows)
		now := learn.Measure(t.scored, learn.EvaluationHoldout)
		if passes == 0 || now.LogLoss < best.LogLoss {
			best, passes = now, pass
		}
		t.opts.Report(designed + (measured-designed)*float64(pass)/float64(t.cfg.epochs))
	}
	return best, passes, nil
}

// score fills scored with the rows [from, to).
func (t *training) score(m *model, from, to int) {
	t.scored = t.scored[:0]
	for i := from; i < to; i++ {
		t.scored = append(t.scored, learn.Scored{Score: learn.Sigmoid(m.margin(t.d, i)), Positive: t.d.labels[i] > 0})
	}
}
