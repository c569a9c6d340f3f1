package cluster

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
)

// visibility follows which entries' effects readers can see. Entries become
// visible in the order of the log, each when it says so.
type visibility struct {
	index   atomic.Uint64 // everything up to here is visible
	pending chan effect
	waiting atomic.Int64 // effects in pending, or being waited for
	stop    <-chan struct{}

	mu      sync.Mutex
	waiters waiterHeap
}

type effect struct {
	index   uint64
	done    <-chan struct{}
	reached chan struct{} // closed in its turn; nil but for drain
}

// maxEffects bounds the entries applied but not visible; the apply goroutine
// waits beyond it. A machine that bounds its own work gets there first.
const maxEffects = 1024

func newVisibility(stop <-chan struct{}) *visibility {
	return &visibility{pending: make(chan effect, maxEffects), stop: stop}
}

// run makes effects visible until stop.
func (v *visibility) run() {
	for {
		select {
		case e := <-v.pending:
			if e.done != nil {
				select {
				case <-e.done:
				case <-v.stop:
					return
				}
			}
			if e.reached == nil {
				v.set(e.index)
			}
			// Only now: once it is zero, applied sets the index itself.
			v.waiting.Add(-1)
			if e.reached != nil {
				close(e.reached)
			}
		case <-v.stop:
			return
		}
	}
}

// applied notes an entry whose effects are visible when done is closed. Only the
// apply goroutine calls it, so with nothing pending it may set the index itself.
func (v *visibility) applied(index uint64, done <-chan struct{}) {
	if done == nil && v.waiting.Load() == 0 {
		v.set(index)
		return
	}
	v.waiting.Add(1)
	select {
	case v.pending <- effect{index: index, done: done}:
	case <-v.stop:
	}
}

// drain waits until everything applied so far is visible. It is called on the
// apply goroutine.
func (v *visibility) drain() {
	if v.waiting.Load() == 0 {
		return
	}
	reached := make(chan struct{})
	v.waiting.Add(1)
	select {
	case v.pending <- effect{reached: reached}:
	case <-v.stop:
		return
	}
	select {
	case <-reached:
	case <-v.stop:
	}
}

func (v *visibility) set(index uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.index.Store(index)
	for len(v.waiters) > 0 && v.waiters[0].index <= index {
		close(heap.Pop(&v.waiters).(*waiter).done)
	}
}

// wait returns once index is visible, or ctx or stop ends.
func (v *visibility) wait(ctx context.Context, index uint64) error {
	if v.index.Load() >= index {
		return nil
	}
	v.mu.Lock()
	if v.index.Load() >= index {
		v.mu.Unlock()
		return nil
	}
	w := &waiter{index: index, done: make(chan struct{})}
	heap.Push(&v.waiters, w)
	v.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		v.forget(w)
		return ctx.Err()
	case <-v.stop:
		v.forget(w)
		return errStopped
	}
}

func (v *visibility) forget(w *waiter) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w.at >= 0 {
		heap.Remove(&v.waiters, w.at)
	}
}

type waiter struct {
	index uint64
	done  chan struct{}
	at    int // in the heap; -1: taken out
}

// waiterHeap orders waiters by index, the lowest first.
type waiterHeap []*waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	w.at = len(*h)
	*h = append(*h, w)
}

func (h *waiterHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.at = -1
	return w
}
