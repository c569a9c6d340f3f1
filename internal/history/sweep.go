package history

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// job is something that is dropped already, as far as readers can see, and still
// on disk.
type job struct {
	kind     jobKind
	space    uint32
	from, to decision.InteractionID // of jobRows and, as Index, of jobAudit; both inclusive
	key      string                 // of jobKey
}

type jobKind uint8

// The kinds of jobs; the numbers are in captures.
const (
	jobRows  jobKind = 1 // a segment's rows and their customers' keys
	jobSpace jobKind = 2 // everything of a space
	jobKey   jobKind = 3 // one key
	jobAudit jobKind = 4 // entries of an audit log, from and to positions
)

// sweeper removes from disk, in the background, what is dropped. While a capture
// is held, what is dropped after it stays: a checkpoint made for the capture has
// at least what the capture knows.
type sweeper struct {
	store *Store
	image *image

	mu      sync.Mutex
	changed sync.Cond
	jobs    []job // the first is in work
	later   []job // dropped while captures are held
	holds   int
	halted  bool
	running sync.WaitGroup
}

func newSweeper(s *Store, im *image) *sweeper {
	w := &sweeper{store: s, image: im}
	w.changed.L = &w.mu
	return w
}

func (w *sweeper) start() { w.running.Go(w.run) }

func (w *sweeper) halt() {
	w.mu.Lock()
	w.halted = true
	w.changed.Broadcast()
	w.mu.Unlock()
	w.running.Wait()
}

func (w *sweeper) add(jobs []job) {
	if len(jobs) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holds > 0 {
		w.later = append(w.later, jobs...)
		return
	}
	w.jobs = append(w.jobs, jobs...)
	w.changed.Broadcast()
}

// hold keeps what is dropped from now on, and returns what is dropped and still
// on disk.
func (w *sweeper) hold() []job {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds++
	return append(append([]job(nil), w.jobs...), w.later...)
}

func (w *sweeper) unhold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holds--; w.holds == 0 {
		w.jobs, w.later = append(w.jobs, w.later...), nil
		w.changed.Broadcast()
	}
}

// pending returns how many jobs are to be done.
func (w *sweeper) pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.jobs) + len(w.later)
}

func (w *sweeper) next() (job, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.jobs) == 0 && !w.halted {
		w.changed.Wait()
	}
	if w.halted {
		return job{}, false
	}
	return w.jobs[0], true
}

func (w *sweeper) finished() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs = w.jobs[1:]; len(w.jobs) == 0 {
		w.jobs = nil
		w.changed.Broadcast()
	}
}

func (w *sweeper) run() {
	for {
		j, ok := w.next()
		if !ok {
			return
		}
		if err := w.do(&j); err != nil {
			_ = w.store.fail(err)
			return
		}
		w.finished()
	}
}

func (w *sweeper) do(j *job) error {
	b := w.image.db.NewBatch()
	defer b.Close()
	var err error
	switch j.kind {
	case jobRows:
		err = w.dropRows(b, j)
	case jobSpace:
		for _, kind := range []byte{kindRow, kindCustomer, kindState, kindAudit} {
			start, end := spaceRange(kind, j.space)
			if err = b.DeleteRange(start, end, nil); err != nil {
				break
			}
		}
	case jobKey:
		err = b.Delete([]byte(j.key), nil)
	case jobAudit:
		err = dropAudit(b, j)
	}
	if err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

// dropRows reads a segment's rows for their customers: those keys lie anywhere.
func (w *sweeper) dropRows(b *pebble.Batch, j *job) error {
	start, end := appendRowKey(nil, j.space, j.from), appendRowKey(nil, j.space, after(j.to))
	it, err := w.image.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	defer it.Close()
	var o decision.Outcome
	var key []byte
	for ok := it.First(); ok; ok = it.Next() {
		id, value, err := rowAt(it)
		if err == nil {
			err = readRow(value, id, &o)
		}
		if err != nil {
			return fmt.Errorf("dropping interaction %s of space %d: %w", id, j.space, err)
		}
		key = appendCustomerKey(key[:0], j.space, hash64(o.CustomerID), id)
		if err := b.Delete(key, nil); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	return b.DeleteRange(start, end, nil)
}
