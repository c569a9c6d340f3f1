package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/snapshot"
)

// watchLeadership appends a barrier at the start of each term that this node
// leads. Raft's own first entry of a term is seen by no machine, so without the
// barrier an idle cluster would never show that it has caught up.
func (n *Node) watchLeadership() {
	for {
		select {
		case leads := <-n.raft.LeaderCh():
			n.log.Info().Bool("leader", leads).Uint64("term", n.raft.CurrentTerm()).Msg("leadership changed")
			if !leads {
				continue
			}
			n.beginTerm()
		case <-n.stop:
			return
		}
	}
}

// beginTerm appends the barrier of a term, for as long as this node leads.
func (n *Node) beginTerm() {
	for n.IsLeader() {
		index, err := n.sync(context.Background())
		if err == nil {
			n.barrier.CompareAndSwap(0, index)
			return
		}
		select {
		case <-time.After(retryPause):
		case <-n.failed:
			return
		case <-n.stop:
			return
		}
	}
}

// highWaterInterval is how far in time the high-water mark may lag behind. It
// costs two fsyncs each.
const highWaterInterval = 5 * time.Second

// snapshotDue is told after each entry what was applied since the last snapshot.
func (n *Node) snapshotDue(entries, bytes uint64) {
	if entries < n.cfg.SnapshotEntries && bytes < n.cfg.SnapshotBytes {
		return
	}
	select {
	case n.due <- struct{}{}:
	default:
	}
}

// housekeep takes the snapshots that are due and raises the high-water mark.
func (n *Node) housekeep() {
	tick := time.NewTicker(highWaterInterval)
	defer tick.Stop()
	earliest := time.Now().Add(n.cfg.SnapshotInterval) // for the next snapshot
	var at <-chan time.Time
	for {
		select {
		case <-n.due:
			if at == nil {
				at = time.After(time.Until(earliest))
			}
		case <-at:
			at = nil
			n.snapshotNow()
			earliest = time.Now().Add(n.cfg.SnapshotInterval)
			select {
			case <-n.due: // from before the snapshot; the next entry tells again
			default:
			}
		case <-tick.C:
			n.raiseHighWater()
		case <-n.stop:
			return
		}
	}
}

func (n *Node) snapshotNow() {
	start := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-n.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := n.Snapshot(ctx); err != nil {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, errStopped) {
			n.log.Error().Err(err).Msg("snapshot failed; the log goes on growing until one succeeds")
		}
		return
	}
	n.log.Info().Dur("took", time.Since(start)).Uint64("index", n.high.get()).Msg("snapshot taken")
}

func (n *Node) raiseHighWater() {
	err := n.high.raise(n.AppliedIndex())
	switch {
	case errors.Is(err, snapshot.ErrSync):
		n.fail(err)
	case err != nil:
		n.log.Error().Err(err).Msg("high-water mark not written")
	}
}

// changes tells any number of waiters that something changed.
type changes struct {
	mu   sync.Mutex
	next chan struct{}
}

// wait returns a channel that is closed at the next change.
func (c *changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = make(chan struct{})
	}
	return c.next
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}

// leaderChanged returns a channel that is closed when another leader, or none, is
// known.
func (n *Node) leaderChanged() <-chan struct{} { return n.leaders.wait() }

// observeLeaders wakes who waits for a leader.
func (n *Node) observeLeaders() {
	seen := make(chan raft.Observation, 1)
	n.raft.RegisterObserver(raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	}))
	n.work.Go(func() {
		for {
			select {
			case <-seen:
				n.leaders.tell()
				n.front.signal()
			case <-n.stop:
				return
			}
		}
	})
}
