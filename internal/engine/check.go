package engine

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// Replicas are equal by construction; the check is for what construction missed:
// a defect, a processor or a memory that errs. The leader puts a mark into the
// log; every node takes the digest of its state at that mark and tells it to the
// others, through the log too, so that every node judges the same reports in the
// same order. The digest that more than half of the members report is the right
// one. A node whose own is another raises an alarm, gives up the leadership, and
// is not ready until it was rebuilt: its scores come from a state that nobody
// else has. Where no digest has a majority, nobody can tell who is right: all
// raise the alarm and go on.

// DefaultCheckInterval is the time between two checks of a cluster that has
// changed meanwhile.
const DefaultCheckInterval = time.Minute

// checker compares this node's state with the other nodes'.
type checker struct {
	engine   *Engine
	log      zerolog.Logger
	marked   chan *pendingDigest // this node's digest at the newest mark
	running  atomic.Bool         // the node is there
	diverged atomic.Pointer[divergence]
	checks   atomic.Uint64 // marks at which another node's digest was the same

	mu      sync.Mutex
	at      uint64 // log index of the mark that the reports are about; 0: none
	members int    // of the cluster at the mark
	reports []report
}

type report struct{ node, digest string }

// divergence is why a node is out of service.
type divergence struct {
	index uint64 // of the mark
	want  string // the digest of most nodes
	got   string
}

func newChecker(e *Engine) *checker {
	return &checker{engine: e, log: e.log.With().Str("component", "check").Logger(), marked: make(chan *pendingDigest, 1)}
}

// applyCheck marks the place in the log at which the digests are compared.
func applyCheck(m *machine, ctx *entryContext, _ string, c command.Check) (nothing, error) {
	if m.onCheck == nil || !m.onCheck.wants() {
		return nothing{}, nil
	}
	d, err := applyDigest(m, ctx, "", nothing{})
	if err == nil {
		m.onCheck.mark(d, c.Members)
	}
	return nothing{}, err
}

// applyReport takes a node's digest into account.
func applyReport(m *machine, _ *entryContext, _ string, c command.Report) (nothing, error) {
	if m.onCheck != nil {
		m.onCheck.judge(c.Index, report{c.Node, c.Digest})
	}
	return nothing{}, nil
}

// wants reports whether this node takes part: one that still catches up would
// take digests of long ago.
func (c *checker) wants() bool { return c.running.Load() && c.engine.node.Ready() == nil }

// begin begins the comparison at a mark.
func (c *checker) begin(index uint64, members int) {
	c.mu.Lock()
	c.at, c.members, c.reports = index, members, nil
	c.mu.Unlock()
}

// mark begins the comparison at a mark and hands this node's digest to run; one
// that run has not begun is outdated.
func (c *checker) mark(d *pendingDigest, members int) {
	c.begin(d.index, members)
	for {
		select {
		case c.marked <- d:
			return
		default:
		}
		select {
		case <-c.marked:
		default:
		}
	}
}

// run reports this node's digests, and as the leader makes the marks.
func (c *checker) run(ctx context.Context, interval time.Duration) {
	c.running.Store(true)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := uint64(0)
	for {
		select {
		case d := <-c.marked:
			if err := c.report(ctx, d); err != nil && ctx.Err() == nil {
				c.log.Warn().Err(err).Uint64("index", d.index).Msg("the digest of this node could not be reported")
			}
		case <-tick.C:
			members := len(c.engine.node.Status().Members)
			if c.engine.AppliedIndex() <= last || !c.engine.node.IsLeader() || members < 2 {
				continue
			}
			_, receipt, err := do[nothing](ctx, c.engine, &command.Header{Kind: command.KindCheck}, command.Check{Members: members})
			if err != nil {
				continue // the next tick tries again
			}
			// The reports follow; nothing else happened if only they did.
			last = receipt.Index + uint64(members)
		case <-ctx.Done():
			return
		}
	}
}

func (c *checker) report(ctx context.Context, d *pendingDigest) error {
	digest, err := d.wait(ctx)
	if err != nil {
		return err
	}
	_, _, err = do[nothing](ctx, c.engine, &command.Header{Kind: command.KindReport}, command.Report{
		Index: d.index, Node: c.engine.config.Cluster.NodeID, Digest: digest.sum(),
	})
	return err
}

// sum is one fingerprint of the whole digest.
func (d Digest) sum() string {
	h := fnv.New64a()
	for _, id := range slices.Sorted(maps.Keys(d.Models)) {
		fmt.Fprintf(h, "model %s %s\n", id, d.Models[id])
	}
	for _, tenant := range slices.Sorted(maps.Keys(d.Interactions)) {
		fmt.Fprintf(h, "interactions %s %d\n", tenant, d.Interactions[tenant])
	}
	fmt.Fprintf(h, "registry %s\nmonitoring %s\n", d.Registry, d.Monitoring)
	return fmt.Sprintf("%016x", h.Sum64())
}

// judge compares the reports about the newest mark that this node has a digest
// of: older ones, and those of a log that is replayed, are history. It runs on
// the apply goroutine.
func (c *checker) judge(index uint64, r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index != c.at {
		return
	}
	c.reports = append(slices.DeleteFunc(c.reports, func(o report) bool { return o.node == r.node }), r)
	own := slices.IndexFunc(c.reports, func(o report) bool { return o.node == c.engine.config.Cluster.NodeID })
	right, most := commonest(c.reports)
	switch {
	case own < 0 || len(c.reports) < 2:
	case 2*most <= c.members && most < len(c.reports) && len(c.reports) == c.members:
		c.log.Error().Uint64("index", index).Msg("ALARM: the nodes' states differ, and no state is that of most of them; nobody can tell which is right")
	case 2*most <= c.members: // there are more reports to come
	case c.reports[own].digest != right:
		c.diverge(&divergence{index: index, want: right, got: c.reports[own].digest})
	default:
		c.diverged.Store(nil)
		if r.digest != right {
			c.log.Error().Uint64("index", index).Str("node", r.node).Str("digest", r.digest).Str("others", right).
				Msg("another node's state differs from that of most nodes; it takes itself out of service")
		} else if r.node != c.engine.config.Cluster.NodeID {
			c.checks.Add(1)
		}
	}
}

// commonest returns the digest that most reports have, of as many the one
// reported first, and how many have it.
func commonest(reports []report) (digest string, most int) {
	count := map[string]int{}
	for _, r := range reports {
		count[r.digest]++
	}
	for _, r := range reports {
		if count[r.digest] > most {
			digest, most = r.digest, count[r.digest]
		}
	}
	return digest, most
}

func (c *checker) diverge(d *divergence) {
	c.diverged.Store(d)
	c.log.Error().Uint64("index", d.index).Str("digest", d.got).Str("others", d.want).
		Msg("ALARM: this node's state differs from that of most nodes; it is out of service until its data directory is rebuilt from them")
	if c.engine.node.IsLeader() {
		go func() { // never wait on the apply goroutine
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := c.engine.node.TransferLeadership(ctx, ""); err != nil {
				c.log.Error().Err(err).Msg("the leadership could not be given up")
			}
		}()
	}
}

// err is why this node is out of service, nil when it is not.
func (c *checker) err() error {
	d := c.diverged.Load()
	if d == nil {
		return nil
	}
	return decision.Errorf(decision.KindUnavailable,
		"the state of this node at log index %d differs from that of most nodes (%s, not %s): remove the node, empty its data directory, and let it join anew", d.index, d.got, d.want)
}
