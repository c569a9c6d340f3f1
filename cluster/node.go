package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/snapshot"
)

// Node is one member of the cluster.
type Node struct {
	cfg   Config
	log   zerolog.Logger
	raft  *raft.Raft
	self  *self
	net   *transport // nil: a node alone without a port
	links *links     // to the others; nil: without a port
	logs  *logStore
	snaps *snapshotStore
	high  *highWater
	fsm   *fsm
	seen  *visibility
	front *front

	waiting   *waiting
	marks     readMarks
	leaders   changes      // of the known leader
	forwarded atomic.Int64 // bytes of other nodes' entries that Raft has
	stalls    atomic.Int32 // calls of the log store that hang
	hung      atomic.Bool  // the node failed because of one

	barrier  atomic.Uint64 // index of this node's first entry as leader; 0: none
	caughtUp atomic.Bool   // latched: see Ready
	due      chan struct{} // a snapshot is due; holds one

	shutdown atomic.Pointer[func() raft.Future] // stops Raft, once; nil: it does not run
	failure  atomic.Pointer[error]
	failed   chan struct{}
	failOnce sync.Once

	stop      chan struct{} // ends the background work
	work      sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
	release   []func() error // what Close frees, in reverse
}

// Open starts a node: it checks what is on the disk, restores the machine, and
// joins or founds its cluster. It returns when the machine stands at the
// snapshot; Ready tells when it has caught up with the log.
func Open(cfg Config, m Machine, log zerolog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: log.With().Str("component", "cluster").Str("node", cfg.NodeID).Logger(),
		due: make(chan struct{}, 1), failed: make(chan struct{}), stop: make(chan struct{}),
	}
	n.seen = newVisibility(n.stop)
	n.front = newFront(&n.cfg, n, n.stop)
	n.waiting = newWaiting(cfg.WriteTimeout, func(index uint64) error { return n.seen.wait(context.Background(), index) })
	n.marks.verify = n.verifyMark
	n.fsm = &fsm{
		machine: m, level: cfg.Level, visible: n.seen, waiting: n.waiting, removed: n.memberRemoved,
		fail: n.fail, failed: n.Err, due: n.snapshotDue,
	}
	from, err := n.openStores()
	if err == nil {
		err = n.start(from, m)
	}
	if err != nil {
		close(n.stop)
		err = errors.Join(err, n.free())
		n.work.Wait()
		if cfg.Transport != nil {
			cfg.Transport.Close() // again, if it got that far
		}
		return nil, err
	}
	return n, nil
}

// onClose has Close call f.
func (n *Node) onClose(f func() error) { n.release = append(n.release, f) }

func (n *Node) free() error {
	var errs []error
	for i := len(n.release) - 1; i >= 0; i-- {
		errs = append(errs, n.release[i]())
	}
	n.release = nil
	return errors.Join(errs...)
}

// openStores takes the data directory and chooses what to start from.
func (n *Node) openStores() (beginning, error) {
	dir := n.cfg.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return beginning{}, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return beginning{}, err
	}
	n.onClose(lock.Close)
	if n.self, err = bindIdentity(dir, n.cfg.NodeID, foundingID(&n.cfg)); err != nil {
		return beginning{}, err
	}
	if n.high, err = openHighWater(dir); err != nil {
		return beginning{}, err
	}
	if n.logs, err = openLog(dir, false); err != nil {
		return beginning{}, err
	}
	n.onClose(n.logs.Close)
	store, err := snapshot.Open(filepath.Join(dir, snapshotsName), snapshot.Options{Retain: n.cfg.RetainSnapshots})
	if err != nil {
		return beginning{}, err
	}
	n.snaps = &snapshotStore{store: store, high: n.high, fail: n.fail}
	from, err := chooseBeginning(store, n.logs, n.high.get(), n.log)
	if err != nil {
		return beginning{}, err
	}
	n.snaps.start = from.snapshot
	n.logs.keep, n.logs.onFail = n.snaps.keepAfter, n.fail
	return from, from.checkPeers(&n.cfg, n.log)
}

// start brings the machine and Raft up.
func (n *Node) start(from beginning, m Machine) error {
	alone := from.alone(&n.cfg)
	if !alone {
		n.logs.cache = new(recordCache)
	}
	trans, local, err := n.openTransport()
	if err != nil {
		return err
	}
	store := &watchdog{LogStore: n.logs, stable: n.logs, limit: n.cfg.StallTimeout, stalled: n.storeStalled, passed: n.storePassed}
	if n.cfg.faults != nil {
		store.LogStore = n.cfg.faults(n.logs)
	}
	rc := n.raftConfig(alone)
	if from.last == 0 && len(n.cfg.Join) == 0 {
		if err := n.found(rc, store, trans, n.cfg.founders(local)); err != nil {
			return errors.Join(fmt.Errorf("found the cluster: %w", err), closeTransport(trans))
		}
	}
	if from.snapshot == "" {
		if err := m.Restore(nil); err != nil {
			return errors.Join(fmt.Errorf("restore the empty state: %w", err), closeTransport(trans))
		}
	}
	n.work.Go(n.seen.run)
	n.raft, err = raft.NewRaft(rc, n.fsm, store, store, n.snaps, trans)
	if err != nil {
		// Raft only says that no snapshot could be restored; the machine said why.
		return errors.Join(fmt.Errorf("start Raft: %w", err), n.Err(), closeTransport(trans))
	}
	// Only the future of the first Shutdown waits for Raft to end.
	shutdown := sync.OnceValue(n.raft.Shutdown)
	n.shutdown.Store(&shutdown)
	n.onClose(func() error { return shutdown().Error() })
	n.snaps.released.Store(true)
	n.observeLeaders()
	if n.net != nil {
		n.openPort()
	}
	n.work.Go(n.watchLeadership)
	n.work.Go(n.housekeep)
	n.work.Go(n.front.run)
	return n.Err() // it may have failed before shutdown was there to call
}

func closeTransport(t raft.Transport) error {
	if c, ok := t.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}

// found writes the first entry of a new cluster. Raft stores a term before it,
// and after a crash between the two refuses to write the entry; but as long as
// the log is empty it is the same entry on every founder.
func (n *Node) found(rc *raft.Config, store *watchdog, trans raft.Transport, c raft.Configuration) error {
	err := raft.BootstrapCluster(rc, store, store, n.snaps, trans, c)
	if errors.Is(err, raft.ErrCantBootstrap) {
		err = store.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)})
	}
	return err
}

// founders is the membership of a new cluster; local is this node's address when
// it is alone.
func (c *Config) founders(local raft.ServerAddress) raft.Configuration {
	var m raft.Configuration
	for _, p := range c.Peers {
		m.Servers = append(m.Servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address)})
	}
	if len(m.Servers) == 0 {
		m.Servers = []raft.Server{{ID: raft.ServerID(c.NodeID), Address: local}}
	}
	return m
}

// commitTimeout is how soon an idle leader tells its followers what is
// committed, and so how far their reads lag behind the last write.
const commitTimeout = 20 * time.Millisecond

func (n *Node) raftConfig(alone bool) *raft.Config {
	t := n.cfg.times(alone)
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.cfg.NodeID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = t.heartbeat, t.election, t.lease
	c.CommitTimeout = commitTimeout
	c.MaxAppendEntries = n.cfg.AppendEntries
	c.TrailingLogs = n.cfg.TrailingEntries
	// Raft counts entries only, and looks at random times: housekeep decides.
	c.SnapshotThreshold = math.MaxUint64
	c.SnapshotInterval = 365 * 24 * time.Hour
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	c.Logger = newBridge(n.log)
	return c
}

// Propose has a command applied on every node and returns once its effects are
// visible on this one, wherever the leader is. KindUnavailable: it never entered
// the log. KindTooLarge:
// it is over MaxCommandBytes. KindIndeterminate: it may have, and may still be
// applied. The command must not be changed afterwards.
func (n *Node) Propose(ctx context.Context, command []byte) (Result, error) {
	return n.front.propose(ctx, command)
}

// AppliedIndex returns the last index whose effects are visible on this node.
func (n *Node) AppliedIndex() uint64 { return n.seen.index.Load() }

// WaitApplied returns once the effects of index are visible on this node. A ctx
// that ends first is KindUnavailable.
func (n *Node) WaitApplied(ctx context.Context, index uint64) error {
	if err := n.seen.wait(ctx, index); err != nil {
		return &decision.Error{Kind: decision.KindUnavailable, Op: "cluster.WaitApplied", Err: err,
			Msg: fmt.Sprintf("this node has applied index %d, want %d; try again, or another node", n.AppliedIndex(), index)}
	}
	return nil
}

// Snapshot takes a snapshot now. With nothing applied since the last one it does
// nothing.
func (n *Node) Snapshot(ctx context.Context) error {
	if err := n.Err(); err != nil {
		return err
	}
	if n.fsm.entries.Load() == 0 {
		return nil
	}
	err := n.await(ctx, "take a snapshot", func() raft.Future { return n.raft.Snapshot() })
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// await waits for one of Raft's futures. Even to ask for it may block.
func (n *Node) await(ctx context.Context, what string, ask func() raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- ask().Error() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case <-n.stop:
		return fmt.Errorf("%s: %w", what, errStopped)
	}
}

// fail stops the node for a reason that it must not go on after. It returns at
// once and may be called from Raft's own goroutines.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		n.failure.Store(&err)
		n.log.Error().Err(err).Msg("the node stops: going on could lose or change data")
		close(n.failed)
		n.front.close(err)
		n.waiting.close(err)
		if shutdown := n.shutdown.Load(); shutdown != nil {
			(*shutdown)()
		}
	})
}

// Failed is closed when the node stopped by itself; Err then says why. The
// process should close it and exit.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err returns why the node stopped by itself, nil while it has not.
func (n *Node) Err() error {
	if p := n.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Close stops the node: it refuses new proposals, lets the pending ones finish,
// hands over the leadership, and takes a snapshot when much was applied since
// the last one. ctx bounds the courtesy; whatever remains is then cut off.
func (n *Node) Close(ctx context.Context) error {
	n.closeOnce.Do(func() { n.closeErr = n.close(ctx) })
	return n.closeErr
}

func (n *Node) close(ctx context.Context) error {
	select {
	case <-n.front.close(errStopped):
	case <-ctx.Done():
	case <-n.failed:
	}
	var errs []error
	if n.Err() == nil {
		errs = append(errs, n.leave(ctx))
	}
	close(n.stop)
	n.waiting.close(errStopped)
	freed := make(chan error, 1)
	go func() {
		err := n.free()
		n.work.Wait()
		freed <- err
	}()
	if !n.hung.Load() {
		return errors.Join(append(errs, <-freed)...)
	}
	select {
	case err := <-freed:
		return errors.Join(append(errs, err)...)
	case <-ctx.Done():
		return errors.Join(append(errs, fmt.Errorf("the log store still hangs; only the end of the process frees it: %w", n.Err()))...)
	}
}

// leave is the part of closing that a failed node skips.
func (n *Node) leave(ctx context.Context) error {
	if n.IsLeader() && n.voters() > 1 {
		if err := n.leadTransfer(ctx, ""); err != nil {
			n.log.Warn().Err(err).Msg("the leadership was not handed over; the others will elect a leader after their time-out")
		}
	}
	// An eighth of the way to the next snapshot is worth one: it makes the next
	// start as much shorter.
	if n.fsm.entries.Load() >= n.cfg.SnapshotEntries/8+1 || n.fsm.bytes.Load() >= n.cfg.SnapshotBytes/8+1 {
		if err := n.Snapshot(ctx); err != nil {
			n.log.Warn().Err(err).Msg("no snapshot at close; the next start replays the log instead")
		}
	}
	return n.high.raise(n.AppliedIndex())
}
