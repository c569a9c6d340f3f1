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

// training is what a training in this process took, in seconds.
type training struct {
	view    learn.View
	total   float64
	reports []report
}

// report is a report of progress: the share done, and when.
type report struct{ share, at float64 }

// between returns the time from the first report of one share of the work to the
// first of another, 0 when there are none.
func (t *training) between(from, to float64) float64 {
	at := func(share float64) (float64, bool) {
		for _, r := range t.reports {
			if r.share >= share {
				return r.at, true
			}
		}
		return 0, false
	}
	begin, begun := at(from)
	end, ended := at(to)
	if !begun || !ended {
		return 0
	}
	return end - begin
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
	start := time.Now()
	trained, err := kind.Train(ctx, spec, src, learn.TrainOptions{Seed: trainSeed, Progress: func(done float64) {
		t.reports = append(t.reports, report{done, time.Since(start).Seconds()})
	}})
	if err != nil {
		return t, err
	}
	t.total = time.Since(start).Seconds()
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
