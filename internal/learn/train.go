package learn

import (
	"context"
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
)

// MinHoldoutRows is how many labelled rows a training needs before a fifth of
// them is held out for the metrics; with fewer they are measured in sample.
const MinHoldoutRows = 200

// Source gives the examples of a training, in log order, as often as asked.
type Source interface {
	// Scan calls f for every example. The example is valid only during the
	// call. It stops at f's first error, or when ctx ends, and returns it.
	Scan(ctx context.Context, f func(*Example) error) error
}

// TrainOptions are the arguments of a training beside its rows.
type TrainOptions struct {
	Seed     uint64
	Progress func(done float64) // share done in [0, 1]; may be nil
}

// Report tells Progress, if there is one.
func (o *TrainOptions) Report(done float64) {
	if o.Progress != nil {
		o.Progress(done)
	}
}

// Trained is the result of a training.
type Trained struct {
	// State is the new state in the learner's binary form; nil when training
	// only evaluates and leaves the state as it is.
	State       []byte
	Metrics     Metrics
	SampleCount int // labelled rows
}

// ErrOneClass is the error of a training whose rows are all of one class or
// none.
func ErrOneClass(op string, rows, positives int) error {
	e := &decision.Error{Kind: decision.KindUnprocessable, Op: op, Reason: "insufficient_data"}
	switch {
	case rows == 0:
		e.Msg = "no interaction carries a label for this model; outcomes with a non-zero weight are needed"
	case positives == 0:
		e.Msg = fmt.Sprintf("all %d labelled interactions are negative; at least one positive is needed", rows)
	default:
		e.Msg = fmt.Sprintf("all %d labelled interactions are positive; at least one negative is needed", rows)
	}
	return e
}
