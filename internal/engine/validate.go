package engine

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evolve"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// The API's limits on a model's fields.
const (
	maxNameLength        = 255
	maxDescriptionLength = 4096
	maxObjectKeys        = 100
	maxArrayItems        = 500
)

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// checkCreate names everything wrong with the fields of a new model.
func checkCreate(f *catalogue.ModelFields) error {
	var p decision.Problems
	required(&p, "key", f.Key)
	required(&p, "name", f.Name)
	switch {
	case f.ModelType == nil:
		p.Addf("modelType", "is required")
	case !f.ModelType.Valid():
		p.Addf("modelType", "want one of %s, got %q", joinTypes(), string(*f.ModelType))
	default:
		if _, ok := types.Of(*f.ModelType); !ok {
			p.Addf("modelType", "this build does not run models of type %q", string(*f.ModelType))
		}
	}
	checkShared(&p, f)
	if err := p.Err(); err != nil {
		return err
	}
	return checkLearner(modelOf(f), f.ModelState)
}

// modelOf is the model that the fields of a create describe.
func modelOf(f *catalogue.ModelFields) *catalogue.Model {
	m := catalogue.Model{ModelType: *f.ModelType}
	return m.With(f)
}

// checkUpdate names everything wrong with a change of the model old.
func checkUpdate(old *catalogue.Model, f *catalogue.ModelFields) error {
	var p decision.Problems
	if f.Name != nil {
		required(&p, "name", f.Name)
	}
	checkShared(&p, f)
	if err := p.Err(); err != nil {
		return err
	}
	if !f.Relearns() {
		return nil
	}
	return checkLearner(old.With(f), f.ModelState)
}

// checkLearner makes the learner that the configuration and the state describe,
// to see that it can be made.
func checkLearner(m *catalogue.Model, state json.RawMessage) error {
	spec, err := specOf(m)
	if err != nil {
		return err
	}
	t, ok := types.Of(m.ModelType)
	if !ok {
		return decision.Invalid("modelType", "this build does not run models of type %q", string(m.ModelType))
	}
	if absent(state) {
		state = nil
	}
	_, err = t.New(spec, state)
	return err
}

// fits loads a learned state under a model's configuration, to see that it can
// be: a configuration that the state cannot go on under is the request's fault
// and must not become the model's. A faulted model has no state to fit.
func fits(m *catalogue.Model, c actors.Captured) error {
	if c.Fault != nil {
		return nil
	}
	spec, err := specOf(m)
	if err != nil {
		return err
	}
	t, ok := types.Of(m.ModelType)
	if !ok {
		return decision.Invalid("modelType", "this build does not run models of type %q", string(m.ModelType))
	}
	_, err = t.Load(spec, string(c.State))
	return err
}

// checkShared checks the fields that a create and an update have in common.
func checkShared(p *decision.Problems, f *catalogue.ModelFields) {
	if f.Status != nil && !f.Status.Valid() {
		p.Addf("status", "want draft, active, paused or archived, got %q", string(*f.Status))
	}
	atMost(p, "description", f.Description, maxDescriptionLength)
	atMost(p, "targetField", f.TargetField, maxNameLength)
	atMost(p, "targetSchemaKey", f.TargetSchemaKey, maxNameLength)
	atMost(p, "family", f.Family, maxNameLength)
	checkObject(p, "config", f.Config, false)
	checkObject(p, "metrics", f.Metrics, false)
	checkObject(p, "modelState", f.ModelState, true)
	checkObject(p, "learningConfig", f.LearningConfig, false)
	checkObject(p, "outcomeWeights", f.OutcomeWeights, true)
	checkObject(p, "interactionFeatures", f.InteractionFeatures, false)
	checkObject(p, "evolutionConfig", f.EvolutionConfig, false)
	if isObject(f.EvolutionConfig) {
		evolve.ReadConfig(f.EvolutionConfig, p)
	}
	checkArray(p, "predictors", f.Predictors)
	if len(f.MetricsHistory) > maxArrayItems {
		p.Addf("metricsHistory", "want at most %d items, got %d", maxArrayItems, len(f.MetricsHistory))
	}
}

func required(p *decision.Problems, path string, v *string) {
	switch {
	case v == nil:
		p.Addf(path, "is required")
	case *v == "":
		p.Addf(path, "must be 1 to %d characters", maxNameLength)
	default:
		atMost(p, path, v, maxNameLength)
	}
}

func atMost(p *decision.Problems, path string, v *string, most int) {
	if v == nil {
		return
	}
	if n := utf8.RuneCountInString(*v); n > most {
		p.Addf(path, "must be at most %d characters, got %d", most, n)
	}
}

func checkObject(p *decision.Problems, path string, raw json.RawMessage, nullable bool) {
	if raw == nil || (nullable && absent(raw)) {
		return
	}
	var object map[string]json.RawMessage
	if raw[0] != '{' {
		p.Addf(path, "want an object, got %.40s", raw)
		return
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		p.Addf(path, "%v", err)
		return
	}
	if len(object) > maxObjectKeys {
		p.Addf(path, "want at most %d keys, got %d", maxObjectKeys, len(object))
	}
}

// isObject reports whether the JSON is an object; what is not has been refused.
func isObject(raw json.RawMessage) bool {
	return len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

func checkArray(p *decision.Problems, path string, raw json.RawMessage) {
	if raw == nil {
		return
	}
	var items []json.RawMessage
	if raw[0] != '[' {
		p.Addf(path, "want an array, got %.40s", raw)
		return
	}
	if err := json.Unmarshal(raw, &items); err != nil {
		p.Addf(path, "%v", err)
		return
	}
	if len(items) > maxArrayItems {
		p.Addf(path, "want at most %d items, got %d", maxArrayItems, len(items))
	}
}

func joinTypes() string {
	names := make([]string, len(decision.ModelTypes))
	for i, t := range decision.ModelTypes {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// stateless reports whether models of a type keep nothing of what they see.
func stateless(t decision.ModelType) bool {
	entry, ok := types.Of(t)
	return ok && entry.Stateless
}

// resettable is an error for a model that has no learned state.
func resettable(m *catalogue.Model) error {
	if stateless(m.ModelType) {
		return decision.Errorf(decision.KindBadRequest, "a model of type %s has no learned state to reset", m.ModelType)
	}
	return nil
}
