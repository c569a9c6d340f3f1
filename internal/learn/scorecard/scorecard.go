// Package scorecard scores with rules that people wrote: every rule or bin that
// applies adds its points to a base, and the sum is brought into [0, 1].
//
//	raw     = clamp(baseScore + Σ points, minScore, maxScore)
//	sigmoid = 1/(1 + e^−x), x = 6·(raw − (min+max)/2)/(max − min)
//	linear  = (raw − min)/(max − min)
//
// Nothing is learned: training only evaluates the card on the labelled rows. A
// score costs one walk over the row and the card's fields plus one comparison
// for each rule, and is exact to the rounding of the sum of the points, which are
// added field by field in the order of the names.
package scorecard

import (
	"context"
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/wire"
)

// stateVersion is the whole binary state: a card has nothing to remember.
const stateVersion = 1

// SigmoidSteepness makes the ends of the range score 1/(1+e^±3), about 0.05 and
// 0.95, as the API's definition says.
const SigmoidSteepness = 6

// Scorecard is the learner and its own view: it never changes.
type Scorecard struct {
	base, low, high float64
	linear          bool
	fields          []fieldRules // ascending names
	names           []string     // of the rules, for explanations
}

// fieldRules are the rules about one field.
type fieldRules struct {
	name  string
	rules []rule
}

// New makes a scorecard from its configuration. A scorecard keeps no state: one
// that is not empty is refused.
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var problems decision.Problems
	card := compile(spec.Config, &problems)
	if given := encode.ReadObject(state, "modelState", &problems); len(given.Keys()) > 0 {
		problems.Addf("modelState", "got %s, want none: a scorecard is all in its config", encode.Excerpt(state))
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return card, nil
}

// Load makes a scorecard from its configuration and the binary form of its empty
// state.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	r := wire.NewReader(state)
	if v := r.Byte(); v != stateVersion {
		r.Fail("state version %d, want %d", v, stateVersion)
	}
	if err := r.Close(); err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "scorecard.Load", Err: err}
	}
	return New(spec, nil)
}

// Observe learns nothing.
func (*Scorecard) Observe(*learn.Example) {}

// Publish returns the card itself.
func (s *Scorecard) Publish() learn.View { return s }

// AppendState appends the version, which is all there is.
func (*Scorecard) AppendState(dst []byte) []byte { return append(dst, stateVersion) }

// StateJSON returns nil: a scorecard keeps no state.
func (*Scorecard) StateJSON() (json.RawMessage, error) { return nil, nil }

// Score adds up the points of the row. With req.Explain there is one explanation
// for every rule and then every bin, in the order of the configuration, with the
// points that it contributed: 0 when it did not apply.
func (s *Scorecard) Score(req *learn.Request, res *learn.Result) {
	res.Clear()
	if req.Explain {
		res.Baseline, res.HasBaseline = s.base, true
		for _, name := range s.names {
			res.Explanations = append(res.Explanations, learn.Explanation{Name: name, Rule: true})
		}
	}
	raw := s.base
	row := req.Row
	for i, k := 0, 0; i < len(row) && k < len(s.fields); {
		field := &s.fields[k]
		if row[i].Name != field.name {
			if row[i].Name < field.name {
				i++
			} else {
				k++
			}
			continue
		}
		j := i + 1
		for j < len(row) && row[j].Name == field.name {
			j++
		}
		for r := range field.rules {
			rule := &field.rules[r]
			if !rule.matches(row[i:j]) {
				continue
			}
			raw += rule.points
			if req.Explain {
				e := &res.Explanations[rule.index]
				e.Matched, e.Value = true, rule.points
			}
		}
		i, k = j, k+1
	}
	raw = min(max(raw, s.low), s.high)
	res.Raw, res.HasRaw = raw, true
	res.Score = s.normalise(raw)
}

func (s *Scorecard) normalise(raw float64) float64 {
	span := s.high - s.low
	if s.linear {
		return (raw - s.low) / span
	}
	return learn.Sigmoid(SigmoidSteepness * (raw - (s.low+s.high)/2) / span)
}

// Train evaluates the card: with learn.MinHoldoutRows labelled rows or more on the
// held-out fifth, as for every model, so that figures of different models
// compare, although a card has been fitted to no row at all. The trained state is
// nil. It scans the rows once and keeps a score for each that counts.
func Train(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error) {
	const op = "scorecard.Train"
	learner, err := New(spec, nil)
	if err != nil {
		return learn.Trained{}, err
	}
	view := learner.Publish()
	var (
		all, held       []learn.Scored
		rows, positives int
		res             learn.Result
	)
	err = src.Scan(ctx, func(ex *learn.Example) error {
		view.Score(&learn.Request{Row: ex.Row, CustomerID: ex.CustomerID, OfferID: ex.OfferID}, &res)
		scored := learn.Scored{Score: res.Score, Positive: ex.Positive}
		rows++
		if ex.Positive {
			positives++
		}
		if rows < learn.MinHoldoutRows {
			all = append(all, scored) // needed only while there are fewer
		}
		if ex.HeldOut() {
			held = append(held, scored)
		}
		return nil
	})
	switch {
	case err != nil:
		return learn.Trained{}, err
	case positives == 0 || positives == rows:
		return learn.Trained{}, learn.ErrOneClass(op, rows, positives)
	}
	opts.Report(1)
	trained := learn.Trained{SampleCount: rows}
	if rows < learn.MinHoldoutRows || len(held) == 0 {
		trained.Metrics = learn.Measure(all, learn.EvaluationInSample)
	} else {
		trained.Metrics = learn.Measure(held, learn.EvaluationHoldout)
	}
	return trained, nil
}
