package engine

import (
	"context"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/boosted"
	"github.com/praetor-engine/praetor/internal/learn/types"
	"github.com/praetor-engine/praetor/internal/mlclient"
)

// trainFunc fits a model of one type.
type trainFunc func(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error)

// trainer returns how models of a type are trained, nil when they are not.
func (e *Engine) trainer(t decision.ModelType) trainFunc {
	if t == decision.GradientBoosted {
		return e.trainBoosted
	}
	entry, ok := types.Of(t)
	if !ok {
		return nil
	}
	return entry.Train
}

// The shares of a gradient boosted training's progress: both fits cost about the
// same, profiling and measuring little.
const (
	progressProfiled = 0.05
	progressMeasured = 0.5
)

// trainBoosted has the ML worker grow the trees: once without the rows held out,
// to measure what such a model is worth, and once on all rows. The engine
// measures itself, with its own scorer, whatever the worker says.
func (e *Engine) trainBoosted(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	params, err := boosted.ReadParams(&spec, &opts)
	if err != nil {
		return learn.Trained{}, err
	}
	if _, err := e.worker.Health(ctx); err != nil { // before the history is read for nothing
		return learn.Trained{}, err
	}
	enc, err := boosted.NewEncoder(ctx, &spec, src)
	if err != nil {
		return learn.Trained{}, err
	}
	opts.Report(progressProfiled)
	var measured []byte
	if enc.HeldOut() {
		if measured, err = e.growTrees(ctx, enc, src, boosted.FittingRows, params, func(done float64) {
			opts.Report(progressProfiled + (progressMeasured-progressProfiled)*done)
		}); err != nil {
			return learn.Trained{}, err
		}
	}
	state, err := e.growTrees(ctx, enc, src, boosted.AllRows, params, func(done float64) {
		opts.Report(progressMeasured + (1-progressMeasured)*done)
	})
	if err != nil {
		return learn.Trained{}, err
	}
	if measured == nil {
		measured = state
	}
	metrics, err := enc.Evaluate(ctx, spec, measured, src)
	if err != nil {
		return learn.Trained{}, err
	}
	return learn.Trained{State: state, Metrics: metrics, SampleCount: enc.Rows(boosted.AllRows)}, nil
}

// growTrees sends a part of the rows to the worker and reads the model that
// comes back.
func (e *Engine) growTrees(ctx context.Context, enc *boosted.Encoder, src learn.Source, part boosted.Part, p boosted.Params, progress func(float64)) ([]byte, error) {
	columns := enc.Columns()
	header := mlclient.Header{Rows: enc.Rows(part), Params: mlclient.Params{
		NumTrees: p.NumTrees, NumLeaves: p.NumLeaves, LearningRate: p.LearningRate,
		MinDataInLeaf: p.MinDataInLeaf, FeatureFraction: p.FeatureFraction, Seed: int32(p.Seed),
	}}
	for i := range columns {
		header.Columns = append(header.Columns, mlclient.Column{
			Name: enc.ColumnName(i), Categorical: columns[i].Categorical, Categories: len(columns[i].Categories),
		})
	}
	model, err := e.worker.Train(ctx, header, func(w *mlclient.RowWriter) error {
		return enc.Each(ctx, src, part, w.Write)
	}, progress)
	if err != nil {
		return nil, err
	}
	state, err := boosted.State(model.Text, columns)
	if err != nil {
		return nil, &decision.Error{
			Kind: decision.KindUnavailable, Op: "engine.growTrees", Err: err,
			Msg: "the ML worker (ML_WORKER_URL) answered with a model that cannot be read; the model is as it was",
		}
	}
	return state, nil
}
