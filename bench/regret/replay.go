package regret

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/praetor-engine/praetor/internal/evaluate"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// shown is one row of the log.
type shown struct {
	item       int
	cell       uint64 // the position on the page
	clicked    bool
	propensity float64
}

const (
	items     = 34
	positions = 3
	spanRows  = 500
)

// readLog reads the Open Bandit Dataset's form: gzipped CSV with the columns item_id,
// position, click and propensity_score.
func readLog(path string) ([]shown, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("regret: %w", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("regret: %s: %w", path, err)
	}
	rows, err := parseLog(z)
	if err != nil {
		return nil, fmt.Errorf("regret: %s: %w", path, err)
	}
	return rows, nil
}

func parseLog(in io.Reader) ([]shown, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, err
	}
	at := map[string]int{"item_id": -1, "position": -1, "click": -1, "propensity_score": -1}
	for i, name := range header {
		if _, wanted := at[name]; wanted {
			at[name] = i
		}
	}
	for name, i := range at {
		if i < 0 {
			return nil, fmt.Errorf("there is no column %s", name)
		}
	}
	var rows []shown
	for line := 2; ; line++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		item, err1 := strconv.Atoi(record[at["item_id"]])
		position, err2 := strconv.Atoi(record[at["position"]])
		p, err3 := strconv.ParseFloat(record[at["propensity_score"]], 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if item < 0 || item >= items || position < 1 || position > positions || !(p > 0 && p <= 1) {
			return nil, fmt.Errorf("line %d: item %d at position %d with propensity %v", line, item, position, p)
		}
		rows = append(rows, shown{item, uint64(position - 1), record[at["click"]] == "1", p})
	}
}

// estimates are what a log says of a policy.
type estimates struct {
	replay, snips evaluate.Estimate
	clicks        int // of the rows that the replay matched
}

// replay goes through a log with a policy, which learns as it goes.
func replay(ctx context.Context, s *factorial.Space, p policy, rows []shown) (estimates, error) {
	var e estimates
	c := newCounts(s)
	// Of what it serves the policy's probability is 1, of what it might have served
	// that of its draws.
	served, drawn := make([]evaluate.Sample, len(rows)), make([]evaluate.Sample, len(rows))
	for i, row := range rows {
		if i > 0 && i%spanRows == 0 {
			if err := p.learn(ctx, c.observed(), uint64(i)); err != nil {
				return e, err
			}
		}
		sample := evaluate.Sample{Propensity: row.propensity, Target: p.chance(row.cell, row.item)}
		if row.clicked {
			sample.Reward = 1
		}
		drawn[i] = sample
		sample.Target = 0
		if p.serve(row.cell, strconv.Itoa(i)) == row.item {
			sample.Target = 1
			e.clicks += int(sample.Reward)
		}
		served[i] = sample
		c.add(row.item, row.cell, row.clicked)
	}
	e.replay, e.snips = evaluate.Of(evaluate.Replay, served), evaluate.Of(evaluate.SNIPS, drawn)
	for _, x := range []*evaluate.Estimate{&e.replay, &e.snips} {
		if x.Value == nil {
			return e, fmt.Errorf("regret: %s: %s", x.Estimator, x.Reason)
		}
	}
	return e, nil
}

// replayAll goes through a log with every policy.
func replayAll(ctx context.Context, rows []shown, draws int) ([]estimates, error) {
	s, err := factorial.New(factorial.Definition{Design: factors("item", items), Context: factors("position", positions), PairModel: true})
	if err != nil {
		return nil, err
	}
	var all []estimates
	for _, p := range newPolicies(s, draws) {
		e, err := replay(ctx, s, p, rows)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
