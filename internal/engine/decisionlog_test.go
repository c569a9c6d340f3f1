package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/decisionlog"
	"github.com/praetor-engine/praetor/internal/learn"
)

func quick(c *Config) { c.Decisions.Flush = time.Millisecond }

func (n *node) log(of catalogue.DecisionLogOf, enabled bool, percent float64) {
	n.t.Helper()
	d := DefaultDecisionLog()
	d.Enabled, d.SamplePct = enabled, percent
	if _, _, err := n.SetDecisionLog(n.ctx, n.w(), of, &d); err != nil {
		n.t.Fatalf("SetDecisionLog() = %v", err)
	}
}

// logged stops the node and returns what it logged for its tenant, by type.
func (n *node) logged() (decisions, outcomes []*decisionlog.Record) {
	n.t.Helper()
	n.stop()
	_, err := decisionlog.ReadAll(n.t.Context(), []string{filepath.Join(n.dir, "decisions", n.tenant)}, func(r *decisionlog.Record) error {
		if r.Type == decisionlog.TypeDecision {
			decisions = append(decisions, r)
		} else {
			outcomes = append(outcomes, r)
		}
		return nil
	})
	if err != nil && !strings.Contains(err.Error(), "no such file") {
		n.t.Fatal(err)
	}
	return decisions, outcomes
}

// rank ranks offers as the API does.
func (n *node) rankLogged(id, decisionID, customer string, base decision.Row, all []Offer) []OfferScore {
	n.t.Helper()
	s, err := n.Scorer(n.tenant, id)
	if err != nil {
		n.t.Fatal(err)
	}
	var scratch RankScratch
	ranked := s.RankOffers(n.ctx, customer, base, all, now(), n.rng, &scratch, nil)
	s.LogRanking(decisionID, customer, now(), base, all, ranked, &scratch)
	return ranked
}

// choose scores without an offer, as the API does.
func (n *node) choose(id, decisionID, offer string) (learn.Result, []learn.ArmScore, int) {
	n.t.Helper()
	s, err := n.Scorer(n.tenant, id)
	if err != nil {
		n.t.Fatal(err)
	}
	var scratch RankScratch
	var res learn.Result
	req := learn.Request{Row: number("x", 0.5), OfferID: offer, CustomerID: "c", Rand: n.rng}
	arms, best := s.Score(n.ctx, &req, now(), &scratch, &res, nil)
	s.LogScore(RouteScore, decisionID, now(), &req, &res, arms, best, &scratch)
	return res, arms, best
}

func TestDecisionsAreLogged(t *testing.T) {
	n := fresh(t, quick)
	line := n.model("line", decision.LogisticRegression, "modelState", `{"bias":0,"weights":{"x":1,"price":-1}}`)
	bandit := n.model("bandit", decision.ThompsonBandit, "family", `"bandits"`)
	for _, m := range []*catalogue.Model{line, bandit} {
		n.log(catalogue.DecisionLogOf{ModelID: m.ID}, true, 100)
	}
	n.record(append(repeat(5, outcome("click", "c", "a")), repeat(5, outcome("dismiss", "c", "b"))...)...)
	three := []Offer{{ID: "a", Attributes: number("price", 3)}, {ID: "b", Attributes: number("price", 1)}, {ID: "z", Attributes: number("price", 2)}}
	n.rankLogged(line.ID, "d1", "c", number("x", 0.5), three)
	drawn := n.rankLogged(bandit.ID, "d2", "c", nil, three)
	_, arms, best := n.choose(bandit.ID, "d3", "")
	single, _, _ := n.choose(line.ID, "d4", "a")
	o := outcome("click", "c", "b")
	o.DecisionID, o.IdempotencyKey = "d1", "once"
	first := n.record(o)
	n.record(o)
	n.record(outcome("click", "c", "b"))
	decisions, outcomes := n.logged()
	if len(decisions) != 4 || len(outcomes) != 2 {
		t.Fatalf("%d decisions and %d outcomes, want 4 and 2: the second is the duplicate, the third names no decision", len(decisions), len(outcomes))
	}
	d := decisions[0]
	if d.DecisionID != "d1" || d.Chosen() != 1 || *d.Propensity != 1 || *d.Candidates[0].Propensity != 0 || d.ModelKey != "line" || d.Route != decisionlog.RouteOfferSet ||
		!reflect.DeepEqual(decision.Row(d.Features), number("x", 0.5)) || !reflect.DeepEqual(decision.Row(d.Candidates[2].Features), number("price", 2)) {
		t.Errorf("a ranking by scores: %+v", d)
	}
	if h := d.Candidates[0].History.Summary(); h.Positives != 5 {
		t.Errorf("the history with the first offer is %+v", h)
	}
	d = decisions[1]
	if d.DecisionID != "d2" || d.Chosen() != drawn[0].Index || *d.Propensity != drawn[0].Propensity || d.Family != "bandits" {
		t.Errorf("a bandit's ranking: %+v, want offer %d with %v", d, drawn[0].Index, drawn[0].Propensity)
	}
	total := 0.0
	for _, c := range d.Candidates {
		total += *c.Propensity
	}
	if math.Abs(total-1) > 1e-6 {
		t.Errorf("a bandit's propensities add up to %v", total)
	}
	d = decisions[2]
	if d.DecisionID != "d3" || d.Chosen() != best || *d.Propensity != arms[best].Propensity || len(d.Candidates) != 2 || d.Route != decisionlog.RouteScore {
		t.Errorf("a bandit's choice: %+v", d)
	}
	d = decisions[3]
	if d.DecisionID != "d4" || d.Chosen() != -1 || d.Propensity != nil || len(d.Candidates) != 1 || d.Candidates[0].Score != single.Score {
		t.Errorf("the score of one offer: %+v", d)
	}
	for _, r := range outcomes {
		if r.DecisionID != "d1" || r.OfferID != "b" || r.Classification != "positive" || r.InteractionID != first[0].ID.String() {
			t.Errorf("outcome %+v", r)
		}
	}
}

// Evidence makes another order of a bandit's draws: their probabilities are not
// known then.
func TestAdaptedBanditsHaveNoPropensity(t *testing.T) {
	n := fresh(t, quick)
	bandit := n.model("bandit", decision.ThompsonBandit, "learningConfig", `{"adaptive":"ladder"}`)
	n.log(catalogue.DecisionLogOf{ModelID: bandit.ID}, true, 100)
	n.record(repeat(60, outcome("click", "c", "a"))...)
	n.rankLogged(bandit.ID, "d1", "c", nil, []Offer{{ID: "a"}, {ID: "b"}})
	decisions, _ := n.logged()
	if d := decisions[0]; d.Propensity != nil || d.Choice == nil || d.Candidates[0].Propensity != nil || d.Candidates[0].ModelScore == nil {
		t.Errorf("an adapted ranking: %+v", d)
	}
}

func TestASampleIsLogged(t *testing.T) {
	n := fresh(t, quick)
	m := n.model("m", decision.EpsilonGreedy)
	n.log(catalogue.DecisionLogOf{ModelID: m.ID}, true, 25)
	want := map[string]bool{}
	for i := range 400 {
		id := fmt.Sprint("d", i)
		n.rankLogged(m.ID, id, "c", nil, offers(2))
		o := outcome("click", "c", "o1")
		o.DecisionID = id
		n.record(o)
		if decisionlog.Sampled(id, 25) {
			want[id] = true
		}
	}
	decisions, outcomes := n.logged()
	for _, all := range [][]*decisionlog.Record{decisions, outcomes} {
		got := map[string]bool{}
		for _, r := range all {
			got[r.DecisionID] = true
		}
		if !reflect.DeepEqual(got, want) || len(want) < 60 || len(want) > 140 {
			t.Errorf("%d records, want the %d of the sample", len(got), len(want))
		}
	}
}

// A model's own setting wins over its family's, and both survive a restart, from
// the log and from a snapshot.
func TestWhoseDecisionsAreLogged(t *testing.T) {
	n := fresh(t, quick)
	a := n.model("a", decision.Scorecard, "family", `"f"`)
	b := n.model("b", decision.Scorecard, "family", `"f"`)
	other := n.model("other", decision.Scorecard, "family", `"g"`)
	family := catalogue.DecisionLogOf{Family: "f"}
	n.log(family, true, 50)
	n.log(catalogue.DecisionLogOf{ModelID: b.ID}, false, 100)
	check := func(what string, n *node) {
		t.Helper()
		for _, tc := range []struct {
			id, source string
			logs       bool
		}{{a.ID, "family", true}, {b.ID, "model", false}, {other.ID, "default", false}} {
			s, err := n.Scorer("t1", tc.id)
			if err != nil {
				t.Fatal(err)
			}
			state, err := n.DecisionLog("t1", catalogue.DecisionLogOf{ModelID: tc.id})
			if err != nil || state.Source != tc.source || state.Enabled != tc.logs || s.Logs() != tc.logs {
				t.Errorf("%s: %s has %+v, %v and logs %v, want the setting of %s", what, tc.id, state, err, s.Logs(), tc.source)
			}
		}
	}
	check("at first", n)
	digest := n.digest()
	n = n.restart(t)
	check("after a replay", n)
	if err := n.TakeSnapshot(n.ctx); err != nil {
		t.Fatal(err)
	}
	n = n.restart(t)
	check("after a snapshot", n)
	if got := n.digest(); got.Registry != digest.Registry {
		t.Errorf("digest %s after a restart, want %s", got.Registry, digest.Registry)
	}
	if _, _, err := n.SetDecisionLog(n.ctx, n.w(), family, nil); err != nil {
		t.Fatal(err)
	}
	if got := n.digest(); got.Registry == digest.Registry {
		t.Error("the digest does not know what is logged")
	}
	// What a setting is of takes it along.
	n.log(family, true, 50)
	for _, m := range []*catalogue.Model{a, b} {
		if _, err := n.DeleteModel(n.ctx, n.w(), m.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.DecisionLog("t1", family); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("a family without models: %v", err)
	}
	c := n.model("c", decision.Scorecard, "family", `"f"`)
	if s, _ := n.Scorer("t1", c.ID); s.Logs() {
		t.Error("a new family of the same name is logged")
	}
	if all := n.machine.directory.decisionLogs.Load(); all != nil {
		t.Errorf("nothing is logged, but there are settings: %+v", all)
	}
	for _, bad := range []catalogue.DecisionLog{{SamplePct: 101, Format: "ndjson"}, {SamplePct: 1.234, Format: "ndjson"}, {Format: "csv"}, {SamplePct: math.NaN(), Format: "ndjson"}} {
		if _, _, err := n.SetDecisionLog(n.ctx, n.w(), catalogue.DecisionLogOf{ModelID: c.ID}, &bad); decision.KindOf(err) != decision.KindBadRequest {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// Each node logs what it served and acknowledged; together it is everything, once.
func TestNodesLogWhatTheyServe(t *testing.T) {
	nodes := trio(t, quick)
	m := nodes[0].model("m", decision.EpsilonGreedy)
	nodes[0].log(catalogue.DecisionLogOf{ModelID: m.ID}, true, 100)
	for i, n := range nodes {
		until(t, n.ctx, func() bool { s, err := n.Scorer("t1", m.ID); return err == nil && s.Logs() })
		n.rankLogged(m.ID, fmt.Sprint("d", i), "c", nil, offers(2))
		o := outcome("click", "c", "o1")
		o.DecisionID = fmt.Sprint("d", (i+1)%3) // of another node's decision
		n.record(o)
	}
	digest := nodes[0].digest()
	for _, n := range nodes[1:] {
		if got := n.digest(); got.Registry != digest.Registry {
			t.Errorf("digests differ: %s and %s", got.Registry, digest.Registry)
		}
	}
	for i, n := range nodes {
		decisions, outcomes := n.logged()
		if len(decisions) != 1 || decisions[0].DecisionID != fmt.Sprint("d", i) || decisions[0].Node != fmt.Sprintf("n%d", i+1) {
			t.Errorf("node %d logged the decisions %+v", i+1, decisions)
		}
		if len(outcomes) != 1 || outcomes[0].DecisionID != fmt.Sprint("d", (i+1)%3) {
			t.Errorf("node %d logged the outcomes %+v", i+1, outcomes)
		}
	}
}

func TestADeletedTenantsDecisionsGo(t *testing.T) {
	n := fresh(t, quick)
	m := n.model("m", decision.Scorecard)
	n.log(catalogue.DecisionLogOf{ModelID: m.ID}, true, 100)
	n.rankLogged(m.ID, "d1", "c", nil, offers(2))
	until(t, n.ctx, func() bool { return n.Stats().DecisionLog.Records == 1 })
	if _, err := n.DeleteTenant(n.ctx, Write{Principal: Principal{Role: decision.RoleOperator}}, "t1"); err != nil {
		t.Fatal(err)
	}
	until(t, n.ctx, func() bool { return n.Stats().DecisionLog.Files == 0 })
	if decisions, _ := n.logged(); len(decisions) != 0 {
		t.Errorf("%d decisions are left", len(decisions))
	}
}

// Logging allocates nothing on the score path, and not logging costs nothing.
func TestLoggingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	n := fresh(t)
	ids := scored(n)
	var scratch RankScratch
	var ranked []OfferScore
	var req learn.Request
	var res learn.Result
	var arms []learn.ArmScore
	name := make([]byte, 0, 32)
	rng, all := rand.New(rand.NewPCG(1, 2)), offers(20)
	for what, id := range ids {
		n.log(catalogue.DecisionLogOf{ModelID: id}, true, 100)
		decide := func() {
			s, err := n.Scorer("t1", id)
			if err != nil || !s.Logs() {
				t.Fatal("the model is not logged", err)
			}
			name = AppendDecisionID(name[:0], rng)
			ranked = s.RankOffers(n.ctx, "c0", customer, all, now(), rng, &scratch, ranked[:0])
			s.LogRanking("d", "c0", now(), customer, all, ranked, &scratch)
			req = learn.Request{Row: customer, CustomerID: "c0", Rand: rng}
			var best int
			arms, best = s.Score(n.ctx, &req, now(), &scratch, &res, arms[:0])
			s.LogScore(RouteScore, "d", now(), &req, &res, arms, best, &scratch)
		}
		for range 100 {
			decide()
		}
		// The allocations of the whole process are counted, the writer's too: of several
		// runs the least is the score path's.
		got := math.Inf(1)
		for range 20 {
			got = min(got, testing.AllocsPerRun(10, decide))
		}
		if got != 0 {
			t.Errorf("%s: %v allocations for two decisions that are logged, want 0", what, got)
		}
	}
}

func TestDecisionIDs(t *testing.T) {
	rng, seen := rand.New(rand.NewPCG(1, 2)), map[string]bool{}
	for range 10_000 {
		id := string(AppendDecisionID(nil, rng))
		if len(id) != len(decisionPrefix)+16 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
