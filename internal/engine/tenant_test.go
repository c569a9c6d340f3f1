package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// No request reads or changes another tenant's objects: they are as good as
// absent.
func TestTenantsAreIsolated(t *testing.T) {
	n := fresh(t)
	n.newTenant("t2")
	m := n.model("m", decision.OnlineLearner)
	n.stand(m.ID, decision.RegistryChallenger)
	n.stand(m.ID, decision.RegistryChampion)
	n.record(mixed(60)...)
	if _, _, err := n.CreateOutcomeType(n.ctx, n.w(), catalogue.OutcomeType{Key: "own", Classification: "positive"}); err != nil {
		t.Fatal(err)
	}
	k, _, err := n.CreateKey(n.ctx, n.w(), "k", "admin", 0)
	if err != nil {
		t.Fatal(err)
	}
	trained := n.train(m.ID)
	job, err := n.StartTraining(n.ctx, n.w(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	until(t, n.ctx, func() bool { j, err := n.Job(n.ctx, "t1", job.ID); return err == nil && j.FinishedAt != 0 })
	before := n.digest()

	n.tenant = "t2"
	ctx, w := n.ctx, n.w()
	f := with(t, catalogue.ModelFields{}, "name", `"stolen"`)
	for what, call := range map[string]func() error{
		"Model":       func() error { _, err := n.Model("t2", m.ID); return err },
		"ModelDetail": func() error { _, err := n.ModelDetail(ctx, "t2", m.ID, true); return err },
		"Registry":    func() error { _, _, err := n.Registry("t2", m.ID); return err },
		"Transition": func() error {
			_, _, err := n.Transition(ctx, w, m.ID, Transition{To: decision.RegistryArchived})
			return err
		},
		"Family":         func() error { _, err := n.Family("t2", m.Family); return err },
		"FamilyScorer":   func() error { _, err := n.FamilyScorer("t2", m.Family, "c1", now()); return err },
		"Scorer":         func() error { _, err := n.Scorer("t2", m.ID); return err },
		"UpdateModel":    func() error { _, _, err := n.UpdateModel(ctx, w, m.ID, f); return err },
		"DeleteModel":    func() error { _, err := n.DeleteModel(ctx, w, m.ID, true); return err },
		"ResetLearning":  func() error { _, _, err := n.ResetLearning(ctx, w, m.ID); return err },
		"RestoreVersion": func() error { _, _, err := n.RestoreVersion(ctx, w, m.ID, 1); return err },
		"Train":          func() error { _, _, err := n.Train(ctx, w, m.ID); return err },
		"StartTraining":  func() error { _, err := n.StartTraining(ctx, w, m.ID); return err },
		"Job":            func() error { _, err := n.Job(n.ctx, "t2", job.ID); return err },
		"CancelJob":      func() error { _, err := n.CancelJob(n.ctx, "t2", job.ID); return err },
		"RevokeKey":      func() error { _, err := n.RevokeKey(ctx, w, k.ID); return err },
		"UpdateOutcomeType": func() error {
			_, _, err := n.UpdateOutcomeType(ctx, w, "own", catalogue.OutcomeType{Name: "stolen"})
			return err
		},
		"DeleteOutcomeType": func() error { _, err := n.DeleteOutcomeType(ctx, w, "own"); return err },
	} {
		wantError(t, what+" of another tenant's", call(), decision.KindNotFound, "")
	}
	if l, err := n.Models("t2", Page{Limit: 10}); err != nil || l.Total != 0 || len(l.Items) != 0 {
		t.Errorf("Models() = %+v, %v, want none", l, err)
	}
	if l, err := n.Keys("t2", Page{Limit: 10}); err != nil || l.Total != 0 {
		t.Errorf("Keys() = %+v, %v, want none", l, err)
	}
	if l, err := n.Jobs(n.ctx, "t2", Page{Limit: 10}); err != nil || l.Total != 0 {
		t.Errorf("Jobs() = %+v, %v, want none", l, err)
	}
	if l, err := n.OutcomeTypes("t2", Page{Limit: 100}); err != nil || l.Total != 16 {
		t.Errorf("OutcomeTypes() = %d, %v, want the system's 16", l.Total, err)
	}
	if got := n.count(); got != 0 {
		t.Errorf("%d interactions, want none", got)
	}
	if all, err := n.Summaries("t2", "c0"); err != nil || len(all) != 0 {
		t.Errorf("Summaries() = %+v, %v, want none", all, err)
	}
	results, _, err := n.Respond(ctx, w, now(), []OutcomeInput{outcome("own", "c", "o")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "another tenant's outcome type", results[0].Err, decision.KindBadRequest, "outcome")
	n.record(repeat(60, outcome("click", "c0", "o0"))...) // teaches t1's model nothing
	if after := n.digest(); after.Models[m.ID] != before.Models[m.ID] || after.Interactions["t1"] != 60 {
		t.Errorf("digest = %+v, want t1's part as before, %+v", after, before)
	}
	if got, err := n.Model("t1", m.ID); err != nil || got.Name != "m" || got.Version != trained.Model.Version+1 {
		t.Errorf("Model() = %+v, %v, want it as it was", got, err)
	}
}

func TestKeys(t *testing.T) {
	n := fresh(t)
	const life = 300 * time.Millisecond
	end := decision.TimeOf(time.Now().Add(life))
	k, _, err := n.CreateKey(n.ctx, n.w(), "short", "editor", end)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := n.Authenticate([]byte(k.Raw)); ok != (now() < end) || (ok && (p.TenantID != "t1" || p.Role != decision.RoleEditor || p.KeyName != "short")) {
		t.Errorf("Authenticate() = %+v, %v", p, ok)
	}
	until(t, n.ctx, func() bool { return now() >= end })
	if _, ok := n.Authenticate([]byte(k.Raw)); ok {
		t.Error("an expired key opens")
	}
	k, _, err = n.CreateKey(n.ctx, n.w(), "revoked", "admin", 0)
	if err != nil || !strings.HasPrefix(k.Raw, keyPrefix) || !strings.HasPrefix(k.Raw, k.Prefix) || len(k.Prefix) != shownPrefix {
		t.Fatalf("CreateKey() = %+v, %v", k, err)
	}
	if _, ok := n.Authenticate([]byte(k.Raw)); !ok {
		t.Error("a new key does not open")
	}
	for _, raw := range []string{"", "x", k.Raw + "x", k.Raw[:len(k.Raw)-1], k.ID, k.Prefix} {
		if _, ok := n.Authenticate([]byte(raw)); ok {
			t.Errorf("%q opens", raw)
		}
	}
	if p, ok := n.Authenticate([]byte(testOperatorKey)); !ok || p.Role != decision.RoleOperator || p.TenantID != "" {
		t.Errorf("Authenticate() of the operator = %+v, %v", p, ok)
	}
	l, err := n.Keys("t1", Page{Limit: 10})
	if err != nil || l.Total != 2 || l.Items[0] != k.Key {
		t.Errorf("Keys() = %+v, %v, want two, the newest first", l, err)
	}
	n = n.restart(t)
	if _, ok := n.Authenticate([]byte(k.Raw)); !ok {
		t.Error("a key does not open after a restart")
	}
	if _, err := n.RevokeKey(n.ctx, n.w(), k.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := n.Authenticate([]byte(k.Raw)); ok {
		t.Error("a revoked key opens")
	}
	_, err = n.RevokeKey(n.ctx, n.w(), k.ID)
	wantError(t, "RevokeKey() again", err, decision.KindNotFound, "")

	for path, call := range map[string]func() (NewKey, Receipt, error){
		"name":      func() (NewKey, Receipt, error) { return n.CreateKey(n.ctx, n.w(), "", "admin", 0) },
		"role":      func() (NewKey, Receipt, error) { return n.CreateKey(n.ctx, n.w(), "n", "operator", 0) },
		"expiresAt": func() (NewKey, Receipt, error) { return n.CreateKey(n.ctx, n.w(), "n", "admin", 1) },
	} {
		_, _, err := call()
		wantError(t, "CreateKey() with a wrong "+path, err, decision.KindBadRequest, path)
	}
}

func TestNoOperatorKeyOpensNothing(t *testing.T) {
	n := fresh(t, func(c *Config) { c.OperatorKey = "" })
	for _, raw := range []string{"", "operator", testOperatorKey} {
		if p, ok := n.Authenticate([]byte(raw)); ok {
			t.Errorf("%q opens as %+v", raw, p)
		}
	}
}

// Deleting a tenant removes everything it has, and its name is free for another
// life that has nothing of the first.
func TestDeletedTenantsLeaveNothing(t *testing.T) {
	n := fresh(t)
	n.newTenant("t2")
	m := n.model("m", decision.OnlineLearner)
	o := outcome("click", "c0", "o0")
	o.IdempotencyKey, o.Fingerprint = "k", 1
	n.record(append(mixed(60), o)...)
	n.train(m.ID)
	k, _, err := n.CreateKey(n.ctx, n.keyed("key", 1), "k", "admin", 0)
	if err != nil {
		t.Fatal(err)
	}
	operator := Write{Principal: Principal{Role: decision.RoleOperator}}
	if _, err := n.DeleteTenant(n.ctx, operator, "t1"); err != nil {
		t.Fatal(err)
	}
	_, err = n.DeleteTenant(n.ctx, operator, "t1")
	wantError(t, "DeleteTenant() again", err, decision.KindNotFound, "")
	gone := func(n *node) {
		t.Helper()
		if _, ok := n.Authenticate([]byte(k.Raw)); ok {
			t.Error("a key of a deleted tenant opens")
		}
		_, err := n.Model("t1", m.ID)
		wantError(t, "Model()", err, decision.KindNotFound, "")
		for what, read := range map[string]func() error{
			"Models":       func() error { _, err := n.Models("t1", Page{Limit: 1}); return err },
			"Keys":         func() error { _, err := n.Keys("t1", Page{Limit: 1}); return err },
			"OutcomeTypes": func() error { _, err := n.OutcomeTypes("t1", Page{Limit: 1}); return err },
			"Interactions": func() error {
				_, err := n.Interactions(n.ctx, "t1", HistoryFilter{}, Page{Limit: 1})
				return err
			},
			"Summaries": func() error { _, err := n.Summaries("t1", "c0"); return err },
			"CreateModel": func() error {
				_, _, err := n.CreateModel(n.ctx, n.w(), fields(t, "m", decision.EpsilonGreedy))
				return err
			},
			"CreateKey with the key of an answer": func() error {
				_, _, err := n.CreateKey(n.ctx, n.keyed("key", 1), "k", "admin", 0)
				return err
			},
		} {
			wantError(t, what, read(), decision.KindNotFound, "")
		}
		if s := n.Stats(); s.Models != 0 || s.Tenants != 1 || s.Interactions != 0 || s.Answers != 0 || s.Customers != 0 {
			t.Errorf("Stats() = %+v, want nothing of the tenant", s)
		}
	}
	gone(n)
	n = n.restart(t)
	gone(n)

	n.newTenant("t1")
	if got := n.count(); got != 0 {
		t.Errorf("%d interactions in a new tenant, want none", got)
	}
	if r := n.record(o)[0]; r.Duplicate {
		t.Error("an outcome of the new tenant is a duplicate of the old one's")
	}
	m2 := n.model("m", decision.OnlineLearner)
	if d, err := n.ModelDetail(n.ctx, "t1", m2.ID, false); err != nil || len(d.Versions) != 0 {
		t.Errorf("ModelDetail() = %+v, %v, want no versions", d, err)
	}
	_, _, err = n.CreateTenant(n.ctx, operator, "t1", "again")
	wantError(t, "CreateTenant() of one that exists", err, decision.KindConflict, "")
	_, _, err = n.CreateTenant(n.ctx, operator, "Über", "name")
	wantError(t, "CreateTenant() with a wrong id", err, decision.KindBadRequest, "id")
	_, _, err = n.CreateTenant(n.ctx, operator, "", "")
	wantError(t, "CreateTenant() without a name", err, decision.KindBadRequest, "name")
	if made, _, err := n.CreateTenant(n.ctx, operator, "", "chosen"); err != nil || !n.TenantExists(made.ID) {
		t.Errorf("CreateTenant() without an id = %+v, %v", made, err)
	}
	if l, err := n.Tenants(Page{Limit: 10}); err != nil || l.Total != 3 {
		t.Errorf("Tenants() = %+v, %v, want 3", l, err)
	}
}

func TestTimeouts(t *testing.T) {
	n := fresh(t)
	ctx, cancel := context.WithCancel(n.ctx)
	cancel()
	_, _, err := n.CreateModel(ctx, n.w(), fields(t, "m", decision.EpsilonGreedy))
	wantError(t, "CreateModel() after its end", err, decision.KindUnavailable, "")
	wantError(t, "WaitApplied() of what never comes", n.WaitApplied(ctx, n.AppliedIndex()+100), decision.KindUnavailable, "")
	if err := n.Barrier(n.ctx); err != nil {
		t.Errorf("Barrier() = %v", err)
	}
	s := n.ClusterStatus(n.ctx)
	if s.Leader != "n1" || len(s.Nodes) != 1 || s.Nodes[0].Role != "leader" || !s.Nodes[0].Healthy || n.Stale() {
		t.Errorf("ClusterStatus() = %+v", s)
	}
}
