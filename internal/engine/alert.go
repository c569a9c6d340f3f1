package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/monitor"
)

// An alert opens and closes by the log, once each, so that every node lists the
// same ones under the same ids and whoever is told of them is told of facts. The
// leader looks which rules the models break, and proposes what is new and what is
// over; the log decides: an alert about what stands already does not open, one that
// is closed does not close again, so two leaders after each other do no harm.

// ModelAlert is an alert with the model it is about.
type ModelAlert struct {
	ModelKey string `json:"modelKey"`
	Family   string `json:"family"`
	monitor.Standing
}

// AlertFilter narrows a list of alerts; empty fields permit all.
type AlertFilter struct {
	ModelID  string
	Rule     string
	Severity Severity
	State    AlertState
}

// Severity says how soon somebody should look at an alert, AlertState whether it
// stands.
type (
	Severity   = monitor.Severity
	AlertState = monitor.State
)

// AlertRules are the names of the rules.
func AlertRules() []string {
	var names []string
	for i := range monitor.Rules {
		names = append(names, monitor.Rules[i].Name)
	}
	return names
}

// AlertSeverities are the severities of alerts.
func AlertSeverities() []string {
	return []string{string(monitor.Info), string(monitor.Warning), string(monitor.Critical)}
}

// The states of alerts.
const (
	AlertOpen   = monitor.Open
	AlertClosed = monitor.Closed
)

// Alerts lists a tenant's alerts by model: those that stand, as of now, and those
// that were closed, as they were opened.
func (e *Engine) Alerts(tenant string, f AlertFilter, page Page, now decision.Time) (List[ModelAlert], error) {
	list := List[ModelAlert]{Items: []ModelAlert{}}
	if err := checkLimit(page.Limit); err != nil {
		return list, err
	}
	after, err := parseNameCursor(page.Cursor)
	if err != nil {
		return list, err
	}
	for _, a := range e.alerts(tenant, &f, now) {
		list.Total++
		place := alertPlace(&a)
		switch {
		case after != "" && place <= after:
		case len(list.Items) == page.Limit:
			list.HasMore = true
		default:
			list.Items = append(list.Items, a)
			list.Cursor = formatNameCursor(place)
		}
	}
	if !list.HasMore {
		list.Cursor = ""
	}
	return list, nil
}

// alertPlace orders alerts as their list does.
func alertPlace(a *ModelAlert) string {
	return strings.Join([]string{a.ModelID, a.Name, a.Field, a.Member, a.ID}, "\x00")
}

// alerts returns the alerts of a tenant that the filter permits, in their order.
func (e *Engine) alerts(tenant string, f *AlertFilter, now decision.Time) (all []ModelAlert) {
	for id, life := range e.machine.book.Tenant(tenant) {
		mr, err := e.machine.directory.model(tenant, id)
		if err != nil || (f.ModelID != "" && f.ModelID != id) {
			continue
		}
		var found []monitor.Standing
		if f.State != monitor.Closed && len(life.Open) > 0 {
			found = life.Current(e.broken(mr, life, now))
		}
		if f.State != monitor.Open {
			found = append(found, life.Closed...)
		}
		m := &mr.record.Load().Model
		for _, s := range found {
			if (f.Rule == "" || f.Rule == s.Name) && (f.Severity == "" || f.Severity == s.Severity) {
				all = append(all, ModelAlert{m.Key, m.Family, s})
			}
		}
	}
	slices.SortFunc(all, func(a, b ModelAlert) int { return strings.Compare(alertPlace(&a), alertPlace(&b)) })
	return all
}

// broken returns the rules that a model breaks at a time; one that does not score
// breaks none.
func (e *Engine) broken(mr *modelRuntime, life *monitor.Life, now decision.Time) []monitor.Alert {
	if !mr.record.Load().Status.Scores() {
		return nil
	}
	if p := policyOf(mr); p != nil {
		return life.BanditAlerts(mr.id, p, now)
	}
	return life.Alerts(mr.id, now)
}

// closeAfter is how long a rule must be kept before its alert closes: a value that
// moves about its threshold does not open and close it every minute.
const closeAfter = decision.Time(time.Hour / time.Millisecond)

// alertsInCommand bounds the changes that one command brings.
const alertsInCommand = 100

// watcher looks for alerts while its node leads.
type watcher struct {
	engine *Engine
	kept   map[string]decision.Time // alert → since when its rule is kept, as this leader saw it
}

func newWatcher(e *Engine) *watcher { return &watcher{engine: e, kept: map[string]decision.Time{}} }

func (w *watcher) run(ctx context.Context, interval time.Duration) {
	every(ctx, interval, func(now time.Time) {
		if w.engine.node.IsLeader() && w.engine.Ready() == nil {
			w.look(ctx, decision.TimeOf(now))
		} else {
			clear(w.kept)
		}
	})
}

// look proposes what opens and what closes at a time.
func (w *watcher) look(ctx context.Context, now decision.Time) {
	tenants := w.engine.machine.directory.tenants.Load()
	if tenants == nil {
		return
	}
	seen := map[string]decision.Time{}
	for tenant := range *tenants {
		var changes []command.AlertChange
		for id, life := range w.engine.machine.book.Tenant(tenant) {
			if mr, err := w.engine.machine.directory.model(tenant, id); err == nil {
				changes = w.compare(changes, mr, life, seen, now)
			}
		}
		slices.SortFunc(changes, func(a, b command.AlertChange) int { return strings.Compare(a.Model+a.ID, b.Model+b.ID) })
		for part := range slices.Chunk(changes, alertsInCommand) {
			h := &command.Header{Kind: command.KindChangeAlerts, Tenant: tenant, RequestID: newID("watch")}
			if _, _, err := do[nothing](ctx, w.engine, h, command.ChangeAlerts{Changes: part}); err != nil {
				w.engine.log.Warn().Err(err).Str("tenant", tenant).Msg("alerts could not be opened or closed; the next look tries again")
				break
			}
			w.log(tenant, part)
		}
	}
	w.kept = seen
}

// compare appends what is to change of a model's alerts.
func (w *watcher) compare(changes []command.AlertChange, mr *modelRuntime, life *monitor.Life, seen map[string]decision.Time, now decision.Time) []command.AlertChange {
	opens, over := life.Changes(w.engine.broken(mr, life, now))
	for i := range opens {
		changes = append(changes, command.AlertChange{ID: newID("alert"), Model: mr.id, Opens: &opens[i]})
	}
	idle := !mr.record.Load().Status.Scores()
	for i := range over {
		id := over[i].ID
		since, ok := w.kept[id]
		if !ok {
			since = now
		}
		seen[id] = since
		switch {
		case idle:
			changes = append(changes, command.AlertChange{ID: id, Model: mr.id, Reason: monitor.ReasonIdle})
		case now-since >= closeAfter:
			changes = append(changes, command.AlertChange{ID: id, Model: mr.id, Reason: monitor.ReasonGood})
		}
	}
	return changes
}

func (w *watcher) log(tenant string, changes []command.AlertChange) {
	for _, c := range changes {
		log := w.engine.log.With().Str("tenant", tenant).Str("model", c.Model).Str("alert", c.ID).Logger()
		if c.Opens != nil {
			log.Warn().Str("rule", c.Opens.Name).Str("severity", string(c.Opens.Severity)).Msg("an alert opened: " + c.Opens.Message)
		} else {
			log.Info().Str("because", string(c.Reason)).Msg("an alert closed")
		}
	}
}

func applyChangeAlerts(m *machine, ctx *entryContext, tenant string, c command.ChangeAlerts) (nothing, error) {
	t := m.tenants[tenant]
	for i := range c.Changes {
		a := &c.Changes[i]
		if t == nil || t.models[a.Model] == nil {
			continue
		}
		var s monitor.Standing
		var changed bool
		if a.Opens != nil {
			a.Opens.ModelID = a.Model
			s, changed = m.book.Open(tenant, a.ID, *a.Opens, ctx.at)
		} else {
			s, changed = m.book.Close(tenant, a.Model, a.ID, a.Reason, ctx.at)
		}
		if changed {
			ctx.alerts = append(ctx.alerts, s)
		}
	}
	return nothing{}, nil
}

// alertsChanged is called once for every command that was applied, with what it
// opened and closed in ctx.alerts: by ChangeAlerts, or by what deleted a model. Each
// change has its entry in the audit log.
func (m *machine) alertsChanged(ctx *entryContext, h *command.Header) {
	for i := range ctx.alerts {
		s := &ctx.alerts[i]
		action, before := "open", auditView{}
		if s.State == monitor.Closed {
			action, before.members = "close", membersOf(opened(*s))
		}
		m.writeAudit(ctx, h, &audit.Entry{
			Action: action, EntityType: auditAlert, EntityID: s.ID, EntityName: s.Name, Actor: m.actorOf(h),
		}, before, auditView{members: membersOf(s)}, told(s))
		m.nameModel(ctx, h.Tenant, s.ModelID)
	}
	ctx.alerts = nil
}

// opened returns a closed alert as it was when it stood.
func opened(s monitor.Standing) *monitor.Standing {
	s.State, s.ClosedAt, s.Reason = monitor.Open, 0, ""
	return &s
}

// told says which model and rule an entry is about that shows only what changed.
func told(s *monitor.Standing) map[string]json.RawMessage {
	return membersOf(struct {
		ModelID string `json:"modelId"`
		Rule    string `json:"rule"`
	}{s.ModelID, s.Name})
}
