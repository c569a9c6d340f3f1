package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Join makes a running node a member: first without a vote, then, when it has
// caught up, with one if voter. It may be called on any node, and repeated. The
// joining node must answer at its address under its id, with the state of no
// other cluster. A ctx that ends while it catches up leaves it without a vote.
func (n *Node) Join(ctx context.Context, p Peer, voter bool) error {
	j := joinRequest{peer: p, voter: voter}
	_, err := n.onLeader(ctx, opJoin, j.encode())
	return err
}

// Remove takes a node out of the cluster, for ever: its id cannot come back. It
// may be called on any node, and repeated. A leader hands over its office before
// it is removed. The removed node stops and says why.
func (n *Node) Remove(ctx context.Context, id string) error {
	_, err := n.onLeader(ctx, opRemove, []byte(id))
	return err
}

// TransferLeadership hands the leadership to a voter, the most current other one
// when id is empty. It may be called on any node.
func (n *Node) TransferLeadership(ctx context.Context, id string) error {
	_, err := n.onLeader(ctx, opTransfer, []byte(id))
	return err
}

// leadJoin is Join on the leader.
func (n *Node) leadJoin(ctx context.Context, j joinRequest) error {
	if !n.IsLeader() {
		return n.classify(raft.ErrNotLeader)
	}
	var problems decision.Problems
	validateID(&problems, "id", j.peer.ID)
	validateAddress(&problems, "address", j.peer.Address)
	if err := problems.Err(); err != nil {
		return err
	}
	if n.links == nil {
		return decision.Errorf(decision.KindBadRequest, "node %s has no node port; start it with one before others join", n.cfg.NodeID)
	}
	if err := n.introduceJoiner(ctx, j.peer); err != nil {
		return err
	}
	if err := n.addNonvoter(ctx, j.peer); err != nil || !j.voter {
		return err
	}
	return n.promote(ctx, j.peer)
}

// introduceJoiner makes sure that the joining node is who it is said to be, and
// writes into the log which data its id stands for from now on.
func (n *Node) introduceJoiner(ctx context.Context, p Peer) error {
	if p.ID == n.cfg.NodeID { // its own address has changed
		return nil
	}
	conn, err := n.links.to(p.ID, p.Address)
	if err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) {
			return &decision.Error{Kind: decision.KindConflict, Op: "cluster.Join", Msg: refused.Error(), Err: err}
		}
		return &decision.Error{Kind: decision.KindUnavailable, Op: "cluster.Join", Err: err,
			Msg: fmt.Sprintf("node %s cannot be reached at %s; start it, or correct its address", p.ID, p.Address)}
	}
	if e := n.fsm.roster.get(p.ID); e.incarnation == conn.hello.incarnation && e.incarnation.known() {
		return nil
	}
	return n.announce(ctx, p.ID, conn.hello.incarnation)
}

// announce writes into the log which data a node id stands for.
func (n *Node) announce(ctx context.Context, id string, i incarnation) error {
	entry := appendEnvelope(nil, header{kind: kindRecord, at: n.now()}, encodeRecord(id, i))
	_, results, err := n.appendAndWait(ctx, entry)
	if err != nil {
		return err
	}
	if refused, ok := results[0].(error); ok {
		return refused
	}
	return nil
}

// addNonvoter makes a node a member without a vote. It refuses one that is being
// removed: the change holds only for the membership that was looked at.
func (n *Node) addNonvoter(ctx context.Context, p Peer) error {
	id, address := raft.ServerID(p.ID), raft.ServerAddress(p.Address)
	seen := n.raft.GetConfiguration()
	at := slices.IndexFunc(seen.Configuration().Servers, func(s raft.Server) bool { return s.ID == id })
	if at < 0 {
		if n.fsm.roster.get(p.ID).standing == member {
			return again(nil, "node %s is being removed", p.ID)
		}
		return n.change(ctx, "add "+p.ID, func() raft.Future { return n.raft.AddNonvoter(id, address, seen.Index(), n.cfg.WriteTimeout) })
	}
	s := seen.Configuration().Servers[at]
	switch {
	case s.Address == address:
		return nil
	case s.Suffrage == raft.Voter: // it has moved
		return n.change(ctx, "change the address of "+p.ID, func() raft.Future { return n.raft.AddVoter(id, address, seen.Index(), n.cfg.WriteTimeout) })
	}
	return n.change(ctx, "change the address of "+p.ID, func() raft.Future { return n.raft.AddNonvoter(id, address, seen.Index(), n.cfg.WriteTimeout) })
}

const (
	// joinDistance is how far behind the leader's commit index a node may be and
	// still get a vote: an append or two.
	joinDistance = 64
	// joinPoll is how often a joining node is asked how far it has come.
	joinPoll = 20 * time.Millisecond
)

// promote gives a member its vote once it has caught up.
func (n *Node) promote(ctx context.Context, p Peer) error {
	tick := time.NewTicker(joinPoll)
	defer tick.Stop()
	for {
		s, ok := n.server(p.ID)
		switch {
		case !n.IsLeader():
			return n.classify(raft.ErrNotLeader)
		case !ok:
			return decision.Errorf(decision.KindConflict, "node %s was removed while it caught up", p.ID)
		case s.Suffrage == raft.Voter:
			return nil
		}
		m := Member{ID: p.ID, Address: p.Address}
		status := n.peer(ctx, m)
		if status.Err == nil && status.AppliedIndex+joinDistance >= n.raft.CommitIndex() {
			break
		}
		select {
		case <-tick.C:
		case <-n.stop:
			return again(errStopped, "the leader is stopping")
		case <-n.failed:
			return again(errStopped, "the leader has failed")
		case <-ctx.Done():
			return unavailable("", ctx.Err(), "node %s is a member without a vote, and has not caught up: it has applied index %d, want %d; repeat the request", p.ID, status.AppliedIndex, n.raft.CommitIndex())
		}
	}
	return n.change(ctx, "promote "+p.ID, func() raft.Future {
		return n.raft.AddVoter(raft.ServerID(p.ID), raft.ServerAddress(p.Address), 0, n.cfg.WriteTimeout)
	})
}

// leadRemove is Remove on the leader.
func (n *Node) leadRemove(ctx context.Context, id string) error {
	if !n.IsLeader() {
		return n.classify(raft.ErrNotLeader)
	}
	s, ok := n.server(id)
	switch {
	case !ok && n.fsm.roster.get(id).standing == removed:
		return nil
	case !ok:
		return decision.Errorf(decision.KindNotFound, "got node id %q, want that of a member", id)
	case s.Suffrage == raft.Voter && n.voters() == 1:
		return decision.Errorf(decision.KindConflict, "node %s is the only voter; the cluster would end", id)
	case id == n.cfg.NodeID:
		if err := n.leadTransfer(ctx, ""); err != nil {
			return err
		}
		return again(nil, "node %s was the leader and is about to be removed by the next one", id)
	}
	return n.change(ctx, "remove "+id, func() raft.Future { return n.raft.RemoveServer(raft.ServerID(id), 0, n.cfg.WriteTimeout) })
}

// leadTransfer is TransferLeadership on the leader.
func (n *Node) leadTransfer(ctx context.Context, id string) error {
	if !n.IsLeader() {
		return n.classify(raft.ErrNotLeader)
	}
	if id == n.cfg.NodeID {
		return nil
	}
	if n.voters() < 2 {
		return unavailable("", nil, "there is no other voter to hand the leadership to")
	}
	if id == "" {
		return n.change(ctx, "hand over the leadership", n.raft.LeadershipTransfer)
	}
	s, ok := n.server(id)
	if !ok || s.Suffrage != raft.Voter {
		return decision.Errorf(decision.KindBadRequest, "got node id %q, want that of a voter", id)
	}
	return n.change(ctx, "hand over the leadership", func() raft.Future { return n.raft.LeadershipTransferToServer(s.ID, s.Address) })
}

// change waits for a change of membership or office. What Raft refuses because
// it does not lead, or is busy with another change, is worth another try.
func (n *Node) change(ctx context.Context, what string, f func() raft.Future) error {
	err := n.await(ctx, what, f)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost),
		errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return again(err, "%s: the leader changed or is busy; try again", what)
	}
	return &decision.Error{Kind: decision.KindUnavailable, Op: "cluster", Msg: err.Error(), Err: err}
}

// errUnwanted is wrapped by the failure of a node that the cluster does not want.
var errUnwanted = errors.New("this node is not a member of its cluster any more")

// memberRemoved is told of every removal, on the apply goroutine.
func (n *Node) memberRemoved(id string) {
	n.log.Info().Str("member", id).Msg("node removed from the cluster")
	if id == n.cfg.NodeID {
		n.fail(fmt.Errorf("%w: node %s %s", errUnwanted, id, wasRemoved))
	}
}

// unwanted is told when a peer of the same cluster refuses this node for what it
// is. A removed node hears it so: the entry that removed it is rarely sent to it.
func (n *Node) unwanted(r *RefusedError) { n.fail(fmt.Errorf("%w: %w", errUnwanted, r)) }

const (
	// belongPoll is how often a node looks whether it still has to join, or is
	// still wanted.
	belongPoll = 250 * time.Millisecond
	// joinTimeout bounds one request to join; it is repeated.
	joinTimeout = time.Minute
)

// belong has a node join, announce its data, and find out that it was removed.
func (n *Node) belong() {
	tick := time.NewTicker(belongPoll)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-n.stop:
		case <-n.failed:
		case <-ctx.Done():
		}
		cancel()
	}()
	for ctx.Err() == nil {
		n.belongNow(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (n *Node) belongNow(ctx context.Context) {
	me, in := n.server(n.cfg.NodeID)
	settled := in && (me.Suffrage == raft.Voter || n.cfg.JoinNonvoter)
	switch {
	case !in && n.fsm.roster.get(n.cfg.NodeID).standing == member: // it is being removed
		n.probe(ctx)
	case len(n.cfg.Join) > 0 && !settled:
		n.askToJoin(ctx, !n.cfg.JoinNonvoter)
	case in && n.advertised() != "" && string(me.Address) != n.advertised(): // it has moved
		n.askToJoin(ctx, me.Suffrage == raft.Voter)
	case in && !n.fsm.roster.get(n.cfg.NodeID).incarnation.known() && !n.Stale():
		err := n.announce(ctx, n.cfg.NodeID, n.self.incarnation)
		if decision.KindOf(err) == decision.KindConflict {
			n.fail(fmt.Errorf("%w: %w", errUnwanted, err))
		}
	case n.Stale():
		n.probe(ctx)
	}
}

// probe greets the members anew: one that does not want this node any more says
// so in the handshake, and nowhere else.
func (n *Node) probe(ctx context.Context) {
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if string(s.ID) == n.cfg.NodeID || ctx.Err() != nil {
			continue
		}
		if c, _, err := n.net.port.dial(connNode, string(s.ID), string(s.Address), dialTimeout); err == nil {
			c.Close()
		}
	}
}

// advertised is the address that others can reach this node's port under; empty:
// it listens everywhere, and was not told what to call itself.
func (n *Node) advertised() string {
	var p decision.Problems
	a := n.net.port.Addr().String()
	if validateAddress(&p, "advertise", a); p.Err() != nil {
		return ""
	}
	return a
}

// askToJoin asks for this node to be a member at its address: the leader, when it
// knows it, else those it was told of and the members it knows, one after the
// other.
func (n *Node) askToJoin(ctx context.Context, voter bool) {
	j := joinRequest{peer: Peer{ID: n.cfg.NodeID, Address: n.advertised()}, voter: voter}
	if !n.Stale() {
		if _, err := n.onLeader(ctx, opJoin, j.encode()); err == nil {
			return
		}
	}
	addresses := slices.Clone(n.cfg.Join)
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if a := string(s.Address); string(s.ID) != n.cfg.NodeID && !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	for _, address := range addresses {
		err := n.askMember(ctx, address, j)
		if err == nil || ctx.Err() != nil {
			return
		}
		n.log.Warn().Err(err).Str("member", address).Msg("not a member yet; trying again")
	}
}

func (n *Node) askMember(ctx context.Context, address string, j joinRequest) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	conn, err := n.links.to("", address)
	if err != nil {
		return err
	}
	if _, err = n.links.ask(ctx, "", address, opJoin, j.encode()); err != nil {
		return err
	}
	return n.adoptCluster(conn.hello.cluster)
}

// adoptCluster binds an empty node to the cluster that it joins.
func (n *Node) adoptCluster(c clusterID) error {
	if !c.known() || n.self.clusterID().known() {
		return nil
	}
	if err := bindCluster(n.cfg.DataDir, c); err != nil {
		return err
	}
	n.self.cluster.Store(&c)
	return nil
}
