package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

// stand brings a model to a standing.
func stand(t testing.TB, c *Catalogue, id string, to decision.RegistryStatus) Transitioned {
	t.Helper()
	done, err := c.Transition("t", id, &Transition{To: to, Actor: "me", Thresholds: DefaultThresholds()}, 7)
	if err != nil {
		t.Fatalf("Transition(%s to %s) = %v", id, to, err)
	}
	return done
}

// inFamily makes a model of the family f that has the metrics and the standing.
func inFamily(t testing.TB, c *Catalogue, id, metrics string, standing decision.RegistryStatus) {
	t.Helper()
	newModel(t, c, "t", id)
	f := ModelFields{Family: text("f")}
	if metrics != "" {
		f.Metrics = json.RawMessage(metrics)
	}
	if _, err := c.UpdateModel("t", id, &f, "me", 2); err != nil {
		t.Fatalf("UpdateModel() = %v", err)
	}
	path := map[decision.RegistryStatus][]decision.RegistryStatus{
		decision.RegistryChallenger: {decision.RegistryChallenger},
		decision.RegistryChampion:   {decision.RegistryChallenger, decision.RegistryChampion},
		decision.RegistryArchived:   {decision.RegistryArchived},
	}
	for _, s := range path[standing] {
		stand(t, c, id, s)
	}
}

func reasonOf(err error) string {
	var e *decision.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Every pair of standings, the API's documentation written out.
func TestTransitionMatrix(t *testing.T) {
	permitted := map[string]bool{
		"draft challenger": true, "draft archived": true,
		"challenger champion": true, "challenger archived": true, "challenger draft": true,
		"champion archived": true, "champion challenger": true,
		"archived draft": true,
	}
	for _, from := range standings {
		for _, to := range append(slices.Clone(standings), "sleeping", "") {
			c := New()
			newTenant(t, c, "t")
			inFamily(t, c, "m", "", from)
			before := encoded(t, c)
			done, err := c.Transition("t", "m", &Transition{To: to, Actor: "me", Thresholds: DefaultThresholds()}, 9)
			if permitted[string(from+" "+to)] {
				if err != nil || done.Before.RegistryStatus != from || done.After.RegistryStatus != to || done.Displaced != nil {
					t.Errorf("%s to %s = %+v, %v, want it done", from, to, done, err)
				}
				continue
			}
			if decision.KindOf(err) != decision.KindBadRequest || reasonOf(err) != ReasonInvalidTransition {
				t.Errorf("%s to %s = %v, want %s", from, to, err, ReasonInvalidTransition)
			}
			if got := encoded(t, c); got != before {
				t.Errorf("%s to %s changed the catalogue to %s", from, to, got)
			}
		}
	}
}

// A displaced champion becomes a challenger in the same step and keeps what is
// known of its promotion.
func TestPromotionDisplaces(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	inFamily(t, c, "old", "", decision.RegistryChallenger)
	if _, err := c.Transition("t", "old", &Transition{To: decision.RegistryChampion, Actor: "alice", Metrics: map[string]float64{"auc": 0.7}, Thresholds: DefaultThresholds()}, 10); err != nil {
		t.Fatal(err)
	}
	inFamily(t, c, "new", "", decision.RegistryChallenger)
	done, err := c.Transition("t", "new", &Transition{To: decision.RegistryChampion, Actor: "bob", Metrics: map[string]float64{"auc": 0.79, "accuracy": 0.83}, Thresholds: DefaultThresholds()}, 20)
	if err != nil {
		t.Fatal(err)
	}
	show := func(m *ModelRecord) string {
		e := m.Registry()
		return fmt.Sprint(e.Status, " ", e.PreviousStatus, " ", int64(e.PromotedAt), " ", *e.PromotedBy, " ", string(e.MetricsAtPromotion), " ", int64(m.UpdatedAt))
	}
	if got, want := show(done.After), `champion challenger 20 bob {"accuracy":0.83,"auc":0.79} 20`; got != want {
		t.Errorf("the new champion: %s, want %s", got, want)
	}
	if got, want := show(done.Displaced), `challenger champion 10 alice {"auc":0.7} 20`; got != want {
		t.Errorf("the old champion: %s, want %s", got, want)
	}
	d, err := c.Family("t", "f")
	if err != nil || d.Champion.ModelID != "new" || len(d.Members) != 2 || d.History[0].Change != ChangeTransition || d.History[1].Change != ChangeDisplaced || d.History[1].Actor != "bob" {
		t.Errorf("Family() = %+v, %v", d, err)
	}
	// Its place is free again when it goes, and nobody moves up by itself.
	if _, err := c.DeleteModel("t", "new", "carol", 30); err != nil {
		t.Fatal(err)
	}
	if d, _ := c.Family("t", "f"); d.Champion != nil || d.History[0].Change != ChangeDeleted || d.History[0].Actor != "carol" {
		t.Errorf("after the champion's end: %+v", d)
	}
}

func TestRollbackGuard(t *testing.T) {
	strict := Thresholds{MaxAUCDrop: 0.01, MaxPSI: 0.1, MaxErrorRate: 0.001}
	for _, tc := range []struct {
		name                 string
		incumbent, candidate string             // metrics of the models; "-": there is no incumbent
		promoted             map[string]float64 // with which the incumbent was
		snapshot             map[string]float64
		thresholds           Thresholds
		want                 string // the breaches
	}{
		{name: "nothing is known", incumbent: "{}", candidate: "{}"},
		{name: "no worse", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.8}`},
		{name: "5 % less, exactly", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.76}`},
		{name: "over 5 % less", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.759}`, want: "auc 0.0513 0.05"},
		{name: "less than AUC 0.05, more than 5 %", incumbent: `{"auc":0.6}`, candidate: `{"auc":0.56}`, want: "auc 0.0667 0.05"},
		{name: "the snapshot counts first", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.9}`, snapshot: map[string]float64{"auc": 0.6}, want: "auc 0.2500 0.05"},
		{name: "the snapshot cures", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.6}`, snapshot: map[string]float64{"auc": 0.8}},
		{name: "what the incumbent was promoted with counts first", incumbent: `{"auc":0.6}`, promoted: map[string]float64{"auc": 0.8}, candidate: `{"auc":0.6}`, want: "auc 0.2500 0.05"},
		{name: "the candidate's is not known", incumbent: `{"auc":0.8}`, candidate: "{}", snapshot: map[string]float64{"accuracy": 0.1}},
		{name: "the incumbent's is not known", incumbent: "{}", candidate: `{"auc":0.1}`},
		{name: "the incumbent's is 0", incumbent: `{"auc":0}`, candidate: `{"auc":0.1}`},
		{name: "not a number", incumbent: `{"auc":"0.8"}`, candidate: `{"auc":0.1}`},
		{name: "no incumbent", incumbent: "-", candidate: `{"auc":0.1}`},
		{name: "psi at the threshold", incumbent: "{}", candidate: "{}", snapshot: map[string]float64{"psi.age": 0.25}},
		{name: "psi of two", incumbent: "{}", candidate: "{}", snapshot: map[string]float64{"psi.income": 0.5, "psi.age": 0.26, "psi.b": 0.1}, want: "psi.age 0.2600 0.25 psi.income 0.5000 0.25"},
		{name: "psi without an incumbent", incumbent: "-", candidate: `{"psi.age":0.3}`, want: "psi.age 0.3000 0.25"},
		{name: "psi of the model", incumbent: "{}", candidate: `{"psi.age":0.3}`, snapshot: map[string]float64{"psi.age": 0.1}},
		{name: "error rate at the threshold", incumbent: "{}", candidate: "{}", snapshot: map[string]float64{"errorRate": 0.02}},
		{name: "error rate", incumbent: "{}", candidate: `{"errorRate":0.021}`, want: "errorRate 0.0210 0.02"},
		{name: "all", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.4,"psi.x":1,"errorRate":1}`, want: "auc 0.5000 0.05 errorRate 1.0000 0.02 psi.x 1.0000 0.25"},
		{name: "own thresholds", incumbent: `{"auc":0.8}`, candidate: `{"auc":0.79,"psi.x":0.11,"errorRate":0.002}`, thresholds: strict, want: "auc 0.0125 0.01 errorRate 0.0020 0.001 psi.x 0.1100 0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := New()
			newTenant(t, c, "t")
			if tc.incumbent != "-" {
				inFamily(t, c, "old", tc.incumbent, decision.RegistryChallenger)
				if _, err := c.Transition("t", "old", &Transition{To: decision.RegistryChampion, Metrics: tc.promoted, Thresholds: DefaultThresholds()}, 3); err != nil {
					t.Fatal(err)
				}
			}
			inFamily(t, c, "new", tc.candidate, decision.RegistryChallenger)
			if tc.thresholds == (Thresholds{}) {
				tc.thresholds = DefaultThresholds()
			}
			tr := Transition{To: decision.RegistryChampion, Actor: "me", Metrics: tc.snapshot, Thresholds: tc.thresholds}
			before := encoded(t, c)
			done, err := c.Transition("t", "new", &tr, 9)
			var got string
			for i, b := range done.Breaches {
				if i > 0 {
					got += " "
				}
				got += fmt.Sprintf("%s %.4f %v", b.Signal, b.Value, b.Threshold)
			}
			if got != tc.want {
				t.Fatalf("breaches = %q, want %q", got, tc.want)
			}
			if tc.want == "" {
				if err != nil || done.After.RegistryStatus != decision.RegistryChampion {
					t.Fatalf("Transition() = %v, want it done", err)
				}
				return
			}
			if decision.KindOf(err) != decision.KindBadRequest || reasonOf(err) != ReasonRollbackGuard {
				t.Errorf("Transition() = %v, want %s", err, ReasonRollbackGuard)
			}
			if after := encoded(t, c); after != before {
				t.Errorf("a refusal changed the catalogue to %s", after)
			}
			tr.BypassGuard = true
			if done, err = c.Transition("t", "new", &tr, 9); err != nil || len(done.Breaches) == 0 || done.After.RegistryStatus != decision.RegistryChampion {
				t.Errorf("with the guard bypassed: %+v, %v, want it done and the breaches told", done, err)
			}
			// Other transitions are not the guard's.
			if _, err := c.Transition("t", "new", &Transition{To: decision.RegistryChallenger, Metrics: tc.snapshot, Thresholds: tc.thresholds}, 9); err != nil {
				t.Errorf("to challenger: %v", err)
			}
		})
	}
}

func TestRegistryQuota(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	newTenant(t, c, "other")
	const start = decision.Time(1_000_000)
	for i := range RegistryRequests {
		q, err := c.CountRegistryRequest("t", start+decision.Time(i)*100)
		if err != nil || q.Remaining != RegistryRequests-1-i {
			t.Fatalf("request %d: %+v, %v, want %d remaining", i, q, err, RegistryRequests-1-i)
		}
	}
	for at, wait := range map[decision.Time]int{start + 5900: 55, start + RegistryWindow - 1: 1} {
		q, err := c.CountRegistryRequest("t", at)
		if decision.KindOf(err) != decision.KindRateLimited || q.Remaining != 0 || q.Seconds() != wait {
			t.Errorf("at %d: %+v, %v, want a wait of %d s", at, q, err, wait)
		}
	}
	if q, err := c.CountRegistryRequest("other", start+5900); err != nil || q.Remaining != RegistryRequests-1 {
		t.Errorf("another tenant: %+v, %v", q, err)
	}
	c = restored(t, c)
	// The first has left the window, the second not yet.
	if q, err := c.CountRegistryRequest("t", start+RegistryWindow); err != nil || q.Remaining != 0 || q.Wait != 100 {
		t.Errorf("when the first place is free: %+v, %v, want it taken and the next in 100 ms", q, err)
	}
	if _, err := c.CountRegistryRequest("t", start+RegistryWindow+99); decision.KindOf(err) != decision.KindRateLimited {
		t.Errorf("before the second is: %v, want rate limited", err)
	}
	if q, err := c.CountRegistryRequest("t", start+3*RegistryWindow); err != nil || q.Remaining != RegistryRequests-1 {
		t.Errorf("much later: %+v, %v, want %d remaining", q, err, RegistryRequests-1)
	}
	if _, err := c.CountRegistryRequest("absent", start); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("of no tenant: %v, want not found", err)
	}
}

func TestFamilyHistoryIsBounded(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	inFamily(t, c, "m", "", decision.RegistryChallenger)
	held, _ := c.Family("t", "f")
	for range MaxFamilyHistory {
		stand(t, c, "m", decision.RegistryDraft)
		stand(t, c, "m", decision.RegistryChallenger)
	}
	d, _ := c.Family("t", "f")
	if len(d.History) != MaxFamilyHistory || d.History[0].NewStatus != decision.RegistryChallenger {
		t.Errorf("%d events, the newest to %s, want %d, to challenger", len(d.History), d.History[0].NewStatus, MaxFamilyHistory)
	}
	if len(held.History) != 1 {
		t.Errorf("a history that was read before has %d events now, want 1", len(held.History))
	}
}

// A model that comes from elsewhere is a draft, whatever it was there.
func TestImportIsADraft(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	inFamily(t, c, "m", "", decision.RegistryChampion)
	m, _ := c.Model("t", "m")
	in := ImportedModel{Fields: m.Fields(), Version: 1}
	in.Fields.Key = text("copy")
	got, err := c.ImportModel("t", "copy", &in, 9)
	if err != nil || got.RegistryStatus != decision.RegistryDraft || got.Family != "f" || got.Promotion.By != nil {
		t.Errorf("ImportModel() = %+v, %v, want a draft of family f", got, err)
	}
	if d, _ := c.Family("t", "f"); d.Champion == nil || d.Champion.ModelID != "m" || len(d.Members) != 2 {
		t.Errorf("Family() = %+v, want champion m of two", d)
	}
}

func TestMetricsThatAreNoJSON(t *testing.T) {
	c := New()
	newTenant(t, c, "t")
	newModel(t, c, "t", "m")
	before := encoded(t, c)
	_, err := c.Transition("t", "m", &Transition{To: decision.RegistryChallenger, Metrics: map[string]float64{"x": math.Inf(1)}}, 9)
	if decision.KindOf(err) != decision.KindBadRequest || encoded(t, c) != before {
		t.Errorf("Transition() = %v, want a bad request that changes nothing", err)
	}
}

func BenchmarkTransition(b *testing.B) {
	c := New()
	newTenant(b, c, "t")
	for _, id := range []string{"m0", "m1"} {
		inFamily(b, c, id, `{"auc":0.8}`, decision.RegistryChampion)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		tr := Transition{To: decision.RegistryChampion, Actor: "me", Thresholds: DefaultThresholds()}
		if _, err := c.Transition("t", fmt.Sprint("m", i%2), &tr, 9); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
