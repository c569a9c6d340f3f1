package cluster

import (
	"math/rand/v2"
	"sync"
	"time"
)

// waiting holds what this node proposed and has not seen applied. It is this
// node's own apply that answers a proposal, wherever the leader is: the results
// need not travel, a proposer reads its own writes, and what happened to an entry
// whose leader died is told by the log itself:
//
//   - The entry is applied here: that is the answer.
//   - An entry of a later term than the one it was sent for is applied first: it
//     never entered the log and never will, since in another term it is void.
//   - Neither within the time-out after the connection or the office was lost:
//     indeterminate.
type waiting struct {
	run     uint64 // names this run of this node
	timeout time.Duration
	visible func(index uint64) error // waits until readers see the effects

	mu      sync.Mutex
	seq     uint64
	term    uint64 // of the last entry applied
	entries map[uint64]*sentEntry
	closed  error
}

// finish is told an entry's fate, once.
type finish func(index uint64, results []any, err error)

type sentEntry struct {
	term     uint64
	finished finish
	timer    *time.Timer // of the doubt; nil: there is none
}

func newWaiting(timeout time.Duration, visible func(uint64) error) *waiting {
	return &waiting{run: rand.Uint64(), timeout: timeout, visible: visible, entries: make(map[uint64]*sentEntry)}
}

// add enters an entry that is about to be sent for term. It is refused when the
// log has moved on to a later one.
func (w *waiting) add(term uint64, f finish) (seq uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed != nil {
		return 0, unavailable("", w.closed, "this node is stopping; nothing was written")
	}
	if term < w.term {
		return 0, again(nil, "the leader of term %d has a successor; nothing was written", term)
	}
	w.seq++
	w.entries[w.seq] = &sentEntry{term: term, finished: f}
	return w.seq, nil
}

// take removes an entry; nil: it has been answered.
func (w *waiting) take(seq uint64) *sentEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.takeLocked(seq)
}

func (w *waiting) takeLocked(seq uint64) *sentEntry {
	e := w.entries[seq]
	if e == nil {
		return nil
	}
	delete(w.entries, seq)
	if e.timer != nil {
		e.timer.Stop()
	}
	return e
}

// refuse answers an entry that certainly never entered the log.
func (w *waiting) refuse(seq uint64, err error) {
	if e := w.take(seq); e != nil {
		e.finished(0, nil, err)
	}
}

// doubt notes that nobody will say any more what became of an entry; the log may.
func (w *waiting) doubt(seq uint64, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.entries[seq]
	if e == nil || e.timer != nil {
		return
	}
	e.timer = time.AfterFunc(w.timeout, func() {
		w.refuse(seq, indeterminate(cause, "the write may or may not have been accepted; a retry with the same idempotency key tells which"))
	})
}

// applied is called on the apply goroutine for every entry, in log order. A void
// one had no effect.
func (w *waiting) applied(e *envelope, void bool, results []any) {
	w.mu.Lock()
	var own *sentEntry
	if e.run == w.run {
		own = w.takeLocked(e.seq)
	}
	var lost []*sentEntry
	if e.Term > w.term {
		w.term = e.Term
		for seq, s := range w.entries {
			if s.term < e.Term {
				lost = append(lost, w.takeLocked(seq))
			}
		}
	}
	w.mu.Unlock()
	if own != nil {
		go w.answer(own, e.Index, void, results)
	}
	if len(lost) > 0 {
		go func() {
			for _, s := range lost {
				s.finished(0, nil, again(nil, "the leader changed before the write entered the log; nothing was written"))
			}
		}()
	}
}

func (w *waiting) answer(s *sentEntry, index uint64, void bool, results []any) {
	if void {
		s.finished(0, nil, again(nil, "the leader changed before the write entered the log; nothing was written"))
		return
	}
	if err := w.visible(index); err != nil {
		s.finished(0, nil, indeterminate(err, "the write is in the log, but this node could not apply it"))
		return
	}
	s.finished(index, results, nil)
}

// restored is called when a snapshot took the place of entries that this node
// has not applied: what it waits for may be among them.
func (w *waiting) restored() {
	w.all(func(*sentEntry) error {
		return indeterminate(nil, "this node was brought up to date by a snapshot, and cannot tell whether the write is in it; a retry with the same idempotency key tells")
	})
}

// close answers everything, and refuses what comes.
func (w *waiting) close(why error) {
	w.mu.Lock()
	w.closed = why
	w.mu.Unlock()
	w.all(func(*sentEntry) error {
		return indeterminate(why, "the node stopped before the write was confirmed; a retry with the same idempotency key tells whether it was accepted")
	})
}

func (w *waiting) all(err func(*sentEntry) error) {
	w.mu.Lock()
	var rest []*sentEntry
	for seq := range w.entries {
		rest = append(rest, w.takeLocked(seq))
	}
	w.mu.Unlock()
	for _, s := range rest {
		s.finished(0, nil, err(s))
	}
}
