package engine

import (
	"context"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/predictors"
)

// PredictorOptions bound a report; what is zero has the report's default.
type PredictorOptions struct {
	Bins, Categories, MaxPredictors int
}

// PredictorReport is what the history says of a model's inputs. A large history
// is sampled.
type PredictorReport struct {
	ModelID string `json:"modelId"`
	*predictors.Report
	// SampledFraction is the share of the interactions that was read, 1 for all.
	SampledFraction float64 `json:"sampledFraction"`
}

// maxReportRows is how many interactions a report reads: more would change its
// figures by less than they are worth (an AUC of a million rows has a standard
// error near 0.001) and take the processor from scoring.
const maxReportRows = 1_000_000

// reports lets one report at a time read the history: two readers beside each
// other would only be slower.
type reports chan struct{}

func newReports() reports { return make(reports, 1) }

// Predictors measures a model's inputs against the outcomes recorded so far.
func (e *Engine) Predictors(ctx context.Context, tenant, id string, o PredictorOptions) (PredictorReport, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return PredictorReport{}, err
	}
	rec := mr.record.Load()
	spec, err := specOf(&rec.Model)
	if err != nil {
		return PredictorReport{}, err
	}
	select {
	case e.reports <- struct{}{}:
		defer func() { <-e.reports }()
	case <-ctx.Done():
		return PredictorReport{}, &decision.Error{Kind: decision.KindUnavailable, Msg: "the request ended before its turn to read the history", Err: ctx.Err()}
	}
	fraction := 1.0
	if n := e.machine.history.Count(mr.ordinal); n > maxReportRows {
		fraction = maxReportRows / float64(n)
	}
	src := &sampled{source{machine: e.machine, ordinal: mr.ordinal, modelID: id, spec: &spec, through: e.AppliedIndex()}, fraction}
	report, err := predictors.Measure(ctx, src, predictors.Options{
		Spec: &spec, TrainedAt: rec.LastTrainedAt, Now: decision.TimeOf(time.Now()),
		Bins: o.Bins, Categories: o.Categories, MaxPredictors: o.MaxPredictors,
	})
	return PredictorReport{ModelID: id, Report: report, SampledFraction: fraction}, err
}

// sampled is a source of a share of the rows, the same ones in every scan.
type sampled struct {
	source
	fraction float64
}

// Scan implements learn.Source.
func (s *sampled) Scan(ctx context.Context, f func(*learn.Example) error) error {
	if s.fraction >= 1 {
		return s.source.Scan(ctx, f)
	}
	// Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4) brings the
	// bits in which neighbours differ to the top.
	const golden = 0x9E3779B97F4A7C15
	below := uint64(s.fraction * (1 << 53))
	return s.source.Scan(ctx, func(ex *learn.Example) error {
		if ex.ID.Hash()*golden>>11 < below {
			return f(ex)
		}
		return nil
	})
}
