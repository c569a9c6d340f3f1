package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The answer to an idempotency key is what its first attempt came to, a refusal
// too: an attempt in doubt may reach the log after a later one was refused, when
// what refused it is no longer so, and must not take effect then.

// refusalMark begins the body of a refusal among the answers; JSON, as other
// bodies are, never begins so.
const refusalMark = 1

// refusal is an error of a command, and what its applier gave beside it.
type refusal struct {
	Kind    decision.Kind     `json:"kind"`
	Message string            `json:"message"`
	Reason  string            `json:"reason,omitempty"`
	Details []decision.Detail `json:"details,omitempty"`
	Value   json.RawMessage   `json:"value,omitempty"`
}

// refusalBody encodes a refusal for the answers; nil for an error that says
// nothing about the request: another attempt may do better.
func refusalBody(err error, value any) ([]byte, error) {
	var e *decision.Error
	if !errors.As(err, &e) {
		return nil, nil
	}
	switch e.Kind {
	case decision.KindBadRequest, decision.KindNotFound, decision.KindConflict, decision.KindUnprocessable, decision.KindForbidden:
	default:
		return nil, nil
	}
	r := refusal{Kind: e.Kind, Message: e.Msg, Reason: e.Reason, Details: e.Details}
	if value != nil {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("engine: encode a refusal: %w", err)
		}
		r.Value = raw
	}
	b, err := json.Marshal(r)
	return append([]byte{refusalMark}, b...), err
}

// asRefusal reads what an answer holds when it is one of a refusal: the error
// and the value beside it, as JSON or nil.
func asRefusal(body []byte) (value []byte, err error) {
	if len(body) == 0 || body[0] != refusalMark {
		return nil, nil
	}
	var r refusal
	if err := json.Unmarshal(body[1:], &r); err != nil {
		return nil, fmt.Errorf("engine: read the first answer: %w", err)
	}
	return r.Value, &decision.Error{Kind: r.Kind, Msg: r.Message, Reason: r.Reason, Details: r.Details}
}
