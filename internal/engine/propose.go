package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/praetor-engine/praetor/internal/command"
)

// header makes the header of a request's command.
func (w *Write) header(kind command.Kind) *command.Header {
	return &command.Header{
		Kind: kind, Tenant: w.Principal.TenantID, RequestID: w.RequestID, KeyID: w.Principal.keyID(),
		IdempotencyKey: w.IdempotencyKey, Fingerprint: w.Fingerprint,
	}
}

// do proposes a command and returns its value, which is of the type T that its
// applier gives, or the value of the first answer to its idempotency key. Beside
// an error that the command was applied with, it is what the applier gave with it.
func do[T any](ctx context.Context, e *Engine, h *command.Header, payload any) (v T, receipt Receipt, err error) {
	b, err := command.Encode(h, payload)
	if err != nil {
		return v, receipt, err
	}
	result, err := e.node.Propose(ctx, b)
	if err != nil {
		return v, receipt, err
	}
	r, ok := result.Value.(*reply)
	if !ok {
		return v, receipt, fmt.Errorf("engine: command kind %d was answered with a %T", h.Kind, result.Value)
	}
	receipt = Receipt{Index: result.Index, Replayed: r.replayed}
	if r.err != nil {
		v, _ = r.value.(T)
		return v, receipt, r.err
	}
	if r.body != nil {
		body := r.body
		beside, refused := asRefusal(body)
		if refused != nil {
			body = beside
		}
		if body != nil {
			if err := json.Unmarshal(body, &v); err != nil {
				return v, receipt, fmt.Errorf("engine: read the first answer: %w", err)
			}
		}
		return v, receipt, refused
	}
	v, ok = r.value.(T)
	if !ok {
		return v, receipt, fmt.Errorf("engine: command kind %d gave a %T", h.Kind, r.value)
	}
	return v, receipt, nil
}
