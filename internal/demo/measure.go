package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/learn"
)

// testSet is what the models are measured on; none of it is ever an outcome.
type testSet struct {
	rows   []client.BatchRow
	offers []string // the offer shown in each row; empty for a file
	labels []bool

	requests [][]client.BatchRow // rows cut into requests, once
}

// cut returns the rows as requests of a size that the server permits.
func (t *testSet) cut() ([][]client.BatchRow, error) {
	if t.requests == nil {
		for rows, err := range chunks(t.rows) {
			if err != nil {
				return nil, err
			}
			t.requests = append(t.requests, rows)
		}
	}
	return t.requests, nil
}

// The size of one request of many rows: half of what the server permits by
// default, so that a body never reaches its limit.
const (
	maxItems = 1000
	maxBytes = 512 << 10
)

// chunks cuts items into runs of at most maxItems and about maxBytes as JSON.
func chunks[T any](items []T) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		start, size := 0, 0
		for i := range items {
			b, err := json.Marshal(&items[i])
			if err != nil {
				yield(nil, err)
				return
			}
			if i > start && (i-start == maxItems || size+len(b) > maxBytes) {
				if !yield(items[start:i], nil) {
					return
				}
				start, size = i, 0
			}
			size += len(b) + 1
		}
		if start < len(items) {
			yield(items[start:], nil)
		}
	}
}

// measure scores the test set with the model as it is now.
func (s *session) measure(ctx context.Context, e *entrant, set *testSet) (learn.Metrics, error) {
	var scored []learn.Scored
	var err error
	if e.kind.Bandit() {
		scored, err = s.scoreArms(ctx, e, set)
	} else {
		scored, err = s.scoreRows(ctx, e, set)
	}
	if err != nil {
		return learn.Metrics{}, fmt.Errorf("measuring the %s model: %w", e.title, err)
	}
	return learn.Measure(scored, learn.EvaluationHoldout), nil
}

func (s *session) scoreRows(ctx context.Context, e *entrant, set *testSet) ([]learn.Scored, error) {
	requests, err := set.cut()
	if err != nil {
		return nil, err
	}
	scored := make([]learn.Scored, 0, len(set.rows))
	for _, rows := range requests {
		batch, err := s.client.ScoreBatch(ctx, e.id, rows)
		if err != nil {
			return nil, err
		}
		if len(batch.Results) != len(rows) {
			return nil, fmt.Errorf("got %d scores for %d rows", len(batch.Results), len(rows))
		}
		for _, r := range batch.Results {
			if r.Error != nil {
				return nil, fmt.Errorf("row %d: %s", len(scored), r.Error.Message)
			}
			scored = append(scored, learn.Scored{Score: r.Score, Positive: set.labels[len(scored)]})
		}
	}
	return scored, nil
}

// arm is an arm of either bandit as its modelState shows it.
type arm struct {
	Alpha, Beta        float64
	TotalReward, Pulls float64
}

// mean returns the arm's expected reward.
func (a arm) mean() float64 {
	switch {
	case a.Alpha+a.Beta > 0:
		return a.Alpha / (a.Alpha + a.Beta)
	case a.Pulls > 0:
		return a.TotalReward / a.Pulls
	}
	return unknownArm
}

// unknownArm is the expected reward of an arm without evidence: the mean of the
// uniform prior.
const unknownArm = 0.5

// scoreArms scores each row by the expected reward of its offer's arm: a bandit's
// own score is a draw, whose noise would be measured too.
func (s *session) scoreArms(ctx context.Context, e *entrant, set *testSet) ([]learn.Scored, error) {
	m, err := s.client.ModelWithState(ctx, e.id)
	if err != nil {
		return nil, err
	}
	var state struct{ Arms map[string]arm }
	if len(m.ModelState) > 0 {
		if err := json.Unmarshal(m.ModelState, &state); err != nil {
			return nil, fmt.Errorf("modelState: %w", err)
		}
	}
	scored := make([]learn.Scored, len(set.offers))
	for i, offer := range set.offers {
		scored[i] = learn.Scored{Score: state.Arms[offer].mean(), Positive: set.labels[i]}
	}
	return scored, nil
}

// learningTable is the table that grows by a line at every checkpoint: a pair of
// AUC and log-loss for each model.
type learningTable struct {
	columns  []column
	decimals int
	last     []learn.Metrics // of each entrant, at the last checkpoint
}

func (s *session) newLearningTable(entrants []*entrant, decimals int) *learningTable {
	t := &learningTable{columns: []column{{title: "after", width: 6}}, decimals: decimals}
	width := 2*len("."+strings.Repeat("0", decimals)) + len("  ")
	under := []string{""}
	for _, e := range entrants {
		t.columns = append(t.columns, column{title: e.title, width: max(width, len(e.title))})
		under = append(under, fmt.Sprintf("%*s  %*s", -decimals-1, "AUC", decimals+1, "loss"))
	}
	s.out.heading(t.columns, under)
	return t
}

// checkpoint measures every model and writes a line.
func (s *session) checkpoint(ctx context.Context, t *learningTable, entrants []*entrant, set *testSet, done int) error {
	cells := []string{count(done)}
	t.last = t.last[:0]
	for _, e := range entrants {
		m, err := s.measure(ctx, e, set)
		if err != nil {
			return err
		}
		t.last = append(t.last, m)
		cells = append(cells, figure(m.AUC, t.decimals)+"  "+figure(m.LogLoss, t.decimals))
	}
	s.out.row(t.columns, cells...)
	return nil
}

// best returns the place of the entrant with the lowest log-loss among those
// that look at the customer.
func (t *learningTable) best(entrants []*entrant) int {
	best := -1
	for i, e := range entrants {
		if !e.kind.Bandit() && (best < 0 || t.last[i].LogLoss < t.last[best].LogLoss) {
			best = i
		}
	}
	return best
}

// figure writes a measure in decimals+1 columns, as .123, 1.23 or 12.3.
func figure(v float64, decimals int) string {
	text := fmt.Sprintf("%.*f", decimals, v)
	if rest, ok := strings.CutPrefix(text, "0."); ok {
		return "." + rest
	}
	return text[:min(len(text), decimals+1)]
}
