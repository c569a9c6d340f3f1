package engine

import (
	"context"
	"regexp"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// outcomeKey is what the key of an outcome type may be.
var outcomeKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// OutcomeTypes lists a tenant's outcome types.
func (e *Engine) OutcomeTypes(tenant string, page Page) (List[catalogue.OutcomeType], error) {
	return listOf(e, page, func(c *catalogue.Catalogue, after uint64, limit int) ([]catalogue.OutcomeType, []uint64, int, error) {
		return c.OutcomeTypes(tenant, after, limit)
	})
}

// CreateOutcomeType makes an outcome type; the category defaults to response
// and the name to the key.
func (e *Engine) CreateOutcomeType(ctx context.Context, w Write, t catalogue.OutcomeType) (catalogue.OutcomeType, Receipt, error) {
	var p decision.Problems
	if !outcomeKey.MatchString(t.Key) {
		p.Addf("key", "want 1 to 64 of letters, digits, _ . and -, starting with a letter or digit, got %q", t.Key)
	}
	if t.Name == "" {
		t.Name = t.Key
	}
	if t.Category == "" {
		t.Category = catalogue.CategoryResponse
	}
	if t.Classification == "" {
		p.Addf("classification", "is required")
	}
	checkOutcomeType(&p, &t)
	if err := p.Err(); err != nil {
		return t, Receipt{}, err
	}
	return do[catalogue.OutcomeType](ctx, e, w.header(command.KindCreateOutcomeType), command.PutOutcomeType{Type: t})
}

// UpdateOutcomeType changes the given fields of an outcome type; empty ones stay.
func (e *Engine) UpdateOutcomeType(ctx context.Context, w Write, key string, t catalogue.OutcomeType) (catalogue.OutcomeType, Receipt, error) {
	t.Key = key
	var p decision.Problems
	checkOutcomeType(&p, &t)
	if err := p.Err(); err != nil {
		return t, Receipt{}, err
	}
	return do[catalogue.OutcomeType](ctx, e, w.header(command.KindUpdateOutcomeType), command.PutOutcomeType{Type: t})
}

// checkOutcomeType checks the fields that are not empty.
func checkOutcomeType(p *decision.Problems, t *catalogue.OutcomeType) {
	atMost(p, "name", &t.Name, maxNameLength)
	if _, ok := decision.ParseClassification(t.Classification); !ok && t.Classification != "" {
		p.Addf("classification", "want positive, negative or neutral, got %q", t.Classification)
	}
	switch t.Category {
	case "", catalogue.CategoryImpression, catalogue.CategoryResponse:
	default:
		p.Addf("category", "want impression or response, got %q", t.Category)
	}
}

// DeleteOutcomeType removes an outcome type of the tenant's own.
func (e *Engine) DeleteOutcomeType(ctx context.Context, w Write, key string) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteOutcomeType), command.DeleteOutcomeType{Key: key})
	return receipt, err
}
