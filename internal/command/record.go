package command

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// A Record command's payload is a count, then per outcome: 1 and the
// fingerprint (8 bytes) beside an idempotency key, else 0; the outcome.

// minRecordedSize is the encoded size of an empty outcome: flag, flags, nine
// empty strings, time, two empty rows.
const minRecordedSize = 14

// Recorded is one outcome of a Record command beside its outcome.
type Recorded struct {
	Encoded     string // the outcome's binary form; shares memory with the command
	Fingerprint uint64 // 0 without an idempotency key
}

// AppendRecorded appends one outcome of a Record command.
func AppendRecorded(b []byte, o *decision.Outcome, fingerprint uint64) []byte {
	if o.IdempotencyKey == "" {
		b = append(b, 0)
	} else {
		b = wire.AppendUint64(append(b, 1), fingerprint)
	}
	return AppendOutcome(b, o)
}

// ReadRecord reads the payload of a Record command, appending to both slices.
// The strings share memory with the reader's input.
func ReadRecord(r *wire.Reader, outcomes []decision.Outcome, recorded []Recorded) ([]decision.Outcome, []Recorded) {
	n := r.Count(minRecordedSize)
	outcomes, recorded = slices.Grow(outcomes, n), slices.Grow(recorded, n)
	for range n {
		var rec Recorded
		if r.Bool() {
			rec.Fingerprint = r.Uint64()
		}
		from := r.Offset()
		outcomes = append(outcomes, decision.Outcome{})
		ReadOutcome(r, &outcomes[len(outcomes)-1])
		rec.Encoded = r.Since(from)
		recorded = append(recorded, rec)
	}
	return outcomes, recorded
}
