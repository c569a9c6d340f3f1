package learners

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
)

// The targets: the fit alone, and with reading the history.
const (
	fitTarget     = 1
	historyTarget = 3
)

// onePass is a logistic regression as the reference fits it: one pass. Our trainer
// still makes two, one without the rows held out for the metrics.
const onePass = `{"epochs":1}`

// race is one type's training against one library's.
type race struct {
	kind          decision.ModelType
	config, fit   string
	part          string  // what compares with the library's fit
	from, to      float64 // its share of the progress
	library       fitted
	theirs, fits  []float64
	whole, engine []float64
	model         string
}

// races tells the comparable part of a training by the shares of the work that
// the trainers report: the pass over all rows comes after 0.65 of a logistic
// training of one pass, and makes it 0.825; counting is from 0.3 to 0.8 of a
// bayesian one.
func races() []*race {
	return []*race{
		{
			kind: decision.LogisticRegression, config: onePass, fit: "sgd",
			part: "one pass over all rows, encoded", from: 0.65, to: 0.825,
		},
		{
			kind: decision.Bayesian, fit: "naive_bayes",
			part: "counting all rows, and a second model without those held out; binning them is part of it", from: 0.3, to: 0.8,
		},
	}
}

// throughput measures trainings on simulated interactions, in this process from
// rows in memory and in an engine from its history.
func (m *measurement) throughput(ctx context.Context) (_ *section, err error) {
	data, outcomes, err := newMarket(m.cfg.Rows)
	if err != nil {
		return nil, err
	}
	folder, err := m.folder("market")
	if err != nil {
		return nil, err
	}
	if err := newMatrix(data, nil).write(folder); err != nil {
		return nil, err
	}
	m.logf("  recording %d interactions", len(outcomes))
	e, err := m.startNode(ctx, "throughput", outcomes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	all := races()
	for _, r := range all {
		if r.model, err = createModel(ctx, e, r.kind, r.config); err != nil {
			return nil, err
		}
	}
	rows := every(data)
	for round := range m.Rounds {
		for _, r := range all {
			if err := r.round(ctx, m, e, folder, data, rows); err != nil {
				return nil, err
			}
		}
		m.logf("  round %d of %d", round+1, m.Rounds)
	}
	return throughputSection(all, len(rows)), nil
}

func createModel(ctx context.Context, e *bench.Engine, kind decision.ModelType, config string) (id string, err error) {
	n := client.NewModel{Key: string(kind), Name: string(kind), ModelType: string(kind)}
	if config != "" {
		n.Config = json.RawMessage(config)
	}
	model, err := e.CreateModel(ctx, n)
	return model.ID, err
}

func (r *race) round(ctx context.Context, m *measurement, e *bench.Engine, folder string, data *dataset.Table, rows []int) (err error) {
	if r.library, err = m.reference.fit(task{Fit: r.fit, Data: folder}); err != nil {
		return err
	}
	t, err := trainHere(ctx, r.kind, r.config, dataset.Source(data, rows))
	if err != nil {
		return err
	}
	took, err := trainJob(ctx, e, r.model)
	if err != nil {
		return err
	}
	r.theirs = append(r.theirs, r.library.Seconds)
	r.fits, r.whole = append(r.fits, t.between(r.from, r.to)), append(r.whole, t.total)
	r.engine = append(r.engine, took.Seconds())
	return nil
}

func throughputSection(races []*race, rows int) *section {
	s := &section{heads: []string{"type", "what", "seconds", fmt.Sprintf("to the library's fit, %d rows", rows)}}
	for _, r := range races {
		s.add(string(r.kind), r.library.Library+", the fit alone, rows encoded", seconds(r.theirs), "1")
		s.add("", "ours: "+r.part, seconds(r.fits), against(perRound(r.fits, r.theirs), fitTarget))
		s.add("", "ours: the whole training, from rows in memory", seconds(r.whole), against(perRound(r.whole, r.theirs), 0))
		s.add("", "ours: the whole training, from the engine's history", seconds(r.engine), against(perRound(r.engine, r.theirs), historyTarget))
	}
	return s
}
