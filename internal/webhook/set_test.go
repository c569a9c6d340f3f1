package webhook

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

const start = decision.Time(1_773_468_000_000)

func text(s string) *string { return &s }

// put makes a webhook of the tenant t that is behind event 10.
func put(t testing.TB, s *Set, id string, types ...string) *Record {
	t.Helper()
	filter := event.Filter(types)
	f := &Fields{URL: text("https://" + id + ".example.com"), EventTypes: &filter, Secret: sealed(t, secretOf(t, exampleSecret))}
	r, err := s.Create("t", id, f, event.ID{Index: 10, Seq: 1}, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(t testing.TB, s *Set, id string) *Record {
	t.Helper()
	r, err := s.Find("t", id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func revealed(t testing.TB, r *Record, at decision.Time) string {
	t.Helper()
	all, err := r.Secrets(at, refused)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range all {
		texts = append(texts, s.Reveal())
	}
	return strings.Join(texts, " ")
}

func TestLifeOfAWebhook(t *testing.T) {
	s := NewSet()
	if _, err := s.Create("t", "a", &Fields{URL: text("https://x")}, event.ID{}, start); err == nil {
		t.Error("one without a secret is made")
	}
	r := put(t, s, "a")
	if !r.Enabled || r.EventTypes == nil || r.State.Through.Index != 10 || r.Revision != 1 {
		t.Errorf("a new webhook: %+v", r)
	}
	if _, err := s.Create("t", "a", &Fields{}, event.ID{}, start); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("the same id again: %v", err)
	}
	if _, err := s.Find("u", "a"); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("another tenant finds it: %v", err)
	}
	off, types := false, event.Filter{"model.*"}
	next, err := s.Update("t", "a", &Fields{Enabled: &off, EventTypes: &types, Description: text("d")}, start+1)
	if err != nil || next.Enabled || next.DisabledReason != DisabledByRequest || next.Description != "d" || next.Revision != 2 || next.UpdatedAt != start+1 || r.Description != "" {
		t.Errorf("Update() = %+v, %v", next, err)
	}
	on := true
	if next, _ = s.Update("t", "a", &Fields{Enabled: &on}, start+2); !next.Enabled || next.DisabledReason != "" || len(next.EventTypes) != 1 {
		t.Errorf("enabled again: %+v", next)
	}
	for i := range MaxWebhooks - 1 {
		put(t, s, fmt.Sprint("w", i))
	}
	if _, err := s.Create("t", "more", &Fields{URL: text("u"), Secret: "s"}, event.ID{}, start); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("one more than the bound: %v", err)
	}
	if err := s.Delete("t", "a"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{"Delete": s.Delete("t", "a"), "Update": func() error { _, err := s.Update("t", "a", &Fields{}, 0); return err }()} {
		if decision.KindOf(err) != decision.KindNotFound {
			t.Errorf("%s of one that is gone: %v", name, err)
		}
	}
	if all := s.All(); len(all) != MaxWebhooks-1 || all[0].ID != "w0" || all[18].ID != "w18" {
		t.Errorf("All() has %d in the wrong order", len(all))
	}
	s.DropTenant("t")
	if len(s.All()) != 0 {
		t.Error("a dropped tenant has webhooks")
	}
}

func TestRotation(t *testing.T) {
	s := NewSet()
	r := put(t, s, "a")
	first := revealed(t, r, start)
	rotate := func(overlap time.Duration, at decision.Time) (string, *Record) {
		secret := NewSecret()
		r, err := s.Update("t", "a", &Fields{Secret: sealed(t, secret), Overlap: overlap}, at)
		if err != nil {
			t.Fatal(err)
		}
		return secret.Reveal(), r
	}
	second, r := rotate(time.Hour, start)
	end := start + 3_600_000
	if got := revealed(t, r, end-1); got != second+" "+first || r.PreviousSecretUntil != end || r.SecretRotatedAt != start {
		t.Errorf("during the overlap: %q until %v", got, r.PreviousSecretUntil)
	}
	if got := revealed(t, r, end); got != second {
		t.Errorf("after the overlap: %q", got)
	}
	third, r := rotate(time.Hour, start+1) // two at most
	if got := revealed(t, r, start+2); got != third+" "+second {
		t.Errorf("rotated twice: %q", got)
	}
	fourth, r := rotate(0, start+2) // it leaked
	if got := revealed(t, r, start+2); got != fourth || r.PreviousSecretUntil != 0 {
		t.Errorf("without an overlap: %q", got)
	}
	if got, err := r.Secret(refused); err != nil || got.Reveal() != fourth {
		t.Errorf("Secret() = %v, %v", got.Reveal(), err)
	}
}

func TestReports(t *testing.T) {
	s := NewSet()
	put(t, s, "a")
	report := func(rep Report) (*Record, bool) {
		rep.TenantID, rep.ID = "t", "a"
		if rep.Revision == 0 {
			rep.Revision = 1
		}
		return s.Report(&rep, start+5)
	}
	through := func(index uint64) event.ID { return event.ID{Index: index, Seq: 1} }
	r, _ := report(Report{Through: through(20), Delivered: 3, LastSuccess: start + 1})
	if r.State != (State{Through: through(20), Delivered: 3, LastSuccess: start + 1}) {
		t.Errorf("after a success: %+v", r.State)
	}
	r, _ = report(Report{Through: through(15), Failures: 2, FailingSince: start + 2, LastFailure: start + 4, FailureStatus: 500, NextAttempt: start + 9})
	want := State{Through: through(20), Delivered: 3, LastSuccess: start + 1, Failures: 2, FailingSince: start + 2, LastFailure: start + 4, FailureStatus: 500, NextAttempt: start + 9}
	if r.State != want {
		t.Errorf("an old leader's report: %+v, want the mark to stay: %+v", r.State, want)
	}
	// What was done for another revision says nothing about failures.
	r, disabled := report(Report{Revision: 9, Through: through(21), Failures: 7, Gone: true})
	if want.Through = through(21); r.State != want || disabled {
		t.Errorf("a report of another revision: %+v, want %+v", r.State, want)
	}
	if r, disabled := s.Report(&Report{TenantID: "u", ID: "a"}, start); r != nil || disabled {
		t.Errorf("a report about another tenant's: %+v", r)
	}
	// Failing for long, not by a single failure late, disables.
	since := start + 2
	last := since + decision.Time(GiveUp.Milliseconds())
	if _, disabled = report(Report{Through: through(21), Failures: 9, FailingSince: since, LastFailure: last - 1}); disabled {
		t.Error("it is disabled too early")
	}
	r, disabled = report(Report{Through: through(21), Failures: 10, FailingSince: since, LastFailure: last, NextAttempt: last + 5})
	if !disabled || r.Enabled || r.DisabledReason != DisabledFailing || r.Revision != 2 || r.State.NextAttempt != 0 {
		t.Errorf("after %v of failures: %v, %+v", GiveUp, disabled, r)
	}
	if _, disabled = report(Report{Revision: 2, Through: through(21), Failures: 11, FailingSince: since, LastFailure: last}); disabled {
		t.Error("it is disabled twice")
	}
	on := true
	if r, _ = s.Update("t", "a", &Fields{Enabled: &on}, last); r.State.Failures != 0 || r.State.FailingSince != 0 || r.State.Through != through(21) {
		t.Errorf("enabled again: %+v", r.State)
	}
	r, disabled = report(Report{Revision: 3, Through: through(21), Failures: 1, FailingSince: last, LastFailure: last, FailureStatus: 410, Gone: true})
	if !disabled || r.DisabledReason != DisabledGone {
		t.Errorf("after 410: %v, %+v", disabled, r)
	}
}

func TestWhatTheLogDropsIsMissed(t *testing.T) {
	s := NewSet()
	put(t, s, "all")
	put(t, s, "some", "alert.*")
	put(t, s, "ahead")
	s.Report(&Report{TenantID: "t", ID: "ahead", Revision: 1, Through: event.ID{Index: 99}}, start)
	dropped := []event.Event{{ID: event.ID{Index: 10, Seq: 1}, Type: event.AlertOpened}}
	if s.Forget("t", dropped) || s.Forget("t", nil) || s.Forget("u", dropped) {
		t.Error("what was delivered is missed")
	}
	dropped = append(dropped, event.Event{ID: event.ID{Index: 11}, Type: event.ModelReset}, event.Event{ID: event.ID{Index: 12}, Type: event.AlertOpened})
	if !s.Forget("t", dropped) {
		t.Error("nothing is missed")
	}
	for id, want := range map[string]State{
		"all":   {Through: event.ID{Index: 12}, Missed: 2},
		"some":  {Through: event.ID{Index: 12}, Missed: 1},
		"ahead": {Through: event.ID{Index: 99}},
	} {
		if got := find(t, s, id).State; got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
	if r, _ := s.Report(&Report{TenantID: "t", ID: "all", Revision: 1, Told: 1}, start); r.State.Missed != 1 {
		t.Errorf("%d are missed after one was told", r.State.Missed)
	}
	if r, _ := s.Report(&Report{TenantID: "t", ID: "all", Revision: 1, Told: 5}, start); r.State.Missed != 0 {
		t.Errorf("%d are missed after all were told", r.State.Missed)
	}
}

func TestStoredSet(t *testing.T) {
	s := NewSet()
	if b, err := s.Capture().Encode(); err != nil || len(b) != 0 {
		t.Errorf("an empty set is %q, %v", b, err)
	}
	put(t, s, "b", "model.*")
	put(t, s, "a")
	if _, err := s.Update("t", "b", &Fields{Secret: sealed(t, NewSecret()), Overlap: time.Hour}, start); err != nil {
		t.Fatal(err)
	}
	s.Report(&Report{TenantID: "t", ID: "a", Revision: 1, Through: event.ID{Index: 20, Seq: 2}, Failures: 1, LastFailure: start, FailureReason: "r"}, start)
	stored, err := s.Capture().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Restore(stored)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Capture().Encode()
	if err != nil || string(again) != string(stored) {
		t.Errorf("it comes back different, %v:\n%s\n%s", err, again, stored)
	}
	put(t, s, "c")
	put(t, got, "c")
	x, _ := s.Capture().Encode()
	if y, _ := got.Capture().Encode(); string(x) != string(y) {
		t.Error("the restored set goes on in another way")
	}
	for name, change := range map[string][2]string{
		"another version": {`"version":1`, `"version":2`}, "a number too high": {`"sequence":2,"webhooks"`, `"sequence":1,"webhooks"`},
		"twice": {`"id":"a"`, `"id":"b"`}, "no secret": {`[{"sealed":"plain:` + exampleSecret[len(secretPrefix):] + `"}]`, `[]`}, "something behind": {`{"version"`, `{} {"version"`},
	} {
		broken := strings.Replace(string(stored), change[0], change[1], 1)
		if broken == string(stored) {
			t.Fatalf("%s: the test changes nothing of %s", name, stored)
		}
		if _, err := Restore([]byte(broken)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func FuzzRestore(f *testing.F) {
	s := NewSet()
	put(f, s, "a", "model.*")
	stored, err := s.Capture().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		s, err := Restore(stored)
		if err != nil {
			return
		}
		for _, r := range s.All() {
			_, _ = r.Secrets(start, refused)
			_, _ = r.Secret(refused)
			if b, err := json.Marshal(r.Webhook); err != nil || len(b) == 0 {
				t.Errorf("a webhook that cannot be shown: %v", err)
			}
		}
		b, err := s.Capture().Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(b); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}
