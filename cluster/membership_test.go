package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

// joinerConfig is a node that is about to join the trio.
func (c *trio) joinerConfig(t testing.TB, id string) Config {
	t.Helper()
	cfg := testConfig(t)
	cfg.NodeID, cfg.Listen, cfg.HeartbeatTimeout = id, freeAddress(t), c.cfgs[0].HeartbeatTimeout
	for _, other := range c.cfgs {
		cfg.Join = append(cfg.Join, other.Listen)
	}
	return cfg
}

func votes(n *Node, id string) bool {
	s, ok := n.server(id)
	return ok && s.Suffrage == raft.Voter
}

// caughtUp waits until a node is ready and has applied index, and compares it.
func caughtUp(t testing.TB, n *Node, m *counter, index uint64, want string) {
	t.Helper()
	ready(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, n.WaitApplied(ctx, index))
	if got := m.digest(); got != want {
		t.Errorf("got state %s, want %s", got, want)
	}
}

func wantUnwanted(t testing.TB, n *Node, want string) {
	t.Helper()
	select {
	case <-n.Failed():
	case <-time.After(patience):
		t.Fatal("got no failure of a node that is not wanted any more")
	}
	if err := n.Err(); !errors.Is(err, errUnwanted) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it to say %q", err, want)
	}
}

// Under load a fourth node joins and is promoted, a follower and then the leader
// are removed, and another node takes a place. Nothing acknowledged is lost.
func TestMembershipUnderLoad(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	keep, out := (lead+1)%3, (lead+2)%3
	var w writers
	w.start(t, c.nodes[keep], "k", 6)
	w.more(t, 50)

	m4, m5 := &counter{}, &counter{}
	n4 := open(t, c.joinerConfig(t, "n4"), m4)
	eventually(t, "a vote for n4", func() bool { return votes(c.nodes[keep], "n4") })
	ready(t, n4)
	w.start(t, n4, "four", 2)
	w.more(t, 50)
	if n4.self.clusterID() != c.nodes[0].self.clusterID() {
		t.Error("got another cluster id on the node that joined")
	}

	must(t, n4.Remove(t.Context(), c.cfgs[out].NodeID)) // on any node
	wantUnwanted(t, c.nodes[out], "removed from the cluster")
	w.more(t, 50)
	must(t, c.nodes[keep].Remove(t.Context(), c.cfgs[out].NodeID)) // repeated
	if err := n4.Remove(t.Context(), "nobody"); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("got %v, want not found", err)
	}

	id, _ := n4.Leader()
	leader, other := c.nodes[lead], c.nodes[keep]
	if id == other.cfg.NodeID {
		must(t, transfer(n4, c.cfgs[lead].NodeID))
	}
	if id == "n4" {
		must(t, transfer(other, c.cfgs[lead].NodeID))
	}
	must(t, n4.Remove(t.Context(), c.cfgs[lead].NodeID))
	wantUnwanted(t, leader, "removed from the cluster")
	w.more(t, 50)

	cfg5 := c.joinerConfig(t, "n5")
	cfg5.JoinNonvoter = true
	n5 := open(t, cfg5, m5)
	ready(t, n5)
	if s, ok := other.server("n5"); !ok || s.Suffrage != raft.Nonvoter {
		t.Errorf("got %+v, %v, want n5 without a vote", s, ok)
	}
	w.start(t, n5, "five", 2)
	w.more(t, 30)
	must(t, n5.Join(t.Context(), Peer{"n5", cfg5.Listen}, true)) // promoted later
	eventually(t, "a vote for n5", func() bool { return votes(other, "n5") })
	w.end()
	last := propose(t, other, "last")
	want := c.machines[keep].digest()
	w.check(t, c.machines[keep])
	caughtUp(t, n4, m4, last.Index, want)
	caughtUp(t, n5, m5, last.Index, want)
	if len(w.unknown) > 0 {
		t.Errorf("got %d unknown writes though no node failed, want none", len(w.unknown))
	}
}

// The leadership moves again and again under load, to whom it is told.
func TestTransferUnderLoad(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	c.leader(t)
	var w writers
	for i, n := range c.nodes {
		w.start(t, n, fmt.Sprint(i), 3)
	}
	for i := range 6 {
		w.more(t, 20)
		to := c.cfgs[i%3].NodeID
		must(t, transfer(c.nodes[(i+1)%3], to))
		eventually(t, to+" to lead", c.nodes[i%3].IsLeader)
	}
	w.end()
	c.quiesce(t)
	w.check(t, c.machines[0])
	if len(w.refused)+len(w.unknown) > 0 {
		t.Errorf("got %d refused and %d unknown writes, want a hand-over to cost time only", len(w.refused), len(w.unknown))
	}
	if err := c.nodes[0].TransferLeadership(t.Context(), "nobody"); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("got %v, want a bad request", err)
	}
}

// A node that comes back with an empty directory under its old id is another
// node with less memory: it is refused, and joins under a new id.
func TestWipedNodeIsRefused(t *testing.T) {
	t.Parallel()
	for name, rejoin := range map[string]bool{"as a founder": false, "as a joiner": true} {
		t.Run(name, func(t *testing.T) {
			c := newTrio(t, nil)
			c.start(t, 0, 1, 2)
			lead := c.leader(t)
			wiped := (lead + 1) % 3
			id := c.cfgs[wiped].NodeID
			eventually(t, "its data known", func() bool {
				return c.nodes[lead].fsm.roster.get(id).incarnation.known() && c.nodes[(lead+2)%3].fsm.roster.get(id).incarnation.known()
			})
			propose(t, c.nodes[wiped], "a")
			c.stop(t, wiped)
			must(t, os.RemoveAll(c.cfgs[wiped].DataDir))
			if rejoin {
				c.cfgs[wiped].Peers = nil
				c.cfgs[wiped].Join = []string{c.cfgs[lead].Listen}
			}
			c.start(t, wiped)
			wantUnwanted(t, c.nodes[wiped], "with other data")
			c.stop(t, wiped)
			propose(t, c.nodes[lead], "b")

			m := &counter{}
			n := open(t, c.joinerConfig(t, "n4"), m)
			ready(t, n)
			must(t, n.Remove(t.Context(), id))
			last := propose(t, n, "c")
			c.agree(t, last.Index)
			caughtUp(t, n, m, last.Index, c.machines[lead].digest())
		})
	}
}

// A removed node that was away hears of it when it comes back, and so does one
// that starts again.
func TestRemovedWhileAway(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	away := (lead + 1) % 3
	c.stop(t, away)
	must(t, c.nodes[lead].Remove(t.Context(), c.cfgs[away].NodeID))
	for range 2 {
		c.start(t, away)
		wantUnwanted(t, c.nodes[away], "removed from the cluster")
		c.stop(t, away)
	}
}

// A node alone with a port grows into three, and the joiners get its snapshot
// since its log is cut.
func TestOneGrowsIntoThree(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Listen, cfg.HeartbeatTimeout = freeAddress(t), 300*time.Millisecond
	cfg.SnapshotEntries, cfg.TrailingEntries, cfg.SnapshotInterval = 1, 2, time.Hour
	m1 := &counter{}
	n1 := open(t, cfg, m1)
	ready(t, n1)
	for range 2 {
		propose(t, n1, strings.Split("abcdefghijklmnop", "")...)
		must(t, n1.Snapshot(t.Context()))
	}
	join := func(id string) (Config, *Node, *counter) {
		next := testConfig(t)
		next.NodeID, next.Listen, next.HeartbeatTimeout, next.Join = id, freeAddress(t), cfg.HeartbeatTimeout, []string{cfg.Listen}
		m := &counter{}
		n := open(t, next, m)
		eventually(t, "a vote for "+id, func() bool { return votes(n1, id) })
		return next, n, m
	}
	_, n2, m2 := join("n2")
	cfg3, n3, m3 := join("n3")
	ready(t, n3) // what it writes while the snapshot arrives would be in doubt
	last := propose(t, n3, "x")
	caughtUp(t, n2, m2, last.Index, m1.digest())
	caughtUp(t, n3, m3, last.Index, m1.digest())
	if m3.restores != 2 {
		t.Errorf("got %d restores, want 2: the empty state, then the snapshot", m3.restores)
	}
	// It comes back with the same settings: it has joined already.
	shut(t, n3)
	last = propose(t, n2, "y")
	m3 = &counter{}
	n3 = open(t, cfg3, m3)
	caughtUp(t, n3, m3, last.Index, m1.digest())
	// And at another address.
	shut(t, n3)
	cfg3.Listen = freeAddress(t)
	m3 = &counter{}
	n3 = open(t, cfg3, m3)
	eventually(t, "the new address", func() bool {
		s, _ := n1.server("n3")
		return string(s.Address) == cfg3.Listen
	})
	last = propose(t, n3, "z")
	caughtUp(t, n3, m3, last.Index, m1.digest())
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	n := c.nodes[lead]
	alone := testConfig(t)
	alone.NodeID, alone.Listen = "n4", freeAddress(t)
	foreign := open(t, alone, &counter{}) // it has founded a cluster of its own
	tests := map[string]struct {
		peer Peer
		kind decision.Kind
		want string
	}{
		"another cluster's": {Peer{"n4", alone.Listen}, decision.KindConflict, "it belongs to another cluster"},
		"nobody there":      {Peer{"n5", freeAddress(t)}, decision.KindUnavailable, "cannot be reached"},
		"somebody else":     {Peer{"n5", c.cfgs[(lead+1)%3].Listen}, decision.KindConflict, "it is not the node that was wanted"},
		"no address":        {Peer{"n5", "x"}, decision.KindBadRequest, "want host:port"},
		"no id":             {Peer{"", alone.Listen}, decision.KindBadRequest, "want 1 to 64"},
	}
	for name, test := range tests {
		err := c.nodes[(lead+1)%3].Join(t.Context(), test.peer, true)
		if decision.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want kind %v and %q", name, err, test.kind, test.want)
		}
	}
	if got := len(n.Status().Members); got != 3 {
		t.Errorf("got %d members, want 3", got)
	}
	if err := foreign.Remove(t.Context(), "n4"); decision.KindOf(err) != decision.KindUnavailable && decision.KindOf(err) != decision.KindConflict {
		t.Errorf("got %v, want the last voter kept", err)
	}
}

// A peer that was away for longer than Raft's back-off grows gets entries as soon
// as it is heard.
func TestAbsenceCostsNoWait(t *testing.T) {
	t.Parallel()
	f := newFabric()
	c := newTrio(t, nil)
	for i := range c.cfgs {
		c.cfgs[i].Transport = f.listen(t, c.cfgs[i].NodeID, c.cfgs[i].Listen)
	}
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	away := (lead + 1) % 3
	f.isolate(c.cfgs[away].NodeID, c.cfgs[0].Peers, true)
	until := time.Now().Add(2500 * time.Millisecond) // Raft's next try would be 2.56 s away
	for time.Now().Before(until) {
		propose(t, c.nodes[lead], "a")
	}
	f.isolate(c.cfgs[away].NodeID, c.cfgs[0].Peers, false)
	start := time.Now()
	last := propose(t, c.nodes[lead], "b")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, c.nodes[away].WaitApplied(ctx, last.Index))
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("got entries %v after the network was mended, want them at once", took)
	}
}

// The data directory of a release without incarnations gets one.
func TestIdentityOfTheFirstRelease(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, identityName), []byte(`{"format":1,"node_id":"n1"}`), 0o600))
	first, err := bindIdentity(dir, "n1", clusterID{1})
	must(t, err)
	again, err := bindIdentity(dir, "n1", clusterID{1})
	must(t, err)
	if !first.incarnation.known() || again.incarnation != first.incarnation || first.clusterID().known() {
		t.Errorf("got %v and %v, cluster %v, want one lasting incarnation and no cluster", first.incarnation, again.incarnation, first.clusterID())
	}
	must(t, bindCluster(dir, clusterID{7}))
	again, err = bindIdentity(dir, "n1", clusterID{})
	must(t, err)
	if again.clusterID() != (clusterID{7}) {
		t.Errorf("got cluster %v, want the one it was bound to", again.clusterID())
	}
}
