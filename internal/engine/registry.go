package engine

import (
	"context"
	"math"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// maxMetrics bounds the metrics of a transition: one for each input, and those of
// the whole model.
const maxMetrics = 600

// defaultActor stands for who asked where nobody is named.
const defaultActor = "system"

// actor names the principal for people: by its key.
func (p *Principal) actor() string { return actorOr(p.KeyName) }

func actorOr(name string) string {
	if name == "" {
		return defaultActor
	}
	return name
}

// Transition is a change of a model's standing as a client asks for it.
type Transition struct {
	To          decision.RegistryStatus
	Actor       string             // empty: the name of the key
	Metrics     map[string]float64 // nil: none
	BypassGuard bool
	// The guard's thresholds; nil is the default.
	MaxAUCDrop, MaxPSI, MaxErrorRate *float64
	// Invalid is what was wrong with the request before it came here; it is
	// refused with that, and counts like any other.
	Invalid error
}

// Standing is the answer to a transition.
type Standing struct {
	ModelID           string                  `json:"modelId"`
	PreviousStatus    decision.RegistryStatus `json:"previousStatus"`
	NewStatus         decision.RegistryStatus `json:"newStatus"`
	DemotedChampionID string                  `json:"demotedChampionId,omitempty"`
	Breaches          []catalogue.Breach      `json:"rollbackGuardBreaches,omitempty"`
	// Quota is what is left of the tenant's requests; nil where the request was
	// not counted.
	Quota *catalogue.Quota `json:"-"`
}

// Transition changes a model's standing in its family, in one step with that of
// the champion whose place it takes. The standing beside an error has the quota
// and, where the guard refused, its breaches.
func (e *Engine) Transition(ctx context.Context, w Write, id string, t Transition) (Standing, Receipt, error) {
	c := command.Transition{ID: id, Transition: catalogue.Transition{
		To: t.To, Actor: t.Actor, Metrics: t.Metrics, BypassGuard: t.BypassGuard, Thresholds: t.thresholds(),
	}}
	if c.Transition.Actor == "" {
		c.Transition.Actor = w.Principal.actor()
	}
	if t.Invalid == nil {
		t.Invalid = checkTransition(&c.Transition)
	}
	if t.Invalid != nil {
		c = command.Transition{Invalid: true}
	}
	s, receipt, err := do[Standing](ctx, e, w.header(command.KindTransition), c)
	if t.Invalid != nil && decision.KindOf(err) != decision.KindRateLimited {
		err = t.Invalid
	}
	return s, receipt, err
}

// thresholds returns the guard's thresholds with those given.
func (t *Transition) thresholds() catalogue.Thresholds {
	all := catalogue.DefaultThresholds()
	for _, given := range []struct {
		dst *float64
		v   *float64
	}{{&all.MaxAUCDrop, t.MaxAUCDrop}, {&all.MaxPSI, t.MaxPSI}, {&all.MaxErrorRate, t.MaxErrorRate}} {
		if given.v != nil {
			*given.dst = *given.v
		}
	}
	return all
}

// checkTransition names everything wrong with a transition in itself. Whether the
// model may make it is for the log to decide.
func checkTransition(t *catalogue.Transition) error {
	var p decision.Problems
	if !t.To.Valid() {
		p.Addf("status", "want draft, challenger, champion or archived, got %.40q", string(t.To))
	}
	atMost(&p, "actor", &t.Actor, maxNameLength)
	if len(t.Metrics) > maxMetrics {
		p.Addf("metricsSnapshot", "want at most %d keys, got %d", maxMetrics, len(t.Metrics))
	}
	for name, v := range t.Metrics {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			p.Addf("metricsSnapshot."+name, "want a finite number, got %v", v)
		}
		if n := utf8.RuneCountInString(name); n > maxNameLength {
			p.Addf("metricsSnapshot", "want names of at most %d characters, got one of %d", maxNameLength, n)
		}
	}
	for path, v := range map[string]float64{
		"maxAucDrop": t.Thresholds.MaxAUCDrop, "maxPsi": t.Thresholds.MaxPSI, "maxErrorRate": t.Thresholds.MaxErrorRate,
	} {
		if !(v >= 0) || math.IsInf(v, 0) {
			p.Addf("rollbackThresholds."+path, "want a number from 0 on, got %v", v)
		}
	}
	return p.Err()
}

// applyTransition counts the request and, unless that or the request itself
// forbids it, changes the standings. Readers that take no lock meet the displaced
// champion before the new one, so they never see two.
func applyTransition(m *machine, ctx *entryContext, tenant string, c command.Transition) (Standing, error) {
	quota, err := m.catalogue.CountRegistryRequest(tenant, ctx.at)
	s := Standing{ModelID: c.ID, Quota: &quota}
	switch {
	case err != nil:
		return s, err
	case c.Invalid:
		return s, decision.Errorf(decision.KindBadRequest, "the request was not valid")
	}
	done, err := m.catalogue.Transition(tenant, c.ID, &c.Transition, ctx.at)
	s.Breaches = done.Breaches
	if err != nil {
		return s, err
	}
	models := m.tenants[tenant].models
	if d := done.Displaced; d != nil {
		models[d.ID].record.Store(d)
		s.DemotedChampionID = d.ID
	}
	models[c.ID].record.Store(done.After)
	m.settleExperiments(ctx, tenant)
	m.refreshChampions()
	s.PreviousStatus, s.NewStatus = done.Before.RegistryStatus, done.After.RegistryStatus
	return s, nil
}

// Registry returns a model with its registry metadata.
func (e *Engine) Registry(tenant, id string) (*catalogue.Model, catalogue.RegistryEntry, error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return nil, catalogue.RegistryEntry{}, err
	}
	rec := mr.record.Load()
	return &rec.Model, rec.Registry(), nil
}

// Families lists a tenant's families.
func (e *Engine) Families(tenant string, page Page) (List[catalogue.Family], error) {
	return listOf(e, page, func(c *catalogue.Catalogue, after uint64, limit int) ([]catalogue.Family, []uint64, int, error) {
		return c.Families(tenant, after, limit)
	})
}

// Family returns a family with its history.
func (e *Engine) Family(tenant, name string) (catalogue.FamilyDetail, error) {
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	return e.machine.catalogue.Family(tenant, name)
}
