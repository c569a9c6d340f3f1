package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// maxEntriesInFlight bounds the log entries that were applied but are not yet
// visible. Applying waits when it is reached, the log waits for applying, and
// the API answers 503 before memory grows: at the default entry size of 128 KiB
// the mailboxes hold at most 32 MiB of outcomes' bytes.
const maxEntriesInFlight = 256

// progress follows the entries from applied to visible, in log order: an entry
// is visible when every actor it concerns has published and every entry before
// it is visible.
type progress struct {
	visible atomic.Uint64
	entries chan trackedEntry
	closed  chan struct{}

	mu   sync.Mutex
	wake chan struct{} // closed and replaced when visible rises
}

type trackedEntry struct {
	index  uint64
	passed <-chan struct{}
	done   chan struct{}
}

func newProgress() *progress {
	p := &progress{
		entries: make(chan trackedEntry, maxEntriesInFlight), closed: make(chan struct{}), wake: make(chan struct{}),
	}
	go p.run()
	return p
}

func (p *progress) run() {
	defer close(p.closed)
	for e := range p.entries {
		<-e.passed
		p.reach(e.index)
		close(e.done)
	}
}

func (p *progress) reach(index uint64) {
	p.mu.Lock()
	p.visible.Store(index)
	close(p.wake)
	p.wake = make(chan struct{})
	p.mu.Unlock()
}

// track follows one more entry; the channel is closed when it is visible. It
// waits while too many are in flight.
func (p *progress) track(index uint64, passed <-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	p.entries <- trackedEntry{index, passed, done}
	return done
}

// wait returns when the entry is visible or ctx ends.
func (p *progress) wait(ctx context.Context, index uint64) error {
	for p.visible.Load() < index {
		p.mu.Lock()
		wake := p.wake
		p.mu.Unlock()
		if p.visible.Load() >= index {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return decision.Errorf(decision.KindUnavailable, "this node has applied up to index %d; index %d did not arrive in time", p.visible.Load(), index)
		}
	}
	return nil
}

// close ends the tracking after the last entry.
func (p *progress) close() {
	close(p.entries)
	<-p.closed
}
