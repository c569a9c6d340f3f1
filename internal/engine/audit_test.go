package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// audits returns a tenant's entries that a filter permits, newest first.
func (n *node) audits(tenant string, f AuditFilter) []*audit.Entry {
	n.t.Helper()
	p, err := n.AuditLogs(n.ctx, tenant, f, 1, 100)
	if err != nil {
		n.t.Fatalf("AuditLogs() = %v", err)
	}
	return p.Logs
}

// exported is a tenant's whole log.
func (n *node) exported(tenant string) string {
	n.t.Helper()
	x, err := n.ExportAudit(n.ctx, tenant, AuditNDJSON)
	if err != nil {
		n.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := x.Send(&b); err != nil {
		n.t.Fatalf("Send() = %v", err)
	}
	return b.String()
}

func (n *node) wantIntact(tenant string, entries int) {
	n.t.Helper()
	v, err := n.VerifyAudit(n.ctx, tenant)
	if want := (audit.Verification{Intact: true, Verified: entries}); err != nil || v != want {
		n.t.Errorf("VerifyAudit(%q) = %+v, %v, want %+v", tenant, v, err, want)
	}
}

// Every kind of command either has a rule or is named here with the reason why
// it needs none.
func TestEveryKindIsAudited(t *testing.T) {
	silent := map[command.Kind]string{
		command.KindDigest:  "changes nothing",
		command.KindCheck:   "changes nothing",
		command.KindReport:  "changes nothing",
		command.KindObserve: "counts what models did",
		command.KindDrifted: "the same",
		// Each alert that it opens or closes has an entry: alertsChanged.
		command.KindChangeAlerts: "has no one entity",
		// Who a customer's variant is follows from the experiment; that a node served
		// a customer is no change that anybody made.
		command.KindAssignCustomers: "changes nothing that the API shows by itself",
		// A training has an entry when its result is there.
		command.KindBeginOptimizationTraining: "a mark of the training alone",
		command.KindEndOptimizationTraining:   "a mark of the training alone",
		command.KindRecordEvents:              "what visitors do is no change of anybody's",
		// But for a webhook that it disables: TestAWebhookIsDisabled.
		command.KindReportDeliveries: "tells what was done",
	}
	for kind := range appliers {
		_, quiet := silent[kind]
		if audited := auditRules[kind] != nil; audited == quiet {
			t.Errorf("command kind %d: audited is %v, want %v", kind, audited, !quiet)
		}
	}
	for kind := range auditRules {
		if appliers[kind] == nil {
			t.Errorf("command kind %d has a rule and no applier", kind)
		}
	}
}

// auditCase is a change, and the entry that it must leave.
type auditCase struct {
	name           string
	do             func(w Write) (id string, err error)
	tenant, action string
	entityType     string
	before, after  string // members that must be in them, as JSON objects; "null" for none
	actor          string // default: the key's name
	entries        int    // default 1
}

// auditCases has a change of every kind that is audited, in an order in which
// they can be made.
func auditCases(t *testing.T, n *node) []auditCase {
	var model, other, bandit, imported, trial string
	id := func(f func(w Write) (*catalogue.Model, Receipt, error), keep *string) func(Write) (string, error) {
		return func(w Write) (string, error) {
			m, _, err := f(w)
			if err != nil {
				return "", err
			}
			if keep != nil {
				*keep = m.ID
			}
			return m.ID, nil
		}
	}
	stand := func(to decision.RegistryStatus, of *string, tr Transition) func(Write) (string, error) {
		return func(w Write) (string, error) {
			tr.To = to
			_, _, err := n.Transition(n.ctx, w, *of, tr)
			return *of, err
		}
	}
	operator := func(w Write) Write {
		w.Principal = Principal{Role: decision.RoleOperator, KeyName: "operator"}
		return w
	}
	var key NewKey
	return []auditCase{
		{"create a model", id(func(w Write) (*catalogue.Model, Receipt, error) {
			return n.CreateModel(n.ctx, w, fields(t, "m", decision.Bayesian, "family", `"f"`))
		}, &model), "t1", "create", auditModel, `null`, `{"key":"m","family":"f","version":1,"registryStatus":"draft"}`, "", 0},
		{"log decisions", func(w Write) (string, error) {
			of := catalogue.DecisionLogOf{Family: "f"}
			_, _, err := n.SetDecisionLog(n.ctx, w, of, &catalogue.DecisionLog{Enabled: true, SamplePct: 5, Format: "parquet"})
			return of.String(), err
		}, "t1", "set", auditDecisionLog, `null`, `{"enabled":true,"samplePct":5,"format":"parquet","features":false}`, "", 0},
		{"create one with a state and a secret", id(func(w Write) (*catalogue.Model, Receipt, error) {
			return n.CreateModel(n.ctx, w, fields(t, "other", decision.Bayesian, "family", `"f"`, "modelState", `{"counts":{}}`))
		}, &other), "t1", "create", auditModel, `null`, `{"modelState":{"bytes":13,"sha256":"` + sumOf([]byte(`{"counts":{}}`)).SHA256 + `"}}`, "", 0},
		{"create a bandit", id(func(w Write) (*catalogue.Model, Receipt, error) {
			return n.CreateModel(n.ctx, w, fields(t, "bandit", decision.ThompsonBandit))
		}, &bandit), "t1", "create", auditModel, `null`, `{"key":"bandit"}`, "", 0},
		{"update a model", func(w Write) (string, error) {
			_, _, err := n.UpdateModel(n.ctx, w, model, with(t, catalogue.ModelFields{}, "name", `"M"`, "config", `{"smoothing":2}`))
			return model, err
		}, "t1", "update", auditModel, `{"name":"m","config":{}}`, `{"name":"M","config":{"smoothing":2}}`, "", 0},
		{"update with what is there", func(w Write) (string, error) {
			_, _, err := n.UpdateModel(n.ctx, w, model, with(t, catalogue.ModelFields{}, "name", `"M"`))
			return model, err
		}, "t1", "update", auditModel, `{}`, `{}`, "", 0},
		{"train", func(w Write) (string, error) {
			_, _, err := n.Train(n.ctx, w, model)
			return model, err
		}, "t1", "train", auditModel, `{"version":1,"status":"draft","trainingSamples":0}`, `{"version":2,"status":"active"}`, "", 0},
		{"reset an offer", func(w Write) (string, error) {
			n.record(mixed(8)...)
			_, _, err := n.Adapt(n.ctx, w, bandit, evidence.Body{OfferID: "o1", ResetTo: "zero", Reason: "relaunch"})
			return bandit, err
		}, "t1", "reset-offer", auditModel, `{}`, `{"scopeId":"o1","action":"reset","resetTo":"zero","reason":"relaunch"}`, "", 0},
		{"pause an offer", func(w Write) (string, error) {
			_, _, err := n.Adapt(n.ctx, w, bandit, evidence.Body{OfferID: "o1", Action: "pause", Reason: "sold out"})
			return bandit, err
		}, "t1", "reset-offer", auditModel, `{}`, `{"action":"pause","paused":true,"reason":"sold out"}`, "", 0},
		{"upgrade", id(func(w Write) (*catalogue.Model, Receipt, error) {
			up, receipt, err := n.Upgrade(n.ctx, w, model, false)
			return up.Upgraded, receipt, err
		}, nil), "t1", "upgrade", auditModel, `null`, `{"key":"m-logistic_regression","modelType":"logistic_regression","autoEvolve":false}`, "", 0},
		{"reset learning", func(w Write) (string, error) {
			_, _, err := n.ResetLearning(n.ctx, w, model)
			return model, err
		}, "t1", "reset-learning", auditModel, `{"version":2,"status":"active"}`, `{"version":3,"status":"draft"}`, "", 0},
		{"restore", func(w Write) (string, error) {
			_, _, err := n.RestoreVersion(n.ctx, w, model, 2)
			return model, err
		}, "t1", "restore", auditModel, `{"version":3}`, `{"version":4,"restoredVersion":2}`, "", 0},
		{"transition", stand(decision.RegistryChallenger, &model, Transition{}), "t1", "transition", auditModel,
			`{"registryStatus":"draft"}`, `{"registryStatus":"challenger","previousStatus":"draft"}`, "", 0},
		{"the other", stand(decision.RegistryChallenger, &other, Transition{}), "t1", "transition", auditModel, `{}`, `{}`, "", 0},
		{"promotion", stand(decision.RegistryChampion, &model, Transition{Actor: "ann", Metrics: map[string]float64{"auc": 0.8}}), "t1", "transition", auditModel,
			`{"registryStatus":"challenger"}`, `{"registryStatus":"champion","metricsSnapshot":{"auc":0.8}}`, "ann", 0},
		{"promotion of another", stand(decision.RegistryChampion, &other, Transition{Actor: "ann"}), "t1", "transition", auditModel,
			`{"registryStatus":"challenger"}`, `{"registryStatus":"champion"}`, "ann", 2},
		{"import", func(w Write) (string, error) {
			x, err := n.ExportModel(n.ctx, "t1", model, FormatPraetor)
			if err != nil {
				return "", err
			}
			m, _, err := n.ImportModel(n.ctx, w, Import{Format: FormatPraetor, Model: x.Body, Fields: catalogue.ModelFields{Key: text("imported")}})
			if err != nil {
				return "", err
			}
			imported = m.ID
			return m.ID, nil
		}, "t1", "import", auditModel, `null`, `{"key":"imported","registryStatus":"draft"}`, "", 0},
		{"delete", func(w Write) (string, error) {
			_, err := n.DeleteModel(n.ctx, w, imported, false)
			return imported, err
		}, "t1", "delete", auditModel, `{"key":"imported"}`, `null`, "", 0},
		{"create an experiment", func(w Write) (string, error) {
			x, _, err := n.CreateExperiment(n.ctx, w, definition("x", "active", other, 50, model, 50))
			if err != nil {
				return "", err
			}
			trial = x.ID
			return trial, nil
		}, "t1", "create", auditExperiment, `null`, `{"key":"x","status":"active","trafficSplit":{"championPct":50}}`, "", 0},
		{"update an experiment", func(w Write) (string, error) {
			_, _, err := n.UpdateExperiment(n.ctx, w, trial, json.RawMessage(`{"name":"X"}`))
			return trial, err
		}, "t1", "update", auditExperiment, `{"name":"x"}`, `{"name":"X"}`, "", 0},
		{"a demotion that ends it", stand(decision.RegistryChallenger, &other, Transition{Actor: "ann"}), "t1", "transition", auditModel,
			`{"registryStatus":"champion"}`, `{"registryStatus":"challenger"}`, "ann", 2},
		{"delete an experiment", func(w Write) (string, error) {
			_, err := n.DeleteExperiment(n.ctx, w, trial)
			return trial, err
		}, "t1", "delete", auditExperiment, `{"key":"x","status":"completed","endReason":"champion_changed"}`, `null`, "", 0},
		{"create an outcome type", func(w Write) (string, error) {
			_, _, err := n.CreateOutcomeType(n.ctx, w, catalogue.OutcomeType{Key: "call", Classification: "positive"})
			return "call", err
		}, "t1", "create", auditOutcomeType, `null`, `{"key":"call","classification":"positive"}`, "", 0},
		{"update an outcome type", func(w Write) (string, error) {
			_, _, err := n.UpdateOutcomeType(n.ctx, w, "call", catalogue.OutcomeType{Classification: "neutral"})
			return "call", err
		}, "t1", "update", auditOutcomeType, `{"classification":"positive"}`, `{"classification":"neutral"}`, "", 0},
		{"delete an outcome type", func(w Write) (string, error) {
			_, err := n.DeleteOutcomeType(n.ctx, w, "call")
			return "call", err
		}, "t1", "delete", auditOutcomeType, `{"key":"call"}`, `null`, "", 0},
		{"create a key", func(w Write) (_ string, err error) {
			key, _, err = n.CreateKey(n.ctx, w, "app", "viewer", 0)
			return key.ID, err
		}, "t1", "create", auditKey, `null`, `{"name":"app","role":"viewer"}`, "", 0},
		{"revoke a key", func(w Write) (string, error) {
			_, err := n.RevokeKey(n.ctx, w, key.ID)
			return key.ID, err
		}, "t1", "revoke", auditKey, `{"name":"app"}`, `null`, "", 0},
		{"create a webhook", func(w Write) (string, error) {
			url := "https://hooks.example.com/praetor"
			hook, _, err := n.CreateWebhook(n.ctx, w, webhook.Fields{URL: &url})
			trial = hook.ID
			return trial, err
		}, "t1", "create", auditWebhook, `null`, `{"url":"https://hooks.example.com/praetor","eventTypes":[],"enabled":true}`, "", 0},
		{"rotate its secret", func(w Write) (string, error) {
			_, _, err := n.RotateWebhookSecret(n.ctx, w, trial, time.Hour)
			return trial, err
		}, "t1", "update", auditWebhook, `{"previousSecretUntil":null}`, `{}`, "", 0},
		{"disable it", func(w Write) (string, error) {
			off := false
			_, _, err := n.UpdateWebhook(n.ctx, w, trial, webhook.Fields{Enabled: &off})
			return trial, err
		}, "t1", "update", auditWebhook, `{"enabled":true}`, `{"enabled":false,"disabledReason":"request"}`, "", 0},
		{"delete it", func(w Write) (string, error) {
			_, err := n.DeleteWebhook(n.ctx, w, trial)
			return trial, err
		}, "t1", "delete", auditWebhook, `{"enabled":false}`, `null`, "", 0},
		{"create a tenant", func(w Write) (string, error) {
			_, _, err := n.CreateTenant(n.ctx, operator(w), "t9", "Nine")
			return "t9", err
		}, "", "create", auditTenant, `null`, `{"id":"t9","name":"Nine","auditLength":0}`, "operator", 0},
		{"delete a tenant", func(w Write) (string, error) {
			_, err := n.DeleteTenant(n.ctx, operator(w), "t9")
			return "t9", err
		}, "", "delete", auditTenant, `{"id":"t9"}`, `null`, "operator", 0},
	}
}

// wantMembers wants the members of an object, or null.
func wantMembers(t *testing.T, what string, got json.RawMessage, want string) {
	t.Helper()
	var g, w map[string]json.RawMessage
	if json.Unmarshal(got, &g) != nil || json.Unmarshal([]byte(want), &w) != nil || (g == nil) != (w == nil) {
		t.Errorf("%s = %s, want %s", what, got, want)
		return
	}
	for name := range w {
		want, _ := audit.Canonical(w[name])
		if string(g[name]) != string(want) {
			t.Errorf("%s: %s = %s, want %s (in %s)", what, name, g[name], want, got)
		}
	}
}

// Every change leaves its entry, once: also when it is asked for again with its
// idempotency key, and not when it is refused.
func TestEveryChangeLeavesOneEntry(t *testing.T) {
	n := fresh(t)
	n.record(mixed(200)...)
	key, _, err := n.CreateKey(n.ctx, n.w(), "ci", "admin", 0)
	if err != nil {
		t.Fatal(err)
	}
	met := map[command.Kind]bool{command.KindSetSettings: true}
	for i, tc := range slices.Concat(auditCases(t, n), optimizationAuditCases(n), warehouseAuditCases(n)) {
		w := n.keyed(fmt.Sprint("case-", i), uint64(i))
		w.Principal.KeyID, w.Principal.KeyName, w.RequestID = key.ID, key.Name, fmt.Sprint("req-", i)
		before := n.machine.directory.auditChain(tc.tenant)
		id, err := tc.do(w)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		entries := max(tc.entries, 1)
		if got := n.machine.directory.auditChain(tc.tenant).Length - before.Length; got != uint64(entries) {
			t.Fatalf("%s: %d entries, want %d", tc.name, got, entries)
		}
		e := n.audits(tc.tenant, AuditFilter{})[0]
		actor, keyID := tc.actor, key.ID
		if actor == "" {
			actor = "ci"
		}
		if tc.tenant == "" {
			keyID = "operator"
		}
		if e.Action != tc.action || e.EntityType != tc.entityType || e.EntityID != id || e.Actor != actor || e.KeyID != keyID ||
			e.RequestID != w.RequestID || e.TenantID != tc.tenant || e.Timestamp == 0 {
			t.Errorf("%s: entry %+v, want %s of %s %s by %s", tc.name, e, tc.action, tc.entityType, id, actor)
		}
		wantMembers(t, tc.name+": before", e.Before, tc.before)
		wantMembers(t, tc.name+": after", e.After, tc.after)
		for kind, rule := range auditRules {
			if rule.action == tc.action && rule.entity.entityType == tc.entityType {
				met[kind] = true
			}
		}
		if tc.action == "delete" || tc.action == "revoke" || tc.action == "train" || tc.tenant == "" || tc.action == "import" {
			continue // what it is about is gone, or the second request is another
		}
		if _, err := tc.do(w); err != nil {
			t.Errorf("%s again: %v", tc.name, err)
		}
		if got := n.machine.directory.auditChain(tc.tenant).Length - before.Length; got != uint64(entries) {
			t.Errorf("%s again: %d entries, want the first %d", tc.name, got, entries)
		}
	}
	for kind := range auditRules {
		if !met[kind] && kind != command.KindPromoteChallenger { // the leader's own: TestWinnerIsPromotedOnce

			t.Errorf("no case has command kind %d", kind)
		}
	}
	displaced := n.audits("t1", AuditFilter{Action: "displace"})
	if len(displaced) != 1 || displaced[0].EntityName != "M" || displaced[0].Actor != "ann" {
		t.Fatalf("displaced champions: %+v", displaced)
	}
	wantMembers(t, "displaced: before", displaced[0].Before, `{"registryStatus":"champion"}`)
	wantMembers(t, "displaced: after", displaced[0].After, `{"registryStatus":"challenger"}`)

	// Settings were set by the cluster itself; the pepper stays out.
	settings := n.audits("", AuditFilter{EntityType: auditSettings})
	if len(settings) != 1 || settings[0].Actor != "system" {
		t.Fatalf("settings: %+v", settings)
	}
	wantMembers(t, "settings: after", settings[0].After, `{"maxHistoryDays":400}`)
	if all := n.exported(""); strings.Contains(all, "pepper") {
		t.Error("the pepper is in the audit log")
	}
	all := int(n.machine.directory.auditChain("t1").Length)
	for _, refused := range []func() error{
		func() error { _, _, err := n.ResetLearning(n.ctx, n.w(), "absent"); return err },
		func() error { _, err := n.DeleteModel(n.ctx, n.w(), "absent", false); return err },
		func() error {
			_, _, err := n.Transition(n.ctx, n.w(), "absent", Transition{To: "champion"})
			return err
		},
		func() error {
			_, _, err := n.CreateModel(n.ctx, n.w(), fields(t, "m", decision.Scorecard))
			return err
		},
	} {
		if refused() == nil {
			t.Error("a refused change was made")
		}
	}
	n.wantIntact("t1", all)
	n.wantIntact("", int(n.machine.directory.auditChain("").Length))
	n.wantIntact("unknown", 0)
}

func TestSecretsStayOutOfTheAuditLog(t *testing.T) {
	n := fresh(t)
	m := n.model("ext", decision.ExternalEndpoint, "config", `{"endpoint":"https://scores.example.com/v1","auth":{"token":"s3cret-token"}}`)
	if _, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "config",
		`{"endpoint":"https://scores.example.com/v1","auth":{"token":"an0ther-token"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.DeleteModel(n.ctx, n.w(), m.ID, false); err != nil {
		t.Fatal(err)
	}
	k, _, err := n.CreateKey(n.ctx, n.w(), "k", "viewer", 0)
	if err != nil {
		t.Fatal(err)
	}
	all := n.exported("t1")
	if !strings.Contains(all, `"fieldsSet":["config"]`) {
		t.Errorf("the audit log does not tell that the configuration was set anew: %s", all)
	}
	for _, secret := range []string{"s3cret", "an0ther", k.Raw[shownPrefix:]} {
		if strings.Contains(all, secret) {
			t.Errorf("the audit log has the secret %s: %s", secret, all)
		}
	}
}

// The chain and its entries are the same after a restart from the log, from a
// snapshot and the log after it, in a replay, and on every node.
func TestAuditSurvives(t *testing.T) {
	n := fresh(t)
	n.everything()
	same := func(what string) {
		t.Helper()
		want, digest := n.exported("t1")+n.exported(""), n.digest()
		n = n.restart(t)
		if got := n.exported("t1") + n.exported(""); got != want {
			t.Errorf("%s: the audit logs are\n%s, want\n%s", what, got, want)
		}
		wantEqual(t, what, n.digest(), digest)
		n.wantIntact("t1", strings.Count(n.exported("t1"), "\n"))
		n.wantIntact("", strings.Count(n.exported(""), "\n"))
	}
	same("from the log")
	n.snapshot()
	same("from a snapshot")
	n.change()
	same("from a snapshot and the log after it")
	want := n.digest()
	n.stop()
	got, err := Replay(context.Background(), n.dir, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "replay", got, want)
}

func TestAuditIsTheSameOnEveryNode(t *testing.T) {
	nodes := trio(t)
	for i, n := range nodes {
		n.model(fmt.Sprint("m", i), decision.ThompsonBandit)
	}
	_, receipt, err := nodes[1].ResetLearning(nodes[1].ctx, nodes[1].w(), nodes[1].audits("t1", AuditFilter{})[0].EntityID)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if err := n.WaitApplied(n.ctx, receipt.Index); err != nil {
			t.Fatal(err)
		}
		n.wantIntact("t1", 4)
		if got, want := n.exported("t1"), nodes[0].exported("t1"); got != want {
			t.Errorf("the log is\n%s on one node,\n%s on another", got, want)
		}
	}
}

// What is over the bounds goes, the anchor with it; what is left is intact, also
// after a restart, and nothing of the rest is on disk.
func TestAuditRetention(t *testing.T) {
	const most = 128
	n := fresh(t, func(c *Config) { c.Limits.MaxAuditEntries = most })
	for range 3 * most / 2 {
		_, _, err := n.CreateOutcomeType(n.ctx, n.w(), catalogue.OutcomeType{Key: "k", Classification: "neutral"})
		if err == nil {
			_, err = n.DeleteOutcomeType(n.ctx, n.w(), "k")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		chain := n.machine.directory.auditChain("t1")
		kept := chain.Length - chain.Dropped
		if chain.Length != 3*most || kept > most || kept < most-most/32 {
			t.Errorf("%d entries kept of %d, want about %d", kept, chain.Length, most)
		}
		n.wantIntact("t1", int(kept))
		if s := n.Stats(); s.AuditDropped != chain.Dropped || s.AuditEntries < kept {
			t.Errorf("Stats() = %d kept, %d dropped, want %d and %d", s.AuditEntries, s.AuditDropped, kept, chain.Dropped)
		}
		until(t, n.ctx, func() bool {
			found := 0
			err := n.machine.history.AuditEntries(n.ctx, chain.ordinal, 1, chain.Dropped, false, func(uint64, string) (bool, error) {
				found++
				return true, nil
			})
			return err == nil && found == 0
		})
		last, err := n.AuditLogs(n.ctx, "t1", AuditFilter{}, int(kept), 1)
		if err != nil || len(last.Logs) != 1 || last.Logs[0].PrevHash != chain.Anchor || last.Total != kept {
			t.Errorf("the oldest entry = %+v, %v, want one after %s", last, err, chain.Anchor)
		}
	}
	check()
	n.snapshot()
	dir := n.dir
	n.stop()
	n = start(t, dir, func(c *Config) { c.Limits.MaxAuditEntries = most })
	check()
}

func TestAuditPages(t *testing.T) {
	n := fresh(t)
	for i := range 7 {
		n.points(fmt.Sprint("m", i), "f", i)
	}
	last := n.points("last", "f", 1)
	if _, err := n.DeleteModel(n.ctx, n.w(), last.ID, false); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		filter      AuditFilter
		page, limit int
		total       uint64
		ids         []string // numbers of entries
	}{
		{AuditFilter{}, 1, 4, 9, []string{"aud_9", "aud_8", "aud_7", "aud_6"}},
		{AuditFilter{}, 3, 4, 9, []string{"aud_1"}},
		{AuditFilter{}, 4, 4, 9, nil},
		{AuditFilter{Action: "create"}, 1, 3, 8, []string{"aud_8", "aud_7", "aud_6"}},
		{AuditFilter{Action: "create"}, 3, 3, 8, []string{"aud_2", "aud_1"}},
		{AuditFilter{EntityType: auditModel, EntityID: last.ID}, 1, 50, 2, []string{"aud_9", "aud_8"}},
		{AuditFilter{EntityType: auditKey}, 1, 50, 0, nil},
	} {
		p, err := n.AuditLogs(n.ctx, "t1", tc.filter, tc.page, tc.limit)
		var ids []string
		for _, e := range p.Logs {
			ids = append(ids, e.ID)
		}
		if err != nil || p.Total != tc.total || !slices.Equal(ids, tc.ids) || p.Page != tc.page || p.Limit != tc.limit {
			t.Errorf("AuditLogs(%+v, %d, %d) = %v of %d, %v, want %v of %d", tc.filter, tc.page, tc.limit, ids, p.Total, err, tc.ids, tc.total)
		}
	}
	for _, tc := range []struct {
		page, limit int
		path        string
	}{{0, 1, "page"}, {-1, 1, "page"}, {maxAuditPage + 1, 1, "page"}, {1, 0, "limit"}, {1, 101, "limit"}} {
		_, err := n.AuditLogs(n.ctx, "t1", AuditFilter{}, tc.page, tc.limit)
		wantError(t, "AuditLogs()", err, decision.KindBadRequest, tc.path)
	}
	_, err := n.ExportAudit(n.ctx, "t1", "xml")
	wantError(t, "ExportAudit()", err, decision.KindBadRequest, "format")
}

// An entry that was changed, and one that is missing, are found on disk.
func TestAuditTamperedWith(t *testing.T) {
	n := fresh(t)
	for i := range 5 {
		n.points(fmt.Sprint("m", i), "f", i)
	}
	entries := n.audits("t1", AuditFilter{})
	third := *entries[2]
	third.Actor = "nobody"
	store := n.machine.history
	b := store.Begin(store.Applied()+1_000_000, 0)
	b.PutAudit(n.machine.directory.auditChain("t1").ordinal, 3, third.Append(nil))
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if v, err := n.VerifyAudit(n.ctx, "t1"); err != nil || v != (audit.Verification{Verified: 2, BrokenAtID: "aud_3"}) {
		t.Errorf("VerifyAudit() of a changed entry = %+v, %v", v, err)
	}
}

func TestLargeMembersAreSummed(t *testing.T) {
	n := fresh(t)
	n.model("m", decision.Scorecard, "config", `{"note":"`+strings.Repeat("x", maxAuditMember)+`"}`)
	e := n.audits("t1", AuditFilter{})[0]
	if len(e.After) > 4096 || !strings.Contains(string(e.After), `"config":{"bytes":`) {
		t.Errorf("the entry has %d bytes: %.200s", len(e.After), e.After)
	}
}

// What a change costs the apply goroutine, with its entry and without.
func BenchmarkAuditEntry(b *testing.B) {
	n := fresh(b)
	m := n.model("m", decision.Bayesian, "config", `{"smoothing":2}`, "predictors", `["age","income","tenure","channel"]`, "metrics", `{"auc":0.7,"accuracy":0.8}`)
	update, err := command.Encode(headerOf(n.w(), command.KindUpdateModel), command.UpdateModel{ID: m.ID, Fields: with(b, catalogue.ModelFields{}, "description", `"d"`)})
	if err != nil {
		b.Fatal(err)
	}
	index := n.AppliedIndex()
	rule := auditRules[command.KindUpdateModel]
	defer func() { auditRules[command.KindUpdateModel] = rule }()
	for _, audited := range []bool{false, true} {
		b.Run(fmt.Sprintf("audited=%v", audited), func(b *testing.B) {
			auditRules[command.KindUpdateModel] = nil
			if audited {
				auditRules[command.KindUpdateModel] = rule
			}
			b.ReportAllocs()
			for b.Loop() {
				index++
				n.machine.Apply(&cluster.Entry{Index: index, At: 1, Commands: []string{string(update)}})
			}
		})
	}
}
