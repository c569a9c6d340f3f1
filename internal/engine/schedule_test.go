package engine

import (
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

func TestSchedules(t *testing.T) {
	from := time.Date(2025, 1, 31, 22, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"0 3 * * *": "2025-02-01T03:00:00Z", "*/15 * * * *": "2025-01-31T22:45:00Z", "@hourly": "2025-01-31T23:00:00Z",
		"@daily": "2025-02-01T00:00:00Z", "@every 90m": "2025-02-01T00:00:00Z", "0 0 29 2 *": "2028-02-29T00:00:00Z", "30 6 * * MON": "2025-02-03T06:30:00Z",
	} {
		s, err := readSchedule(text)
		if err != nil {
			t.Errorf("readSchedule(%q) = %v", text, err)
		} else if got := s.Next(from).Format(time.RFC3339); got != want {
			t.Errorf("%q after %v comes at %s, want %s", text, from, got, want)
		}
	}
	for _, text := range []string{"", "daily", "* * * *", "61 * * * *", "0 0 31 2 *", "@every 10s", "TZ=", "CRON_TZ=Europe/Berlin 0 3 * * *", "@every -1h"} {
		if _, err := readSchedule(text); decision.KindOf(err) != decision.KindBadRequest {
			t.Errorf("readSchedule(%q) = %v, want a refusal", text, err)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"0 3 * * *", "@every 1h", "TZ=x", "*/0 * * * *", "1-2/3,4 ? L * mon-fri"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readSchedule(text)
		if err != nil {
			return
		}
		from := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		if next := s.Next(from); next.Before(from.Add(time.Minute)) && !next.IsZero() {
			t.Errorf("%q comes %v after %v, want at least a minute", text, next.Sub(from), from)
		}
	})
}

func TestScheduledModelsAreTrained(t *testing.T) {
	n := fresh(t)
	n.record(mixed(120)...)
	m := n.model("m", decision.LogisticRegression, "learningConfig", `{"learnMode":"scheduled","learnSchedule":"*/10 * * * *"}`)
	n.model("manual", decision.LogisticRegression)
	paused := n.model("paused", decision.LogisticRegression, "learningConfig", `{"learnMode":"scheduled"}`, "status", `"paused"`)
	r := &retrainer{engine: n.Engine, tried: map[string]time.Time{}}
	trainings := func() []Job {
		l, err := n.Jobs(n.ctx, "t1", Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range l.Items {
			found, err := n.jobs.find("t1", j.ID)
			if err != nil {
				t.Fatal(err)
			}
			<-found.done
		}
		return l.Items
	}
	created := time.UnixMilli(int64(m.UpdatedAt)).UTC()
	next := created.Truncate(10 * time.Minute).Add(10 * time.Minute)

	r.look(n.ctx, next.Add(-time.Millisecond))
	if got := trainings(); len(got) != 0 {
		t.Fatalf("before its time there are %d trainings", len(got))
	}
	r.look(n.ctx, next)
	r.look(n.ctx, next.Add(time.Second)) // once for one time
	got := trainings()
	if len(got) != 1 || got[0].ModelID != m.ID || got[0].Trigger != TriggerSchedule {
		t.Fatalf("jobs = %+v, want one of the schedule for %s", got, m.ID)
	}
	if v := n.get(m.ID).Version; v != 2 {
		t.Errorf("version = %d, want 2", v)
	}
	r.look(n.ctx, next.Add(10*time.Minute))
	if got := trainings(); len(got) != 2 {
		t.Errorf("%d jobs after two times, want 2", len(got))
	}
	if v := n.get(paused.ID).Version; v != 1 {
		t.Errorf("the paused model has version %d, want 1", v)
	}
}

// A training that cannot start is not tried again before the next time.
func TestAScheduledTrainingMayFail(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.LogisticRegression, "learningConfig", `{"learnMode":"scheduled","learnSchedule":"@hourly"}`)
	r := &retrainer{engine: n.Engine, tried: map[string]time.Time{}}
	next := time.UnixMilli(int64(m.UpdatedAt)).UTC().Truncate(time.Hour).Add(time.Hour)
	r.look(n.ctx, next)
	if got := r.tried[m.ID]; !got.Equal(next) {
		t.Errorf("tried at %v, want %v", got, next)
	}
	if r.due(record(n, m.ID), next.Add(time.Minute)) {
		t.Error("due again a minute later")
	}
	if !r.due(record(n, m.ID), next.Add(time.Hour)) {
		t.Error("not due an hour later")
	}
}

func TestLearnModesAreChecked(t *testing.T) {
	n := fresh(t)
	for config, path := range map[string]string{
		`{"learnMode":"weekly"}`:                           "learningConfig.learnMode",
		`{"learnMode":"scheduled","learnSchedule":"soon"}`: "learningConfig.learnSchedule",
		`{"learnMode":7}`:                                  "learningConfig.learnMode",
	} {
		_, _, err := n.CreateModel(n.ctx, n.w(), fields(t, "k", decision.LogisticRegression, "learningConfig", config))
		wantError(t, "CreateModel() with "+config, err, decision.KindBadRequest, path)
	}
}

func record(n *node, id string) *catalogue.ModelRecord {
	mr, err := n.machine.directory.model(n.tenant, id)
	if err != nil {
		n.t.Fatal(err)
	}
	return mr.record.Load()
}
