package demo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/simulator"
)

// shownExplanations is how many parts of a score are printed.
const shownExplanations = 6

// printRanking ranks the offers for the last visitor with the model that ended
// with the lowest log-loss, beside the truth, and explains the first place.
func (m *market) printRanking(ctx context.Context) error {
	model := m.entrants[m.table.best(m.entrants)]
	v := m.truth.Visitor(simulator.Play, m.visitors-1)
	ranking, err := m.rank(ctx, model, &v, m.truth.Shuffled(&v))
	if err != nil {
		return fmt.Errorf("ranking with the %s model: %w", model.title, err)
	}
	m.out.title("One customer, ranked by the " + model.title + " model (the lowest log-loss)")
	m.out.note("%s at the channel %s: %s.", v.Customer.ID(), v.Channel.ID, describe(v.Customer.Attributes()))
	m.out.line("")
	rows := make([][]string, len(ranking.Scores))
	for i, sc := range ranking.Scores {
		o, err := m.offer(sc.OfferID)
		if err != nil {
			return err
		}
		rows[i] = []string{fmt.Sprint(i + 1), sc.OfferName, o.Category.String(), percent(sc.Score), percent(v.Probability(o)), history(sc.InteractionFeatures)}
	}
	m.out.table([]column{
		{title: "#"}, {title: "offer", left: true}, {title: "category", left: true}, {title: "score"}, {title: "truth"},
		{title: "shown before", left: true},
	}, rows)
	first, err := m.offer(ranking.Scores[0].OfferID)
	if err != nil {
		return err
	}
	row := attributes(&v, first)
	maps.Copy(row, v.Context())
	return m.explain(ctx, model, row, "Why "+first.Name+" comes first")
}

// explain prints the largest parts of a row's score.
func (s *session) explain(ctx context.Context, e *entrant, row object, title string) error {
	result, err := s.client.Score(ctx, e.id, client.ScoreRequest{Attributes: row})
	if err != nil {
		return fmt.Errorf("explaining with the %s model: %w", e.title, err)
	}
	s.out.title(title + " (score " + percent(result.Score) + ")")
	parts := slices.DeleteFunc(result.Explanations, func(x client.Explanation) bool { return weight(x) == 0 })
	slices.SortStableFunc(parts, func(a, b client.Explanation) int {
		return cmp.Compare(math.Abs(weight(b)), math.Abs(weight(a)))
	})
	rest, sum := 0.0, 0.0
	rows := make([][]string, 0, shownExplanations+2)
	for i, x := range parts {
		sum += weight(x)
		if i >= shownExplanations {
			rest += weight(x)
			continue
		}
		rows = append(rows, []string{x.Field + x.Rule, valueOf(row, x.Field), fmt.Sprintf("%+.2f", weight(x))})
	}
	if n := len(parts) - shownExplanations; n > 0 {
		rows = append(rows, []string{fmt.Sprintf("%d more", n), "", fmt.Sprintf("%+.2f", rest)})
	}
	rows = append(rows, []string{"starting point", "", fmt.Sprintf("%+.2f", starting(&result, sum))})
	s.out.table([]column{
		{title: "because of", left: true}, {title: "value", left: true}, {title: unit(&result)},
	}, rows)
	return nil
}

// starting is what the score's parts, which add up to sum, were added to: a
// scorecard's base or the log-odds that the model starts from.
func starting(r *client.ScoreResult, sum float64) float64 {
	if r.RawScore != nil {
		return *r.RawScore - sum
	}
	p := min(max(r.Score, 1e-9), 1-1e-9) // keeps the logarithm finite
	return math.Log(p/(1-p)) - sum
}

// weight is a part's contribution, or the points of a rule that matched.
func weight(x client.Explanation) float64 {
	if x.Matched {
		return x.Points
	}
	return x.Contribution
}

func unit(r *client.ScoreResult) string {
	if r.RawScore != nil {
		return "points"
	}
	return "log-odds"
}

// valueOf is the value of a part's field. A model may name one value of a
// category as "field=value"; the value is then in the name.
func valueOf(row object, field string) string {
	if v, ok := row[field]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// describe writes a customer's attributes in one line, by name.
func describe(attributes object) string {
	parts := make([]string, 0, len(attributes))
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		parts = append(parts, fmt.Sprintf("%s %v", name, attributes[name]))
	}
	return strings.Join(parts, ", ")
}

func history(f *client.InteractionFeatures) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%d×, %d accepted", max(f.Impressions, f.Positives+f.Negatives), f.Positives)
}

func percent(p float64) string { return fmt.Sprintf("%.1f %%", 100*p) }
