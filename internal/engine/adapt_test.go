package engine

import (
	"context"
	"math"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/learn"
)

// scoreOf scores an offer and returns the whole result.
func (n *node) scoreOf(id, offer string) learn.Result {
	n.t.Helper()
	s, err := n.Scorer(n.tenant, id)
	if err != nil {
		n.t.Fatal(err)
	}
	var res learn.Result
	s.Score(n.ctx, &learn.Request{Row: number("x", 0.5), OfferID: offer, CustomerID: "c", Rand: n.rng}, now(), &RankScratch{}, &res, nil)
	return res
}

// in is n outcomes of an offer in a category.
func in(n int, kind, offer, category string) []OutcomeInput {
	all := repeat(n, outcome(kind, "c", offer))
	for i := range all {
		all[i].CategoryID, all[i].ChannelID = category, "web"
	}
	return all
}

const halfCard = `{"baseScore":30,"rules":[]}` // its score is always 0.2315

// The ladder's rungs, as outcomes come in.
func TestLadder(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.Scorecard, "config", halfCard, "learningConfig", `{"adaptive":"ladder"}`)
	own := n.scoreOf(m.ID, "").Score
	rung := func(offer, source string, want float64) {
		t.Helper()
		res := n.scoreOf(m.ID, offer)
		if math.Abs(res.Score-want) > 1e-9 || res.Source != source || (source != "" && res.Own != own) {
			t.Errorf("offer %s: %v of %q (own %v), want %v of %q", offer, res.Score, res.Source, res.Own, want, source)
		}
	}
	rung("o1", "", own)
	n.record(in(6, "click", "o1", "cards")...)
	rung("o1", "offer_shrunk", (6+10*own)/16)
	n.record(in(14, "dismiss", "o2", "cards")...)
	rung("o3", "global", 6.0/20)
	rung("o1", "offer_shrunk", (6+10*0.3)/16) // its category has 20 now
	n.record(in(54, "click", "o2", "cards")...)
	rung("o2", "offer", 54.0/68)
	if got := n.scoreOf(m.ID, ""); got.Score != own || got.Source != "" {
		t.Errorf("without an offer: %+v, want the model's own score", got)
	}

	s, err := n.Scorer("t1", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	ranked := s.RankOffers(n.ctx, "c", nil, []Offer{{ID: "o1"}, {ID: "o2"}}, now(), n.rng, &RankScratch{}, nil)
	if ranked[1].Index != 1 || ranked[1].Score != 54.0/68 || ranked[1].Source != "offer" || ranked[1].Own != own || ranked[0].Score <= ranked[1].Score {
		t.Errorf("RankOffers() = %+v, want o2 second by its rate", ranked)
	}
}

// Blend leaves the customer's part of the score and calibrates the offer's.
func TestBlend(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.Scorecard, "config", halfCard, "learningConfig", `{"adaptive":"blend"}`)
	own := n.scoreOf(m.ID, "o1").Score
	n.record(in(300, "click", "o1", "cards")...)
	n.record(in(300, "dismiss", "o1", "cards")...)
	if got := n.scoreOf(m.ID, "o1"); got.Source != "blend" || got.Own != own || got.Score < 0.45 || got.Score > 0.5 {
		t.Errorf("an offer of rate 0.5 that the model gives %v: %+v, want nearly 0.5", own, got)
	}
}

func adapt(t *testing.T, n *node, id string, b evidence.Body) Adaptation {
	t.Helper()
	a, _, err := n.Adapt(n.ctx, n.w(), id, b)
	if err != nil {
		t.Fatalf("Adapt(%+v) = %v", b, err)
	}
	return a
}

// A reset of an offer starts its evidence and its arm from the prior.
func TestResetOffer(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.ThompsonBandit)
	n.record(in(80, "click", "o1", "cards")...)
	n.record(in(100, "dismiss", "o2", "cards")...)
	n.record(in(20, "click", "o2", "cards")...)
	a := adapt(t, n, m.ID, evidence.Body{OfferID: "o1", Reason: "new creative"})
	if a.PreviousEvidence != 80 || a.NewPrior != 0.5 || a.Scope != evidence.ScopeOffer || a.ScopeID != "o1" ||
		a.ResetTo != evidence.CategoryPrior || a.Reason != "new creative" || a.Paused {
		t.Errorf("Adapt() = %+v", a)
	}
	if got, want := n.state(m.ID), `{"arms":{"o1":{"alpha":5,"beta":5},"o2":{"alpha":21,"beta":101}}}`; got != want {
		t.Errorf("state = %s, want %s", got, want)
	}
	a = adapt(t, n, m.ID, evidence.Body{Scope: evidence.ScopeGlobal, ResetTo: evidence.Zero})
	if got, want := n.state(m.ID), `{"arms":{"o1":{"alpha":1,"beta":1},"o2":{"alpha":1,"beta":1}}}`; got != want || a.NewPrior != 0.5 {
		t.Errorf("after a global reset to zero: state = %s, want %s; %+v", got, want, a)
	}
	for _, b := range []evidence.Body{{OfferID: "unknown"}, {Scope: evidence.ScopeCategory, CategoryID: "unknown"}} {
		_, _, err := n.Adapt(n.ctx, n.w(), m.ID, b)
		wantError(t, "Adapt() of an unknown scope", err, decision.KindNotFound, "")
	}
	for _, b := range []evidence.Body{{}, {Action: "explode", OfferID: "o1"}, {Scope: "planet", ScopeID: "o1"}, {OfferID: "o1", ResetTo: "magic"}} {
		_, _, err := n.Adapt(n.ctx, n.w(), m.ID, b)
		wantError(t, "Adapt() with a wrong field", err, decision.KindBadRequest, "")
	}
}

// What a paused scope brings is recorded and moves nothing of the model.
func TestPause(t *testing.T) {
	n := fresh(t)
	paused := n.model("paused", decision.ThompsonBandit)
	other := n.model("other", decision.ThompsonBandit)
	n.record(in(10, "click", "o1", "cards")...)
	if a := adapt(t, n, paused.ID, evidence.Body{Action: evidence.ActionPause, OfferID: "o1"}); !a.Paused || a.NewPrior != 1 {
		t.Errorf("pause: %+v", a)
	}
	before, count := n.state(paused.ID), n.digest().Interactions["t1"]
	n.record(in(5, "dismiss", "o1", "cards")...)
	if got := n.state(paused.ID); got != before {
		t.Errorf("paused, but the state went from %s to %s", before, got)
	}
	if got := n.digest().Interactions["t1"]; got != count+5 {
		t.Errorf("%d interactions, want %d: they are recorded all the same", got, count+5)
	}
	if got, want := n.state(other.ID), `{"arms":{"o1":{"alpha":11,"beta":6}}}`; got != want {
		t.Errorf("the other model's state is %s, want %s", got, want)
	}
	n = n.restart(t)
	n.record(in(5, "dismiss", "o1", "cards")...)
	if got := n.state(paused.ID); got != before {
		t.Errorf("after a restart the pause is forgotten: %s, want %s", got, before)
	}
	if a := adapt(t, n, paused.ID, evidence.Body{Action: evidence.ActionResume, OfferID: "o1"}); a.Paused {
		t.Errorf("resume: %+v", a)
	}
	n.record(in(5, "dismiss", "o1", "cards")...)
	if got, want := n.state(paused.ID), `{"arms":{"o1":{"alpha":11,"beta":6}}}`; got != want {
		t.Errorf("resumed: state %s, want %s", got, want)
	}
}

// Evidence survives a snapshot and a restart, and reset-learning forgets it.
func TestEvidenceIsKept(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.OnlineLearner, "learningConfig", `{"adaptive":"blend","evidenceHalfLifeDays":30}`)
	n.record(in(60, "click", "o1", "cards")...)
	n.record(in(40, "dismiss", "o2", "loans")...)
	if err := n.TakeSnapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.record(in(10, "dismiss", "o2", "loans")...)
	want := n.digest()
	rows := func() int64 {
		l, err := n.Adaptations("t1", m.ID, "", Page{Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		total := int64(len(l.Items))
		for l.HasMore {
			if l, err = n.Adaptations("t1", m.ID, "", Page{Limit: 3, Cursor: l.Cursor}); err != nil {
				t.Fatal(err)
			}
			total += int64(len(l.Items))
		}
		if total != l.Total {
			t.Errorf("the pages have %d rows, the total is %d", total, l.Total)
		}
		return total
	}
	if got := rows(); got != 6 { // all, two categories, a channel, two offers
		t.Errorf("%d rows of evidence, want 6", got)
	}
	n = n.restart(t)
	if got := n.digest(); got.sum() != want.sum() {
		t.Errorf("digest after a restart = %+v, want %+v", got, want)
	}
	if _, _, err := n.ResetLearning(n.ctx, n.w(), m.ID); err != nil {
		t.Fatal(err)
	}
	if got := rows(); got > 1 {
		t.Errorf("%d rows of evidence after reset-learning, want none but the global one", got)
	}
}
