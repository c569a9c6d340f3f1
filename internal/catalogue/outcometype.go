package catalogue

import (
	"github.com/praetor-engine/praetor/internal/decision"
)

// The categories of outcome types.
const (
	CategoryImpression = "impression"
	CategoryResponse   = "response"
)

// systemOutcomeTypes are in every tenant and cannot be deleted or reclassified.
var systemOutcomeTypes = func() []OutcomeType {
	var all []OutcomeType
	add := func(class decision.Classification, category string, keys ...string) {
		for _, k := range keys {
			all = append(all, OutcomeType{Key: k, Name: k, Classification: class.String(), Category: category, IsSystem: true})
		}
	}
	add(decision.Neutral, CategoryImpression, "impression")
	add(decision.Positive, CategoryResponse, "click", "accept", "convert", "conversion", "requested_info", "share", "save")
	add(decision.Negative, CategoryResponse, "dismiss", "not_interested", "opt_out", "complaint")
	add(decision.Neutral, CategoryResponse, "not_presented", "expired", "deferred", "defer")
	return all
}()

func (t *tenant) putOutcomeType(o OutcomeType, sequence uint64) {
	class, _ := decision.ParseClassification(o.Classification)
	t.outcomeTypes[o.Key] = &typeRecord{
		OutcomeType: o, class: class, impression: o.Category == CategoryImpression, sequence: sequence,
	}
}

// ResolveOutcome returns what an outcome key means in a tenant.
func (c *Catalogue) ResolveOutcome(tenantID, key string) (class decision.Classification, impression, ok bool) {
	t := c.tenants[tenantID]
	if t == nil {
		return 0, false, false
	}
	o := t.outcomeTypes[key]
	if o == nil {
		return 0, false, false
	}
	return o.class, o.impression, true
}

// OutcomeType returns a tenant's outcome type.
func (c *Catalogue) OutcomeType(tenantID, key string) (OutcomeType, bool) {
	if t := c.tenants[tenantID]; t != nil && t.outcomeTypes[key] != nil {
		return t.outcomeTypes[key].OutcomeType, true
	}
	return OutcomeType{}, false
}

// OutcomeTypes lists a tenant's outcome types.
func (c *Catalogue) OutcomeTypes(tenantID string, after uint64, limit int) (items []OutcomeType, sequences []uint64, total int, err error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, 0, err
	}
	items, sequences, total = page(t.outcomeTypes, after, limit, func(o *typeRecord) (OutcomeType, uint64) { return o.OutcomeType, o.sequence })
	return items, sequences, total, nil
}

// CreateOutcomeType makes an outcome type of the tenant's own.
func (c *Catalogue) CreateOutcomeType(tenantID string, o OutcomeType) (OutcomeType, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return OutcomeType{}, err
	}
	if _, ok := t.outcomeTypes[o.Key]; ok {
		return OutcomeType{}, decision.Errorf(decision.KindConflict, "outcome type %q exists already", o.Key)
	}
	o.IsSystem = false
	t.putOutcomeType(o, c.next())
	return o, nil
}

// UpdateOutcomeType changes the given fields of an outcome type; empty ones stay.
func (c *Catalogue) UpdateOutcomeType(tenantID string, o OutcomeType) (OutcomeType, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return OutcomeType{}, err
	}
	old, ok := t.outcomeTypes[o.Key]
	if !ok {
		return OutcomeType{}, errNoOutcomeType(o.Key)
	}
	next := old.OutcomeType
	if o.Name != "" {
		next.Name = o.Name
	}
	if o.Classification != "" {
		next.Classification = o.Classification
	}
	if o.Category != "" {
		next.Category = o.Category
	}
	if next.IsSystem && (next.Classification != old.Classification || next.Category != old.Category) {
		return OutcomeType{}, decision.Errorf(decision.KindConflict, "outcome type %q belongs to the system; only its name can be changed", o.Key)
	}
	t.putOutcomeType(next, old.sequence)
	return next, nil
}

// DeleteOutcomeType removes an outcome type of the tenant's own.
func (c *Catalogue) DeleteOutcomeType(tenantID, key string) error {
	t, err := c.tenant(tenantID)
	if err != nil {
		return err
	}
	o, ok := t.outcomeTypes[key]
	switch {
	case !ok:
		return errNoOutcomeType(key)
	case o.IsSystem:
		return decision.Errorf(decision.KindConflict, "outcome type %q belongs to the system and cannot be deleted", key)
	}
	delete(t.outcomeTypes, key)
	return nil
}

func errNoOutcomeType(key string) error {
	return decision.Errorf(decision.KindNotFound, "outcome type %q does not exist", key)
}
