package webhook

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// MaxWebhooks bounds the endpoints of a tenant.
const MaxWebhooks = 20

// Why an endpoint is disabled.
const (
	DisabledByRequest = "request" // somebody did it
	DisabledFailing   = "failing" // it failed for GiveUp without a success
	DisabledGone      = "gone"    // it answered 410
)

// Webhook is an endpoint of a tenant as the API shows it.
type Webhook struct {
	ID          string       `json:"id"`
	URL         string       `json:"url"`
	Description string       `json:"description"`
	EventTypes  event.Filter `json:"eventTypes"` // empty: all
	Enabled     bool         `json:"enabled"`
	// DisabledReason says why it is not enabled.
	DisabledReason  string        `json:"disabledReason,omitempty"`
	SecretRotatedAt decision.Time `json:"secretRotatedAt"`
	// PreviousSecretUntil is how long the secret before goes on to sign.
	PreviousSecretUntil decision.Time `json:"previousSecretUntil"`
	CreatedAt           decision.Time `json:"createdAt"`
	UpdatedAt           decision.Time `json:"updatedAt"`
}

// State is how far an endpoint has been served.
type State struct {
	// Through is the high-water mark: everything up to this event is delivered, or
	// was not for this endpoint.
	Through   event.ID `json:"through"`
	Delivered uint64   `json:"delivered"` // messages
	// Missed are events that were dropped from the log before they were delivered,
	// and that the endpoint has not been told of yet.
	Missed        uint64        `json:"missed,omitempty"`
	Failures      uint64        `json:"failures,omitempty"` // in a row
	FailingSince  decision.Time `json:"failingSince,omitzero"`
	NextAttempt   decision.Time `json:"nextAttempt,omitzero"`
	LastSuccess   decision.Time `json:"lastSuccess,omitzero"`
	LastFailure   decision.Time `json:"lastFailure,omitzero"`
	FailureReason string        `json:"failureReason,omitempty"`
	FailureStatus int           `json:"failureStatus,omitempty"` // HTTP's; 0: there was no answer
}

// Record is an endpoint with what the API does not show. It is immutable.
type Record struct {
	Webhook
	TenantID string
	Sequence uint64
	// Revision counts the changes of how it is to be served; a report about another
	// one says nothing about its failures.
	Revision uint64
	State    State
	secrets  []keptSecret // newest first
}

// keptSecret is a secret with its end; zero: it is the present one.
type keptSecret struct {
	Sealed Sealed        `json:"sealed"`
	Until  decision.Time `json:"until,omitzero"`
}

// Secrets returns the secrets to sign with, newest first.
func (r *Record) Secrets(at decision.Time, decrypt Decrypt) ([]Secret, error) {
	var all []Secret
	for _, s := range r.secrets {
		if s.Until != 0 && at >= s.Until {
			continue
		}
		secret, err := s.Sealed.Open(decrypt)
		if err != nil {
			return nil, err
		}
		all = append(all, secret)
	}
	return all, nil
}

// Secret returns the present secret.
func (r *Record) Secret(decrypt Decrypt) (Secret, error) { return r.secrets[0].Sealed.Open(decrypt) }

// Fields are what is given of an endpoint to make or to change it; what is nil is
// not given.
type Fields struct {
	URL         *string       `json:"url,omitempty"`
	Description *string       `json:"description,omitempty"`
	EventTypes  *event.Filter `json:"eventTypes,omitempty"`
	Enabled     *bool         `json:"enabled,omitempty"`
	// Secret is a new secret; the one before goes on to sign for Overlap.
	Secret  Sealed        `json:"secret,omitempty"`
	Overlap time.Duration `json:"overlap,omitempty"`
}

// Set is the endpoints of all tenants. One goroutine changes it; records may be
// read by any.
type Set struct {
	tenants  map[string]map[string]*Record
	sequence uint64
}

// NewSet returns a set without endpoints.
func NewSet() *Set { return &Set{tenants: map[string]map[string]*Record{}} }

// Create makes an endpoint, which is to get what comes behind the event head.
func (s *Set) Create(tenantID, id string, f *Fields, head event.ID, at decision.Time) (*Record, error) {
	all := s.tenants[tenantID]
	switch {
	case all[id] != nil:
		return nil, decision.Errorf(decision.KindConflict, "webhook %q exists already", id)
	case len(all) >= MaxWebhooks:
		return nil, decision.Errorf(decision.KindConflict, "there are %d webhooks already, and there may be no more; delete some", MaxWebhooks)
	case f.URL == nil || f.Secret == "":
		return nil, decision.Errorf(decision.KindBadRequest, "a webhook needs a URL and a secret")
	}
	s.sequence++
	r := &Record{
		Webhook:  Webhook{ID: id, EventTypes: event.Filter{}, Enabled: true, SecretRotatedAt: at, CreatedAt: at, UpdatedAt: at},
		TenantID: tenantID, Sequence: s.sequence, Revision: 1, State: State{Through: head},
		secrets: []keptSecret{{Sealed: f.Secret}},
	}
	r.set(f)
	if all == nil {
		all = map[string]*Record{}
		s.tenants[tenantID] = all
	}
	all[id] = r
	return r, nil
}

func (r *Record) set(f *Fields) {
	if f.URL != nil {
		r.URL = *f.URL
	}
	if f.Description != nil {
		r.Description = *f.Description
	}
	if f.EventTypes != nil {
		r.EventTypes = append(event.Filter{}, *f.EventTypes...)
	}
	if f.Enabled != nil {
		r.Enabled, r.DisabledReason = *f.Enabled, ""
		if !r.Enabled {
			r.DisabledReason = DisabledByRequest
		}
	}
}

// Update changes the given fields of an endpoint. Whatever it failed with is
// forgotten, and it is tried again at once.
func (s *Set) Update(tenantID, id string, f *Fields, at decision.Time) (*Record, error) {
	old, err := s.Find(tenantID, id)
	if err != nil {
		return nil, err
	}
	r := *old
	r.set(f)
	if f.Secret != "" {
		before := r.secrets[0]
		before.Until = at + decision.Time(f.Overlap.Milliseconds())
		r.secrets = []keptSecret{{Sealed: f.Secret}}
		r.SecretRotatedAt, r.PreviousSecretUntil = at, 0
		if f.Overlap > 0 {
			r.secrets, r.PreviousSecretUntil = append(r.secrets, before), before.Until
		}
	}
	r.Revision++
	r.UpdatedAt = at
	r.State.Failures, r.State.FailingSince, r.State.NextAttempt = 0, 0, 0
	s.tenants[tenantID][id] = &r
	return &r, nil
}

// Delete removes an endpoint.
func (s *Set) Delete(tenantID, id string) error {
	if _, err := s.Find(tenantID, id); err != nil {
		return err
	}
	delete(s.tenants[tenantID], id)
	return nil
}

// DropTenant removes a tenant's endpoints.
func (s *Set) DropTenant(tenantID string) { delete(s.tenants, tenantID) }

// Find returns an endpoint.
func (s *Set) Find(tenantID, id string) (*Record, error) {
	if r := s.tenants[tenantID][id]; r != nil {
		return r, nil
	}
	return nil, decision.Errorf(decision.KindNotFound, "webhook %q does not exist", id)
}

// All returns every endpoint in the order of their making.
func (s *Set) All() []*Record {
	var all []*Record
	for _, records := range s.tenants {
		all = slices.AppendSeq(all, maps.Values(records))
	}
	slices.SortFunc(all, func(a, b *Record) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all
}

// Forget counts events that the tenant's log does not keep any more as missed by
// the endpoints that they were for and that have not had them. Marks never point
// before what is kept.
func (s *Set) Forget(tenantID string, dropped []event.Event) (changed bool) {
	if len(dropped) == 0 {
		return false
	}
	for id, old := range s.tenants[tenantID] {
		r := *old
		for i := range dropped {
			if !r.State.Through.Less(dropped[i].ID) {
				continue
			}
			r.State.Through = dropped[i].ID
			if r.EventTypes.Matches(dropped[i].Type) {
				r.State.Missed++
			}
		}
		if r.State != old.State {
			s.tenants[tenantID][id], changed = &r, true
		}
	}
	return changed
}

// Report is what a leader did for an endpoint since its last report.
type Report struct {
	TenantID string `json:"tenantId"`
	ID       string `json:"id"`
	Revision uint64 `json:"revision"` // of the endpoint, when it was done
	// Through is the new high-water mark.
	Through     event.ID      `json:"through"`
	Delivered   uint64        `json:"delivered,omitempty"` // messages
	Told        uint64        `json:"told,omitempty"`      // missed events that the endpoint was told of
	LastSuccess decision.Time `json:"lastSuccess,omitzero"`
	// What follows is as of now, not since the last report.
	Failures      uint64        `json:"failures,omitempty"`
	FailingSince  decision.Time `json:"failingSince,omitzero"`
	NextAttempt   decision.Time `json:"nextAttempt,omitzero"`
	LastFailure   decision.Time `json:"lastFailure,omitzero"`
	FailureReason string        `json:"failureReason,omitempty"`
	FailureStatus int           `json:"failureStatus,omitempty"`
	Gone          bool          `json:"gone,omitempty"` // it answered 410
}

// Report takes a report into account, and disables an endpoint that is gone or has
// failed for too long. It returns nil for one that there is not any more.
func (s *Set) Report(rep *Report, at decision.Time) (r *Record, disabled bool) {
	old := s.tenants[rep.TenantID][rep.ID]
	if old == nil {
		return nil, false
	}
	next := *old
	r = &next
	st := &r.State
	if st.Through.Less(rep.Through) {
		st.Through = rep.Through
	}
	st.Delivered += rep.Delivered
	st.Missed -= min(rep.Told, st.Missed)
	st.LastSuccess = max(st.LastSuccess, rep.LastSuccess)
	if rep.Revision == old.Revision {
		st.Failures, st.FailingSince, st.NextAttempt = rep.Failures, rep.FailingSince, rep.NextAttempt
		if rep.LastFailure != 0 {
			st.LastFailure, st.FailureReason, st.FailureStatus = rep.LastFailure, rep.FailureReason, rep.FailureStatus
		}
		switch {
		case !r.Enabled:
		case rep.Gone:
			r.DisabledReason, disabled = DisabledGone, true
		case st.Failures > 0 && st.LastFailure-st.FailingSince >= decision.Time(GiveUp.Milliseconds()):
			r.DisabledReason, disabled = DisabledFailing, true
		}
	}
	if disabled {
		r.Enabled, r.UpdatedAt = false, at
		r.Revision++
		st.NextAttempt = 0
	}
	s.tenants[rep.TenantID][rep.ID] = r
	return r, disabled
}

// Pending returns how many of the tenant's events are to be delivered.
func (r *Record) Pending(v *event.View) (n int) {
	rest, _ := v.After(r.State.Through)
	for i := range rest {
		if r.EventTypes.Matches(rest[i].Type) {
			n++
		}
	}
	return n
}
