package catalogue

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Why the registry refuses a transition.
const (
	ReasonInvalidTransition = "invalid_transition"
	ReasonRollbackGuard     = "rollback_guard"
)

// transitions has the standings that a model may come to, by the one it has.
var transitions = map[decision.RegistryStatus][]decision.RegistryStatus{
	decision.RegistryDraft:      {decision.RegistryChallenger, decision.RegistryArchived},
	decision.RegistryChallenger: {decision.RegistryChampion, decision.RegistryArchived, decision.RegistryDraft},
	decision.RegistryChampion:   {decision.RegistryArchived, decision.RegistryChallenger},
	decision.RegistryArchived:   {decision.RegistryDraft},
}

// Transition is what is asked of the registry.
type Transition struct {
	To          decision.RegistryStatus `json:"to"`
	Actor       string                  `json:"actor"`
	Metrics     map[string]float64      `json:"metrics,omitempty"` // recorded with it; what the guard reads first
	BypassGuard bool                    `json:"bypassGuard,omitempty"`
	Thresholds  Thresholds              `json:"thresholds"`
}

// Transitioned is what a transition changed.
type Transitioned struct {
	Before, After *ModelRecord
	Displaced     *ModelRecord // the champion before, now a challenger; nil: none
	// Breaches are what the guard found, also where it refused.
	Breaches []Breach
}

// Transition changes a model's standing in its family. A champion whose place is
// taken becomes a challenger in the same step, so that a family has one champion
// at most. An error means that nothing was changed.
func (c *Catalogue) Transition(tenantID, id string, tr *Transition, at decision.Time) (done Transitioned, err error) {
	t, old, err := c.find(tenantID, id)
	if err != nil {
		return done, err
	}
	if !slices.Contains(transitions[old.RegistryStatus], tr.To) {
		return done, errTransition(old.RegistryStatus, tr.To)
	}
	f := t.families[old.Family]
	var incumbent *ModelRecord
	if tr.To == decision.RegistryChampion {
		incumbent = t.models[f.champion]
		done.Breaches = tr.Thresholds.breaches(tr.Metrics, old, incumbent)
		if len(done.Breaches) > 0 && !tr.BypassGuard {
			return done, errGuard(done.Breaches)
		}
	}
	metrics, err := recorded(tr.Metrics)
	if err != nil {
		return done, err
	}
	if incumbent != nil {
		done.Displaced = t.restand(f, incumbent, decision.RegistryChallenger, ChangeDisplaced, tr.Actor, at)
	}
	m := t.restand(f, old, tr.To, ChangeTransition, tr.Actor, at)
	by := tr.Actor
	m.Promotion.At, m.Promotion.By, m.Promotion.Metrics = at, &by, metrics
	done.Before, done.After = old, m
	return done, nil
}

// restand puts a model with another standing in its place.
func (t *tenant) restand(f *family, old *ModelRecord, to decision.RegistryStatus, change, by string, at decision.Time) *ModelRecord {
	m := old.copy(at)
	m.RegistryStatus, m.Promotion.Previous = to, old.RegistryStatus
	switch {
	case to == decision.RegistryChampion:
		f.champion = m.ID
	case f.champion == m.ID:
		f.champion = ""
	}
	f.note(m, change, old.RegistryStatus, by, at)
	t.models[m.ID] = m
	return m
}

// recorded returns the metrics as the registry keeps them, nil for none.
func recorded(metrics map[string]float64) (json.RawMessage, error) {
	if metrics == nil {
		return nil, nil
	}
	b, err := json.Marshal(metrics)
	if err != nil {
		return nil, &decision.Error{Kind: decision.KindBadRequest, Msg: "the metrics are not JSON", Err: err}
	}
	return b, nil
}

func errTransition(from, to decision.RegistryStatus) error {
	may := make([]string, 0, len(transitions[from]))
	for _, s := range transitions[from] {
		may = append(may, string(s))
	}
	return &decision.Error{
		Kind: decision.KindBadRequest, Reason: ReasonInvalidTransition,
		Msg: "status: a model that is " + string(from) + " may become " + strings.Join(may, " or ") + ", got " + string(to),
		Details: []decision.Detail{{
			Path: "status", Message: "want " + strings.Join(may, " or ") + " for a model that is " + string(from) + ", got " + string(to),
		}},
	}
}

// The limit on a tenant's requests to the registry, from the API's documentation.
// It is counted in the replicated state, so that it is one limit whichever nodes
// are asked.
const (
	RegistryRequests = 60
	RegistryWindow   = decision.Time(60_000) // milliseconds
)

// Quota is what is left of a tenant's requests to the registry.
type Quota struct {
	Remaining int           // requests that are permitted at once
	Wait      decision.Time // milliseconds until the next place becomes free
}

// CountRegistryRequest counts a request that changes a standing, or would have,
// against the tenant's share of the window that ends at at. One that is refused
// for the limit itself is not counted, so a client that keeps asking is served as
// the window moves on.
func (c *Catalogue) CountRegistryRequest(tenantID string, at decision.Time) (Quota, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return Quota{}, err
	}
	past := slices.IndexFunc(t.requests, func(then decision.Time) bool { return then > at-RegistryWindow })
	if past < 0 {
		past = len(t.requests)
	}
	t.requests = slices.Delete(t.requests, 0, past)
	if len(t.requests) >= RegistryRequests {
		q := Quota{Wait: t.requests[0] + RegistryWindow - at}
		return q, decision.Errorf(decision.KindRateLimited, "more than %d requests to the registry in %d s; the next is possible in %d s",
			RegistryRequests, RegistryWindow/1000, q.Seconds())
	}
	t.requests = append(t.requests, at)
	return Quota{Remaining: RegistryRequests - len(t.requests), Wait: t.requests[0] + RegistryWindow - at}, nil
}

// Seconds returns the wait in whole seconds, rounded up.
func (q Quota) Seconds() int { return int((q.Wait + 999) / 1000) }
