package engine

import (
	"encoding/json"
	"strconv"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/types"
)

// Offline is a model of an export, to score without an engine.
type Offline struct {
	Model   catalogue.Model
	Version uint64     // whose state it is
	View    learn.View // scores as the engine's would
	Inputs  []string   // the interaction features that are inputs
	// Adapts tells that an engine corrects its scores by evidence, which an export
	// does not have.
	Adapts bool
	// Learns tells that every outcome changed the state.
	Learns bool
}

// ReadOffline reads an export in praetor's own format. version is one that the
// export has a state of; 0 is what the model had learned when it was exported.
func ReadOffline(export []byte, version uint64) (Offline, error) {
	var x Export
	if err := json.Unmarshal(export, &x); err != nil {
		return Offline{}, jsonProblem("export", err)
	}
	if x.Format != FormatPraetor || x.FormatVersion != exportVersion {
		return Offline{}, decision.Invalid("formatVersion", "want format %s version %d, got %.40q version %d", FormatPraetor, exportVersion, string(x.Format), x.FormatVersion)
	}
	m := &x.Model
	t, ok := types.Of(m.ModelType)
	if !ok || m.ModelType == decision.ExternalEndpoint {
		return Offline{}, decision.Invalid("model.modelType", "a model of type %.40q does not score without its engine", string(m.ModelType))
	}
	spec, err := specOf(m)
	if err != nil {
		return Offline{}, err
	}
	state := x.ModelState
	if version != 0 {
		if state, err = x.stateOf(version); err != nil {
			return Offline{}, err
		}
	}
	if absent(state) {
		state = nil
	}
	learner, err := t.New(spec, state)
	if err != nil {
		return Offline{}, err
	}
	out := Offline{
		Model: *m, Version: m.Version, View: learner.Publish(), Inputs: spec.InteractionInputs,
		Adapts: evidenceOf(m).Mode != evidence.Off, Learns: version == 0 && t.Learns(&spec),
	}
	if version != 0 {
		out.Version = version
	}
	return out, nil
}

// stateOf returns the state of a version, which must be one.
func (x *Export) stateOf(version uint64) (json.RawMessage, error) {
	var kept string
	for _, v := range x.Versions {
		switch {
		case absent(v.ModelState) && !stateless(v.ModelType):
			continue
		case v.Version.Version == version && v.ModelType != x.Model.ModelType:
			return nil, decision.Errorf(decision.KindNotFound, "version %d is a %s, the model a %s", version, v.ModelType, x.Model.ModelType)
		case v.Version.Version == version:
			return v.ModelState, nil
		}
		kept += " " + strconv.FormatUint(v.Version.Version, 10)
	}
	if kept == "" {
		kept = " none"
	}
	return nil, decision.Errorf(decision.KindNotFound, "the export has no state of version %d; it has those of:%s", version, kept)
}
