package engine

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/monitor"
)

// rank ranks offers as the API does, and tells the monitoring.
func (n *node) rank(id string, times int, offers ...string) {
	n.t.Helper()
	s, err := n.Scorer(n.tenant, id)
	if err != nil {
		n.t.Fatalf("Scorer() = %v", err)
	}
	var all []Offer
	for _, o := range offers {
		all = append(all, Offer{ID: o})
	}
	var scratch RankScratch
	rng := rand.New(rand.NewPCG(5, 6))
	for range times {
		ranked := s.RankOffers(n.ctx, "c", nil, all, now(), rng, &scratch, nil)
		s.ServeRanking("", "c", now(), all, ranked)
	}
}

func (n *node) banditOf(id string) *monitor.Bandit {
	n.t.Helper()
	n.teller.tell(n.ctx, now())
	b := n.monitoring(id).Bandit
	if b == nil {
		n.t.Fatal("a bandit without a report of its health")
	}
	return b
}

// offersOf teaches a model positive and negative outcomes of an offer.
func (n *node) offersOf(id, offer string, positive, negative int) {
	n.t.Helper()
	for kind, count := range map[string]int{"accept": positive, "dismiss": negative} {
		all := repeat(count, outcome(kind, "c", offer))
		for i := range all {
			all[i].ModelID = id
		}
		n.record(all...)
	}
}

func TestBanditHealth(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.ThompsonBandit)
	n.rank(m.ID, 400, "a", "b", "c")
	b := n.banditOf(m.ID)
	if b.Allocation.Served != 400 || b.Allocation.Eligible != 3 || *b.Allocation.Entropy < 0.95 || b.Collapse != nil {
		t.Errorf("before an outcome: %+v, collapse %+v, want 400 decisions spread over 3 arms", b.Allocation, b.Collapse)
	}
	n.serve(m.ID, "", "c", "b", now()) // names its offer
	if got := n.banditOf(m.ID).Allocation; got.Served != 401 || got.Forced != 1 {
		t.Errorf("allocation %+v, want one more decision, forced", got)
	}
	n.offersOf(m.ID, "a", 400, 600)
	n.offersOf(m.ID, "b", 300, 700)
	n.offersOf(m.ID, "c", 300, 700)
	n.serve(m.ID, "", "c", "", now()) // chooses among the arms that the model knows
	v := n.banditOf(m.ID).Verdict
	if v == nil || !v.Converged || v.Because != monitor.BecauseBest || v.OfferID != "a" || v.Evidence != 1000 || v.Rate != 401.0/1002 {
		t.Errorf("verdict %+v, want a as the best", v)
	}
	newWatcher(n.Engine).look(n.ctx, now())
	alerts := n.alertsOf(n.tenant, AlertFilter{State: monitor.Open, Severity: monitor.Info})
	if len(alerts) != 1 || alerts[0].Name != monitor.RuleConverged || !strings.Contains(alerts[0].Message, `"a"`) {
		t.Errorf("alerts %+v, want that a is the best", alerts)
	}
	if got := n.Stats().Alerts; got != 0 {
		t.Errorf("Stats().Alerts = %d, want none: good news is not counted", got)
	}
	if n.monitoring(n.model("other", decision.LogisticRegression).ID).Bandit != nil {
		t.Error("a model that is no bandit has the health of one")
	}
	want := n.digest()
	n = n.restart(t)
	wantEqual(t, "after a restart", n.digest(), want)
	if got := n.banditOf(m.ID); got.Allocation.Served != 402 || !got.Verdict.Converged {
		t.Errorf("after a restart: %+v, %+v", got.Allocation, got.Verdict)
	}
}

// What the engine knows of a bandit leads to the cause of its collapse.
func TestCollapseOfABandit(t *testing.T) {
	greedy := []string{"config", `{"epsilon":0.001}`}
	heavy := []string{"config", `{"bootstrap":{"b":{"rate":0.01,"weight":500}}}`}
	for _, c := range []struct {
		name  string
		kind  decision.ModelType
		pairs []string
		do    func(t *testing.T, n *node, id string)
		want  string
	}{
		{"one offer", decision.ThompsonBandit, nil, func(t *testing.T, n *node, id string) {
			n.offersOf(id, "b", 1, 3)
			n.rank(id, 500, "a")
		}, monitor.CauseOneRequested},
		{"epsilon", decision.EpsilonGreedy, greedy, nil, monitor.CauseEpsilon},
		{"reset", decision.EpsilonGreedy, greedy, func(t *testing.T, n *node, id string) {
			adapt(t, n, id, evidence.Body{Action: evidence.ActionReset, OfferID: "b", ResetTo: evidence.GlobalPrior})
			n.rank(id, 500, "a", "b")
		}, monitor.CauseReset},
		{"paused", decision.EpsilonGreedy, greedy, func(t *testing.T, n *node, id string) {
			adapt(t, n, id, evidence.Body{Action: evidence.ActionPause, OfferID: "b"})
			n.rank(id, 500, "a", "b")
		}, monitor.CausePaused},
		{"bootstrap", decision.ThompsonBandit, heavy, nil, monitor.CausePrior},
		{"adapted", decision.EpsilonGreedy, append(greedy, "learningConfig", `{"adaptive":"ladder"}`), nil, monitor.CauseAdapted},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := fresh(t)
			m := n.model("m", c.kind, c.pairs...)
			n.offersOf(m.ID, "a", 30, 70)
			if c.name != "bootstrap" {
				n.offersOf(m.ID, "b", 2, 8)
			}
			if c.do != nil {
				c.do(t, n, m.ID)
			} else {
				n.rank(m.ID, 500, "a", "b")
			}
			b := n.banditOf(m.ID)
			if b.Collapse == nil || b.Collapse.Cause != c.want || b.Collapse.OfferID != "a" {
				t.Fatalf("collapse %+v of %+v, want the cause %s", b.Collapse, b.Allocation, c.want)
			}
			newWatcher(n.Engine).look(n.ctx, now())
			alerts := n.alertsOf(n.tenant, AlertFilter{Rule: monitor.RuleCollapsed})
			if len(alerts) != 1 || !strings.Contains(alerts[0].Message, b.Collapse.Message) {
				t.Errorf("alerts %+v, want one of the collapse", alerts)
			}
		})
	}
}

// The arms that every node served are known on all.
func TestBanditHealthOfACluster(t *testing.T) {
	nodes := trio(t)
	m := nodes[0].model("m", decision.EpsilonGreedy)
	for i, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
		n.rank(m.ID, 100, "a", "b", string(rune('c'+i)))
		n.teller.tell(n.ctx, now())
	}
	for i, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
		if got := n.monitoring(m.ID).Bandit.Allocation; got.Served != 300 || got.Eligible != 5 {
			t.Errorf("node %d: %+v, want 300 decisions over 5 arms", i+1, got)
		}
	}
}
