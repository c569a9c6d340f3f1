package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/experiment"
	"github.com/praetor-engine/praetor/internal/learn"
)

// definition is that of an experiment; shares are models and percentages.
func definition(key, status, champion string, championPct float64, shares ...any) json.RawMessage {
	challengers := []map[string]any{}
	for i := 0; i < len(shares); i += 2 {
		challengers = append(challengers, map[string]any{"modelId": shares[i], "trafficPct": shares[i+1]})
	}
	b, err := json.Marshal(map[string]any{
		"key": key, "name": key, "status": status, "championModelId": champion,
		"trafficSplit": map[string]any{"championPct": championPct}, "challengers": challengers,
	})
	if err != nil {
		panic(err)
	}
	return b
}

func (n *node) experiment(raw json.RawMessage) *catalogue.Experiment {
	n.t.Helper()
	x, _, err := n.CreateExperiment(n.ctx, n.w(), raw)
	if err != nil {
		n.t.Fatalf("CreateExperiment() = %v", err)
	}
	return x
}

// alter changes an experiment and returns the log index.
func (n *node) alter(id, fields string) uint64 {
	n.t.Helper()
	_, receipt, err := n.UpdateExperiment(n.ctx, n.w(), id, json.RawMessage(fields))
	if err != nil {
		n.t.Fatalf("UpdateExperiment(%s) = %v", fields, err)
	}
	return receipt.Index
}

// rivals are a champion and a challenger of the family f, of 1 and 2 points.
func (n *node) rivals() (champion, challenger *catalogue.Model) {
	n.t.Helper()
	champion, challenger = n.points("one", "f", 1), n.points("two", "f", 2)
	for _, id := range []string{champion.ID, challenger.ID} {
		n.stand(id, decision.RegistryChallenger)
	}
	n.stand(champion.ID, decision.RegistryChampion)
	return champion, challenger
}

// variant asks the family's route for a customer's variant and model.
func (n *node) variant(customer string) (variant, model string) {
	n.t.Helper()
	s, err := n.FamilyScorer(n.tenant, "f", customer, now())
	if err != nil {
		n.t.Fatalf("FamilyScorer() = %v", err)
	}
	return s.Variant, s.Model().ID
}

// assignedHere waits until the node knows so many customers as assigned.
func (n *node) assignedHere(customers int) {
	n.t.Helper()
	until(n.t, n.ctx, func() bool { return n.Stats().ExperimentCustomers == customers })
}

func (n *node) results(id string) ExperimentResults {
	n.t.Helper()
	r, err := n.Results(n.tenant, id, now())
	if err != nil {
		n.t.Fatalf("Results() = %v", err)
	}
	return r
}

// Every node gives a customer the same variant, by the assignment's route and by
// the family's; a change of the split moves nobody who was assigned before; who
// was not follows it. Each customer is counted once, whatever nodes were asked.
func TestNodesAssignAlike(t *testing.T) {
	nodes := trio(t)
	champion, challenger := nodes[0].rivals()
	x := nodes[1].experiment(definition("e", "active", champion.ID, 80, challenger.ID, 20))
	index := nodes[1].AppliedIndex()
	reached := func(index uint64) {
		t.Helper()
		for _, n := range nodes {
			if err := n.WaitApplied(n.ctx, index); err != nil {
				t.Fatal(err)
			}
		}
	}
	reached(index)
	const customers = 600
	first := map[string]string{}
	for i := range customers {
		customer := fmt.Sprint("customer", i)
		a, err := nodes[i%3].Assignment("t1", x.ID, customer, now())
		if err != nil {
			t.Fatal(err)
		}
		first[customer] = a.Variant
		for j, n := range nodes {
			variant, model := n.variant(customer)
			if want := map[string]string{experiment.Champion: champion.ID, "two": challenger.ID}[a.Variant]; variant != a.Variant || model != want || a.ModelID != want {
				t.Fatalf("%s: node %d gives %s with %s, assigned were %s with %s", customer, j, variant, model, a.Variant, a.ModelID)
			}
		}
	}
	for _, n := range nodes {
		n.assignedHere(customers)
	}
	// The shares are turned round by another node.
	reached(nodes[2].alter(x.ID, fmt.Sprintf(`{"trafficSplit":{"championPct":20},"challengers":[{"modelId":%q,"trafficPct":80}]}`, challenger.ID)))
	moved := 0
	for i := range customers {
		customer := fmt.Sprint("customer", i)
		for j, n := range nodes {
			if got, _ := n.variant(customer); got != first[customer] {
				t.Fatalf("%s: node %d gives %s after the change, before it was %s", customer, j, got, first[customer])
			}
		}
		if got, _ := nodes[i%3].variant(fmt.Sprint("new", i)); got == "two" {
			moved++
		}
	}
	if share := float64(moved) / customers; math.Abs(share-0.8) > 3*math.Sqrt(0.8*0.2/customers) {
		t.Errorf("of those who came after the change %v have the challenger, want 0.8 within 3 standard errors", share)
	}
	for _, n := range nodes {
		n.assignedHere(2 * customers)
		if r := n.results(x.ID); r.SRM.Warning || len(r.Variants) != 2 {
			t.Errorf("the results of %s: %+v", n.config.Cluster.NodeID, r.Results)
		}
	}
	// 30 days later the new split holds for all of them.
	later := now() + decision.Time(31*24*3600*1000)
	a, err := nodes[0].Assignment("t1", x.ID, "customer0", later)
	b, err2 := nodes[0].Assignment("t1", x.ID, "customer0", now())
	if err != nil || err2 != nil || a.Bucket != b.Bucket || b.Variant != first["customer0"] {
		t.Errorf("assignments now %+v and in 31 days %+v, %v, %v", b, a, err, err2)
	}
	want := nodes[0].digest().Registry
	for _, n := range nodes[1:] {
		if got := n.digest().Registry; got != want {
			t.Errorf("the states differ: %s on %s, want %s", got, n.config.Cluster.NodeID, want)
		}
	}
}

// A customer who was served just before the change of a split is told of too late
// for it, and keeps the variant all the same once that has landed.
func TestLateCustomersKeepTheirVariant(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	x := n.experiment(definition("e", "active", champion.ID, 100, challenger.ID, 0))
	for i := range 100 {
		if got, _ := n.variant(fmt.Sprint(i)); got != experiment.Champion {
			t.Fatalf("got %s, want the champion", got)
		}
	}
	n.alter(x.ID, fmt.Sprintf(`{"trafficSplit":{"championPct":0},"challengers":[{"modelId":%q,"trafficPct":100}]}`, challenger.ID))
	n.assignedHere(100)
	for i := range 100 {
		if got, _ := n.variant(fmt.Sprint(i)); got != experiment.Champion {
			t.Errorf("customer %d has %s, want the champion kept", i, got)
		}
	}
	if got, _ := n.variant("somebody"); got != "two" {
		t.Errorf("a new customer has %s, want two", got)
	}
	if s := n.Stats(); s.ExperimentKept != 100 {
		t.Errorf("Stats().ExperimentKept = %d, want 100", s.ExperimentKept)
	}
}

// What an experiment knows is the same after a restart from the log, from a
// snapshot, and when the whole log is replayed.
func TestExperimentsSurvive(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	x := n.experiment(definition("e", "active", champion.ID, 50, challenger.ID, 50))
	n.experiment(definition("draft", "draft", challenger.ID, 50, champion.ID, 50))
	for i := range 400 {
		n.variant(fmt.Sprint("c", i))
	}
	n.assignedHere(400)
	n.record(mixed(200)...)
	n.alter(x.ID, fmt.Sprintf(`{"holdoutPercent":10,"trafficSplit":{"championPct":30},"challengers":[{"modelId":%q,"trafficPct":70}]}`, challenger.ID))
	n.record(mixed(100)...)
	view := func(n *node) string {
		var shown []string
		for i := range 500 {
			v, m := n.variant(fmt.Sprint("c", i))
			shown = append(shown, v+m)
		}
		n.assignedHere(500)
		r := n.results(x.ID)
		b, err := json.Marshal(struct {
			Shown []string
			X     *catalogue.Experiment
			R     experiment.Results
		}{shown, r.Experiment, r.Results})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want, digest := view(n), n.digest()
	n = n.restart(t)
	if got := view(n); got != want {
		t.Errorf("after a restart from the log: got %s, want %s", got, want)
	}
	if got := n.digest(); got.Registry != digest.Registry {
		t.Errorf("the digest after a restart: %s, want %s", got.Registry, digest.Registry)
	}
	whole := copyTree(t, n.dir)
	n.snapshot()
	n = n.restart(t)
	if got := view(n); got != want {
		t.Errorf("after a restart from a snapshot: got %s, want %s", got, want)
	}
	if got := n.digest(); got.Registry != digest.Registry {
		t.Errorf("the digest after a snapshot: %s, want %s", got.Registry, digest.Registry)
	}
	if err := os.RemoveAll(filepath.Join(whole, "snapshots")); err != nil {
		t.Fatal(err)
	}
	replayed, err := Replay(n.ctx, whole, testLog(t))
	if err != nil || replayed.Registry != digest.Registry {
		t.Errorf("Replay() = %s, %v, want %s", replayed.Registry, err, digest.Registry)
	}
}

// An outcome counts for the variant whose model it names, else for its
// customer's; what has no label, happened before the start, or comes while the
// experiment is not active counts for none.
func TestOutcomesCountForTheirVariant(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	other := n.points("other", "g", 3)
	x := n.experiment(json.RawMessage(fmt.Sprintf(
		`{"key":"e","name":"e","status":"active","championModelId":%q,"trafficSplit":{"championPct":50},"holdoutPercent":20,"challengers":[{"modelId":%q,"trafficPct":50}]}`,
		champion.ID, challenger.ID)))
	of := map[string]string{} // a customer of each variant
	for i := 0; len(of) < 3; i++ {
		v, _ := n.variant(fmt.Sprint(i))
		of[v] = fmt.Sprint(i)
	}
	type tallies map[string][2]uint64
	counted := func() tallies {
		all := tallies{}
		for _, v := range n.results(x.ID).Variants {
			all[v.Variant] = [2]uint64{v.Samples, v.Positives}
		}
		return all
	}
	const holdout, base, two = experiment.Holdout, experiment.Champion, "two"
	for _, tc := range []struct {
		name           string
		kind, customer string
		model          string
		at             int64
		variant        string // empty: none
	}{
		{"of the champion", "click", of[base], "", 0, base},
		{"negative", "dismiss", of[base], "", 0, base},
		{"of the challenger", "click", of[two], "", 0, two},
		{"of the holdout", "click", of[holdout], "", 0, holdout},
		{"without a label", "impression", of[two], "", 0, ""},
		{"by the model, not the customer", "click", of[base], challenger.ID, 0, two},
		{"by the champion's model", "dismiss", of[two], champion.ID, 0, base},
		{"by the champion's model in the holdout", "click", of[holdout], champion.ID, 0, holdout},
		{"by a model that takes no part", "click", of[two], other.ID, 0, ""},
		{"before the start", "click", of[two], "", int64(x.StartedAt) - 1, ""},
	} {
		want := counted()
		o := outcome(tc.kind, tc.customer, "o")
		o.ModelID, o.At = tc.model, tc.at
		n.record(o)
		if tc.variant != "" {
			v := want[tc.variant]
			v[0]++
			if tc.kind == "click" {
				v[1]++
			}
			want[tc.variant] = v
		}
		if got := counted(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, want)
		}
	}
	want := counted()
	n.alter(x.ID, `{"status":"paused"}`)
	n.record(outcome("click", of[two], "o"))
	if got := counted(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("paused: got %v, want %v", got, want)
	}
	n.alter(x.ID, `{"status":"active"}`)
	n.record(outcome("click", of[two], "o"))
	if got := counted(); got[two][0] != want[two][0]+1 {
		t.Errorf("resumed: got %v, want one more than %v", got, want)
	}
}

// won is an experiment whose challenger has won: 400 outcomes each, 40 % against
// 20 %.
func (n *node) won(champion, challenger *catalogue.Model, more string) *catalogue.Experiment {
	n.t.Helper()
	x := n.experiment(definition("e", "active", champion.ID, 50, challenger.ID, 50))
	n.alter(x.ID, `{"autoPromote":true,"promoteAfterDays":1`+more+`}`)
	var all []OutcomeInput
	for i := range 400 {
		for id, positive := range map[string]bool{champion.ID: i%5 == 0, challenger.ID: i%5 < 2} {
			kind := "dismiss"
			if positive {
				kind = "click"
			}
			o := outcome(kind, fmt.Sprint(i), "o")
			o.ModelID = id
			all = append(all, o)
		}
	}
	n.record(all...)
	return x
}

func TestWinnerIsPromotedOnce(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	x := n.won(champion, challenger, "")
	n.lookForWinners(n.ctx, now())
	if got := n.get(challenger.ID).RegistryStatus; got != decision.RegistryChallenger {
		t.Fatalf("before promoteAfterDays the challenger is %s", got)
	}
	tomorrow := now() + decision.Time(25*3600*1000)
	stale := n.machine.directory.experiments.Load().byID[x.ID]
	winner, results := n.machine.catalogue.Winner("t1", x.ID, tomorrow)
	n.lookForWinners(n.ctx, tomorrow)
	got, err := n.Experiment("t1", x.ID)
	if err != nil || got.Status != experiment.StatusCompleted || got.EndReason != catalogue.EndPromoted || got.Promotion == nil || !got.Promotion.Promoted || got.Promotion.ModelID != challenger.ID {
		t.Fatalf("the experiment: %+v, %v", got, err)
	}
	_, entry, err := n.Registry("t1", challenger.ID)
	if err != nil || entry.Status != decision.RegistryChampion || entry.PromotedBy == nil || *entry.PromotedBy != "experiment e" {
		t.Errorf("the registry: %+v, %v", entry, err)
	}
	if v, m := n.variant("anybody"); v != "" || m != challenger.ID {
		t.Errorf("the family is scored by %s of variant %q, want the winner", m, v)
	}
	// Another leader may have found the same.
	before := len(n.audits("t1", AuditFilter{}))
	wantError(t, "a second promotion", n.proposePromotion(n.ctx, stale, winner, &results), decision.KindConflict, "")
	n.lookForWinners(n.ctx, tomorrow)
	if after := len(n.audits("t1", AuditFilter{})); after != before {
		t.Errorf("%d audit entries after a second promotion, want %d", after, before)
	}
	for action, want := range map[string]int{"promote": 1, "displace": 1, "complete": 0} {
		if got := n.audits("t1", AuditFilter{Action: action}); len(got) != want || want > 0 && got[0].Actor != "experiment e" {
			t.Errorf("audit entries of %s: %+v, want %d", action, got, want)
		}
	}
	// Who goes back does so by hand, and no experiment objects.
	n.stand(champion.ID, decision.RegistryChampion)
}

// What the guard refuses is noted, not tried again, and considered again after
// somebody has changed the experiment.
func TestGuardRefusesTheWinner(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	if _, _, err := n.UpdateModel(n.ctx, n.w(), challenger.ID, catalogue.ModelFields{Metrics: json.RawMessage(`{"psi.age":0.5}`)}); err != nil {
		t.Fatal(err)
	}
	x := n.won(champion, challenger, "")
	tomorrow := now() + decision.Time(25*3600*1000)
	for range 2 {
		n.lookForWinners(n.ctx, tomorrow)
		got, err := n.Experiment("t1", x.ID)
		if err != nil || got.Status != experiment.StatusActive || got.Promotion == nil || got.Promotion.Promoted || got.Promotion.Reason == "" {
			t.Fatalf("the experiment: %+v, %v", got, err)
		}
	}
	if got := n.audits("t1", AuditFilter{Action: "promote"}); len(got) != 1 {
		t.Errorf("tried %d times, want once", len(got))
	}
	if _, _, err := n.UpdateModel(n.ctx, n.w(), challenger.ID, catalogue.ModelFields{Metrics: json.RawMessage(`{"psi.age":0.1}`)}); err != nil {
		t.Fatal(err)
	}
	n.lookForWinners(n.ctx, tomorrow)
	if got := n.get(challenger.ID).RegistryStatus; got != decision.RegistryChallenger {
		t.Errorf("the challenger is %s without anybody having changed the experiment", got)
	}
	n.alter(x.ID, `{"description":"the drift was a defect of the feed"}`)
	n.lookForWinners(n.ctx, tomorrow)
	if got := n.get(challenger.ID).RegistryStatus; got != decision.RegistryChampion {
		t.Errorf("the challenger is %s, want champion", got)
	}
}

// Every change of status, from every one.
func TestExperimentStatuses(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	ways := map[string][]string{ // how to come to a status
		"draft": nil, "active": {"active"}, "paused": {"active", "paused"}, "completed": {"active", "completed"}, "archived": {"archived"},
	}
	permitted := map[string]bool{
		"draft>active": true, "draft>archived": true, "active>paused": true, "active>completed": true,
		"paused>active": true, "paused>completed": true, "completed>archived": true,
	}
	made := 0
	for from, way := range ways {
		for to := range ways {
			made++
			x := n.experiment(definition(fmt.Sprint("e", made), "draft", champion.ID, 50, challenger.ID, 50))
			for _, s := range way {
				n.alter(x.ID, `{"status":"`+s+`"}`)
			}
			_, _, err := n.UpdateExperiment(n.ctx, n.w(), x.ID, json.RawMessage(`{"status":"`+to+`"}`))
			if from == to || permitted[from+">"+to] {
				if err != nil {
					t.Errorf("%s to %s: %v", from, to, err)
				}
			} else {
				wantError(t, from+" to "+to, err, decision.KindBadRequest, "status")
			}
			got, _ := n.Experiment("t1", x.ID)
			if got.Status == experiment.StatusActive {
				_, err := n.DeleteExperiment(n.ctx, n.w(), x.ID)
				wantError(t, "deleting an active one", err, decision.KindConflict, "")
				n.alter(x.ID, `{"status":"completed"}`)
			}
			if _, err := n.DeleteExperiment(n.ctx, n.w(), x.ID); err != nil {
				t.Errorf("deleting one that is %s: %v", got.Status, err)
			}
		}
	}
}

func TestExperimentsAreChecked(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	stranger := n.points("stranger", "g", 3)
	for name, tc := range map[string]struct {
		raw  json.RawMessage
		kind decision.Kind
		path string
	}{
		"no champion":     {definition("e", "draft", "absent", 50, challenger.ID, 50), decision.KindBadRequest, "championModelId"},
		"no challenger":   {definition("e", "draft", champion.ID, 50, "absent", 50), decision.KindBadRequest, "challengers[0].modelId"},
		"99 %":            {definition("e", "draft", champion.ID, 50, challenger.ID, 49), decision.KindBadRequest, "trafficSplit.championPct"},
		"born paused":     {definition("e", "paused", champion.ID, 50, challenger.ID, 50), decision.KindBadRequest, "status"},
		"another's place": {definition("e", "active", challenger.ID, 50, champion.ID, 50), decision.KindConflict, ""},
		"another family": {json.RawMessage(fmt.Sprintf(
			`{"key":"e","name":"e","championModelId":%q,"trafficSplit":{"championPct":50},"autoPromote":true,"challengers":[{"modelId":%q,"trafficPct":50}]}`,
			champion.ID, stranger.ID)), decision.KindBadRequest, "challengers[0].modelId"},
	} {
		_, _, err := n.CreateExperiment(n.ctx, n.w(), tc.raw)
		wantError(t, name, err, tc.kind, tc.path)
	}
	x := n.experiment(definition("e", "active", champion.ID, 50, challenger.ID, 50))
	_, _, err := n.CreateExperiment(n.ctx, n.w(), definition("e", "draft", champion.ID, 100))
	wantError(t, "the key again", err, decision.KindBadRequest, "key")
	_, _, err = n.CreateExperiment(n.ctx, n.w(), definition("e2", "active", champion.ID, 100))
	wantError(t, "a second active one of the family", err, decision.KindConflict, "")
	_, _, err = n.UpdateExperiment(n.ctx, n.w(), x.ID, json.RawMessage(fmt.Sprintf(`{"championModelId":%q}`, stranger.ID)))
	wantError(t, "another champion", err, decision.KindConflict, "")
	n.alter(x.ID, `{"status":"completed"}`)
	_, _, err = n.UpdateExperiment(n.ctx, n.w(), x.ID, json.RawMessage(`{"holdoutPercent":10}`))
	wantError(t, "another split after the end", err, decision.KindConflict, "")
	n.alter(x.ID, `{"name":"what we learned"}`)
	_, err = n.Assignment("t1", x.ID, "c", now())
	wantError(t, "an assignment after the end", err, decision.KindConflict, "")
	_, err = n.Assignment("t1", "absent", "c", now())
	wantError(t, "an assignment of none", err, decision.KindNotFound, "")
	_, err = n.Assignment("t1", x.ID, "", now())
	wantError(t, "an assignment of nobody", err, decision.KindBadRequest, "customerId")
}

// A model that a running experiment uses is deleted only by force, which ends the
// experiment; so does everything that takes the champion's place from it.
func TestExperimentsEndWithTheirModels(t *testing.T) {
	for name, tc := range map[string]struct {
		do     func(n *node, champion, challenger *catalogue.Model) error
		reason string
	}{
		"the challenger is deleted": {func(n *node, _, challenger *catalogue.Model) error {
			_, err := n.DeleteModel(n.ctx, n.w(), challenger.ID, false)
			wantError(t, "deleting without force", err, decision.KindConflict, "")
			_, err = n.DeleteModel(n.ctx, n.w(), challenger.ID, true)
			return err
		}, catalogue.EndModelDeleted},
		"the champion is deleted": {func(n *node, champion, _ *catalogue.Model) error {
			_, err := n.DeleteModel(n.ctx, n.w(), champion.ID, true)
			return err
		}, catalogue.EndModelDeleted},
		"the champion is displaced": {func(n *node, _, challenger *catalogue.Model) error {
			_, _, err := n.Transition(n.ctx, n.w(), challenger.ID, Transition{To: decision.RegistryChampion})
			return err
		}, catalogue.EndChampionChanged},
		"the champion is archived": {func(n *node, champion, _ *catalogue.Model) error {
			_, _, err := n.Transition(n.ctx, n.w(), champion.ID, Transition{To: decision.RegistryArchived})
			return err
		}, catalogue.EndChampionChanged},
		"the champion moves": {func(n *node, champion, _ *catalogue.Model) error {
			_, _, err := n.UpdateModel(n.ctx, n.w(), champion.ID, catalogue.ModelFields{Family: text("g")})
			return err
		}, catalogue.EndChampionChanged},
	} {
		n := fresh(t)
		champion, challenger := n.rivals()
		x := n.experiment(definition("e", "active", champion.ID, 50, challenger.ID, 50))
		if err := tc.do(n, champion, challenger); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := n.Experiment("t1", x.ID); err != nil || got.Status != experiment.StatusCompleted || got.EndReason != tc.reason || got.EndedAt == 0 {
			t.Errorf("%s: the experiment is %+v, %v, want it completed for %s", name, got, err, tc.reason)
		}
		if got := n.audits("t1", AuditFilter{Action: "complete"}); len(got) != 1 || got[0].EntityID != x.ID {
			t.Errorf("%s: audited as %+v", name, got)
		}
		n.results(x.ID)
		n.stop()
	}
}

// A challenger that cannot score is stood in for by the champion, whose answer is
// not one of the experiment.
func TestChampionStandsIn(t *testing.T) {
	n := fresh(t)
	champion, challenger := n.rivals()
	n.experiment(definition("e", "active", champion.ID, 0, challenger.ID, 100))
	paused := decision.StatusPaused
	if _, _, err := n.UpdateModel(n.ctx, n.w(), challenger.ID, catalogue.ModelFields{Status: &paused}); err != nil {
		t.Fatal(err)
	}
	if v, m := n.variant("c"); v != "" || m != champion.ID {
		t.Errorf("got %q with %s, want the champion without a variant", v, m)
	}
	if s := n.Stats(); s.ExperimentFallbacks != 1 || s.ExperimentCustomers != 0 {
		t.Errorf("Stats() = %d fallbacks, %d customers, want 1 and 0", s.ExperimentFallbacks, s.ExperimentCustomers)
	}
	if v, m := n.variant(""); v != "" || m != champion.ID {
		t.Errorf("without a customer: got %q with %s, want the champion", v, m)
	}
}

// All models score the sampled requests, and their scores are compared; the
// answers are not touched. What finds no room is counted.
func TestShadowScores(t *testing.T) {
	n := fresh(t, func(c *Config) { c.ShadowShare = 1 })
	champion := n.model("one", decision.Scorecard, "family", `"f"`, "config", `{"rules":[{"field":"x","operator":"gt","value":0.5,"points":1}]}`)
	challenger := n.points("two", "f", 2)
	x := n.experiment(definition("e", "active", champion.ID, 100, challenger.ID, 0))
	rng := rand.New(rand.NewPCG(1, 2))
	const requests = 100
	var diff, mean [2]float64
	for i := range requests {
		row := number("x", float64(i%10)/10)
		s, err := n.FamilyScorer("t1", "f", fmt.Sprint(i), now())
		if err != nil {
			t.Fatal(err)
		}
		var scratch RankScratch
		s.Shadow(fmt.Sprint(i), "o", row, nil, now(), rng, &scratch)
		a, b := n.score(champion.ID, "", row), n.score(challenger.ID, "", row)
		mean[0], mean[1] = mean[0]+a/requests, mean[1]+b/requests
		diff[0], diff[1] = diff[0]+(b-a)/requests, diff[1]+math.Abs(b-a)/requests
	}
	until(t, n.ctx, func() bool { return n.Stats().ShadowScored == requests })
	r := n.results(x.ID).Shadow
	if r.Share != 1 || r.Dropped != 0 || len(r.Models) != 2 {
		t.Fatalf("shadow = %+v", r)
	}
	for i, m := range r.Models {
		count := uint64(0)
		for _, c := range m.Histogram {
			count += c
		}
		if m.Samples != requests || count != requests || math.Abs(m.Mean-mean[i]) > 1e-12 {
			t.Errorf("model %d: %+v, want %d samples of mean %v", i, m, requests, mean[i])
		}
	}
	c := r.Models[1]
	if math.Abs(c.MeanDifference-diff[0]) > 1e-12 || math.Abs(c.MeanAbsDifference-diff[1]) > 1e-12 || c.PSI <= 0 || r.Models[0].PSI != 0 {
		t.Errorf("the comparison: %+v, want differences %v", c, diff)
	}
	// A queue that nobody empties drops what it has no room for.
	stuck := newShadow(n.Engine, 1)
	running := n.machine.directory.running("t1", "f")
	for range shadowQueue + 7 {
		stuck.put(running, "c", "o", number("x", 1), now())
	}
	if got := stuck.dropped.Load(); got != 7 {
		t.Errorf("dropped %d, want 7", got)
	}
	huge := newShadow(n.Engine, 1)
	huge.put(running, string(make([]byte, shadowBytes)), "o", nil, now())
	if huge.dropped.Load() != 1 || len(huge.free) != shadowQueue {
		t.Error("a request beyond the bound is not dropped")
	}
}

func TestAssignmentAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	n := fresh(t)
	champion, challenger := n.rivals()
	x := n.experiment(definition("e", "active", champion.ID, 50, challenger.ID, 50))
	at := now()
	if got := testing.AllocsPerRun(1000, func() { _, _ = n.Assignment("t1", x.ID, "customer", at) }); got != 0 {
		t.Errorf("Assignment(): %v allocations, want 0", got)
	}
	rng, row := rand.New(rand.NewPCG(1, 2)), number("x", 1)
	var scratch RankScratch
	var res learn.Result
	req := learn.Request{Row: row, CustomerID: "customer", Rand: rng}
	run := func() {
		s, err := n.FamilyScorer("t1", "f", "customer", at)
		if err != nil {
			t.Fatal(err)
		}
		s.Score(n.ctx, &req, at, &scratch, &res, nil)
		s.Shadow("customer", "", row, nil, at, rng, &scratch)
	}
	run()
	if got := testing.AllocsPerRun(1000, run); got != 0 {
		t.Errorf("a score in an experiment: %v allocations, want 0", got)
	}
}

func BenchmarkFamilyScorer(b *testing.B) {
	n := fresh(b)
	champion, challenger := n.rivals()
	at := now()
	for _, name := range []string{"without", "with"} {
		b.Run("experiment="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = n.FamilyScorer("t1", "f", "customer", at)
			}
		})
		if name == "without" {
			n.experiment(definition("e", "active", champion.ID, 50, challenger.ID, 50))
		}
	}
}
