package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// PeerStatus is a member as it describes itself.
type PeerStatus struct {
	Member
	Err error // why it could not be asked; nothing below is then known

	Role          string
	Term          uint64
	LastIndex     uint64
	CommitIndex   uint64
	AppliedIndex  uint64
	SnapshotIndex uint64
	LastContact   time.Duration // since it heard the leader; negative: never
	Ready         bool
	Problem       string // why it is not ready
	Level         uint8
	Version       string
	Detail        []byte // see Config.Detail
}

// statusVersion begins a status on the wire. Later releases append fields, and
// readers leave alone what they do not know.
const statusVersion = 1

const maxDetail = 64 << 10

// peerStatus describes this node.
func (n *Node) peerStatus() *PeerStatus {
	s := n.Status()
	p := &PeerStatus{
		Role: s.Role, Term: s.Term, LastIndex: s.LastIndex, CommitIndex: s.CommitIndex, AppliedIndex: s.AppliedIndex,
		SnapshotIndex: s.SnapshotIndex, LastContact: s.LastContact, Ready: s.Ready, Problem: s.Problem,
		Level: s.Level, Version: s.Version,
	}
	if n.cfg.Detail != nil {
		if p.Detail = n.cfg.Detail(); len(p.Detail) > maxDetail {
			p.Detail = nil
		}
	}
	return p
}

func (p *PeerStatus) encode() []byte {
	b := wire.AppendString([]byte{statusVersion}, p.Role)
	for _, v := range []uint64{p.Term, p.LastIndex, p.CommitIndex, p.AppliedIndex, p.SnapshotIndex} {
		b = wire.AppendUvarint(b, v)
	}
	b = wire.AppendVarint(b, int64(p.LastContact))
	b = wire.AppendBool(b, p.Ready)
	b = wire.AppendString(b, p.Problem)
	b = append(b, p.Level)
	b = wire.AppendString(b, p.Version)
	return wire.AppendBytes(b, p.Detail)
}

func (p *PeerStatus) decode(b []byte) error {
	r := wire.NewReader(string(b))
	if v := r.Byte(); v < statusVersion {
		r.Fail("status has version %d, want at least %d", v, statusVersion)
	}
	p.Role = r.String()
	for _, v := range []*uint64{&p.Term, &p.LastIndex, &p.CommitIndex, &p.AppliedIndex, &p.SnapshotIndex} {
		*v = r.Uvarint()
	}
	p.LastContact = time.Duration(r.Varint())
	p.Ready, p.Problem = r.Bool(), r.String()
	p.Level, p.Version = r.Byte(), r.String()
	p.Detail = []byte(r.String())
	return r.Err()
}

// peersTimeout is how long Peers waits for those who do not answer.
const peersTimeout = time.Second

// Peers asks every member, this node among them, and returns what they say,
// sorted by id. It takes about a second at most.
func (n *Node) Peers(ctx context.Context) []PeerStatus {
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	members := n.Status().Members
	peers := make([]PeerStatus, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { peers[i] = n.peer(ctx, m) })
	}
	wg.Wait()
	slices.SortFunc(peers, func(a, b PeerStatus) int {
		return slices.Compare([]string{a.ID}, []string{b.ID})
	})
	return peers
}

func (n *Node) peer(ctx context.Context, m Member) PeerStatus {
	p := PeerStatus{Member: m}
	if m.ID == n.cfg.NodeID {
		p = *n.peerStatus()
		p.Member = m
		return p
	}
	if n.links == nil {
		p.Err = fmt.Errorf("this node has no port to reach node %s", m.ID)
		return p
	}
	b, err := n.links.ask(ctx, m.ID, m.Address, opStatus, nil)
	if err == nil {
		err = p.decode(b)
	}
	if err != nil {
		return PeerStatus{Member: m, Err: err}
	}
	return p
}

// MinLevel returns the least level of all members' builds: what the log may hold
// while all of them can apply it. A member that cannot be asked is
// KindUnavailable, since nothing is known of its build.
func (n *Node) MinLevel(ctx context.Context) (uint8, error) {
	least := n.cfg.Level
	for _, p := range n.Peers(ctx) {
		if p.Err != nil {
			return 0, &decision.Error{Kind: decision.KindUnavailable, Op: "cluster.MinLevel", Err: p.Err,
				Msg: fmt.Sprintf("the level of node %s is not known: it does not answer", p.ID)}
		}
		least = min(least, p.Level)
	}
	return least, nil
}

// knows says whether a node is in the membership as this node knows it.
func (n *Node) knows(id string) bool {
	_, ok := n.server(id)
	return ok
}

func (n *Node) server(id string) (raft.Server, bool) {
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if string(s.ID) == id {
			return s, true
		}
	}
	return raft.Server{}, false
}
