package evaluate

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/logistic"
)

// folds is how many parts the cross-fitting makes of the decisions.
const folds = 5

// productRows is how many decisions a product of a feature and a candidate must
// have for the reward model to have it.
const productRows = 20

// offerField is the reward model's feature that names the candidate. A client's
// field of that name would be hidden.
const offerField = "@offer"

// rewardModels has a model of the reward for each fold, fitted without it.
type rewardModels struct {
	low, span float64 // rewards are low + span·probability
	products  bool
	views     [folds]learn.View // nil: the mean of the other folds
	means     [folds]float64
	row       decision.Row
	res       learn.Result
}

func foldOf(d *Decision) int { return int(hash(d.ID) >> 32 % folds) }

// fitRewards fits the reward models.
func fitRewards(ctx context.Context, decisions []Decision) (*rewardModels, error) {
	m := &rewardModels{low: math.Inf(1)}
	high := math.Inf(-1)
	for i := range decisions {
		m.low, high = min(m.low, decisions[i].Reward), max(high, decisions[i].Reward)
	}
	m.span = high - m.low
	m.products = worthProducts(decisions)
	for fold := range folds {
		if err := m.fit(ctx, decisions, fold); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// worthProducts reports whether there are enough decisions for the products of all
// features with all candidates.
func worthProducts(decisions []Decision) bool {
	offers, fields := map[string]struct{}{}, map[string]struct{}{}
	for i := range decisions {
		d := &decisions[i]
		offers[d.Candidates[d.Choice].OfferID] = struct{}{}
		for j := range d.Row {
			fields[d.Row[j].Name] = struct{}{}
		}
		if len(offers)*len(fields)*productRows > len(decisions) {
			return false
		}
	}
	return len(fields) > 0
}

func (m *rewardModels) fit(ctx context.Context, decisions []Decision, fold int) error {
	total, n := 0.0, 0
	for i := range decisions {
		if foldOf(&decisions[i]) != fold {
			total += decisions[i].Reward
			n++
		}
	}
	if n == 0 {
		return nil
	}
	m.means[fold] = total / float64(n)
	if m.span == 0 {
		return nil
	}
	spec := learn.Spec{Type: decision.LogisticRegression}
	trained, err := logistic.Train(ctx, spec, &foldSource{m, decisions, fold}, learn.TrainOptions{Seed: 1})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if decision.KindOf(err) == decision.KindUnprocessable {
		return nil // one class, or nothing that can be fitted: the mean serves
	}
	if err != nil {
		return err
	}
	learner, err := logistic.Load(spec, string(trained.State))
	if err != nil {
		return err
	}
	m.views[fold] = learner.Publish()
	return nil
}

// predict returns the expected reward of a candidate of a decision.
func (m *rewardModels) predict(d *Decision, candidate int) float64 {
	fold := foldOf(d)
	if m.views[fold] == nil {
		return m.means[fold]
	}
	m.row = m.features(m.row[:0], d, candidate)
	m.res.Clear()
	m.views[fold].Score(&learn.Request{Row: m.row}, &m.res)
	return m.low + m.span*m.res.Score
}

// features appends what the reward model sees of a candidate.
func (m *rewardModels) features(dst decision.Row, d *Decision, candidate int) decision.Row {
	c := &d.Candidates[candidate]
	dst = decision.AppendMerged(dst, d.Row, c.Row)
	if m.products {
		for _, f := range dst[:len(dst):len(dst)] {
			switch f.Kind {
			case decision.Number, decision.Bool:
				dst = append(dst, decision.Field{Name: f.Name + "@" + c.OfferID, Num: f.Num, Kind: f.Kind})
			case decision.Text:
				dst = append(dst, decision.Field{Name: f.Name + "@", Text: c.OfferID + "@" + f.Text, Kind: decision.Text})
			}
		}
	}
	dst = append(dst, decision.Field{Name: offerField, Text: c.OfferID, Kind: decision.Text})
	// The logistic regression has no weight for a name with "=".
	dst = slices.DeleteFunc(dst, func(f decision.Field) bool { return strings.Contains(f.Name, "=") })
	return dst.Sort()
}

// foldSource gives the decisions outside of a fold as examples. A reward between
// the least and the greatest is a positive and a negative that share its weight.
type foldSource struct {
	models    *rewardModels
	decisions []Decision
	fold      int
}

// Scan gives the examples.
func (s *foldSource) Scan(ctx context.Context, f func(*learn.Example) error) error {
	var row decision.Row
	for i := range s.decisions {
		if i&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		d := &s.decisions[i]
		if foldOf(d) == s.fold {
			continue
		}
		row = s.models.features(row[:0], d, d.Choice)
		share := (d.Reward - s.models.low) / s.models.span
		ex := learn.Example{ID: decision.InteractionID{Index: uint64(i + 1)}, Row: row, At: d.At}
		for _, part := range [...]struct {
			positive bool
			weight   float64
		}{{true, share}, {false, 1 - share}} {
			if part.weight <= 0 {
				continue
			}
			ex.Positive, ex.Weight = part.positive, part.weight
			if err := f(&ex); err != nil {
				return err
			}
		}
	}
	return nil
}
