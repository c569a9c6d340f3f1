package learn

import (
	"encoding/json"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Spec is everything a model's owner configured that its learner needs.
type Spec struct {
	Type           decision.ModelType
	Config         json.RawMessage // the API's config object; nil is {}
	Predictors     []Predictor     // none: every attribute is a predictor
	TargetField    string          // never a predictor
	OutcomeWeights map[string]float64
	AutoLearn      bool // learningConfig.autoLearn
	Filter         Filter
	// InteractionInputs names the interaction features that are model inputs,
	// such as "interaction.positiveRate".
	InteractionInputs []string
}

// Predictor is one input field.
type Predictor struct {
	Field      string   `json:"field"`
	Selected   *bool    `json:"selected,omitempty"` // nil is true
	Importance *float64 `json:"importance,omitempty"`
}

// Filter narrows what a model learns from; an empty list permits all.
type Filter struct {
	OfferIDs    []string `json:"offerIds,omitempty"`
	CategoryIDs []string `json:"categoryIds,omitempty"`
	ChannelIDs  []string `json:"channelIds,omitempty"`
	ModelIDOnly bool     `json:"modelIdOnly,omitempty"`
}

// Uses reports whether field is an input of the model: not the target, and
// among the selected predictors where there are any. It is for set-up, not for
// the hot path: learners compile it into their feature tables.
func (s *Spec) Uses(field string) bool {
	if field == s.TargetField && field != "" {
		return false
	}
	if slices.Contains(s.InteractionInputs, field) {
		return true
	}
	selected := false // whether any predictor is listed and selected
	for i := range s.Predictors {
		p := &s.Predictors[i]
		if p.Selected != nil && !*p.Selected {
			if p.Field == field {
				return false
			}
			continue
		}
		if p.Field == field {
			return true
		}
		selected = true
	}
	return !selected
}

// Admits reports whether the model (of the given id) learns from the outcome.
func (s *Spec) Admits(modelID string, o *decision.Outcome) bool {
	f := &s.Filter
	switch {
	case f.ModelIDOnly && o.ModelID != modelID:
		return false
	case len(f.OfferIDs) > 0 && !slices.Contains(f.OfferIDs, o.OfferID):
		return false
	case len(f.CategoryIDs) > 0 && !slices.Contains(f.CategoryIDs, o.CategoryID):
		return false
	case len(f.ChannelIDs) > 0 && !slices.Contains(f.ChannelIDs, o.ChannelID):
		return false
	}
	return true
}

// Label returns the outcome's label and weight under the model's outcome
// weights; ok is false when the outcome teaches nothing. Without weights a
// positive outcome is +1, a negative one −1 and a neutral one is ignored; with
// weights the sign is the label, the magnitude the weight, and 0 or an outcome
// that is not listed is ignored.
func (s *Spec) Label(o *decision.Outcome) (positive bool, weight float64, ok bool) {
	if s.OutcomeWeights == nil {
		return o.Class == decision.Positive, 1, o.Class != decision.Neutral
	}
	w := s.OutcomeWeights[o.Type]
	if w < 0 {
		return false, -w, true
	}
	return true, w, w > 0
}

// Example fills ex from the outcome when the model learns from it. scratch is
// the memory of the merged row, to be passed again.
func (s *Spec) Example(modelID string, o *decision.Outcome, ex *Example, scratch *decision.Row) bool {
	positive, weight, ok := s.Label(o)
	if !ok || !s.Admits(modelID, o) {
		return false
	}
	row := o.Attributes
	if len(o.Context) > 0 || len(s.InteractionInputs) > 0 {
		*scratch = decision.AppendMerged((*scratch)[:0], o.Attributes, o.Context)
		if len(s.InteractionInputs) > 0 {
			*scratch = o.Before.AppendFeatures(*scratch, s.InteractionInputs, o.At).Sort()
		}
		row = *scratch
	}
	*ex = Example{
		ID: o.ID, Row: row, CustomerID: o.CustomerID, OfferID: o.OfferID, CategoryID: o.CategoryID,
		ChannelID: o.ChannelID, At: o.At, Positive: positive, Weight: weight,
	}
	return true
}
