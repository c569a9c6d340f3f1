package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// The bounds of a model's fields, from the API's documentation where it names
// them.
const (
	maxName        = 255
	maxDescription = 4096
	maxObjectKeys  = 100
	maxArrayItems  = 500
)

// noFields reads a body that need not be there and has no field of its own.
func (rq *request) noFields() error {
	if err := rq.beginBody(); err != nil {
		return err
	}
	if rq.enterObject() {
		for rq.nextField() {
			rq.unknown()
		}
	}
	return rq.decoder.err()
}

// modelFields reads the body of POST (create) and PUT on models. Values are
// copied out of the body: the catalogue keeps them. What depends on the model
// type, and the enumerations, are the engine's to judge.
func (rq *request) modelFields(create bool) (catalogue.ModelFields, error) {
	var f catalogue.ModelFields
	if err := rq.beginBody(); err != nil {
		return f, err
	}
	if rq.enterObject() {
		for rq.nextField() {
			if !rq.sharedModelField(&f) && !(create && rq.createModelField(&f)) {
				rq.unknown()
			}
		}
		if create {
			rq.need("key", "name", "modelType")
		}
	}
	return f, rq.decoder.err()
}

// createModelField reads a field that only a new model may be given.
func (rq *request) createModelField(f *catalogue.ModelFields) bool {
	switch rq.key {
	case "key":
		f.Key = rq.ownText(1, maxName)
	case "modelType":
		t := decision.ModelType(*rq.ownText(0, maxName))
		f.ModelType = &t
	case "metricsHistory":
		f.MetricsHistory = rq.objects(maxArrayItems)
	default:
		return false
	}
	return true
}

// sharedModelField reads a field of both bodies.
func (rq *request) sharedModelField(f *catalogue.ModelFields) bool {
	switch rq.key {
	case "name":
		f.Name = rq.ownText(1, maxName)
	case "description":
		f.Description = rq.ownText(0, maxDescription)
	case "status":
		v := decision.Status(*rq.ownText(0, maxName))
		f.Status = &v
	case "family":
		f.Family = rq.ownText(1, maxName)
	case "targetField":
		f.TargetField = rq.ownNullable(maxName)
	case "targetSchemaKey":
		f.TargetSchemaKey = rq.ownNullable(maxName)
	case "config":
		f.Config = rq.rawObject(maxObjectKeys)
	case "predictors":
		f.Predictors = rq.rawArray(maxArrayItems)
	case "metrics":
		f.Metrics = rq.rawObject(maxObjectKeys)
	case "modelState":
		if !rq.null() { // as GET shows it where a type keeps no state
			f.ModelState = rq.rawObject(maxObjectKeys)
		}
	case "learningConfig":
		f.LearningConfig = rq.rawObject(maxObjectKeys)
	case "outcomeWeights":
		if rq.null() {
			f.OutcomeWeights = json.RawMessage("null")
		} else {
			f.OutcomeWeights = rq.rawObject(maxObjectKeys)
		}
	case "interactionFeatures":
		f.InteractionFeatures = rq.rawObject(maxObjectKeys)
	case "evolutionConfig":
		f.EvolutionConfig = rq.rawObject(maxObjectKeys)
	default:
		return false
	}
	return true
}

// ownText reads a string into memory of its own; never nil.
func (d *decoder) ownText(least, most int) *string {
	s := strings.Clone(d.str(least, most))
	return &s
}

// ownNullable reads a string or null, which is "" and clears the field.
func (d *decoder) ownNullable(most int) *string {
	s := strings.Clone(d.optionalStr(most))
	return &s
}

// objects reads an array of objects as they are.
func (d *decoder) objects(most int) []json.RawMessage {
	if !d.enterArray() {
		return nil
	}
	out := []json.RawMessage{}
	for d.nextItem(most) {
		if o := d.rawObject(maxObjectKeys); o != nil {
			out = append(out, o)
		}
	}
	return out
}
