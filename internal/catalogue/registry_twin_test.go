package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The twin's part of the registry: who is champion is found by looking at every
// model, who may become what is written out once more, and the window of requests
// is all requests ever counted.

type twinFamily struct {
	name   string
	events []string // oldest first
}

// settle founds the families of models that have none, and ends those without a
// model.
func (w *twinTenant) settle() {
	w.families = slices.DeleteFunc(w.families, func(f *twinFamily) bool {
		return !slices.ContainsFunc(w.models, func(m *twinModel) bool { return m.family == f.name })
	})
	for _, m := range w.models {
		if w.family(m.family) == nil {
			w.families = append(w.families, &twinFamily{name: m.family})
		}
	}
}

func (w *twinTenant) family(name string) *twinFamily {
	f, _ := find(w.families, func(f *twinFamily) bool { return f.name == name })
	return f
}

func (w *twinTenant) champion(family string) *twinModel {
	m, _ := find(w.models, func(m *twinModel) bool { return m.family == family && m.standing == decision.RegistryChampion })
	return m
}

func (w *twinTenant) note(m *twinModel, change string, previous decision.RegistryStatus, by string, at decision.Time) {
	f := w.family(m.family)
	f.events = append(f.events, fmt.Sprint(at, change, m.id, m.key, previous, m.standing, by))
}

// promotion shows what the registry remembers of the last request.
func promotion(m *ModelRecord) string {
	if m.Promotion.By == nil {
		return ""
	}
	return fmt.Sprint(m.Promotion.At, *m.Promotion.By, string(m.Promotion.Metrics))
}

func mayBecome(from, to decision.RegistryStatus) bool {
	switch fmt.Sprint(from, ">", to) {
	case "draft>challenger", "draft>archived",
		"challenger>champion", "challenger>archived", "challenger>draft",
		"champion>archived", "champion>challenger",
		"archived>draft":
		return true
	}
	return false
}

// transition asks the registry for a transition, as its command does: the request
// is counted first, and counts also when it is refused.
func (r *run) transition(t *rapid.T) {
	tenant, id := r.someModel(t)
	tr := r.drawTransition(t, tenant, id)
	if rapid.Bool().Draw(t, "with metrics") {
		tr.Metrics = map[string]float64{"auc": float64(rapid.IntRange(5, 9).Draw(t, "auc")) / 10}
		if rapid.IntRange(0, 4).Draw(t, "shifted") == 0 {
			tr.Metrics["psi.age"] = 0.3
		}
	}
	r.request(t, tenant, id, tr)
}

// transitions are enough requests to come to the limit.
func (r *run) transitions(t *rapid.T) {
	for range rapid.IntRange(1, 35).Draw(t, "requests") {
		tenant, id := r.someModel(t)
		r.request(t, tenant, id, r.drawTransition(t, tenant, id))
	}
}

// someModel draws a model that exists, more often than anyModel does.
func (r *run) someModel(t *rapid.T) (tenant, id string) {
	var with []*twinTenant
	for _, w := range r.w.tenants {
		if len(w.models) > 0 {
			with = append(with, w)
		}
	}
	if len(with) == 0 || rapid.IntRange(0, 9).Draw(t, "any") == 0 {
		return r.anyModel(t)
	}
	w := rapid.SampledFrom(with).Draw(t, "tenant")
	return w.id, rapid.SampledFrom(w.models).Draw(t, "model").id
}

// drawTransition draws a transition that may be made, more often than not.
func (r *run) drawTransition(t *rapid.T, tenant, id string) *Transition {
	to := standings
	if m := r.w.tenant(tenant).model(id); m != nil && rapid.IntRange(0, 3).Draw(t, "allowed") > 0 {
		to = slices.DeleteFunc(slices.Clone(to), func(s decision.RegistryStatus) bool { return !mayBecome(m.standing, s) })
	}
	return &Transition{
		To: rapid.SampledFrom(to).Draw(t, "to"), Actor: r.next("actor"), Thresholds: DefaultThresholds(),
		BypassGuard: rapid.IntRange(0, 3).Draw(t, "bypass") == 0,
	}
}

func (r *run) request(t *rapid.T, tenant, id string, tr *Transition) {
	at := r.at
	var reason string
	s := func(c *Catalogue) error {
		_, err := c.CountRegistryRequest(tenant, at)
		if err == nil {
			_, err = c.Transition(tenant, id, tr, at)
		}
		var e *decision.Error
		if reason = ""; errors.As(err, &e) {
			reason = e.Reason
		}
		return err
	}
	refused := func(why string) {
		t.Helper()
		if r.do(t, s, decision.KindBadRequest, true); reason != why {
			t.Fatalf("refused for %q, want %q", reason, why)
		}
	}
	w := r.w.tenant(tenant)
	if w == nil {
		r.do(t, s, decision.KindNotFound, true)
		return
	}
	recent := 0
	for _, then := range w.requests {
		if then > at-RegistryWindow {
			recent++
		}
	}
	if recent >= RegistryRequests {
		r.do(t, s, decision.KindRateLimited, true)
		return
	}
	w.requests = append(w.requests, at)
	m := w.model(id)
	switch {
	case m == nil:
		r.do(t, s, decision.KindNotFound, true)
		return
	case !mayBecome(m.standing, tr.To):
		refused(ReasonInvalidTransition)
		return
	case tr.To == decision.RegistryChampion && !tr.BypassGuard && w.guarded(m, tr.Metrics):
		refused(ReasonRollbackGuard)
		return
	}
	r.ok(t, s)
	if tr.To == decision.RegistryChampion {
		if other := w.champion(m.family); other != nil {
			other.standing, other.previous = decision.RegistryChallenger, decision.RegistryChampion
			w.note(other, ChangeDisplaced, decision.RegistryChampion, tr.Actor, at)
		}
	}
	m.previous = m.standing
	m.standing = tr.To
	metrics := ""
	if tr.Metrics != nil {
		b, _ := json.Marshal(tr.Metrics)
		metrics = string(b)
	}
	m.auc, m.promoted = tr.Metrics["auc"], fmt.Sprint(at, tr.Actor, metrics)
	w.note(m, ChangeTransition, m.previous, tr.Actor, at)
}

// guarded reports whether the guard is in the way. The trainings of this test
// leave no AUC, so the requests' are the only ones.
func (w *twinTenant) guarded(m *twinModel, metrics map[string]float64) bool {
	if metrics["psi.age"] > 0.25 {
		return true
	}
	champion := w.champion(m.family)
	return champion != nil && champion.auc > 0 && metrics["auc"] > 0 && metrics["auc"] < champion.auc*0.9499
}

// checkFamilies compares what can be read of families with the twin, and holds
// the invariant against the models themselves.
func (r *run) checkFamilies(t *rapid.T, w *twinTenant) {
	items, _, total, err := r.c.Families(w.id, 0, 1000)
	if err != nil || total != len(w.families) || len(items) != total {
		t.Fatalf("Families() = %d of %d, %v, want %d", len(items), total, err, len(w.families))
	}
	seen := map[string]bool{}
	r.c.EachChampion(func(tenant, name, id string) {
		if tenant == w.id {
			seen[name+"="+id] = true
		}
	})
	for i, f := range slices.Backward(w.families) {
		d, err := r.c.Family(w.id, f.name)
		if err != nil {
			t.Fatalf("Family(%s) = %v", f.name, err)
		}
		if got := items[len(w.families)-1-i].Name; got != f.name {
			t.Fatalf("family %d of the list is %s, want %s", i, got, f.name)
		}
		var champions, want []string
		for _, m := range w.models {
			if m.family == f.name {
				want = append(want, fmt.Sprint(m.id, m.key, m.name, m.standing))
				if got, _ := r.c.Model(w.id, m.id); got.RegistryStatus == decision.RegistryChampion {
					champions = append(champions, m.id)
				}
			}
		}
		if len(champions) > 1 {
			t.Fatalf("family %s has the champions %v", f.name, champions)
		}
		var named []string
		if d.Champion != nil {
			named = append(named, d.Champion.ModelID)
			if !seen[f.name+"="+d.Champion.ModelID] {
				t.Fatalf("EachChampion() leaves out %s of %s", d.Champion.ModelID, f.name)
			}
			delete(seen, f.name+"="+d.Champion.ModelID)
		}
		if !slices.Equal(named, champions) {
			t.Fatalf("family %s names the champion %v, its models say %v", f.name, named, champions)
		}
		show := func(m Member) string { return fmt.Sprint(m.ModelID, m.Key, m.Name, m.RegistryStatus) }
		if got, want := inOrder(d.Members, show), newest(want, func(s string) string { return s }); got != want {
			t.Fatalf("members of %s = %s, want %s", f.name, got, want)
		}
		event := func(e FamilyEvent) string {
			return fmt.Sprint(e.At, e.Change, e.ModelID, e.ModelKey, e.PreviousStatus, e.NewStatus, e.Actor)
		}
		if got, want := inOrder(d.History, event), newest(last(f.events, MaxFamilyHistory), func(s string) string { return s }); got != want {
			t.Fatalf("history of %s = %s, want %s", f.name, got, want)
		}
	}
	if len(seen) > 0 {
		t.Fatalf("EachChampion() has %v, which no family names", seen)
	}
}

// The registry alone, in few families, so that most of what can happen does: a
// family has one champion at most after every command, and after a snapshot
// anywhere in the log.
func TestOneChampionAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRun()
		tenants := tenantIDs[:2]
		for _, id := range tenants {
			r.makeTenant(t, id)
			for i := range 4 {
				r.makeModel(t, id, fmt.Sprint("k", i), families[i%2])
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"":           r.check,
			"transition": r.transition, "transition2": r.transition, "transitions": r.transitions,
			"createModel": r.createModel, "updateModel": r.updateModel, "deleteModel": r.deleteModel, "learn": r.learn,
			"deleteTenant": r.deleteTenant, "createTenant": r.createTenant, "tick": r.tick,
		})
		r.checkSnapshot(t)
	})
}
