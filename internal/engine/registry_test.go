package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// stand brings a model to a standing.
func (n *node) stand(id string, to decision.RegistryStatus) Standing {
	n.t.Helper()
	s, _, err := n.Transition(n.ctx, n.w(), id, Transition{To: to})
	if err != nil {
		n.t.Fatalf("Transition(%s) = %v", to, err)
	}
	return s
}

// points makes a scorecard that always gives so many points.
func (n *node) points(key, family string, points int) *catalogue.Model {
	n.t.Helper()
	return n.model(key, decision.Scorecard, "config", fmt.Sprintf(`{"baseScore":%d}`, points), "family", `"`+family+`"`)
}

// deciding returns the score of a family's champion.
func (n *node) deciding(family string) (float64, error) {
	s, err := n.FamilyScorer(n.tenant, family, "", now())
	if err != nil {
		return 0, err
	}
	var res learn.Result
	s.Score(n.ctx, &learn.Request{Rand: n.rng}, now(), &RankScratch{}, &res, nil)
	return res.Raw, nil
}

// The family is scored by its champion from the moment the promotion is
// acknowledged, through everything that changes who that is, and after a restart
// from the log and from a snapshot.
func TestFamilyIsScoredByItsChampion(t *testing.T) {
	n := fresh(t)
	one, two := n.points("one", "f", 1), n.points("two", "f", 2)
	want := func(what, family string, points float64) {
		t.Helper()
		got, err := n.deciding(family)
		if points < 0 {
			wantError(t, what, err, decision.KindNotFound, "")
		} else if err != nil || got != points {
			t.Errorf("%s: family %s is scored with %v points, %v, want %v", what, family, got, err, points)
		}
	}
	want("without a champion", "f", -1)
	want("without a family", "g", -1)
	for _, id := range []string{one.ID, two.ID} {
		n.stand(id, decision.RegistryChallenger)
	}
	want("challengers only", "f", -1)
	if s := n.stand(one.ID, decision.RegistryChampion); s.PreviousStatus != decision.RegistryChallenger || s.NewStatus != decision.RegistryChampion || s.DemotedChampionID != "" {
		t.Errorf("the first promotion = %+v", s)
	}
	want("one promoted", "f", 1)
	if s := n.stand(two.ID, decision.RegistryChampion); s.DemotedChampionID != one.ID {
		t.Errorf("the second promotion = %+v, want it to demote %s", s, one.ID)
	}
	want("two promoted", "f", 2)
	if m := n.get(one.ID); m.RegistryStatus != decision.RegistryChallenger {
		t.Errorf("the displaced champion is %s, want challenger", m.RegistryStatus)
	}
	n = n.restart(t)
	want("after a restart from the log", "f", 2)
	n.snapshot()
	n = n.restart(t)
	want("after a restart from a snapshot", "f", 2)

	move := func(id, family string) error {
		_, _, err := n.UpdateModel(n.ctx, n.w(), id, catalogue.ModelFields{Family: &family})
		return err
	}
	if err := move(two.ID, "g"); err != nil {
		t.Fatal(err)
	}
	want("the champion moved", "f", -1)
	want("the champion moved", "g", 2)
	n.stand(one.ID, decision.RegistryChampion)
	wantError(t, "moving a champion where there is one", move(one.ID, "g"), decision.KindConflict, "")
	want("the champion could not move", "f", 1)
	// A new name changes no family, also where that came from the name.
	if _, _, err := n.UpdateModel(n.ctx, n.w(), one.ID, catalogue.ModelFields{Name: text("g")}); err != nil {
		t.Fatal(err)
	}
	want("the champion has another name", "f", 1)
	if _, err := n.DeleteModel(n.ctx, n.w(), one.ID, false); err != nil {
		t.Fatal(err)
	}
	want("the champion is gone", "f", -1)
	if _, err := n.Family("t1", "f"); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("Family() without members = %v, want not found", err)
	}
	d, err := n.Family("t1", "g")
	if err != nil || d.Champion == nil || d.Champion.ModelID != two.ID || len(d.History) != 1 || d.History[0].Change != catalogue.ChangeJoined || d.History[0].Actor != "tests" {
		t.Errorf("Family() = %+v, %v", d, err)
	}
	for _, s := range []decision.Status{decision.StatusPaused, decision.StatusActive} {
		if _, _, err := n.UpdateModel(n.ctx, n.w(), two.ID, catalogue.ModelFields{Status: &s}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.deciding("g"); (err != nil) != (s == decision.StatusPaused) || (err != nil && decision.KindOf(err) != decision.KindConflict) {
			t.Errorf("a champion that is %s: %v", s, err)
		}
	}
	if st := n.Stats(); st.Champions != 1 {
		t.Errorf("Stats().Champions = %d, want 1", st.Champions)
	}
	if _, err := n.DeleteTenant(n.ctx, Write{Principal: Principal{Role: decision.RoleOperator}}, "t1"); err != nil {
		t.Fatal(err)
	}
	want("the tenant is gone", "g", -1)
}

func TestTransitionsAreChecked(t *testing.T) {
	n := fresh(t)
	m := n.points("m", "f", 1)
	before := n.get(m.ID)
	bad, huge := -1.0, map[string]float64{}
	for i := range maxMetrics + 1 {
		huge[fmt.Sprint(i)] = 1
	}
	for path, tr := range map[string]Transition{
		"status":                          {To: "boss"},
		"actor":                           {To: decision.RegistryChallenger, Actor: string(make([]byte, 256))},
		"metricsSnapshot":                 {To: decision.RegistryChallenger, Metrics: huge},
		"metricsSnapshot.auc":             {To: decision.RegistryChallenger, Metrics: map[string]float64{"auc": math.NaN()}},
		"rollbackThresholds.maxAucDrop":   {To: decision.RegistryChallenger, MaxAUCDrop: &bad},
		"rollbackThresholds.maxPsi":       {To: decision.RegistryChallenger, MaxPSI: &bad},
		"rollbackThresholds.maxErrorRate": {To: decision.RegistryChallenger, MaxErrorRate: &bad},
		"x":                               {To: decision.RegistryChallenger, Invalid: decision.Invalid("x", "is wrong")},
	} {
		s, receipt, err := n.Transition(n.ctx, n.w(), m.ID, tr)
		wantError(t, "Transition()", err, decision.KindBadRequest, path)
		if s.Quota == nil || receipt.Index == 0 {
			t.Errorf("%s: got %+v, %+v, want the request counted", path, s, receipt)
		}
	}
	_, _, err := n.Transition(n.ctx, n.w(), "absent", Transition{To: decision.RegistryChallenger})
	wantError(t, "a model that is not there", err, decision.KindNotFound, "")
	s, _, err := n.Transition(n.ctx, n.w(), m.ID, Transition{To: decision.RegistryChampion})
	wantError(t, "a draft to champion", err, decision.KindBadRequest, "status")
	if want := catalogue.RegistryRequests - 10; s.Quota == nil || s.Quota.Remaining != want {
		t.Errorf("the quota is %+v, want %d remaining: every request counts", s.Quota, want)
	}
	if got := n.get(m.ID); fmt.Sprint(*got) != fmt.Sprint(*before) {
		t.Errorf("the model is %+v, want it as before, %+v", got, before)
	}
	// The actor is the key's name unless the request names one.
	n.stand(m.ID, decision.RegistryChallenger)
	if _, e, _ := n.Registry("t1", m.ID); *e.PromotedBy != "tests" {
		t.Errorf("promoted by %s, want the key's name", *e.PromotedBy)
	}
	w := n.w()
	w.Principal.KeyName = ""
	if _, _, err := n.Transition(n.ctx, w, m.ID, Transition{To: decision.RegistryDraft}); err != nil {
		t.Fatal(err)
	}
	if _, e, _ := n.Registry("t1", m.ID); *e.PromotedBy != "system" {
		t.Errorf("promoted by %s, want system", *e.PromotedBy)
	}
}

// What the guard refuses comes with its breaches, and so does what passes it by
// request.
func TestGuardedPromotion(t *testing.T) {
	n := fresh(t)
	old, next := n.points("old", "f", 1), n.points("new", "f", 2)
	for _, id := range []string{old.ID, next.ID} {
		n.stand(id, decision.RegistryChallenger)
	}
	tr := Transition{To: decision.RegistryChampion, Metrics: map[string]float64{"auc": 0.8}}
	if _, _, err := n.Transition(n.ctx, n.w(), old.ID, tr); err != nil {
		t.Fatal(err)
	}
	tr.Metrics = map[string]float64{"auc": 0.6, "psi.age": 0.3}
	s, _, err := n.Transition(n.ctx, n.w(), next.ID, tr)
	wantError(t, "a worse model", err, decision.KindBadRequest, "auc")
	wantError(t, "a worse model", err, decision.KindBadRequest, "psi.age")
	var e *decision.Error
	if errors.As(err, &e); e.Reason != catalogue.ReasonRollbackGuard || len(s.Breaches) != 2 {
		t.Errorf("refused with %q and %+v", e.Reason, s.Breaches)
	}
	if got, _ := n.deciding("f"); got != 1 {
		t.Errorf("the champion is %v, want 1", got)
	}
	drop, psi := 0.3, 0.3
	tr.MaxAUCDrop, tr.MaxPSI = &drop, &psi
	if s, _, err = n.Transition(n.ctx, n.w(), next.ID, tr); err != nil || s.DemotedChampionID != old.ID || s.Breaches != nil {
		t.Errorf("with wider thresholds: %+v, %v", s, err)
	}
	w := n.keyed("promote", 1)
	tr = Transition{To: decision.RegistryChampion, Metrics: map[string]float64{"auc": 0.3}, BypassGuard: true}
	first, _, err := n.Transition(n.ctx, w, old.ID, tr)
	if err != nil || len(first.Breaches) != 1 || first.Breaches[0].Signal != "auc" || first.Breaches[0].Value != 0.5 {
		t.Errorf("with the guard bypassed: %+v, %v", first, err)
	}
	again, receipt, err := n.Transition(n.ctx, w, old.ID, tr)
	if err != nil || !receipt.Replayed || again.Quota != nil || again.DemotedChampionID != next.ID || fmt.Sprint(again.Breaches) != fmt.Sprint(first.Breaches) {
		t.Errorf("the same request again: %+v, %+v, %v, want the first answer and nothing counted", again, receipt, err)
	}
}

// The limit is in the log: a restarted node counts on.
func TestRegistryLimitIsCountedInTheLog(t *testing.T) {
	n := fresh(t)
	m := n.points("m", "f", 1)
	for i := range catalogue.RegistryRequests {
		if i == 40 {
			n.snapshot()
		}
		if i%20 == 10 {
			n = n.restart(t)
		}
		_, _, err := n.Transition(n.ctx, n.w(), m.ID, Transition{To: []decision.RegistryStatus{decision.RegistryArchived, decision.RegistryDraft, "boss"}[i%3]})
		if (err != nil) != (i%3 == 2) {
			t.Fatalf("request %d = %v", i, err)
		}
	}
	before := n.encoded()
	for _, tr := range []Transition{{To: decision.RegistryArchived}, {To: "boss"}} {
		s, _, err := n.Transition(n.ctx, n.w(), m.ID, tr)
		wantError(t, "one more", err, decision.KindRateLimited, "")
		if s.Quota == nil || s.Quota.Remaining != 0 || s.Quota.Seconds() < 1 || s.Quota.Seconds() > 60 {
			t.Errorf("one more: quota %+v, want none and a wait of up to 60 s", s.Quota)
		}
	}
	if after := n.encoded(); after != before {
		t.Errorf("a refused request changed the registry to %s", after)
	}
	n.newTenant("t2")
	n.tenant = "t2"
	_, _, err := n.Transition(n.ctx, n.w(), m.ID, Transition{To: decision.RegistryArchived})
	wantError(t, "another tenant", err, decision.KindNotFound, "")
}

// Promotions on all nodes at once have one order; afterwards every node names the
// same champion, and the limit was counted for all of them together.
func TestPromotionsOnThreeNodes(t *testing.T) {
	nodes := trio(t)
	const models = 6
	ids := make([]string, models)
	for i := range ids {
		ids[i] = nodes[i%3].points(fmt.Sprint("m", i), "f", i).ID
		nodes[(i+1)%3].stand(ids[i], decision.RegistryChallenger)
	}
	standings, errs := make([]Standing, models), make([]error, models)
	var promoting sync.WaitGroup
	for i := range ids {
		promoting.Go(func() {
			n := nodes[i%3]
			standings[i], _, errs[i] = n.Transition(n.ctx, n.w(), ids[i], Transition{To: decision.RegistryChampion})
		})
	}
	promoting.Wait()
	after := map[string]string{}
	for i, s := range standings {
		if errs[i] != nil || after[s.DemotedChampionID] != "" {
			t.Fatalf("promotion %d: %+v, %v, want another one displaced than %v", i, s, errs[i], after)
		}
		after[s.DemotedChampionID] = ids[i]
	}
	champion := ""
	for range ids {
		champion = after[champion]
	}
	for i, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
		d, err := n.Family("t1", "f")
		if err != nil || d.Champion == nil || d.Champion.ModelID != champion || len(d.History) != 3*models-1 {
			t.Errorf("node %d: Family() = %+v, %v, want champion %s, the last of %v", i, d, err, champion, after)
		}
		if got, err := n.deciding("f"); err != nil || got != float64(slices.Index(ids, champion)) {
			t.Errorf("node %d: scored with %v points, %v, want those of %s", i, got, err, champion)
		}
	}
	for i := 2 * models; i < catalogue.RegistryRequests; i++ {
		n := nodes[i%3]
		_, _, err := n.Transition(n.ctx, n.w(), champion, Transition{To: decision.RegistryChampion})
		wantError(t, "a request within the limit", err, decision.KindBadRequest, "status")
	}
	for _, n := range nodes {
		_, _, err := n.Transition(n.ctx, n.w(), champion, Transition{To: decision.RegistryArchived})
		wantError(t, "a request beyond the limit", err, decision.KindRateLimited, "")
	}
}

// Random entries of many commands: after each, what readers find without a lock is
// what the catalogue says, and in between no reader meets two champions.
func TestChampionsInTheDirectory(t *testing.T) {
	for seed := range uint64(4) {
		l := newLogless(t)
		rng := rand.New(rand.NewPCG(seed, 7))
		for _, tenant := range []string{"t1", "t2"} {
			l.apply(encode(t, command.KindCreateTenant, "", command.CreateTenant{ID: tenant, Name: tenant}))
		}
		ids := []string{"a", "b", "c", "d", "e", "f"}
		l.watch(ids[:3], func() {
			for range 150 {
				var commands []string
				for range 1 + rng.IntN(6) {
					commands = append(commands, randomRegistryCommand(t, rng, ids))
				}
				l.index += 3000 // the time moves with it, so that the limit stays away
				l.apply(commands...)
				l.checkChampions()
			}
		})
	}
}

func randomRegistryCommand(t *testing.T, rng *rand.Rand, ids []string) string {
	at := rng.IntN(len(ids))
	id, tenant, family := ids[at], []string{"t1", "t2"}[at/3], []string{`"f"`, `"g"`}[rng.IntN(2)]
	switch rng.IntN(8) {
	case 0, 1:
		return encode(t, command.KindCreateModel, tenant, command.CreateModel{ID: id, Fields: fields(t, id, decision.Scorecard, "family", family)})
	case 2:
		return encode(t, command.KindUpdateModel, tenant, command.UpdateModel{ID: id, Fields: with(t, catalogue.ModelFields{}, "family", family)})
	case 3:
		if rng.IntN(3) == 0 {
			return encode(t, command.KindDeleteModel, tenant, command.DeleteModel{ID: id})
		}
	}
	to := []decision.RegistryStatus{decision.RegistryChallenger, decision.RegistryChampion, decision.RegistryChampion, decision.RegistryArchived, decision.RegistryDraft}[rng.IntN(5)]
	return encode(t, command.KindTransition, tenant, command.Transition{ID: id, Transition: catalogue.Transition{To: to, Thresholds: catalogue.DefaultThresholds()}})
}

// watch reads the standings of the models of one tenant while f runs: the
// champions of one family, read one after the other, are never two that both were
// so before and after.
func (l *logless) watch(ids []string, f func()) {
	l.t.Helper()
	var done atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		for !done.Load() {
			all := l.m.directory.models.Load()
			if all == nil {
				continue
			}
			var before []string
			for pass := range 2 {
				var champions []string
				for _, id := range ids {
					if mr := (*all)[id]; mr != nil {
						if rec := mr.record.Load(); rec.RegistryStatus == decision.RegistryChampion && rec.Family == "f" {
							champions = append(champions, fmt.Sprint(id, rec.UpdatedAt))
						}
					}
				}
				if pass == 0 {
					before = champions
				} else if len(champions) > 1 && slices.Equal(before, champions) && all == l.m.directory.models.Load() {
					l.t.Errorf("a reader met the champions %v", champions)
					return
				}
			}
		}
	})
	f()
	done.Store(true)
	reading.Wait()
}

// checkChampions compares the directory and the records with the catalogue.
func (l *logless) checkChampions() {
	l.t.Helper()
	want := map[familyKey]string{}
	for _, rec := range l.m.catalogue.AllModels() {
		mr := l.m.directory.mustModel(rec.ID)
		if got := mr.record.Load(); got != rec {
			l.t.Fatalf("model %s is %+v for readers, want %+v", rec.ID, got, rec)
		}
		if rec.RegistryStatus == decision.RegistryChampion {
			key := familyKey{rec.TenantID, rec.Family}
			if want[key] != "" {
				l.t.Fatalf("family %v has the champions %s and %s", key, want[key], rec.ID)
			}
			want[key] = rec.ID
		}
	}
	got := map[familyKey]string{}
	if all := l.m.directory.champions.Load(); all != nil {
		for key, mr := range *all {
			got[key] = mr.id
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Fatalf("champions for readers = %v, want %v", got, want)
	}
}

func TestFamilyScorerAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	n := fresh(t)
	m := n.points("m", "cards", 7)
	n.stand(m.ID, decision.RegistryChallenger)
	n.stand(m.ID, decision.RegistryChampion)
	if got := testing.AllocsPerRun(1000, func() { _, _ = n.FamilyScorer("t1", "cards", "", 0) }); got != 0 {
		t.Errorf("%v allocations to find a champion, want 0", got)
	}
}

// BenchmarkFindScorer is what a request for a family pays beside one for a model:
// another map, a key of two strings.
func BenchmarkFindScorer(b *testing.B) {
	n := fresh(b)
	var m *catalogue.Model
	for i := range 25 { // of 50 requests
		m = n.points(fmt.Sprint("m", i), fmt.Sprint("family of cards ", i), 7)
		n.stand(m.ID, decision.RegistryChallenger)
		n.stand(m.ID, decision.RegistryChampion)
	}
	b.Run("by=model", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = n.Scorer("t1", m.ID)
		}
	})
	b.Run("by=family", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = n.FamilyScorer("t1", m.Family, "c1", 0)
		}
	})
}
