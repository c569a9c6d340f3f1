package engine

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// MaxOutcomes is how many outcomes one request may bring.
const MaxOutcomes = 1000

// maxIDLength bounds the ids and keys in an outcome, in characters.
const maxIDLength = 255

// maxClockAhead is how far in the future an outcome's time may lie.
const maxClockAhead = decision.Time(24 * time.Hour / time.Millisecond)

// outcomeSizeHint is about what an outcome with eight attributes needs encoded.
const outcomeSizeHint = 256

// Respond records outcomes in order, each by itself: an invalid one is an error
// in its result and the others are recorded. A non-nil error means that nothing
// was recorded, or, when it is indeterminate, that all may have been. now is
// when the request was received; an outcome without a time happened then.
func (e *Engine) Respond(ctx context.Context, w Write, now decision.Time, outcomes []OutcomeInput, dst []OutcomeResult) ([]OutcomeResult, Receipt, error) {
	if n := len(outcomes); n < 1 || n > MaxOutcomes {
		return dst, Receipt{}, decision.Invalid("outcomes", "want 1 to %d outcomes, got %d", MaxOutcomes, n)
	}
	if _, err := e.machine.directory.tenant(w.Principal.TenantID); err != nil {
		return dst, Receipt{}, err
	}
	from := len(dst)
	valid := 0
	for i := range outcomes {
		o := &outcomes[i]
		if o.At == 0 {
			o.At = int64(now)
		}
		err := checkOutcome(&o.Outcome, now)
		if err == nil {
			valid++
		}
		dst = append(dst, OutcomeResult{Err: err})
	}
	if valid == 0 {
		return dst, Receipt{}, nil
	}
	results, receipt, err := e.record(ctx, &w, outcomes, dst[from:], valid)
	if err != nil {
		return dst[:from], receipt, err
	}
	next := 0
	for i := from; i < len(dst); i++ {
		if dst[i].Err == nil {
			dst[i] = results[next]
			next++
		}
	}
	e.logOutcomes(w.Principal.TenantID, outcomes, dst[from:])
	return dst, receipt, nil
}

// record proposes the outcomes that have no error.
func (e *Engine) record(ctx context.Context, w *Write, outcomes []OutcomeInput, checked []OutcomeResult, valid int) ([]OutcomeResult, Receipt, error) {
	h := w.header(command.KindRecord)
	h.IdempotencyKey = "" // the outcomes have their own
	b := command.AppendHeader(make([]byte, 0, (valid+1)*outcomeSizeHint), h)
	b = wire.AppendUvarint(b, uint64(valid))
	for i := range outcomes {
		if checked[i].Err == nil {
			b = command.AppendRecorded(b, &outcomes[i].Outcome, outcomes[i].Fingerprint)
		}
	}
	result, err := e.node.Propose(ctx, b)
	if err != nil {
		return nil, Receipt{}, err
	}
	r, ok := result.Value.(*reply)
	if !ok {
		return nil, Receipt{}, fmt.Errorf("engine: outcomes were answered with a %T", result.Value)
	}
	receipt := Receipt{Index: result.Index}
	if r.err != nil {
		return nil, receipt, r.err
	}
	results, ok := r.value.([]OutcomeResult)
	if !ok || len(results) != valid {
		return nil, receipt, fmt.Errorf("engine: %d outcomes were answered with a %T", valid, r.value)
	}
	return results, receipt, nil
}

// checkOutcome names everything wrong with one outcome. Whether its type exists
// is for the log to decide.
func checkOutcome(o *decision.Outcome, now decision.Time) error {
	var p decision.Problems
	for _, f := range [...]struct {
		path, value string
		required    bool
	}{
		{"customerId", o.CustomerID, true},
		{"outcome", o.Type, true},
		{"offerId", o.OfferID, false},
		{"categoryId", o.CategoryID, false},
		{"channelId", o.ChannelID, false},
		{"placementId", o.PlacementID, false},
		{"modelId", o.ModelID, false},
		{"decisionId", o.DecisionID, false},
		{"idempotencyKey", o.IdempotencyKey, false},
	} {
		if f.required && f.value == "" {
			p.Addf(f.path, "is required")
		} else if len(f.value) > maxIDLength && utf8.RuneCountInString(f.value) > maxIDLength {
			p.Addf(f.path, "must be at most %d characters", maxIDLength)
		}
	}
	if at := decision.Time(o.At); at < 0 {
		p.Addf("timestamp", "want a time after 1970, got %s", at)
	} else if at > now+maxClockAhead {
		p.Addf("timestamp", "want a time at most 24 hours in the future, got %s", at)
	}
	return p.Err()
}
