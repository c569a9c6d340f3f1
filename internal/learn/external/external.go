// Package external is the learner's side of a model whose scores another system
// gives: its configuration, checked, and its fallback score. Learners do no I/O,
// so a view of it scores every row with the fallback, as if the endpoint had not
// answered; whoever scores for clients asks the endpoint itself with the
// configuration that Learner.Config returns (package internal/endpoint).
//
// Nothing is learned and nothing is kept: the state is empty, training is not
// possible, and outcomes change nothing.
package external

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/wire"
)

// stateVersion is the whole binary state.
const stateVersion = 1

// Learner is the learner and its own view: it never changes.
type Learner struct{ config *Config }

// New makes a learner from its configuration. It keeps no state: one that is not
// empty is refused.
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var p decision.Problems
	c := readConfig(spec.Config, &p)
	if given := encode.ReadObject(state, "modelState", &p); len(given.Keys()) > 0 {
		p.Addf("modelState", "got %s, want none: the endpoint keeps its own", encode.Excerpt(state))
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &Learner{c}, nil
}

// Load makes a learner from its configuration and the binary form of its empty
// state.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	r := wire.NewReader(state)
	if v := r.Byte(); v != stateVersion {
		r.Fail("state version %d, want %d", v, stateVersion)
	}
	if err := r.Close(); err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "external.Load", Err: err}
	}
	return New(spec, nil)
}

// Config returns the configuration.
func (l *Learner) Config() *Config { return l.config }

// Observe learns nothing.
func (*Learner) Observe(*learn.Example) {}

// Publish returns the learner itself.
func (l *Learner) Publish() learn.View { return l }

// AppendState appends the version, which is all there is.
func (*Learner) AppendState(dst []byte) []byte { return append(dst, stateVersion) }

// StateJSON returns nil: there is no state.
func (*Learner) StateJSON() (json.RawMessage, error) { return nil, nil }

// Score gives the fallback score.
func (l *Learner) Score(_ *learn.Request, res *learn.Result) {
	res.Clear()
	res.Score, res.Degraded = l.config.Fallback, true
}
