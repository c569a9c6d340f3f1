package neuralcf

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// learner implements learn.Learner. It learns by training alone.
type learner struct{ view *view }

// New makes a learner from the configuration and, when not nil, a state {dim,
// hidden, users, items, w1, b1, w2, b2}. Its error names every field at fault
// under "config" and "modelState". The widths of a state are its own: those of
// the configuration are for the next training.
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var p decision.Problems
	readConfig(spec.Config, &p)
	m := readState(state, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &learner{newView(m)}, nil
}

// Load makes a learner from the configuration and a state that AppendState or
// Train wrote.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	var p decision.Problems
	readConfig(spec.Config, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	m, err := decodeState(state)
	if err != nil {
		return nil, err
	}
	return &learner{newView(m)}, nil
}

// Observe implements learn.Learner: single outcomes teach it nothing.
func (l *learner) Observe(*learn.Example) {}

// Publish implements learn.Learner.
func (l *learner) Publish() learn.View { return l.view }

// AppendState implements learn.Learner.
func (l *learner) AppendState(dst []byte) []byte { return l.view.model.append(dst) }

// StateJSON implements learn.Learner.
func (l *learner) StateJSON() (json.RawMessage, error) { return l.view.model.json() }
