// Package types is the table of model types: how each one's learner is made,
// loaded, checked and trained. It is the only place that lists the learners.
package types

import (
	"context"
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Type is what the engine needs to know of one model type.
type Type struct {
	// New makes a learner from the configuration and, when not nil, a state in
	// the API's shape. Its errors name the fields at fault under "config" and
	// "modelState".
	New func(spec learn.Spec, state json.RawMessage) (learn.Learner, error)
	// Load makes a learner from the configuration and a binary state.
	Load func(spec learn.Spec, state string) (learn.Learner, error)
	// Train fits the model; nil for types that cannot be trained.
	Train func(ctx context.Context, spec learn.Spec, src learn.Source, opts learn.TrainOptions) (learn.Trained, error)
	// AlwaysLearns tells that every outcome changes the learned state;
	// AutoLearns that it does where learningConfig.autoLearn is set.
	AlwaysLearns, AutoLearns bool
	// Stateless tells that there is no learned state to reset.
	Stateless bool
	// Redact returns a configuration as it may be shown, with placeholders for
	// its secrets; KeepSecrets returns an updated one with the stored secrets
	// where it has these placeholders. Both nil: there are no secrets.
	Redact      func(config json.RawMessage) json.RawMessage
	KeepSecrets func(stored, updated json.RawMessage) (json.RawMessage, error)
}

// Learns reports whether outcomes change the state of a model with this spec.
func (t *Type) Learns(spec *learn.Spec) bool {
	return t.AlwaysLearns || (t.AutoLearns && spec.AutoLearn)
}

// Of returns the entry of a model type; ok is false for types this engine cannot
// run yet.
func Of(t decision.ModelType) (*Type, bool) {
	e, ok := table[t]
	return e, ok
}
