package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestPredictors(t *testing.T) {
	n := fresh(t)
	n.record(mixed(400)...)
	m := n.model("m", decision.LogisticRegression)
	r, err := n.Predictors(n.ctx, "t1", m.ID, PredictorOptions{Bins: 5})
	if err != nil {
		t.Fatal(err)
	}
	// A quarter of the outcomes is neutral and teaches nothing.
	if r.ModelID != m.ID || r.SampleCount != 300 || r.Positives != 100 || r.SampledFraction != 1 || len(r.Predictors) == 0 {
		t.Errorf("Predictors() = %+v of %d predictors", r.Report, len(r.Predictors))
	}
	for _, p := range r.Predictors {
		if p.PSI != nil || len(p.Bins) > 6 {
			t.Errorf("%s: PSI %v before any training, %d bins", p.Field, p.PSI, len(p.Bins))
		}
	}
	_, err = n.Predictors(n.ctx, "t1", m.ID, PredictorOptions{Bins: 1000})
	wantError(t, "Predictors() with 1000 bins", err, decision.KindBadRequest, "bins")
	_, err = n.Predictors(n.ctx, "t2", m.ID, PredictorOptions{})
	wantError(t, "Predictors() of another tenant", err, decision.KindNotFound, "")

	n.reports <- struct{}{} // another report is being made
	ctx, cancel := context.WithCancel(n.ctx)
	cancel()
	_, err = n.Predictors(ctx, "t1", m.ID, PredictorOptions{})
	wantError(t, "Predictors() whose turn does not come", err, decision.KindUnavailable, "")
	<-n.reports
}

// A sample is a share of the rows, spread over the entries and the same in every
// scan.
func TestSampledRows(t *testing.T) {
	n := fresh(t)
	for range 20 {
		n.record(mixed(500)...)
	}
	spec := learn.Spec{Type: decision.LogisticRegression}
	mr, err := n.machine.directory.model("t1", n.model("m", decision.LogisticRegression).ID)
	if err != nil {
		t.Fatal(err)
	}
	src := &sampled{source{machine: n.machine, ordinal: mr.ordinal, modelID: mr.id, spec: &spec, through: n.AppliedIndex()}, 0.1}
	scan := func() (ids []string, entries map[uint64]int) {
		entries = map[uint64]int{}
		if err := src.Scan(n.ctx, func(ex *learn.Example) error {
			ids = append(ids, fmt.Sprint(ex.ID))
			entries[ex.ID.Index]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return ids, entries
	}
	ids, entries := scan()
	again, _ := scan()
	// 7500 labelled rows; the standard deviation of the count is 26.
	if len(ids) < 620 || len(ids) > 880 || len(entries) != 20 || fmt.Sprint(ids) != fmt.Sprint(again) {
		t.Errorf("a tenth of 7500 rows has %d, of %d entries, the second time %d", len(ids), len(entries), len(again))
	}
}
