package learners

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// trainSeed is the seed of all trainings of ours.
const trainSeed = 1

// stopwatch is a source that notes when its scans began and ended.
type stopwatch struct {
	learn.Source
	scans []time.Duration
}

// Scan implements learn.Source.
func (s *stopwatch) Scan(ctx context.Context, f func(*learn.Example) error) error {
	start := time.Now()
	err := s.Source.Scan(ctx, f)
	s.scans = append(s.scans, time.Since(start))
	return err
}

// training is what a training in this process took.
type training struct {
	view  learn.View
	total float64   // seconds
	scans []float64 // of each scan of the source, encoding and counting included
	// passes are the seconds between two reports of progress: those between the
	// last scan and the end are what the trainer did with its encoded rows.
	passes []float64
}

// trainHere trains a model in this process, as the engine does with the rows of
// its history.
func trainHere(ctx context.Context, modelType decision.ModelType, config string, src learn.Source) (training, error) {
	var t training
	kind, ok := types.Of(modelType)
	if !ok {
		return t, fmt.Errorf("no model type %s", modelType)
	}
	spec := learn.Spec{Type: modelType, Config: json.RawMessage(config)}
	watch := &stopwatch{Source: src}
	start := time.Now()
	last := start
	trained, err := kind.Train(ctx, spec, watch, learn.TrainOptions{Seed: trainSeed, Progress: func(float64) {
		now := time.Now()
		t.passes, last = append(t.passes, now.Sub(last).Seconds()), now
	}})
	if err != nil {
		return t, err
	}
	t.total = time.Since(start).Seconds()
	for _, d := range watch.scans {
		t.scans = append(t.scans, d.Seconds())
	}
	l, err := kind.Load(spec, string(trained.State))
	if err != nil {
		return t, err
	}
	t.view = l.Publish()
	return t, nil
}

// measure scores the rows of a table.
func measure(v learn.View, t *dataset.Table, rows []int) learn.Metrics {
	scored := make([]learn.Scored, 0, len(rows))
	var res learn.Result
	for _, i := range rows {
		v.Score(&learn.Request{Row: t.Rows[i]}, &res)
		scored = append(scored, learn.Scored{Score: res.Score, Positive: t.Labels[i]})
	}
	return learn.Measure(scored, learn.EvaluationHoldout)
}
