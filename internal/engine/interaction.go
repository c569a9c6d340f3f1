package engine

import (
	"context"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/history"
)

// Interactions lists recorded outcomes, newest first.
func (e *Engine) Interactions(_ context.Context, tenant string, f HistoryFilter, page Page) (List[decision.Outcome], error) {
	t, err := e.machine.directory.tenant(tenant)
	if err != nil {
		return List[decision.Outcome]{}, err
	}
	if err := checkLimit(page.Limit); err != nil {
		return List[decision.Outcome]{}, err
	}
	var before decision.InteractionID
	if page.Cursor != "" {
		var ok bool
		if before, ok = decision.ParseInteractionID(page.Cursor); !ok {
			return List[decision.Outcome]{}, decision.Invalid("cursor", "want the cursor of an earlier answer, got %.40q", page.Cursor)
		}
	}
	p, err := e.machine.history.List(t.Ordinal, history.Filter(f), before, page.Limit)
	if err != nil {
		return List[decision.Outcome]{}, &decision.Error{Kind: decision.KindInternal, Op: "engine.Interactions", Msg: "the history cannot be read", Err: err}
	}
	list := List[decision.Outcome]{Items: p.Rows, Total: p.Total, HasMore: p.More}
	if p.More {
		list.Cursor = p.Next.String()
	}
	return list, nil
}

// Summaries returns a customer's history with each offer.
func (e *Engine) Summaries(tenant, customer string) ([]OfferSummary, error) {
	t, err := e.machine.directory.tenant(tenant)
	if err != nil {
		return nil, err
	}
	if customer == "" {
		return nil, decision.Invalid("customerId", "is required")
	}
	var all []OfferSummary
	for _, s := range e.machine.history.Summaries(t.Ordinal, customer) {
		all = append(all, OfferSummary(s))
	}
	return all, nil
}
