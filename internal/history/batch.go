package history

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Batch gathers what one log entry changes. Its methods are called on the apply
// goroutine, between Begin and Commit.
type Batch struct {
	store  *Store
	image  *image
	limits *Limits
	index  uint64
	at     int64
	seq    uint32 // of the next interaction
	states uint32 // number of the next state
	err    error

	writes    *pebble.Batch
	customers []customerKey // of the rows in writes
	tail      []byte
	key       []byte
	jobs      []job
	changes   []func() // to what readers see of states, once committed
}

// hourMillis is how often retention by age looks at tenants without traffic.
const hourMillis = 60 * 60 * 1000

// Begin starts the entry with a log index and a time (Unix milliseconds). The
// batch is valid until its Commit, which must come before the next Begin.
func (s *Store) Begin(index uint64, at int64) *Batch {
	b := &s.batch
	im := s.image.Load()
	uncommitted := b.writes != nil
	*b = Batch{
		store: s, image: im, limits: im.limits.Load(), index: index,
		customers: b.customers[:0], tail: b.tail[:0], key: b.key[:0], jobs: b.jobs[:0], changes: b.changes[:0],
	}
	switch {
	case s.closed.Load():
		b.err = decision.Errorf(decision.KindUnavailable, "the history is closed")
	case s.Err() != nil:
		b.err = s.Err()
	case uncommitted:
		b.err = s.fail(fmt.Errorf("entry %d begins before the one before it is committed", index))
	case index <= im.applied.Load():
		b.err = s.fail(fmt.Errorf("entry %d comes again, %d is applied", index, im.applied.Load()))
	}
	if b.err != nil {
		return b
	}
	im.clock = max(im.clock, at)
	b.at = im.clock
	b.writes = im.db.NewBatch()
	if hour := b.at / hourMillis; hour != im.aged {
		im.aged = hour
		for _, t := range im.sorted() {
			b.retain(t)
		}
	}
	return b
}

// Record adds an outcome whose Class is resolved: it gives the outcome its ID,
// fills Before from the customer's summary with the offer, counts the outcome
// into that summary and keeps it with its encoded form (command.AppendOutcome),
// dropping the oldest rows that are over the limits. The strings of o may share
// memory with the entry: what is kept is copied.
//
// After a storage error it does nothing; Commit tells.
func (b *Batch) Record(tenant uint32, o *decision.Outcome, encoded []byte, impression bool) {
	if b.err != nil {
		return
	}
	t := b.image.open(tenant)
	o.ID = decision.InteractionID{Index: b.index, Seq: b.seq}
	b.seq++
	o.Before = t.contact(o, impression, b.limits)
	b.write(t.space, o, encoded)
	t.addRow(o.ID, b.at, b.limits)
	b.retain(t)
}

func (b *Batch) write(space uint32, o *decision.Outcome, encoded []byte) {
	b.tail = appendTail(b.tail[:0], o)
	op := b.writes.SetDeferred(rowKeySize, 1+len(encoded)+len(b.tail))
	appendRowKey(op.Key[:0], space, o.ID)
	op.Value[0] = rowFormat
	copy(op.Value[1:], encoded)
	copy(op.Value[1+len(encoded):], b.tail)
	b.check(op.Finish())
	var key customerKey
	appendCustomerKey(key[:0], space, hash64(o.CustomerID), o.ID)
	b.customers = append(b.customers, key)
}

// customerKey is a key of the index by customer, without a value.
type customerKey [customerKeySize]byte

// writeCustomers adds the index keys, in order: the memtable finds the place of a
// key from that of the one before it, and rows come in order already. Written
// as they come, between the rows, each key made it search from the top.
func (b *Batch) writeCustomers() {
	slices.SortFunc(b.customers, func(x, y customerKey) int { return bytes.Compare(x[:], y[:]) })
	for i := range b.customers {
		b.check(b.writes.Set(b.customers[i][:], nil, nil))
	}
}

func (b *Batch) check(err error) {
	if err != nil && b.err == nil {
		b.err = b.store.fail(err)
	}
}

func (b *Batch) retain(t *tenant) {
	t.retain(b.at, b.limits, func(s *segment) {
		b.jobs = append(b.jobs, job{kind: jobRows, space: t.space, from: s.first, to: s.last})
	})
}

// DropTenant forgets everything about a tenant. The ordinal may come back: it is
// another tenant then.
func (b *Batch) DropTenant(tenant uint32) {
	if b.err != nil {
		return
	}
	if t := b.image.drop(tenant); t != nil {
		b.jobs = append(b.jobs, job{kind: jobSpace, space: t.space})
	}
}

// PutState keeps the encoded state of a model's version. Putting a version again
// replaces it.
func (b *Batch) PutState(tenant uint32, model string, version uint64, state []byte) {
	if b.err != nil {
		return
	}
	t := b.image.open(tenant)
	ref := stateRef{version: version, id: decision.InteractionID{Index: b.index, Seq: b.states}}
	b.states++
	b.key = appendStateKey(b.key[:0], t.space, model, ref)
	op := b.writes.SetDeferred(len(b.key), len(state))
	copy(op.Key, b.key)
	copy(op.Value, state)
	b.check(op.Finish())
	model = strings.Clone(model)
	b.changes = append(b.changes, func() { b.drop(t, model, t.putState(model, ref)) })
}

// DeleteStates forgets all states of a model.
func (b *Batch) DeleteStates(tenant uint32, model string) {
	if t := b.image.tenant(tenant); b.err == nil && t != nil {
		b.changes = append(b.changes, func() { b.drop(t, model, t.deleteStates(model)) })
	}
}

// DeleteState forgets the state of one version of a model.
func (b *Batch) DeleteState(tenant uint32, model string, version uint64) {
	if t := b.image.tenant(tenant); b.err == nil && t != nil {
		b.changes = append(b.changes, func() { b.drop(t, model, t.deleteState(model, version)) })
	}
}

func (b *Batch) drop(t *tenant, model string, refs []stateRef) {
	for _, ref := range refs {
		b.jobs = append(b.jobs, job{kind: jobKey, key: string(appendStateKey(nil, t.space, model, ref))})
	}
}

// SetLimits changes what is kept from the next entry on. What is over lower
// limits goes as new outcomes come.
func (b *Batch) SetLimits(l Limits) error {
	if err := l.Validate(); err != nil {
		return err
	}
	if b.err == nil {
		b.image.limits.Store(&l)
	}
	return nil
}

// Commit writes the entry's changes as one batch, without waiting for the disk:
// the replicated log has them. An error is final for the store.
func (b *Batch) Commit() error {
	if b.err == nil {
		b.writeCustomers()
	}
	if b.err == nil && !b.writes.Empty() {
		b.check(b.writes.Commit(pebble.NoSync))
	}
	if b.writes != nil {
		b.check(b.writes.Close())
		b.writes = nil
	}
	if b.err != nil {
		return b.err
	}
	for _, change := range b.changes {
		change()
	}
	// Only now: what is dropped in the entry that wrote it must be there to drop.
	b.image.sweep.add(b.jobs)
	b.image.applied.Store(b.index)
	return nil
}
