package optimization

import (
	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/wire"
)

// Event is an exposure or a reward.
type Event struct {
	Visitor  string
	Sequence uint64 // of the optimization; 0: every one whose reward has the name
	Name     string // of the reward, where Sequence is 0
	IsReward bool
	Exposure attribution.Exposure // At 0: when it entered the log
	Reward   attribution.Reward   // likewise
	// Binds: the visitor is to get the variant again; Propensity is its own then.
	Binds      bool
	Propensity float64
	// Outcome is where to say what became of the event; nil: nowhere.
	Outcome *Outcome
}

// Outcome says what became of an event.
type Outcome uint8

// The outcomes.
const (
	Unknown   Outcome = iota // there was no optimization for it, or its model is faulted
	NoRoom                   // too much is remembered; it was not learned from
	TooLate                  // it is older than what was forgotten
	Duplicate                // its idempotency key was seen
	Accepted
)

// The flags of an event.
const (
	flagReward = 1 << iota
	flagHoldout
	flagBinds
	flagTime
	flagKey
	flagName
)

// Append appends the binary form:
//
//	flags      1 byte
//	sequence   uvarint, or the reward's name where flagged
//	visitor    length-prefixed
//	time       varint, where flagged; else the log entry's
//	key        8 bytes, where flagged
//	exposure:  variant and cell, uvarints; where it binds, its propensity, 8 bytes
//	reward:    millionths, varint
func (e *Event) Append(b []byte) []byte {
	at, key := e.Exposure.At, e.Exposure.Key
	flags := byte(0)
	if e.IsReward {
		at, key = e.Reward.At, e.Reward.Key
		flags |= flagReward
	}
	if e.Exposure.Holdout {
		flags |= flagHoldout
	}
	if e.Binds {
		flags |= flagBinds
	}
	if at != 0 {
		flags |= flagTime
	}
	if key != 0 {
		flags |= flagKey
	}
	if e.Sequence == 0 {
		flags |= flagName
	}
	b = append(b, flags)
	if e.Sequence == 0 {
		b = wire.AppendString(b, e.Name)
	} else {
		b = wire.AppendUvarint(b, e.Sequence)
	}
	b = wire.AppendString(b, e.Visitor)
	if at != 0 {
		b = wire.AppendVarint(b, at)
	}
	if key != 0 {
		b = wire.AppendUint64(b, key)
	}
	if e.IsReward {
		return wire.AppendVarint(b, int64(e.Reward.Value))
	}
	b = wire.AppendUvarint(b, uint64(e.Exposure.Variant))
	b = wire.AppendUvarint(b, e.Exposure.Cell)
	if e.Binds {
		b = wire.AppendFloat(b, e.Propensity)
	}
	return b
}

// ReadEvents reads events to the end; those without a time happened at now. Their
// strings share memory with the reader's input.
func ReadEvents(r *wire.Reader, now int64) []Event {
	var events []Event
	for r.Len() > 0 {
		events = append(events, readEvent(r, now))
	}
	return events
}

func readEvent(r *wire.Reader, now int64) (e Event) {
	flags := r.Byte()
	e.IsReward, e.Binds = flags&flagReward != 0, flags&flagBinds != 0
	if flags&flagName != 0 {
		e.Name = r.String()
		if !e.IsReward {
			r.Fail("an exposure of no optimization")
		}
	} else if e.Sequence = r.Uvarint(); e.Sequence == 0 {
		r.Fail("an event of optimization 0")
	}
	e.Visitor = r.String()
	at, key := now, uint64(0)
	if flags&flagTime != 0 {
		at = r.Varint()
	}
	if flags&flagKey != 0 {
		key = r.Uint64()
	}
	if e.IsReward {
		e.Reward = attribution.Reward{At: at, Key: key, Value: attribution.Amount(r.Varint())}
		return e
	}
	variant := r.Uvarint()
	if variant >= factorial.MaxVariants {
		r.Fail("variant %d, want less than %d", variant, factorial.MaxVariants)
	}
	e.Exposure = attribution.Exposure{At: at, Key: key, Variant: uint16(variant), Cell: r.Uvarint(), Holdout: flags&flagHoldout != 0}
	if e.Binds {
		e.Propensity = r.Float()
	}
	return e
}
