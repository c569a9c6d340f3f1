package engine

import (
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// applyRecord records the outcomes of one request, each by itself.
func (m *machine) applyRecord(ctx *entryContext, h *command.Header, r *wire.Reader) any {
	outcomes, recorded := command.ReadRecord(r, nil, nil)
	if err := r.Close(); err != nil {
		return &reply{err: &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the outcomes cannot be read", Err: err}}
	}
	t := m.tenants[h.Tenant]
	if t == nil {
		return &reply{err: decision.Errorf(decision.KindNotFound, "tenant %q does not exist", h.Tenant)}
	}
	if len(t.batch) == 0 {
		ctx.tenants = append(ctx.tenants, t)
	}
	results := make([]OutcomeResult, len(outcomes))
	for i := range outcomes {
		if results[i] = m.recordOne(ctx, t, &outcomes[i], &recorded[i]); results[i].Err == nil && !results[i].Duplicate {
			t.batch = append(t.batch, outcomes[i])
		}
	}
	return &reply{value: results}
}

func (m *machine) recordOne(ctx *entryContext, t *tenantRuntime, o *decision.Outcome, rec *command.Recorded) OutcomeResult {
	var key catalogue.AnswerKey
	if o.IdempotencyKey != "" {
		key = catalogue.KeyOf(t.Ordinal, "outcome", o.IdempotencyKey)
		first, err := m.catalogue.Answers().Find(key, rec.Fingerprint, ctx.at)
		if err != nil {
			return OutcomeResult{Err: err}
		}
		if first != nil {
			return OutcomeResult{ID: first.ID, Classification: first.Class, At: first.RecordedFor, Duplicate: true}
		}
	}
	class, impression, ok := m.catalogue.ResolveOutcome(t.ID, o.Type)
	if !ok {
		return OutcomeResult{Err: errUnknownOutcome(o.Type)}
	}
	o.Class = class
	ctx.batch.Record(t.Ordinal, o, []byte(rec.Encoded), impression)
	m.catalogue.CountOutcome(t.ID, o)
	m.follow(ctx, t, o)
	if o.IdempotencyKey != "" {
		m.catalogue.Answers().Add(&catalogue.Answer{
			Key: key, Tenant: t.Ordinal, Fingerprint: rec.Fingerprint, At: ctx.at,
			ID: o.ID, Class: class, RecordedFor: decision.Time(o.At),
		})
	}
	return OutcomeResult{ID: o.ID, Classification: class, At: decision.Time(o.At)}
}

func errUnknownOutcome(key string) error {
	return decision.Invalid("outcome", "want the key of an outcome type, got %q", key)
}
