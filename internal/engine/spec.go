package engine

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
)

// learningConfig is the part of a model's learningConfig that this engine reads.
type learningConfig struct {
	AutoLearn     bool         `json:"autoLearn"`
	Filter        learn.Filter `json:"filter"`
	LearnMode     string       `json:"learnMode"`
	LearnSchedule *string      `json:"learnSchedule"`
}

// interactionConfig is a model's interactionFeatures.
type interactionConfig struct {
	// Features names the interaction features that are inputs of the model,
	// with or without the prefix "interaction.".
	Features []string `json:"features"`
}

const interactionPrefix = "interaction."

// specOf reads a model's configuration into what its learner needs. Every
// problem is named by its path.
func specOf(m *catalogue.Model) (learn.Spec, error) {
	var p decision.Problems
	spec := learn.Spec{Type: m.ModelType, Config: m.Config}
	if m.TargetField != nil {
		spec.TargetField = *m.TargetField
	}
	spec.Predictors = readPredictors(&p, m.Predictors)
	spec.OutcomeWeights = readWeights(&p, m.OutcomeWeights)
	var lc learningConfig
	if readInto(&p, "learningConfig", m.LearningConfig, &lc) {
		spec.AutoLearn, spec.Filter = lc.AutoLearn, lc.Filter
		if readLearnMode(&p, &lc) != nil && m.ModelType == decision.ExternalEndpoint {
			p.Addf("learningConfig.learnMode", "a model of type %s cannot be trained", m.ModelType)
		}
	}
	evidence.ReadConfig(m.LearningConfig, &p)
	var ic interactionConfig
	if readInto(&p, "interactionFeatures", m.InteractionFeatures, &ic) {
		spec.InteractionInputs = readInteractionInputs(&p, ic.Features)
	}
	return spec, p.Err()
}

// evidenceOf is how a model's evidence is kept; specOf has checked it.
func evidenceOf(m *catalogue.Model) evidence.Config {
	var p decision.Problems
	return evidence.ReadConfig(m.LearningConfig, &p)
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// readInto decodes an object into v; an absent one leaves v as it is.
func readInto(p *decision.Problems, path string, raw json.RawMessage, v any) bool {
	if absent(raw) {
		return true
	}
	if err := json.Unmarshal(raw, v); err != nil {
		p.AddError(path, jsonProblem(path, err))
		return false
	}
	return true
}

// jsonProblem turns a decoding error into one that names the field's path.
func jsonProblem(path string, err error) error {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		if t.Field != "" {
			path += "." + t.Field
		}
		return decision.Invalid(path, "want %s, got a JSON %s", kindWords(t.Type.Kind().String()), t.Value)
	}
	return decision.Invalid(path, "%v", err)
}

func kindWords(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "slice":
		return "an array"
	case "map", "struct":
		return "an object"
	case "string":
		return "a string"
	}
	return "a number"
}

// readPredictors reads items that are strings or {field, selected?, importance?}.
func readPredictors(p *decision.Problems, raw json.RawMessage) []learn.Predictor {
	if absent(raw) {
		return nil
	}
	var items []json.RawMessage
	if !readInto(p, "predictors", raw, &items) {
		return nil
	}
	all := make([]learn.Predictor, len(items))
	for i, item := range items {
		path := indexed("predictors", i)
		if len(item) > 0 && item[0] == '"' {
			readInto(p, path, item, &all[i].Field)
		} else if len(item) == 0 || item[0] != '{' {
			p.Addf(path, "want a field's name or an object with a field, got %.40s", item)
			continue
		} else if !readInto(p, path, item, &all[i]) {
			continue
		}
		if all[i].Field == "" || len(all[i].Field) > maxNameLength {
			p.Addf(path+".field", "want 1 to %d characters", maxNameLength)
		}
	}
	return all
}

func readWeights(p *decision.Problems, raw json.RawMessage) map[string]float64 {
	if absent(raw) {
		return nil
	}
	weights := map[string]float64{}
	readInto(p, "outcomeWeights", raw, &weights)
	return weights
}

func readInteractionInputs(p *decision.Problems, names []string) []string {
	var all []string
	for i, name := range names {
		full := interactionPrefix + strings.TrimPrefix(name, interactionPrefix)
		if !slices.Contains(decision.InteractionFeatures, full) {
			p.Addf(indexed("interactionFeatures.features", i), "want one of %s, got %q",
				strings.Join(decision.InteractionFeatures, ", "), name)
			continue
		}
		if !slices.Contains(all, full) {
			all = append(all, full)
		}
	}
	slices.Sort(all)
	return all
}
