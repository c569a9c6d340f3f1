package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// types are the types of a tenant's events behind an id, in their order.
func (n *node) types(after event.ID) string {
	n.t.Helper()
	view := n.Events(n.tenant)
	rest, whole := view.After(after)
	if !whole {
		n.t.Error("events are missing")
	}
	var all []string
	for i := range rest {
		all = append(all, rest[i].Type)
	}
	return strings.Join(all, " ")
}

func (n *node) head() event.ID {
	view := n.Events(n.tenant)
	return view.Last()
}

// payloads is everything that subscribers of a tenant get of the log, byte by byte.
func (n *node) payloads(tenant string) string {
	var b []byte
	view := n.Events(tenant)
	for i := range view.Events {
		b = append(view.Events[i].Append(b), '\n')
	}
	return string(b)
}

// Whatever changes for the outside makes its events, and nothing else does.
func TestWhatMakesEvents(t *testing.T) {
	n := fresh(t)
	n.newTenant("t2")
	var m, other *catalogue.Model
	var x *catalogue.Experiment
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"create", func() { m = n.model("m", decision.Bayesian, "family", `"f"`) }, "model.created"},
		{"outcomes", func() { n.record(mixed(200)...) }, ""},
		{"train", func() { n.train(m.ID) }, "model.trained"},
		{"a key", func() { must2(n.CreateKey(n.ctx, n.w(), "k", "viewer", 0)) }, ""},
		{"a new name", func() { must2(n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "name", `"new"`))) }, ""},
		{"challenger", func() { n.stand(m.ID, decision.RegistryChallenger) }, "registry.status_changed"},
		{"champion", func() { n.stand(m.ID, decision.RegistryChampion) }, "registry.status_changed registry.champion_changed"},
		{"upgrade", func() {
			up, _, err := n.Upgrade(n.ctx, n.w(), m.ID, true)
			if err != nil {
				t.Fatal(err)
			}
			other = up.Upgraded
		}, "model.upgraded experiment.created"},
		{"its challenger", func() { n.stand(other.ID, decision.RegistryChallenger) }, "registry.status_changed"},
		{"an experiment", func() { x = n.experiment(definition("e", "active", m.ID, 50, other.ID, 50)) }, "experiment.created"},
		{"paused", func() { n.alter(x.ID, `{"status":"paused"}`) }, "experiment.status_changed"},
		{"another split", func() { n.alter(x.ID, `{"holdoutPercent":5}`) }, ""},
		{"another champion", func() { n.stand(other.ID, decision.RegistryChampion) },
			"registry.status_changed experiment.status_changed registry.status_changed registry.champion_changed"},
		{"deleted", func() { must1(n.DeleteExperiment(n.ctx, n.w(), x.ID)) }, "experiment.deleted"},
		{"reset", func() { must2(n.ResetLearning(n.ctx, n.w(), m.ID)) }, "model.reset"},
		{"restore", func() { must2(n.RestoreVersion(n.ctx, n.w(), m.ID, 2)) }, "model.restored"},
		{"refused", func() {
			if _, _, err := n.Transition(n.ctx, n.w(), m.ID, Transition{To: decision.RegistryDraft, Invalid: decision.Invalid("x", "y")}); err == nil {
				t.Error("it is not refused")
			}
		}, ""},
		{"to another family", func() {
			must2(n.UpdateModel(n.ctx, n.w(), other.ID, with(t, catalogue.ModelFields{}, "family", `"g"`)))
		},
			"registry.champion_changed registry.champion_changed"},
		{"delete a champion", func() { must1(n.DeleteModel(n.ctx, n.w(), other.ID, true)) }, "model.deleted registry.champion_changed"},
	} {
		before := n.head()
		step.do()
		if got := n.types(before); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	if v := n.Events("t2"); len(v.Events) != 0 {
		t.Errorf("another tenant has %d events", len(v.Events))
	}
	want := n.payloads("t1")
	n.snapshot()
	m = n.model("later", decision.Scorecard)
	want += n.payloads("t1")[len(want):]
	n = n.restart(t)
	if got := n.payloads("t1"); got != want {
		t.Errorf("after a restart:\n%s\nwant\n%s", got, want)
	}
	must1(n.DeleteTenant(n.ctx, Write{}, "t1"))
	if got := n.payloads("t1"); got != "" {
		t.Errorf("a deleted tenant has events: %s", got)
	}
}

func must1[A any](_ A, err error) {
	if err != nil {
		panic(err)
	}
}

func must2[A, B any](_ A, _ B, err error) {
	if err != nil {
		panic(err)
	}
}

// An alert that opens or closes is an event, with what the model is called, also
// where its model was deleted.
func TestAlertsMakeEvents(t *testing.T) {
	n := fresh(t)
	m, other := n.oneSided("m"), n.oneSided("other")
	before := n.head()
	newWatcher(n.Engine).look(n.ctx, now())
	if got := n.types(before); got != "alert.opened alert.opened" {
		t.Errorf("two alerts made %q", got)
	}
	newWatcher(n.Engine).look(n.ctx, now())
	opened := n.head()
	must1(n.DeleteModel(n.ctx, n.w(), m.ID, true))
	if got := n.types(opened); got != "model.deleted alert.closed" {
		t.Errorf("the deletion of a model made %q", got)
	}
	n.outcomesOf(other.ID, "dismiss", 60)
	closedAll := n.head()
	w, at := newWatcher(n.Engine), now()
	w.look(n.ctx, at)
	w.look(n.ctx, at+61*minute) // the rule was kept for an hour
	if got := n.types(closedAll); got != "alert.closed" {
		t.Errorf("outcomes of the other class made %q", got)
	}
	view := n.Events("t1")
	rest, _ := view.After(before)
	ids := map[string]string{}
	for _, e := range rest {
		var a event.Alert
		if err := json.Unmarshal(e.Data, &a); err != nil {
			t.Fatal(err)
		}
		if e.Type == event.ModelDeleted {
			continue
		}
		if want := map[string]string{m.ID: "m", other.ID: "other"}[a.ModelID]; a.ModelKey != want || a.Family == "" || a.Rule != "one_class" || a.Message == "" || a.GoodWhen == "" || string(a.OpenedAt) == "null" {
			t.Errorf("%s has %s", e.Type, e.Data)
		}
		if closed := e.Type == event.AlertClosed; closed != (string(a.ClosedAt) != "null") || closed != (a.ClosedBecause != "") || closed && ids[a.ModelID] != a.AlertID {
			t.Errorf("%s has %s", e.Type, e.Data)
		}
		ids[a.ModelID] = a.AlertID
	}
}

// The events alone tell who is champion, at any moment, for any history of the
// registry; and three nodes have the same ones.
func TestChampionsFollowFromEvents(t *testing.T) {
	nodes := trio(t)
	var models []string
	for i := range 6 {
		models = append(models, nodes[i%3].points(fmt.Sprint("m", i), []string{"f", "g"}[i%2], 1).ID)
	}
	rng := nodes[0].rng
	standings := []decision.RegistryStatus{decision.RegistryDraft, decision.RegistryChallenger, decision.RegistryChampion, decision.RegistryChampion, decision.RegistryArchived}
	for i := range 50 { // the registry takes 60 requests a minute
		n, id := nodes[i%3], models[rng.IntN(len(models))]
		switch rng.IntN(8) {
		case 0:
			family := []string{"f", "g", "h"}[rng.IntN(3)]
			_, _, _ = n.UpdateModel(n.ctx, n.w(), id, catalogue.ModelFields{Family: &family})
		default:
			_, _, _ = n.Transition(n.ctx, n.w(), id, Transition{To: standings[rng.IntN(len(standings))], BypassGuard: true})
		}
	}
	for _, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
		champions := map[string]string{}
		view := n.Events("t1")
		for _, e := range view.Events {
			var c struct {
				Family  string  `json:"family"`
				ModelID *string `json:"modelId"`
				Before  *string `json:"previousModelId"`
			}
			if e.Type != event.ChampionChanged {
				continue
			}
			if err := json.Unmarshal(e.Data, &c); err != nil {
				t.Fatal(err)
			}
			if was := champions[c.Family]; (c.Before == nil) != (was == "") || c.Before != nil && *c.Before != was {
				t.Errorf("%s: %s, but the champion before was %q", n.config.Cluster.NodeID, e.Data, was)
			}
			delete(champions, c.Family)
			if c.ModelID != nil {
				champions[c.Family] = *c.ModelID
			}
		}
		for _, family := range []string{"f", "g", "h"} {
			want := ""
			if f, err := n.Family("t1", family); err == nil && f.Champion != nil {
				want = f.Champion.ModelID
			}
			if champions[family] != want {
				t.Errorf("%s: by the events %s has %q, by the registry %q", n.config.Cluster.NodeID, family, champions[family], want)
			}
		}
		if got, want := n.payloads("t1"), nodes[0].payloads("t1"); got != want {
			t.Errorf("%s has other events than n1", n.config.Cluster.NodeID)
		}
	}
}

// Who listens is woken for the events of his tenant, and for no others.
func TestListeners(t *testing.T) {
	n := fresh(t)
	n.newTenant("t2")
	ours, theirs := n.Listen("t1"), n.Listen("t2")
	n.points("a", "f", 1)
	select {
	case <-ours.Woken():
	case <-n.ctx.Done():
		t.Fatal("nobody is woken")
	}
	select {
	case <-theirs.Woken():
		t.Error("another tenant is woken")
	default:
	}
	ours.Close()
	theirs.Close()
	if n.machine.feed.listening.Load() != 0 || len(n.machine.feed.listeners) != 0 {
		t.Error("listeners that were closed are kept")
	}
}

func TestAPrincipalThatHolds(t *testing.T) {
	n := fresh(t)
	k, _, err := n.CreateKey(n.ctx, n.w(), "k", "viewer", now()+60_000)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := n.Authenticate([]byte(k.Raw))
	if !ok || !n.Holds(&p) {
		t.Errorf("a key that was just made does not hold: %+v", p)
	}
	if op := (Principal{Role: decision.RoleOperator, TenantID: "t1"}); !n.Holds(&op) {
		t.Error("the operator does not hold")
	}
	must1(n.RevokeKey(n.ctx, n.w(), k.ID))
	if n.Holds(&p) {
		t.Error("a revoked key holds")
	}
	if op := (Principal{Role: decision.RoleOperator, TenantID: "gone"}); n.Holds(&op) {
		t.Error("the operator holds for a tenant that is not there")
	}
}

// A promotion by an experiment is told once, in the registry's events by the
// experiment that caused it, and in the experiment's own; so is one that the guard
// refuses, which changes no standing.
func TestExperimentsTellTheirPromotions(t *testing.T) {
	for _, refused := range []bool{false, true} {
		n := fresh(t)
		champion, challenger := n.rivals()
		want := "registry.status_changed registry.status_changed registry.champion_changed experiment.promoted experiment.status_changed"
		if refused {
			must2(n.UpdateModel(n.ctx, n.w(), challenger.ID, with(t, catalogue.ModelFields{}, "metrics", `{"psi.age":0.5}`)))
			want = "experiment.promotion_refused"
		}
		x := n.won(champion, challenger, "")
		before, tomorrow := n.head(), now()+decision.Time(25*3600*1000)
		n.lookForWinners(n.ctx, tomorrow)
		n.lookForWinners(n.ctx, tomorrow)
		if got := n.types(before); got != want {
			t.Errorf("refused %v: got %q, want %q", refused, got, want)
		}
		view := n.Events("t1")
		rest, _ := view.After(before)
		for _, e := range rest {
			if !strings.Contains(string(e.Data), `"experimentId":"`+x.ID+`"`) || !strings.Contains(string(e.Data), `"actor":"experiment e"`) {
				t.Errorf("%s has %s, want the experiment", e.Type, e.Data)
			}
		}
	}
}
