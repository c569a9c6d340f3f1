package cluster

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// stallFatal is after how many stall time-outs a node whose log store hangs stops
// for good. Before that the disk may come back, and the node with it.
const stallFatal = 6

// watchdog times what Raft asks of the log store. Raft's main loop waits for the
// disk, but its heartbeats go on without it: a leader whose disk hangs without an
// error would keep its office for ever.
type watchdog struct {
	raft.LogStore
	stable  raft.StableStore
	limit   time.Duration
	stalled func(op string, times int) // told each time that limit is over
	passed  func()                     // told once when a call that was stalled returns
}

// watch begins to time a call; what it returns ends it. Each tick is armed by the
// one before, so a process that was paused counts one and not all at once.
func (w *watchdog) watch(op string) (end func()) {
	var mu sync.Mutex
	var times int
	var over bool
	var timer *time.Timer
	mu.Lock()
	timer = time.AfterFunc(w.limit, func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		times++
		w.stalled(op, times)
		timer.Reset(w.limit)
	})
	mu.Unlock()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
		if times > 0 {
			w.passed()
		}
	}
}

// StoreLog implements raft.LogStore.
func (w *watchdog) StoreLog(l *raft.Log) error {
	defer w.watch("append")()
	return w.LogStore.StoreLog(l)
}

// StoreLogs implements raft.LogStore.
func (w *watchdog) StoreLogs(logs []*raft.Log) error {
	defer w.watch("append")()
	return w.LogStore.StoreLogs(logs)
}

// DeleteRange implements raft.LogStore.
func (w *watchdog) DeleteRange(from, to uint64) error {
	defer w.watch("delete")()
	return w.LogStore.DeleteRange(from, to)
}

// Set implements raft.StableStore.
func (w *watchdog) Set(key, value []byte) error {
	defer w.watch("vote")()
	return w.stable.Set(key, value)
}

// Get implements raft.StableStore.
func (w *watchdog) Get(key []byte) ([]byte, error) { return w.stable.Get(key) }

// SetUint64 implements raft.StableStore.
func (w *watchdog) SetUint64(key []byte, v uint64) error {
	defer w.watch("vote")()
	return w.stable.SetUint64(key, v)
}

// GetUint64 implements raft.StableStore.
func (w *watchdog) GetUint64(key []byte) (uint64, error) { return w.stable.GetUint64(key) }

// storeStalled has a node whose log store hangs fall silent: as a leader it is
// replaced after a heartbeat time-out, and it stands for nothing. When the disk
// comes back it goes on as a follower; when it does not, the node stops.
func (n *Node) storeStalled(op string, times int) {
	since := time.Duration(times) * n.cfg.StallTimeout
	if times == 1 {
		n.stalls.Add(1)
		if n.net != nil {
			n.net.mute(true)
		}
		n.log.Error().Str("op", op).Dur("for", since).
			Msg("the log store hangs; this node gives up its office until it goes on")
	}
	if times == stallFatal {
		n.hung.Store(true)
		n.fail(fmt.Errorf("the log store %s hangs: %s has not returned for %v; check the disk, then start this node again", n.logs.path, op, since))
	}
}

func (n *Node) storePassed() {
	if n.stalls.Add(-1) > 0 || n.Err() != nil {
		return
	}
	n.log.Warn().Msg("the log store goes on")
	if n.net != nil {
		n.net.mute(false)
	}
}
