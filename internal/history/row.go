package history

import (
	"fmt"
	"math"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// A row on disk:
//
//	format     1 byte   rowFormat
//	outcome    as in the log, see command.AppendOutcome
//	resolved   1 byte   bits 0–1: classification; bit 2: a summary follows
//	summary    impressions, positives, negatives as uvarints, last contact as a
//	           varint; only when flagged
const (
	rowFormat     = 1
	classMask     = 3
	flagBefore    = 4
	resolvedFlags = classMask | flagBefore
)

// appendTail appends what applying an outcome added to it.
func appendTail(b []byte, o *decision.Outcome) []byte {
	resolved := byte(o.Class) & classMask
	if o.Before.IsZero() {
		return append(b, resolved)
	}
	b = append(b, resolved|flagBefore)
	b = wire.AppendUvarint(b, uint64(o.Before.Impressions))
	b = wire.AppendUvarint(b, uint64(o.Before.Positives))
	b = wire.AppendUvarint(b, uint64(o.Before.Negatives))
	return wire.AppendVarint(b, o.Before.LastContactAt)
}

// readRow reads a row into o, whose rows' memory is reused. The strings of o
// share memory with value.
func readRow(value string, id decision.InteractionID, o *decision.Outcome) error {
	r := wire.NewReader(value)
	if format := r.Byte(); r.Err() == nil && format != rowFormat {
		return fmt.Errorf("%w: row format %d, want %d", wire.ErrCorrupt, format, rowFormat)
	}
	command.ReadOutcome(&r, o)
	readTail(&r, o)
	o.ID = id
	return r.Close()
}

func readTail(r *wire.Reader, o *decision.Outcome) {
	resolved := r.Byte()
	o.Class = decision.Classification(resolved & classMask)
	if resolved&^byte(resolvedFlags) != 0 || o.Class > decision.Negative {
		r.Fail("unknown resolution %#x", resolved)
		return
	}
	if resolved&flagBefore != 0 {
		o.Before = readSummary(r)
	}
}

func readSummary(r *wire.Reader) decision.Summary {
	s := decision.Summary{
		Impressions: readUint32(r), Positives: readUint32(r), Negatives: readUint32(r), LastContactAt: r.Varint(),
	}
	if r.Err() == nil && s.IsZero() {
		r.Fail("summary without a contact")
	}
	return s
}

func readUint32(r *wire.Reader) uint32 {
	v := r.Uvarint()
	if v > math.MaxUint32 {
		r.Fail("%d is over 32 bits", v)
		return 0
	}
	return uint32(v)
}

// corruptRow is the error of a row that cannot be read.
func corruptRow(op string, tenant uint32, id decision.InteractionID, err error) error {
	return &decision.Error{
		Kind: decision.KindInternal, Op: op,
		Msg: fmt.Sprintf("interaction %s of tenant %d cannot be read", id, tenant), Err: err,
	}
}
