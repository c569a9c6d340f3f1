package arms

import (
	"context"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/learn"
)

// maxRates bounds the per-offer rates of one evaluation: metrics are kept with
// every version of a model.
const maxRates = 100

// tally counts what the rows say of one offer; the first index is 1 for the
// held-out rows.
type tally struct {
	offerID string
	rows    [2][2]int  // by label, 1 for positives
	reward  [2]float64 // weight of the positives
	pulls   [2]float64 // weight of all rows
}

// Evaluate is the training of a bandit, which learns from every outcome as it
// comes: it changes no state and measures how well an offer's own rate predicts
// its outcomes. score gives a rate's estimate from the weights of positives and
// of all rows. From learn.MinHoldoutRows rows on, the rates come from four
// fifths of the rows and the metrics from the held-out fifth. Rows without an
// offer are no part of it. Cost: one scan.
func Evaluate(ctx context.Context, src learn.Source, opts learn.TrainOptions, score func(reward, pulls float64) float64) (learn.Trained, error) {
	tallies, err := count(ctx, src)
	if err != nil {
		return learn.Trained{}, err
	}
	opts.Report(0.9)
	rows, positives := 0, 0
	for _, t := range tallies {
		for _, r := range t.rows {
			rows += r[0] + r[1]
			positives += r[1]
		}
	}
	if positives == 0 || positives == rows {
		return learn.Trained{}, learn.ErrOneClass("bandit.Train", rows, positives)
	}
	metrics := measure(tallies, rows, score)
	metrics.Offers = rates(tallies)
	opts.Report(1)
	return learn.Trained{Metrics: metrics, SampleCount: rows}, nil
}

func count(ctx context.Context, src learn.Source) ([]*tally, error) {
	index := make(map[string]*tally)
	var tallies []*tally // in order of arrival: no arithmetic in map order
	err := src.Scan(ctx, func(ex *learn.Example) error {
		if ex.OfferID == "" {
			return nil
		}
		t := index[ex.OfferID]
		if t == nil {
			t = &tally{offerID: strings.Clone(ex.OfferID)}
			index[t.offerID] = t
			tallies = append(tallies, t)
		}
		held, positive := 0, int(ex.Label())
		if ex.HeldOut() {
			held = 1
		}
		t.rows[held][positive]++
		t.pulls[held] += ex.Weight
		t.reward[held] += float64(ex.Weight * ex.Label())
		return nil
	})
	return tallies, err
}

func measure(tallies []*tally, rows int, score func(reward, pulls float64) float64) learn.Metrics {
	evaluation := learn.EvaluationInSample
	if rows >= learn.MinHoldoutRows {
		evaluation = learn.EvaluationHoldout
	}
	var scored []learn.Scored
	for _, t := range tallies {
		reward, pulls, measured := t.reward[0], t.pulls[0], t.rows[1]
		if evaluation == learn.EvaluationInSample {
			reward += t.reward[1]
			pulls += t.pulls[1]
			measured[0] += t.rows[0][0]
			measured[1] += t.rows[0][1]
		}
		s := score(reward, pulls)
		for label, n := range measured {
			for range n {
				scored = append(scored, learn.Scored{Score: s, Positive: label == 1})
			}
		}
	}
	return learn.Measure(scored, evaluation)
}

// rates returns the observed rate of the offers with the most rows, by id.
func rates(tallies []*tally) []learn.OfferRate {
	out := make([]learn.OfferRate, 0, len(tallies))
	for _, t := range tallies {
		positives := t.rows[0][1] + t.rows[1][1]
		n := positives + t.rows[0][0] + t.rows[1][0]
		out = append(out, learn.OfferRate{OfferID: t.offerID, Samples: n, Positives: positives, Rate: float64(positives) / float64(n)})
	}
	slices.SortFunc(out, func(a, b learn.OfferRate) int {
		if a.Samples != b.Samples {
			return b.Samples - a.Samples
		}
		return strings.Compare(a.OfferID, b.OfferID)
	})
	out = out[:min(len(out), maxRates)]
	slices.SortFunc(out, func(a, b learn.OfferRate) int { return strings.Compare(a.OfferID, b.OfferID) })
	return out
}
