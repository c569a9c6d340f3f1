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
	view, err := s.OpenScan(tenant, after, upTo)
	if err != nil {
		return err
	}
	err = view.Each(ctx, f)
	if closeErr := view.Close(); err == nil {
		err = closeErr
	}
	return err
}

// ScanView is a part of a tenant's interactions as it was when OpenScan made
// it, whatever is recorded or dropped later. It is for one goroutine.
type ScanView struct {
	store *Store
	image *image
	t     *tenant
	it    *pebble.Iterator // nil: nothing to see
	floor decision.InteractionID
}

// OpenScan returns what is kept of a tenant after one log index, exclusive, up
// to another, inclusive. It must be closed.
func (s *Store) OpenScan(tenant uint32, after, upTo uint64) (*ScanView, error) {
	im, err := s.acquire()
	if err != nil {
		return nil, err
	}
	v := &ScanView{store: s, image: im, t: im.tenant(tenant)}
	upTo = min(upTo, im.applied.Load())
	if v.t == nil || after >= upTo {
		return v, nil
	}
	// What is committed before the iterator is made is in it; what is dropped
	// from disk before that is under the floor read after it.
	v.it, err = im.db.NewIter(&pebble.IterOptions{
		LowerBound: appendRowKey(nil, v.t.space, decision.InteractionID{Index: after + 1}),
		UpperBound: appendRowKey(nil, v.t.space, decision.InteractionID{Index: upTo + 1}),
	})
	if err != nil {
		im.done()
		return nil, err
	}
	v.floor = *v.t.floor.Load()
	return v, nil
}

// Close ends the view.
func (v *ScanView) Close() error {
	var err error
	if v.it != nil {
		err = v.it.Close()
	}
	v.image.done()
	return err
}

// Each calls f as Scan does.
func (v *ScanView) Each(ctx context.Context, f func(*decision.Outcome) error) error {
	if v.it == nil {
		return ctx.Err()
	}
	var o decision.Outcome
	last := v.floor
	n := 0
	for ok := v.it.SeekGE(appendRowKey(nil, v.t.space, after(last))); ok; ok = v.it.Next() {
		if n++; n%checkEvery == 0 {
			if err := v.store.interrupted(ctx); err != nil {
				return err
			}
		}
		id, value, err := rowAt(v.it)
		if err == nil {
			err = readRow(value, id, &o)
		}
		if err != nil {
			return corruptRow("history.Scan", v.t.ordinal, id, err)
		}
		last = id
		if err := f(&o); err != nil {
			return err
		}
	}
	if err := v.it.Error(); err != nil {
		return &decision.Error{
			Kind: decision.KindInternal, Op: "history.Scan", Err: err,
			Msg: fmt.Sprintf("the history of tenant %d cannot be read after interaction %s", v.t.ordinal, last),
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
