package engine

import (
	"context"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// A model with learningConfig.learnMode "scheduled" is trained again by the
// leader, whenever learningConfig.learnSchedule comes round after the model was
// last trained or changed. A time that passed without a leader is made up for
// once. What such a training achieves is in the log like any other's; that it
// was tried and failed is known to the leader alone, so a new leader may try
// once more.

// The modes of learning that learningConfig.learnMode names. Outcomes are
// learned as they come whatever the mode, where the model type or autoLearn says
// so.
const (
	learnManual     = "manual" // the default: trained when asked for
	learnNone       = "none"   // the same
	learnContinuous = "continuous"
	learnScheduled  = "scheduled"
)

// defaultSchedule is the schedule of a model that names none.
const defaultSchedule = "@daily"

// scheduleInterval is how often the leader looks for models that are due; a
// schedule's finest step is a minute.
const scheduleInterval = 10 * time.Second

var scheduleParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// readSchedule reads a schedule: five fields (minute, hour, day of month, month,
// day of week) or @hourly, @daily, @weekly, @monthly, @yearly, or @every with a
// duration of at least a minute. Times are UTC on every node, so a time zone is
// refused.
func readSchedule(text string) (cron.Schedule, error) {
	const path = "learningConfig.learnSchedule"
	if strings.Contains(text, "TZ=") {
		return nil, decision.Invalid(path, "schedules are in UTC, want no time zone, got %.100q", text)
	}
	s, err := scheduleParser.Parse(text)
	if err != nil {
		return nil, decision.Invalid(path, `want five fields such as "0 3 * * *" or @daily, got %.100q: %s`, text, err)
	}
	if every, ok := s.(cron.ConstantDelaySchedule); ok && every.Delay < time.Minute {
		return nil, decision.Invalid(path, "want at least a minute, got %.100q", text)
	}
	if s.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, decision.Invalid(path, "%.100q never comes", text)
	}
	return s, nil
}

// readLearnMode returns a model's schedule, nil when it has none.
func readLearnMode(p *decision.Problems, lc *learningConfig) cron.Schedule {
	switch lc.LearnMode {
	case "", learnManual, learnNone, learnContinuous:
		return nil
	case learnScheduled:
	default:
		p.Addf("learningConfig.learnMode", "want %s, %s, %s or %s, got %.100q", learnManual, learnNone, learnContinuous, learnScheduled, lc.LearnMode)
		return nil
	}
	text := defaultSchedule
	if lc.LearnSchedule != nil {
		text = *lc.LearnSchedule
	}
	s, err := readSchedule(text)
	if err != nil {
		p.AddError("learningConfig.learnSchedule", err)
	}
	return s
}

// scheduleOf returns a model's schedule, nil when it has none.
func scheduleOf(m *catalogue.Model) cron.Schedule {
	var p decision.Problems
	var lc learningConfig
	if !readInto(&p, "learningConfig", m.LearningConfig, &lc) {
		return nil
	}
	return readLearnMode(&p, &lc)
}

// retrainer starts the trainings that are due while this node leads.
type retrainer struct {
	engine *Engine
	tried  map[string]time.Time // model → when its training was last started here
}

// run looks for models that are due until ctx ends.
func (r *retrainer) run(ctx context.Context) {
	every(ctx, scheduleInterval, func(now time.Time) { r.look(ctx, now) })
}

// look starts every training that is due.
func (r *retrainer) look(ctx context.Context, now time.Time) {
	e := r.engine
	if !e.node.IsLeader() || e.Ready() != nil {
		clear(r.tried)
		return
	}
	models := e.machine.directory.models.Load()
	if models == nil {
		return
	}
	for id := range r.tried {
		if (*models)[id] == nil {
			delete(r.tried, id)
		}
	}
	for id, mr := range *models {
		if rec := mr.record.Load(); r.due(rec, now) {
			r.start(ctx, id, mr, now)
		}
	}
}

// due reports whether a model's schedule came round since it was last trained,
// changed, or tried.
func (r *retrainer) due(rec *catalogue.ModelRecord, now time.Time) bool {
	if rec.Status != decision.StatusActive && rec.Status != decision.StatusDraft {
		return false // a paused or archived model rests
	}
	s := scheduleOf(&rec.Model)
	if s == nil {
		return false
	}
	from := time.UnixMilli(int64(max(rec.LastTrainedAt, rec.UpdatedAt))).UTC()
	if t, ok := r.tried[rec.ID]; ok && t.After(from) {
		from = t
	}
	return !s.Next(from).After(now)
}

func (r *retrainer) start(ctx context.Context, id string, mr *modelRuntime, now time.Time) {
	e := r.engine
	w := Write{
		Principal: Principal{TenantID: mr.tenantID, KeyName: "schedule", Role: decision.RoleEditor},
		RequestID: newID("schedule"),
	}
	j, err := e.submit(ctx, w, id, TriggerSchedule)
	if decision.KindOf(err) == decision.KindUnavailable {
		return // the queue is full: at the next look
	}
	r.tried[id] = now.UTC()
	if err != nil {
		e.log.Info().Err(err).Str("tenant", mr.tenantID).Str("model", id).Msg("a scheduled training could not start")
		return
	}
	e.log.Info().Str("tenant", mr.tenantID).Str("model", id).Str("job", j.id).Msg("a scheduled training started")
}
