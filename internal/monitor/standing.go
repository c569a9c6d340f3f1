package monitor

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// State says whether an alert stands.
type State string

// The states.
const (
	Open   State = "open"
	Closed State = "closed"
)

// Reason says why an alert was closed.
type Reason string

// The reasons.
const (
	ReasonGood    Reason = "good"    // its rule was kept for an hour
	ReasonIdle    Reason = "idle"    // its model was paused or archived
	ReasonDeleted Reason = "deleted" // its model was
)

// Standing is an alert with an identity, as the log opened it and, once it is
// closed, when and why.
type Standing struct {
	ID       string        `json:"id"`
	State    State         `json:"state"`
	OpenedAt decision.Time `json:"openedAt"`
	ClosedAt decision.Time `json:"closedAt"` // null: it stands
	Reason   Reason        `json:"closedBecause,omitempty"`
	Alert
}

// KeptClosed is how many closed alerts are kept of a model, the newest.
const KeptClosed = 20

// sameAs reports whether two alerts are about the same: the same rule, of the same
// predictor.
func (a *Alert) sameAs(b *Alert) bool {
	return a.Name == b.Name && a.Field == b.Field && a.Member == b.Member
}

// Open makes an alert stand; ok is false when one about the same does already.
func (b *Book) Open(tenant, id string, a Alert, now decision.Time) (s Standing, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.life(tenant, a.ModelID, now)
	if slices.ContainsFunc(l.Open, func(o Standing) bool { return o.ID == id || o.sameAs(&a) }) {
		return s, false
	}
	a.Rule = rule(a.Name)
	s = Standing{ID: id, State: Open, OpenedAt: now, Alert: a}
	l.Open = append(slices.Clone(l.Open), s)
	return s, true
}

// Close closes a model's alert; ok is false when it does not stand.
func (b *Book) Close(tenant, model, id string, why Reason, now decision.Time) (s Standing, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lives[tenant][model] == nil {
		return s, false
	}
	l := b.life(tenant, model, now)
	at := slices.IndexFunc(l.Open, func(o Standing) bool { return o.ID == id })
	if at < 0 {
		return s, false
	}
	s = l.Open[at].closed(why, now)
	l.Open = slices.Delete(slices.Clone(l.Open), at, at+1)
	l.Closed = append(slices.Clone(l.Closed), s)
	if over := len(l.Closed) - KeptClosed; over > 0 {
		l.Closed = l.Closed[over:]
	}
	return s, true
}

func (s Standing) closed(why Reason, now decision.Time) Standing {
	s.State, s.ClosedAt, s.Reason = Closed, now, why
	return s
}

// OpenAlerts counts the alerts that stand, of all models, but for good news.
func (b *Book) OpenAlerts() (n int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, models := range b.lives {
		for _, l := range models {
			for i := range l.Open {
				if l.Open[i].Severity != Info {
					n++
				}
			}
		}
	}
	return n
}

// Current returns the alerts that stand, with the figures of those of live that are
// about the same: an alert keeps its identity while its value moves.
func (l *Life) Current(live []Alert) []Standing {
	if l == nil {
		return []Standing{}
	}
	all := append([]Standing{}, l.Open...)
	for i := range all {
		if at := slices.IndexFunc(live, func(a Alert) bool { return a.sameAs(&all[i].Alert) }); at >= 0 {
			since := min(all[i].Since, live[at].Since)
			all[i].Alert = live[at]
			all[i].Since = since
		}
	}
	return all
}

// Changes compares the alerts that stand with the rules that are broken: those that
// are to open, and those whose rule is kept.
func (l *Life) Changes(live []Alert) (opens []Alert, over []Standing) {
	for _, a := range live {
		if !slices.ContainsFunc(l.Open, func(s Standing) bool { return s.sameAs(&a) }) {
			opens = append(opens, a)
		}
	}
	for _, s := range l.Open {
		if !slices.ContainsFunc(live, func(a Alert) bool { return a.sameAs(&s.Alert) }) {
			over = append(over, s)
		}
	}
	return opens, over
}
