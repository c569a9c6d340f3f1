package cluster

import (
	"encoding/hex"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Member is a node of the cluster as this node knows it.
type Member struct {
	ID      string
	Address string
	Voter   bool
	Leader  bool
}

// Status is a look at the node, for people and monitoring.
type Status struct {
	NodeID        string
	Role          string // "leader", "follower", "candidate" or "stopped"
	Term          uint64
	LeaderID      string // empty: none is known
	LeaderAddress string
	Members       []Member
	LastIndex     uint64 // of the log
	CommitIndex   uint64
	AppliedIndex  uint64 // visible to readers
	SnapshotIndex uint64 // of the newest snapshot; 0: none
	HighWater     uint64 // recorded as applied
	// LastContact is how long ago the leader was heard; zero on the leader,
	// negative when never.
	LastContact time.Duration
	Pending     int    // proposals not finished
	Entries     uint64 // proposed by this node since it started
	Commands    uint64 // in these entries
	Ready       bool
	Problem     string // why it is not ready
	Level       uint8
	Version     string
	Cluster     string // the cluster's id; empty: not known
}

var roles = map[raft.RaftState]string{
	raft.Leader: "leader", raft.Follower: "follower", raft.Candidate: "candidate", raft.Shutdown: "stopped",
}

// Status describes the node.
func (n *Node) Status() Status {
	leader, leaderAddress := n.Leader()
	s := Status{
		NodeID: n.cfg.NodeID, Role: roles[n.raft.State()], Term: n.raft.CurrentTerm(),
		LeaderID: leader, LeaderAddress: leaderAddress,
		LastIndex: n.raft.LastIndex(), CommitIndex: n.raft.CommitIndex(), AppliedIndex: n.AppliedIndex(),
		HighWater: n.high.get(), LastContact: -1,
		Entries: n.front.entries.Load(), Commands: n.front.commands.Load(),
	}
	for _, m := range n.raft.GetConfiguration().Configuration().Servers {
		s.Members = append(s.Members, Member{
			ID: string(m.ID), Address: string(m.Address),
			Voter: m.Suffrage == raft.Voter, Leader: string(m.ID) == leader,
		})
	}
	if infos, err := n.snaps.store.List(); err == nil && len(infos) > 0 {
		s.SnapshotIndex = infos[0].Index
	}
	if last := n.raft.LastContact(); s.Role == "leader" {
		s.LastContact = 0
	} else if !last.IsZero() {
		s.LastContact = time.Since(last)
	}
	if err := n.Ready(); err != nil {
		s.Problem = err.Error()
	}
	s.Ready, s.Level, s.Version = s.Problem == "", n.cfg.Level, n.cfg.Version
	if c := n.self.clusterID(); c.known() {
		s.Cluster = hex.EncodeToString(c[:])
	}
	n.front.mu.Lock()
	s.Pending = n.front.pending
	n.front.mu.Unlock()
	return s
}

// Leader returns the leader as this node knows it, empty when it knows none.
func (n *Node) Leader() (id, address string) {
	a, i := n.raft.LeaderWithID()
	return string(i), string(a)
}

// IsLeader says whether this node leads, as far as it knows.
func (n *Node) IsLeader() bool { return n.raft.State() == raft.Leader }

// Stale says that no leader is known: what this node shows may be old, and
// nobody can tell it how old.
func (n *Node) Stale() bool {
	id, _ := n.Leader()
	return id == ""
}

// Ready returns nil when the node can serve: it has not failed, it knows a
// leader, and since its start it has caught up with what was committed when it
// first heard of a leader. The error says what is missing.
func (n *Node) Ready() error {
	if err := n.Err(); err != nil {
		return &decision.Error{Kind: decision.KindUnavailable, Op: "cluster.Ready", Msg: "the node has stopped: " + err.Error(), Err: err}
	}
	if n.stalls.Load() > 0 {
		return decision.Errorf(decision.KindUnavailable, "the log store has not answered for %v", n.cfg.StallTimeout)
	}
	if n.Stale() {
		return decision.Errorf(decision.KindUnavailable, "no leader is known")
	}
	if n.caughtUp.Load() {
		return nil
	}
	target := n.target()
	if target == 0 {
		return decision.Errorf(decision.KindUnavailable, "it is not known yet what is committed")
	}
	if at := n.AppliedIndex(); at < target {
		return decision.Errorf(decision.KindUnavailable, "has applied index %d, catching up to %d", at, target)
	}
	n.caughtUp.Store(true)
	return nil
}

// target is the index to catch up with after the start; 0: not known. A leader's
// own barrier comes after everything committed before its term.
func (n *Node) target() uint64 {
	if b := n.barrier.Load(); b > 0 {
		return b
	}
	if n.net != nil {
		return n.net.committed.Load()
	}
	return 0
}

func (n *Node) voters() int {
	count := 0
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			count++
		}
	}
	return count
}
