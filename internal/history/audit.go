package history

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Entries of the audit log are kept here because they are many, are read seldom,
// and must lie beside the snapshots that count them. What they say, how they are
// chained and which there are is not this package's business: an entry is bytes
// at a position, and positions beyond what the caller knows of mean nothing.

const auditKeySize = 1 + 4 + 8

func appendAuditKey(b []byte, space uint32, position uint64) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindAudit), space)
	return binary.BigEndian.AppendUint64(b, position)
}

// PutAudit keeps an entry of a tenant's audit log at its position.
func (b *Batch) PutAudit(tenant uint32, position uint64, entry []byte) {
	if b.err != nil {
		return
	}
	t := b.image.open(tenant)
	b.key = appendAuditKey(b.key[:0], t.space, position)
	b.check(b.writes.Set(b.key, entry, nil))
}

// DropAudit forgets the entries at the positions from first to last.
func (b *Batch) DropAudit(tenant uint32, first, last uint64) {
	if t := b.image.tenant(tenant); b.err == nil && t != nil {
		b.jobs = append(b.jobs, job{
			kind: jobAudit, space: t.space, from: decision.InteractionID{Index: first}, to: decision.InteractionID{Index: last},
		})
	}
}

// OnCommit calls f when the batch is committed and readers can see what it wrote,
// before anything that it dropped is removed.
func (b *Batch) OnCommit(f func()) { b.changes = append(b.changes, f) }

// AuditEntries calls f with the entries at the positions from first to last, in
// their order or, newest first, against it, until f returns false. The entry is
// valid during the call. A position without an entry is left out.
func (s *Store) AuditEntries(ctx context.Context, tenant uint32, first, last uint64, newestFirst bool, f func(position uint64, entry string) (bool, error)) error {
	im, err := s.acquire()
	if err != nil {
		return err
	}
	defer im.done()
	t := im.tenant(tenant)
	if t == nil || first > last {
		return nil
	}
	it, err := im.db.NewIter(&pebble.IterOptions{
		LowerBound: appendAuditKey(nil, t.space, first),
		UpperBound: append(appendAuditKey(nil, t.space, last), 0),
	})
	if err != nil {
		return fmt.Errorf("history: the audit log of tenant %d: %w", tenant, err)
	}
	defer it.Close()
	begin, step := it.First, it.Next
	if newestFirst {
		begin, step = it.Last, it.Prev
	}
	n := 0
	for ok := begin(); ok; ok = step() {
		if n++; n%checkEvery == 0 {
			if err := s.interrupted(ctx); err != nil {
				return err
			}
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("history: the audit log of tenant %d: %w", tenant, err)
		}
		position := binary.BigEndian.Uint64(it.Key()[auditKeySize-8:])
		if goOn, err := f(position, unsafe.String(unsafe.SliceData(value), len(value))); err != nil || !goOn {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("history: the audit log of tenant %d: %w", tenant, err)
	}
	return ctx.Err()
}

// dropAudit removes the entries of a job.
func dropAudit(b *pebble.Batch, j *job) error {
	end := appendAuditKey(nil, j.space, j.to.Index)
	if j.to.Index < math.MaxUint64 {
		end = appendAuditKey(nil, j.space, j.to.Index+1)
	}
	return b.DeleteRange(appendAuditKey(nil, j.space, j.from.Index), end, nil)
}
