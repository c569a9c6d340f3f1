package boosted

import (
	"encoding/json"
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// learner implements learn.Learner. It learns by training alone, so its state is
// one immutable forest, which is its view as well, and the model it came from.
type learner struct {
	state  state
	forest *forest
}

// New makes a learner from the configuration and, when not nil, a state: a dump
// with tree_info or trees, or {model, columns?}. Its error names every field at
// fault under "config" and "modelState".
func New(spec learn.Spec, raw json.RawMessage) (learn.Learner, error) {
	var p decision.Problems
	readConfig(spec.Config, &p)
	s, f := readState(raw, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &learner{s, f}, nil
}

// Load makes a learner from the configuration and a state that AppendState or
// State wrote.
func Load(spec learn.Spec, binary string) (learn.Learner, error) {
	var p decision.Problems
	readConfig(spec.Config, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	s, err := decodeState(binary)
	if err != nil {
		return nil, err
	}
	f, err := s.compile()
	if err != nil {
		return nil, fmt.Errorf("gradient_boosted state: %w", err)
	}
	return &learner{s, f}, nil
}

// State returns the binary state of a trained model: LightGBM's text and the
// columns it was trained on. Its error, of KindUnprocessable, says what is wrong
// with a text that is no model of these columns.
func State(text string, columns []Column) ([]byte, error) {
	s := state{form: formText, source: text, columns: columns}
	if _, err := s.compile(); err != nil {
		return nil, &decision.Error{
			Kind: decision.KindUnprocessable, Op: "boosted.State", Err: err,
			Msg: fmt.Sprintf("the trained model cannot be used: %v", err),
		}
	}
	return s.append(nil), nil
}

// Observe implements learn.Learner: single outcomes teach it nothing.
func (l *learner) Observe(*learn.Example) {}

// Publish implements learn.Learner.
func (l *learner) Publish() learn.View { return l.forest }

// AppendState implements learn.Learner.
func (l *learner) AppendState(dst []byte) []byte { return l.state.append(dst) }

// StateJSON implements learn.Learner.
func (l *learner) StateJSON() (json.RawMessage, error) { return l.state.json() }
