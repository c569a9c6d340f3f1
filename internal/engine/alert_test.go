package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/monitor"
)

const minute = decision.Time(60_000)

// oneSided makes a model whose outcomes are of one class: it breaks a rule.
func (n *node) oneSided(key string) *catalogue.Model {
	n.t.Helper()
	m := n.model(key, decision.LogisticRegression)
	n.outcomesOf(m.ID, "accept", 120)
	return m
}

func (n *node) outcomesOf(id, kind string, count int) {
	n.t.Helper()
	var all []OutcomeInput
	for i := range count {
		o := outcome(kind, fmt.Sprint("c", i), "o")
		o.ModelID = id
		all = append(all, o)
	}
	n.record(all...)
}

func (n *node) alertsOf(tenant string, f AlertFilter) []ModelAlert {
	n.t.Helper()
	l, err := n.Alerts(tenant, f, Page{Limit: 100}, now())
	if err != nil {
		n.t.Fatalf("Alerts() = %v", err)
	}
	return l.Items
}

func TestAlertsOfATenant(t *testing.T) {
	n := fresh(t)
	n.newTenant("other")
	for _, key := range []string{"a", "b", "c"} {
		n.oneSided(key)
	}
	if all := n.alertsOf(n.tenant, AlertFilter{}); len(all) != 0 {
		t.Errorf("alerts %+v before anybody looked", all)
	}
	newWatcher(n.Engine).look(n.ctx, now())
	all := n.alertsOf(n.tenant, AlertFilter{})
	if len(all) != 3 || all[0].Name != monitor.RuleOneClass || all[0].ModelKey == "" || all[0].ID == "" || all[0].State != monitor.Open {
		t.Fatalf("alerts %+v, want one of each model", all)
	}
	page := func(cursor string) List[ModelAlert] {
		l, err := n.Alerts(n.tenant, AlertFilter{}, Page{Limit: 2, Cursor: cursor}, now())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := page("")
	second := page(first.Cursor)
	if !first.HasMore || second.HasMore || !slices.Equal(append(first.Items, second.Items...), all) {
		t.Errorf("pages %+v, %+v, want %+v", first, second, all)
	}
	for name, c := range map[string]struct {
		tenant string
		filter AlertFilter
		want   int
	}{
		"a model's":       {n.tenant, AlertFilter{ModelID: all[1].ModelID}, 1},
		"warnings":        {n.tenant, AlertFilter{Severity: monitor.Warning}, 0},
		"of a rule":       {n.tenant, AlertFilter{Rule: monitor.RuleOneClass}, 3},
		"of another rule": {n.tenant, AlertFilter{Rule: monitor.RuleAUC}, 0},
		"closed":          {n.tenant, AlertFilter{State: monitor.Closed}, 0},
		"another tenant":  {"other", AlertFilter{}, 0},
	} {
		if got := n.alertsOf(c.tenant, c.filter); len(got) != c.want {
			t.Errorf("%s: %+v, want %d", name, got, c.want)
		}
	}
	if got := n.Stats().Alerts; got != 3 {
		t.Errorf("Stats().Alerts = %d, want 3", got)
	}
	if got := n.monitoring(all[0].ModelID).Alerts; len(got) != 1 || got[0].ID != all[0].ID {
		t.Errorf("the model's monitoring has the alerts %+v, want %+v", got, all[0])
	}
}

// An alert opens once, keeps its identity while its value moves, closes when its
// rule was kept for an hour, and opens anew under another id.
func TestAlertsOpenAndClose(t *testing.T) {
	n := fresh(t)
	m := n.oneSided("m")
	w := newWatcher(n.Engine)
	at := now()
	w.look(n.ctx, at)
	first := n.alertsOf(n.tenant, AlertFilter{})[0]
	index := n.AppliedIndex()
	w.look(n.ctx, at+minute)
	newWatcher(n.Engine).look(n.ctx, at+minute) // of the next leader
	if got := n.AppliedIndex(); got != index {
		t.Errorf("looking again wrote %d entries to the log", got-index)
	}
	n.outcomesOf(m.ID, "accept", 30)
	if got := n.alertsOf(n.tenant, AlertFilter{})[0]; got.ID != first.ID || got.Value != 150 || !strings.Contains(got.Message, "150") {
		t.Errorf("the alert is %+v, want id %s and 150 outcomes", got, first.ID)
	}
	n.outcomesOf(m.ID, "dismiss", 1)
	w.look(n.ctx, at+2*minute)
	w.look(n.ctx, at+61*minute)
	if got := n.alertsOf(n.tenant, AlertFilter{}); len(got) != 1 {
		t.Fatalf("after less than an hour: %+v, want the alert", got)
	}
	w.look(n.ctx, at+62*minute)
	if got := n.alertsOf(n.tenant, AlertFilter{State: monitor.Open}); len(got) != 0 {
		t.Errorf("after an hour: %+v, want none", got)
	}
	closed := n.alertsOf(n.tenant, AlertFilter{State: monitor.Closed})
	if len(closed) != 1 || closed[0].ID != first.ID || closed[0].Reason != monitor.ReasonGood || closed[0].ClosedAt == 0 || closed[0].Value != 120 {
		t.Errorf("closed alerts %+v, want that of before with its value, 120", closed)
	}
}

// What stands opens no second time, what is closed closes no second time, and what
// is about a model that is gone is dropped: two leaders after each other do no harm.
func TestTheLogDecidesOfAlerts(t *testing.T) {
	n := fresh(t)
	m := n.oneSided("m")
	propose := func(c ...command.AlertChange) {
		t.Helper()
		h := &command.Header{Kind: command.KindChangeAlerts, Tenant: n.tenant}
		if _, _, err := do[nothing](n.ctx, n.Engine, h, command.ChangeAlerts{Changes: c}); err != nil {
			t.Fatal(err)
		}
	}
	alert := &monitor.Alert{Rule: monitor.Rule{Name: monitor.RuleAUC}, Value: 0.5, Message: "low"}
	before := len(n.audits(n.tenant, AuditFilter{EntityType: auditAlert}))
	propose(command.AlertChange{ID: "x", Model: m.ID, Opens: alert})
	propose(
		command.AlertChange{ID: "x", Model: m.ID, Opens: alert}, command.AlertChange{ID: "y", Model: m.ID, Opens: alert},
		command.AlertChange{ID: "z", Model: "absent", Opens: alert}, command.AlertChange{ID: "z", Model: "absent"},
		command.AlertChange{ID: "z", Model: m.ID, Reason: monitor.ReasonGood},
	)
	got := n.alertsOf(n.tenant, AlertFilter{})
	if len(got) != 1 || got[0].ID != "x" || got[0].GoodWhen == "" || got[0].ModelID != m.ID {
		t.Fatalf("alerts %+v, want x alone, with its rule", got)
	}
	for range 2 {
		propose(command.AlertChange{ID: "x", Model: m.ID, Reason: monitor.ReasonGood})
	}
	entries := n.audits(n.tenant, AuditFilter{EntityType: auditAlert})
	if len(entries)-before != 2 || entries[0].Action != "close" || entries[1].Action != "open" || entries[0].EntityID != "x" {
		t.Errorf("audit entries %+v, want one of opening and one of closing", entries)
	}
	if !strings.Contains(string(entries[0].After), `"closedBecause":"good"`) || !strings.Contains(string(entries[0].After), m.ID) || string(entries[1].Before) != "null" {
		t.Errorf("entries %s, %s", entries[0].After, entries[1].Before)
	}
}

// A model that is paused or deleted has its alerts closed.
func TestAlertsOfModelsThatStop(t *testing.T) {
	n := fresh(t)
	paused, deleted := n.oneSided("paused"), n.oneSided("deleted")
	w := newWatcher(n.Engine)
	w.look(n.ctx, now())
	status := decision.StatusPaused
	if _, _, err := n.UpdateModel(n.ctx, n.w(), paused.ID, catalogue.ModelFields{Status: &status}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.DeleteModel(n.ctx, n.w(), deleted.ID, false); err != nil {
		t.Fatal(err)
	}
	w.look(n.ctx, now())
	if got := n.alertsOf(n.tenant, AlertFilter{State: monitor.Open}); len(got) != 0 {
		t.Errorf("alerts %+v, want none", got)
	}
	reasons := map[string]string{}
	for _, e := range n.audits(n.tenant, AuditFilter{EntityType: auditAlert, Action: "close"}) {
		var after struct{ ModelID, ClosedBecause string }
		if err := json.Unmarshal(e.After, &after); err != nil {
			t.Fatal(err)
		}
		reasons[after.ModelID] = after.ClosedBecause
	}
	if reasons[paused.ID] != "idle" || reasons[deleted.ID] != "deleted" || len(reasons) != 2 {
		t.Errorf("closed because %v, want idle and deleted", reasons)
	}
	n.wantIntact(n.tenant, len(n.audits(n.tenant, AuditFilter{})))
}

// Alerts outlive a restart, from a snapshot and from the log, and are the same on
// every node.
func TestAlertsAreReplicated(t *testing.T) {
	n := fresh(t)
	n.oneSided("a")
	w := newWatcher(n.Engine)
	w.look(n.ctx, now())
	if err := n.TakeSnapshot(n.ctx); err != nil {
		t.Fatal(err)
	}
	n.oneSided("b")
	w.look(n.ctx, now())
	want, digest := n.alertsOf(n.tenant, AlertFilter{}), n.digest()
	n = n.restart(t)
	if got := n.alertsOf(n.tenant, AlertFilter{}); len(got) != 2 || !slices.Equal(got, want) {
		t.Errorf("after a restart %+v, want %+v", got, want)
	}
	wantEqual(t, "after a restart", n.digest(), digest)
}

func TestAlertsOfACluster(t *testing.T) {
	nodes := trio(t)
	nodes[0].oneSided("a")
	lead, others := leader(t, nodes)
	if err := lead.Barrier(lead.ctx); err != nil {
		t.Fatal(err)
	}
	newWatcher(lead.Engine).look(lead.ctx, now())
	want := lead.alertsOf(lead.tenant, AlertFilter{})
	if len(want) != 1 {
		t.Fatalf("alerts %+v, want one", want)
	}
	for _, n := range others {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
		if got := n.alertsOf(n.tenant, AlertFilter{}); !slices.Equal(got, want) {
			t.Errorf("alerts %+v, want %+v", got, want)
		}
	}
}
