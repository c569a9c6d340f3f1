package engine

import (
	"context"
	"io"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/command"
)

// clusterConfig completes the cluster's configuration with what the commands
// demand of a build.
func (c *Config) clusterConfig() cluster.Config {
	cfg := c.Cluster
	cfg.Level, cfg.LevelOf = command.Level, command.LevelOf
	return cfg
}

// several tells whether the cluster has other nodes, or is configured to have.
func (e *Engine) several() bool {
	c := &e.config.Cluster
	return len(c.Peers) > 1 || len(c.Join) > 0 || len(e.node.Status().Members) > 1
}

// ClusterStatus returns the cluster as its members describe themselves. It takes
// about a second at most: a member that does not answer is not waited for.
func (e *Engine) ClusterStatus(ctx context.Context) ClusterStatus {
	s := e.node.Status()
	out := ClusterStatus{Leader: s.LeaderID, Term: s.Term, AppliedIndex: s.AppliedIndex, Nodes: []NodeStatus{}}
	for _, p := range e.node.Peers(ctx) {
		n := NodeStatus{ID: p.ID, Address: p.Address, Role: "nonvoter"}
		switch {
		case p.Leader:
			n.Role = "leader"
		case p.Voter:
			n.Role = "voter"
		}
		if p.Err != nil {
			n.Problem = "it does not answer: " + p.Err.Error()
		} else {
			contact := p.LastContact.Milliseconds()
			n.AppliedIndex, n.LastContactMs, n.Version = &p.AppliedIndex, &contact, p.Version
			n.Healthy, n.Problem = p.Ready, p.Problem
		}
		if p.ID == s.NodeID { // the engine knows more of its own node than the log does
			if err := e.Ready(); err != nil {
				n.Healthy, n.Problem = false, err.Error()
			}
		}
		out.Nodes = append(out.Nodes, n)
	}
	return out
}

// JoinNode makes a running node a member, with a vote when it has caught up, or
// without one.
func (e *Engine) JoinNode(ctx context.Context, id, address string, voter bool) error {
	return e.node.Join(ctx, cluster.Peer{ID: id, Address: address}, voter)
}

// RemoveNode takes a node out of the cluster for ever.
func (e *Engine) RemoveNode(ctx context.Context, id string) error { return e.node.Remove(ctx, id) }

// TransferLeadership hands the leadership to a voter, to the most current one
// without an id.
func (e *Engine) TransferLeadership(ctx context.Context, id string) error {
	return e.node.TransferLeadership(ctx, id)
}

// Backup is everything that a node has applied, as one stream of bytes.
type Backup struct {
	io.ReadCloser
	Index uint64 // of the last log entry in it
	Size  int64  // bytes of the stream
}

// Backup takes a snapshot of this node and returns it; the caller closes it.
// cluster.RestoreBackup makes a data directory of it.
func (e *Engine) Backup(ctx context.Context) (Backup, error) {
	s, err := e.node.Backup(ctx)
	if err != nil {
		return Backup{}, err
	}
	return Backup{ReadCloser: s, Index: s.Source().Manifest().Index, Size: s.Size()}, nil
}
