package catalogue

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// AnswerLifetime is how long the answer to an idempotency key is kept.
const AnswerLifetime = decision.Time(24 * 60 * 60 * 1000)

// DefaultMaxAnswerBytes bounds the answers' memory when nothing else is set:
// about two million outcomes with keys.
const DefaultMaxAnswerBytes = 256 << 20

// answerOverhead is what one answer costs beside its body: the record, its place
// in the map (key, pointer, load factor) and in the queue. Measured with one
// million answers without a body.
const answerOverhead = 160

// AnswerKey is a tenant's idempotency key: the first 16 bytes of a SHA-256, so
// that no client can make two keys meet.
type AnswerKey [16]byte

// KeyOf returns the table's key of an idempotency key. scope separates the keys
// of requests ("request") from those of single outcomes ("outcome").
func KeyOf(tenantOrdinal uint32, scope, key string) AnswerKey {
	var buf [8 + 16 + 256]byte
	b := binary.LittleEndian.AppendUint32(buf[:0], tenantOrdinal)
	b = append(b, scope...)
	b = append(b, 0)
	b = append(b, key...)
	sum := sha256.Sum256(b)
	return AnswerKey(sum[:16])
}

// Answer is the first answer to an idempotency key.
type Answer struct {
	Key         AnswerKey
	Tenant      uint32
	Fingerprint uint64        // of the request it answers
	At          decision.Time // when it was given
	// An outcome's answer.
	ID          decision.InteractionID
	Class       decision.Classification
	RecordedFor decision.Time // the outcome's time
	// A request's answer.
	Body []byte
}

func (a *Answer) size() int64 { return answerOverhead + int64(len(a.Body)) }

// Answers keeps the answers of the last 24 hours, or fewer when they need more
// memory than the bound: the oldest go first, and are counted. Answers are
// immutable.
type Answers struct {
	byKey map[AnswerKey]*Answer
	queue []*Answer // oldest first, from head on
	head  int
	bound int64

	// The figures may be read from any goroutine.
	count   atomic.Int64
	bytes   atomic.Int64
	evicted atomic.Uint64 // went before their 24 hours
}

func newAnswers() *Answers {
	return &Answers{byKey: map[AnswerKey]*Answer{}, bound: DefaultMaxAnswerBytes}
}

// limit sets the bound on the answers' memory, 0 the default.
func (a *Answers) limit(bytes int64) {
	if a.bound = bytes; bytes <= 0 {
		a.bound = DefaultMaxAnswerBytes
	}
}

// Find returns the first answer to a key as of the time at. An answer to a
// request with another fingerprint is a conflict.
func (a *Answers) Find(key AnswerKey, fingerprint uint64, at decision.Time) (*Answer, error) {
	ans := a.byKey[key]
	if ans == nil || at-ans.At >= AnswerLifetime {
		return nil, nil
	}
	if ans.Fingerprint != fingerprint {
		return nil, KeyReused()
	}
	return ans, nil
}

// KeyReused is the refusal of an idempotency key with other content than before.
func KeyReused() *decision.Error {
	return &decision.Error{
		Kind: decision.KindConflict, Reason: "idempotency_key_reused",
		Msg: "this idempotency key was used within 24 hours for a request with other content",
	}
}

// Add keeps an answer and drops what is too old or too much.
func (a *Answers) Add(ans *Answer) {
	a.push(ans)
	for a.head < len(a.queue) {
		oldest := a.queue[a.head]
		expired := ans.At-oldest.At >= AnswerLifetime
		if !expired && a.bytes.Load() <= a.bound {
			break
		}
		if a.drop(oldest) && !expired {
			a.evicted.Add(1)
		}
		a.queue[a.head] = nil
		a.head++
	}
	const compactAt = 4096
	if a.head > compactAt && a.head > len(a.queue)/2 {
		a.queue = append([]*Answer(nil), a.queue[a.head:]...)
		a.head = 0
	}
}

func (a *Answers) push(ans *Answer) {
	if old := a.byKey[ans.Key]; old != nil {
		a.bytes.Add(-old.size()) // expired; its place in the queue goes in its turn
		a.count.Add(-1)
	}
	a.byKey[ans.Key] = ans
	a.queue = append(a.queue, ans)
	a.bytes.Add(ans.size())
	a.count.Add(1)
}

// drop forgets an answer unless a newer one has its key.
func (a *Answers) drop(ans *Answer) bool {
	if a.byKey[ans.Key] != ans {
		return false
	}
	delete(a.byKey, ans.Key)
	a.bytes.Add(-ans.size())
	a.count.Add(-1)
	return true
}

func (a *Answers) dropTenant(ordinal uint32) {
	rest := make([]*Answer, 0, len(a.queue)-a.head)
	for _, ans := range a.queue[a.head:] {
		if ans.Tenant != ordinal {
			rest = append(rest, ans)
		} else {
			a.drop(ans)
		}
	}
	a.queue, a.head = rest, 0
}

// Len returns how many answers are kept.
func (a *Answers) Len() int64 { return a.count.Load() }

// Bytes returns their estimated memory.
func (a *Answers) Bytes() int64 { return a.bytes.Load() }

// Evicted counts the answers that went before their 24 hours.
func (a *Answers) Evicted() uint64 { return a.evicted.Load() }

// kept returns the queue, oldest first. It copies references only: a snapshot
// asks for it while the log waits.
func (a *Answers) kept() []*Answer { return slices.Clone(a.queue[a.head:]) }
