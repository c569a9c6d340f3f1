package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// trio is three nodes of one cluster, each with a tenant t1 to act for.
func trio(t *testing.T, change ...func(*Config)) []*node {
	t.Helper()
	nodes := trioOf(t, nil, change...)
	nodes[0].newTenant("t1")
	return nodes
}

// trioOf is three nodes of one cluster whose data prepare made, if it is not nil.
func trioOf(t *testing.T, prepare func(dir, id string, peers []cluster.Peer), change ...func(*Config)) []*node {
	t.Helper()
	var ports []cluster.Transport
	var peers []cluster.Peer
	for i := range 3 {
		port, err := cluster.ListenTCP("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
		peers = append(peers, cluster.Peer{ID: fmt.Sprintf("n%d", i+1), Address: port.Addr().String()})
	}
	nodes := make([]*node, 3)
	for i := range nodes {
		dir := filepath.Join(t.TempDir(), "data")
		if prepare != nil {
			prepare(dir, peers[i].ID, peers)
		}
		nodes[i] = open(t, dir, append([]func(*Config){func(c *Config) {
			c.Cluster.NodeID, c.Cluster.Peers, c.Cluster.Transport = peers[i].ID, peers, ports[i]
		}}, change...)...)
	}
	for _, n := range nodes {
		until(t, n.ctx, func() bool { return n.Ready() == nil })
	}
	return nodes
}

// leader returns the leading node and the others.
func leader(t *testing.T, nodes []*node) (*node, []*node) {
	t.Helper()
	var lead *node
	until(t, nodes[0].ctx, func() bool {
		for _, n := range nodes {
			if n.node.IsLeader() {
				lead = n
			}
		}
		return lead != nil
	})
	var others []*node
	for _, n := range nodes {
		if n != lead {
			others = append(others, n)
		}
	}
	return lead, others
}

// Every node takes writes, sees its own at once, and scores alone.
func TestEveryNodeTakesWrites(t *testing.T) {
	nodes := trio(t)
	m := nodes[1].model("m", decision.OnlineLearner)
	for i, n := range nodes {
		before, _ := n.tryScore(m.ID, "", number("x", 1))
		results, receipt, err := n.Respond(n.ctx, n.w(), now(), repeat(50, outcome("click", "c", "o")), nil)
		if err != nil || results[0].Err != nil {
			t.Fatalf("node %d: Respond() = %v, %v", i, err, results)
		}
		after := n.score(m.ID, "", number("x", 1))
		if after <= before {
			t.Errorf("node %d: score = %v after positive outcomes, %v before: a node must see its own writes", i, after, before)
		}
		for j, other := range nodes {
			if err := other.WaitApplied(other.ctx, receipt.Index); err != nil {
				t.Fatal(err)
			}
			if got := other.score(m.ID, "", number("x", 1)); got != after {
				t.Errorf("node %d scores %v, node %d, which wrote, %v", j, got, i, after)
			}
		}
	}
	// The same key through another node is the same write.
	for i, n := range nodes {
		got, receipt, err := n.ResetLearning(n.ctx, n.keyed("reset", 7), m.ID)
		if err != nil || got.Version != 2 || receipt.Replayed != (i > 0) {
			t.Errorf("node %d: ResetLearning() = version %v, %+v, %v, want the first one's answer", i, got, receipt, err)
		}
	}
	// A training on a follower is a job there and its result a write.
	_, followers := leader(t, nodes)
	followers[0].record(mixed(100)...)
	trained := followers[0].train(followers[0].model("l", decision.LogisticRegression, "outcomeWeights", `{"click":1,"dismiss":-1}`).ID)
	if trained.Model.Version != 2 {
		t.Errorf("a training on a follower gave version %d", trained.Model.Version)
	}
}

// A node that lags behind does not deny what others know: before it refuses a
// change of a model that it has not heard of, it catches up.
func TestALaggingNodeDoesNotDeny(t *testing.T) {
	nodes := trio(t)
	for i := range 30 {
		writer, other := nodes[i%3], nodes[(i+1)%3]
		m := writer.model(fmt.Sprint("m", i), decision.LogisticRegression)
		name := fmt.Sprint("renamed ", i)
		if _, _, err := other.UpdateModel(other.ctx, other.w(), m.ID, catalogue.ModelFields{Name: &name}); err != nil {
			t.Fatalf("UpdateModel() on another node = %v", err)
		}
	}
	_, _, err := nodes[0].UpdateModel(nodes[0].ctx, nodes[0].w(), "absent", catalogue.ModelFields{})
	wantError(t, "UpdateModel() of what nobody knows", err, decision.KindNotFound, "")
}

// A job is followed, listed and cancelled at every node, and keeps the others from
// training its model.
func TestJobsAreKnownOnEveryNode(t *testing.T) {
	nodes := trio(t)
	m, other := nodes[0].model("m", decision.OnlineLearner), nodes[0].model("other", decision.OnlineLearner)
	nodes[0].record(mixed(60)...)
	for _, n := range nodes {
		defer n.occupy()()
	}
	first, err := nodes[1].StartTraining(nodes[1].ctx, nodes[1].w(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	second, err := nodes[2].StartTraining(nodes[2].ctx, nodes[2].w(), other.ID)
	if err != nil {
		t.Fatal(err)
	}
	if first.CreatedAt > second.CreatedAt {
		t.Fatalf("the clock went back from %v to %v", first.CreatedAt, second.CreatedAt)
	}
	for i, n := range nodes {
		if j, err := n.Job(n.ctx, "t1", first.ID); err != nil || j.ID != first.ID || j.Status != JobQueued || j.ModelID != m.ID {
			t.Errorf("node %d: Job() = %+v, %v", i, j, err)
		}
		_, err := n.Job(n.ctx, "t2", first.ID)
		wantError(t, "Job() of another tenant", err, decision.KindNotFound, "")
		_, err = n.Job(n.ctx, "t1", "job_absent")
		wantError(t, "Job() that does not exist", err, decision.KindNotFound, "")
		_, err = n.StartTraining(n.ctx, n.w(), m.ID)
		wantError(t, "a second training of the model", err, decision.KindConflict, "")
		all, err := n.Jobs(n.ctx, "t1", Page{Limit: 2})
		if err != nil || all.Total != 2 || len(all.Items) != 2 || all.HasMore || all.Cursor != "" {
			t.Fatalf("node %d: Jobs() = %+v, %v, want both", i, all, err)
		}
		page, err := n.Jobs(n.ctx, "t1", Page{Limit: 1})
		if err != nil || !page.HasMore || len(page.Items) != 1 || page.Items[0].ID != all.Items[0].ID {
			t.Errorf("node %d: the first page = %+v, %v, want %s", i, page, err, all.Items[0].ID)
		}
		page, err = n.Jobs(n.ctx, "t1", Page{Limit: 1, Cursor: page.Cursor})
		if err != nil || page.HasMore || len(page.Items) != 1 || page.Items[0].ID != all.Items[1].ID {
			t.Errorf("node %d: the second page = %+v, %v, want %s", i, page, err, all.Items[1].ID)
		}
	}
	if _, err := nodes[0].CancelJob(nodes[0].ctx, "t1", first.ID); err != nil {
		t.Fatal(err)
	}
	if j := nodes[2].ended(first.ID); j.Status != JobCancelled || j.Error == nil {
		t.Errorf("a job cancelled at another node = %+v", j)
	}
	nodes[2].stop()
	_, err = nodes[0].Job(nodes[0].ctx, "t1", second.ID)
	wantError(t, "Job() of a node that does not answer", err, decision.KindUnavailable, "")
	if all, err := nodes[0].Jobs(nodes[0].ctx, "t1", Page{Limit: 2}); err != nil || len(all.Items) != 1 || all.Items[0].ID != first.ID {
		t.Errorf("Jobs() of those that answer = %+v, %v, want %s", all, err, first.ID)
	}
}

func TestReadsAreStrongOnEveryNode(t *testing.T) {
	nodes := trio(t)
	for i := range 20 {
		writer, reader := nodes[i%3], nodes[(i+1)%3]
		m := writer.model(fmt.Sprint("m", i), decision.Scorecard)
		if err := reader.Barrier(reader.ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Model("t1", m.ID); err != nil {
			t.Errorf("after Barrier() on another node: %v", err)
		}
	}
}

// Digests are compared by default, and a node whose state was changed behind the
// log's back is out of service, gives up the leadership, and the others go on.
func TestStatesAreCompared(t *testing.T) {
	nodes := trio(t, func(c *Config) { c.CheckInterval = 20 * time.Millisecond })
	nodes[0].record(mixed(100)...)
	for i, n := range nodes {
		until(t, n.ctx, func() bool {
			nodes[0].record(mixed(1)...)
			return n.checker.checks.Load() > 0
		})
		if err := n.checker.err(); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	wrong, right := leader(t, nodes)
	wrong.machine.mu.Lock()
	settings := wrong.machine.catalogue.Settings()
	settings.MaxHistoryDays++
	wrong.machine.catalogue.SetSettings(settings)
	wrong.machine.mu.Unlock()
	until(t, wrong.ctx, func() bool {
		right[0].record(mixed(1)...)
		return wrong.checker.err() != nil
	})
	wantError(t, "Ready() of the node that differs", wrong.Ready(), decision.KindUnavailable, "")
	until(t, wrong.ctx, func() bool { return !wrong.node.IsLeader() })
	for _, n := range right {
		if err := n.checker.err(); err != nil {
			t.Errorf("%s, which did not differ: %v", n.config.Cluster.NodeID, err)
		}
	}
}

// A node joins by itself, gets a vote, and one that is removed stops.
func TestNodesComeAndGo(t *testing.T) {
	nodes := trio(t)
	m := nodes[0].model("m", decision.ThompsonBandit)
	nodes[0].record(mixed(200)...)
	port, err := cluster.ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fourth := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) {
		c.Cluster.NodeID, c.Cluster.Transport, c.Cluster.Advertise = "n4", port, port.Addr().String()
		for _, p := range nodes[1].ClusterStatus(nodes[1].ctx).Nodes {
			c.Cluster.Join = append(c.Cluster.Join, p.Address)
		}
	})
	if a, b := fourth.state(m.ID), nodes[0].state(m.ID); a != b {
		t.Errorf("the new node's state is %s, want %s", a, b)
	}
	until(t, fourth.ctx, func() bool {
		s := fourth.ClusterStatus(fourth.ctx)
		return len(s.Nodes) == 4 && s.Nodes[3].Role == "voter" && s.Nodes[3].Healthy
	})
	lead, others := leader(t, nodes)
	if err := others[0].TransferLeadership(others[0].ctx, "n4"); err != nil {
		t.Fatalf("TransferLeadership() = %v", err)
	}
	until(t, fourth.ctx, fourth.node.IsLeader)
	if err := others[0].RemoveNode(others[0].ctx, lead.config.Cluster.NodeID); err != nil {
		t.Fatalf("RemoveNode() = %v", err)
	}
	select {
	case <-lead.Failed():
	case <-lead.ctx.Done():
		t.Fatal("the removed node goes on")
	}
	others[1].record(mixed(10)...)
	if s := others[1].ClusterStatus(context.Background()); len(s.Nodes) != 3 || s.Leader != "n4" {
		t.Errorf("ClusterStatus() = %+v", s)
	}
	// One that joined by itself does not join again when it is removed.
	if err := others[0].RemoveNode(others[0].ctx, "n4"); err != nil {
		t.Fatalf("RemoveNode() of the leader = %v", err)
	}
	<-fourth.Failed()
	others[1].record(mixed(10)...)
	if s := others[1].ClusterStatus(context.Background()); len(s.Nodes) != 2 {
		t.Errorf("ClusterStatus() = %+v, want two nodes", s)
	}
}
