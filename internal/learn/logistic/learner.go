package logistic

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// learner implements learn.Learner. It learns by training alone, so its state is
// one immutable table, which is its view as well.
type learner struct{ table *table }

// New makes a learner from the configuration and, when not nil, a state
// {bias, weights, means}. Its error names every field at fault under "config" and
// "modelState".
func New(spec learn.Spec, state json.RawMessage) (learn.Learner, error) {
	var p decision.Problems
	readConfig(spec.Config, &p)
	t := readState(state, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &learner{t}, nil
}

// Load makes a learner from the configuration and a state that AppendState or
// Train wrote.
func Load(spec learn.Spec, state string) (learn.Learner, error) {
	var p decision.Problems
	readConfig(spec.Config, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	t, err := decodeState(state)
	if err != nil {
		return nil, err
	}
	return &learner{t}, nil
}

// Observe implements learn.Learner: single outcomes teach it nothing.
func (l *learner) Observe(*learn.Example) {}

// Publish implements learn.Learner.
func (l *learner) Publish() learn.View { return l.table }

// AppendState implements learn.Learner.
func (l *learner) AppendState(dst []byte) []byte { return l.table.append(dst) }

// StateJSON implements learn.Learner.
func (l *learner) StateJSON() (json.RawMessage, error) { return l.table.json() }
