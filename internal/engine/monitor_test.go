package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/monitor"
)

// serve scores as the API does, and tells the monitoring.
func (n *node) serve(id, decisionID, customer, offer string, at decision.Time) {
	n.t.Helper()
	s, err := n.Scorer(n.tenant, id)
	if err != nil {
		n.t.Fatalf("Scorer() = %v", err)
	}
	var scratch RankScratch
	var res learn.Result
	req := learn.Request{CustomerID: customer, OfferID: offer, Row: number("x", 1), Rand: rand.New(rand.NewPCG(1, 2))}
	arms, best := s.Score(n.ctx, &req, at, &scratch, &res, nil)
	s.Serve(decisionID, customer, offer, at, res.Score, arms, best)
}

func (n *node) monitoring(id string) Monitoring {
	n.t.Helper()
	m, err := n.Monitoring(n.tenant, id, 7, now())
	if err != nil {
		n.t.Fatalf("Monitoring() = %v", err)
	}
	return m
}

// What was served and what followed is known after it was told, also after a
// restart from a snapshot, and from the log alone.
func TestMonitoring(t *testing.T) {
	n := fresh(t)
	a := n.model("a", decision.LogisticRegression)
	at := now()
	named := outcome("accept", "c0", "o")
	named.ModelID = a.ID
	n.record(named) // nobody served it: a response, not joined
	for i := range 10 {
		n.serve(a.ID, "", fmt.Sprintf("c%d", i), "o", at)
	}
	n.serve(a.ID, "d1", "", "o", at)
	byDecision := outcome("accept", "somebody", "o")
	byDecision.DecisionID = "d1"
	other := named
	other.ModelID = "absent"
	neutral := outcome("impression", "c3", "o")
	n.record(named, outcome("dismiss", "c1", "o"), outcome("accept", "c2", "p"), byDecision, other, neutral)
	n.teller.tell(n.ctx, at)
	got := n.monitoring(a.ID).Total
	// The named ones, the dismissal of c1 and the one by decision; c2 had no score
	// for p, and an impression is no response.
	if got.Responses != 4 || got.Positives != 3 || got.Served != 11 || got.Joined != 3 || got.JoinedPositives != 2 {
		t.Errorf("monitoring %+v, want 4 responses, 3 positive, 11 scores, 3 joined, 2 positive", got)
	}
	if got.LogLoss == nil || got.AUC == nil || len(got.Calibration) == 0 {
		t.Errorf("monitoring %+v, want a log-loss, an AUC and a calibration", got)
	}
	want := n.digest()
	if err := n.TakeSnapshot(n.ctx); err != nil {
		t.Fatal(err)
	}
	n.serve(a.ID, "", "late", "o", now()) // told by the stop
	n = n.restart(t)
	if after := n.digest(); after.Monitoring == want.Monitoring {
		t.Error("what was served before the stop was not told")
	}
	if got := n.monitoring(a.ID).Total; got.Served != 12 || got.Responses != 4 {
		t.Errorf("after a restart %+v, want 12 scores and 4 responses", got)
	}
	digest := n.digest()
	n.stop()
	replayed, err := Replay(n.ctx, n.config.Cluster.DataDir, testLog(t))
	if err != nil {
		t.Fatalf("Replay() = %v", err)
	}
	wantEqual(t, "a replay of the log", replayed, digest)
}

func TestMonitoringOfWhatIsGone(t *testing.T) {
	n := fresh(t)
	n.newTenant("other")
	a := n.model("a", decision.LogisticRegression)
	n.serve(a.ID, "", "c", "o", now())
	for _, days := range []int{0, -1, MaxMonitorDays + 1} {
		_, err := n.Monitoring(n.tenant, a.ID, days, now())
		wantError(t, "days", err, decision.KindBadRequest, "days")
	}
	_, err := n.Monitoring("other", a.ID, 7, now())
	wantError(t, "another tenant's model", err, decision.KindNotFound, "")
	if _, err := n.DeleteModel(n.ctx, n.w(), a.ID, false); err != nil {
		t.Fatal(err)
	}
	if l := n.machine.book.Life(n.tenant, a.ID); l != nil {
		t.Errorf("a model that is gone has the life %+v", l)
	}
	// What comes of it later is dropped.
	d := command.Observe{Deltas: []monitor.Delta{{Tenant: n.tenant, Model: a.ID, Day: int32(monitor.DateOf(now())), Responses: 1}}}
	if _, _, err := do[nothing](n.ctx, n.Engine, &command.Header{Kind: command.KindObserve, IdempotencyKey: "x"}, d); err != nil {
		t.Fatal(err)
	}
	if l := n.machine.book.Life(n.tenant, a.ID); l != nil {
		t.Errorf("a model that is gone has the life %+v", l)
	}
}

// A delta counts once however often it is told.
func TestToldOnce(t *testing.T) {
	n := fresh(t)
	a := n.model("a", decision.LogisticRegression)
	h := &command.Header{Kind: command.KindObserve, IdempotencyKey: "boot/1"}
	d := command.Observe{Deltas: []monitor.Delta{{Tenant: n.tenant, Model: a.ID, Day: int32(monitor.DateOf(now())), Responses: 5}}}
	for range 3 {
		if _, _, err := do[nothing](n.ctx, n.Engine, h, d); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.monitoring(a.ID).Total.Responses; got != 5 {
		t.Errorf("%d responses, want 5", got)
	}
}

// A day after the training the inputs are measured; a training begins anew.
func TestDriftsAreMeasured(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression)
	n.record(mixed(300)...)
	n.train(m.ID)
	named := outcome("accept", "c", "o")
	named.ModelID = m.ID
	n.record(named)
	n.lookForDrifts(n.ctx, now())
	first := n.monitoring(m.ID)
	if first.PredictorsAt == 0 || len(first.Predictors) == 0 {
		t.Fatalf("monitoring %+v, want drifts", first)
	}
	n.record(named)
	n.lookForDrifts(n.ctx, now()+decision.Time(time.Hour/time.Millisecond))
	if again := n.monitoring(m.ID); again.PredictorsAt != first.PredictorsAt {
		t.Error("inputs were measured twice within a day")
	}
	n.train(m.ID)
	if again := n.monitoring(m.ID); again.PredictorsAt != 0 {
		t.Error("drifts outlived a training")
	}
}

func TestMonitoringOff(t *testing.T) {
	n := fresh(t, func(c *Config) { c.MonitorScores = 0 })
	a := n.model("a", decision.LogisticRegression)
	n.serve(a.ID, "", "c", "o", now())
	o := outcome("accept", "c", "o")
	o.ModelID = a.ID
	n.record(o)
	n.teller.tell(n.ctx, now())
	if got := n.monitoring(a.ID).Total; got.Responses != 1 || got.Served != 0 || got.Joined != 0 {
		t.Errorf("monitoring %+v, want one response and no scores", got)
	}
}

// A node serves, another takes the outcome, all show the same.
func TestMonitoringOfACluster(t *testing.T) {
	nodes := trio(t)
	m := nodes[0].model("m", decision.LogisticRegression)
	at := now()
	for _, n := range nodes {
		until(t, n.ctx, func() bool { _, err := n.Scorer(n.tenant, m.ID); return err == nil })
	}
	nodes[0].serve(m.ID, "d0", "", "o", at)
	nodes[1].serve(m.ID, "", "c1", "o", at)
	nodes[2].serve(m.ID, "", "c2", "o", at)
	byDecision := outcome("accept", "c0", "o")
	byDecision.DecisionID = "d0"
	nodes[2].record(byDecision, outcome("dismiss", "c1", "o"))
	nodes[0].record(outcome("accept", "c2", "o"))
	for _, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		n.teller.tell(n.ctx, at)
	}
	for i, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
		got := n.monitoring(m.ID).Total
		if got.Served != 3 || got.Responses != 3 || got.Positives != 2 || got.Joined != 3 || got.JoinedPositives != 2 {
			t.Errorf("node %d: %+v, want 3 scores, each with its outcome, 2 of them positive", i+1, got)
		}
	}
	want := nodes[0].digest()
	for i, n := range nodes[1:] {
		if got := n.digest(); got.Monitoring != want.Monitoring {
			t.Errorf("node %d: the digest of monitoring is %s, want %s", i+2, got.Monitoring, want.Monitoring)
		}
	}
}
