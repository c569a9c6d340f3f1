package history

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// checkEvery is how many rows a scan reads between looks at its context.
const checkEvery = 1024

// Scan calls f with every kept interaction of a tenant up to a log index,
// inclusive, in log order. The outcome, its strings and its rows are valid
// during the call only and reused for the next.
//
// It sees one state of the tenant, whatever is recorded or dropped meanwhile: the
// rows that are kept when it starts. A row that cannot be read ends it with an
// error; so do the context, Close, and f.
func (s *Store) Scan(ctx context.Context, tenant uint32, upTo uint64, f func(*decision.Outcome) error) error {
	return s.ScanFrom(ctx, tenant, 0, upTo, f)
}

// ScanFrom is Scan of what came after a log index, exclusive.
func (s *Store) ScanFrom(ctx context.Context, tenant uint32, after, upTo uint64, f func(*decision.Outcome) error) error {
	im, err := s.acquire()
	if err != nil {
		return err
	}
	defer im.done()
	t := im.tenant(tenant)
	// What is committed before the iterator is made is in it; what is dropped
	// from disk before that is under the floor read after it.
	upTo = min(upTo, im.applied.Load())
	if t == nil || after >= upTo {
		return ctx.Err()
	}
	first := decision.InteractionID{Index: after + 1}
	it, err := im.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: appendRowKey(nil, t.space, first),
		UpperBound: appendRowKey(nil, t.space, decision.InteractionID{Index: upTo + 1}),
	})
	if err != nil {
		return err
	}
	err = s.scan(ctx, t, it, f)
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (s *Store) scan(ctx context.Context, t *tenant, it *pebble.Iterator, f func(*decision.Outcome) error) error {
	var o decision.Outcome
	last := *t.floor.Load()
	n := 0
	for ok := it.SeekGE(appendRowKey(nil, t.space, after(last))); ok; ok = it.Next() {
		if n++; n%checkEvery == 0 {
			if err := s.interrupted(ctx); err != nil {
				return err
			}
		}
		id, value, err := rowAt(it)
		if err == nil {
			err = readRow(value, id, &o)
		}
		if err != nil {
			return corruptRow("history.Scan", t.ordinal, id, err)
		}
		last = id
		if err := f(&o); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return &decision.Error{
			Kind: decision.KindInternal, Op: "history.Scan", Err: err,
			Msg: fmt.Sprintf("the history of tenant %d cannot be read after interaction %s", t.ordinal, last),
		}
	}
	return ctx.Err()
}

func (s *Store) interrupted(ctx context.Context) error {
	select {
	case <-s.stop:
		return decision.Errorf(decision.KindUnavailable, "the history is closing")
	default:
		return ctx.Err()
	}
}

// rowAt returns the row an iterator stands on. The value shares the iterator's
// memory and is valid until it moves.
func rowAt(it *pebble.Iterator) (decision.InteractionID, string, error) {
	id, err := keyID(it.Key(), rowKeySize)
	if err != nil {
		return id, "", err
	}
	value, err := it.ValueAndErr()
	return id, unsafe.String(unsafe.SliceData(value), len(value)), err
}
