package event

import (
	"maps"
	"slices"
	"sort"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The bounds on the events kept of one tenant. They are part of what replicas
// agree on, so they are not for a configuration. An event has some 400 bytes: a
// tenant that trains a hundred models a day keeps three months of them.
const (
	MaxEvents = 10_000
	MaxBytes  = 8 << 20
)

// overhead is what an event counts beside its type and its data.
const overhead = 64

func sizeOf(e *Event) int { return len(e.Type) + len(e.Data) + overhead }

// tenantLog is one tenant's events.
type tenantLog struct {
	events  []Event // oldest first; what was appended is never changed
	bytes   int
	dropped ID // the newest that is not kept any more
	count   uint64
}

// Store has the events of all tenants. One goroutine uses it; the views that it
// gives are for any.
type Store struct{ logs map[string]*tenantLog }

// NewStore returns a store without events.
func NewStore() *Store { return &Store{logs: map[string]*tenantLog{}} }

// Append makes the event the newest of its tenant. It returns what of the oldest is
// not kept any more.
func (s *Store) Append(e Event) (dropped []Event) {
	l := s.logs[e.TenantID]
	if l == nil {
		l = &tenantLog{}
		s.logs[e.TenantID] = l
	}
	l.events = append(l.events, e)
	l.bytes += sizeOf(&e)
	n := 0
	for len(l.events)-n > MaxEvents || (l.bytes > MaxBytes && len(l.events)-n > 1) {
		l.bytes -= sizeOf(&l.events[n])
		n++
	}
	if n > 0 {
		dropped = l.events[:n:n]
		l.dropped, l.events, l.count = dropped[n-1].ID, l.events[n:], l.count+uint64(n)
	}
	return dropped
}

// DropTenant forgets a tenant.
func (s *Store) DropTenant(tenantID string) { delete(s.logs, tenantID) }

// View returns a tenant's events as they are.
func (s *Store) View(tenantID string) View {
	if l := s.logs[tenantID]; l != nil {
		return l.view()
	}
	return View{}
}

// Each calls f with every tenant that has had events, in the order of their ids.
func (s *Store) Each(f func(tenantID string, v View)) {
	for _, id := range slices.Sorted(maps.Keys(s.logs)) {
		f(id, s.logs[id].view())
	}
}

func (l *tenantLog) view() View {
	n := len(l.events)
	return View{Events: l.events[:n:n], Dropped: l.dropped, Count: l.count}
}

// View is a tenant's events at a moment. It is immutable.
type View struct {
	Events  []Event // oldest first
	Dropped ID      // the newest that is not kept any more; zero: all are
	Count   uint64  // of those not kept
}

// Last returns the id of the newest event there has been.
func (v *View) Last() ID {
	if n := len(v.Events); n > 0 {
		return v.Events[n-1].ID
	}
	return v.Dropped
}

// After returns the events behind an id, which need not be there itself. Whole is
// false where some of them are not kept any more.
func (v *View) After(id ID) (events []Event, whole bool) {
	i := sort.Search(len(v.Events), func(i int) bool { return id.Less(v.Events[i].ID) })
	return v.Events[i:], !id.Less(v.Dropped)
}

// Page is a part of a tenant's events.
type Page struct {
	Events []Event // oldest first
	// Through is how far the page goes: where to go on. It may be behind the last
	// of its events, where the filter chose none of those that followed.
	Through ID
	More    bool
	// Missed: events between where the page was to begin and its first are not
	// kept any more.
	Missed bool
}

// Page returns up to limit events behind an id that the filter chooses.
func (v *View) Page(after ID, f Filter, limit int) Page {
	rest, whole := v.After(after)
	p := Page{Through: after, Missed: !whole}
	if p.Missed {
		p.Through = v.Dropped
	}
	for i := range rest {
		if f.Matches(rest[i].Type) {
			if len(p.Events) == limit {
				p.More = true
				break
			}
			p.Events = append(p.Events, rest[i])
		}
		p.Through = rest[i].ID
	}
	return p
}

// Draft is an event that has no place yet.
type Draft struct {
	Type string
	Data any // its JSON is an object
}

// Stamp makes the event of a draft.
func (d *Draft) Stamp(id ID, tenantID string, at decision.Time) (Event, error) {
	data, err := marshal(d.Data)
	return Event{ID: id, Type: d.Type, TenantID: tenantID, At: at, Data: data}, err
}
