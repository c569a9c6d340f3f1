package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/evidence"
)

// Adaptation is what a reset, a pause or its end did to a model.
type Adaptation struct {
	ModelID          string           `json:"modelId"`
	Scope            evidence.Scope   `json:"scope"`
	ScopeID          string           `json:"scopeId,omitempty"`
	Action           evidence.Action  `json:"action"`
	ResetTo          evidence.ResetTo `json:"resetTo,omitempty"`
	PreviousEvidence float64          `json:"previousEvidence"`
	NewPrior         float64          `json:"newPrior"`
	Paused           bool             `json:"paused"`
	Reason           string           `json:"reason,omitempty"`
}

// Adapt resets, pauses or resumes what a model learned of an offer, a category, a
// channel or of all.
func (e *Engine) Adapt(ctx context.Context, w Write, id string, body evidence.Body) (Adaptation, Receipt, error) {
	r, err := body.Request()
	if err != nil {
		return Adaptation{}, Receipt{}, err
	}
	return do[Adaptation](ctx, e, w.header(command.KindAdapt), command.Adapt{
		ID: id, Action: string(r.Action), Scope: string(r.Scope), ScopeID: r.ScopeID, ResetTo: string(r.ResetTo), Reason: body.Reason,
	})
}

// applyAdapt waits for the actor: what it did is the answer.
func applyAdapt(m *machine, ctx *entryContext, tenant string, c command.Adapt) (Adaptation, error) {
	_, mr, err := m.runtime(tenant, c.ID)
	if err != nil {
		return Adaptation{}, err
	}
	r := evidence.Request{
		Action: evidence.Action(c.Action), Scope: evidence.Scope(c.Scope), ScopeID: c.ScopeID, ResetTo: evidence.ResetTo(c.ResetTo),
	}
	reply := make(chan actors.Adapted, 1)
	mr.handle.Send(&actors.Adapt{Index: ctx.index, At: int64(ctx.at), Request: r, Reply: reply, Pending: ctx.pending})
	done := <-reply
	if done.Err != nil {
		return Adaptation{}, done.Err
	}
	a := Adaptation{
		ModelID: c.ID, Scope: r.Scope, ScopeID: r.ScopeID, Action: r.Action, Reason: c.Reason,
		PreviousEvidence: done.PreviousEvidence, NewPrior: done.NewPrior, Paused: done.Paused,
	}
	if r.Action == evidence.ActionReset {
		a.ResetTo = r.ResetTo
		m.book.Reset(tenant, c.ID, scopeName(r.Scope, r.ScopeID), ctx.at)
	}
	return a, nil
}

// adaptationScopes are the scopes in the order of a list.
var adaptationScopes = []evidence.Scope{evidence.ScopeGlobal, evidence.ScopeCategory, evidence.ScopeChannel, evidence.ScopeOffer}

// Adaptations lists a model's evidence as it has faded to now, of one scope or of
// all: the global row, then categories, channels and offers, each by its id.
func (e *Engine) Adaptations(tenant, id string, scope evidence.Scope, page Page) (List[evidence.Row], error) {
	mr, err := e.machine.directory.model(tenant, id)
	if err != nil {
		return List[evidence.Row]{}, err
	}
	if err := checkLimit(page.Limit); err != nil {
		return List[evidence.Row]{}, err
	}
	scopes := adaptationScopes
	if scope != "" {
		if !slices.Contains(scopes, scope) {
			return List[evidence.Row]{}, decision.Invalid("scope", "want offer, category, channel or global, got %.40q", string(scope))
		}
		scopes = []evidence.Scope{scope}
	}
	after, err := parseNameCursor(page.Cursor)
	if err != nil {
		return List[evidence.Row]{}, err
	}
	p := mr.handle.Published()
	if p.Fault != nil {
		return List[evidence.Row]{}, p.Fault.Err()
	}
	list := List[evidence.Row]{Items: []evidence.Row{}}
	at := time.Now().UnixMilli()
	for _, s := range scopes {
		rows := p.Evidence.Rows(s, at)
		list.Total += int64(len(rows))
		for i := range rows {
			place := adaptationPlace(&rows[i])
			switch {
			case after != "" && place <= after:
			case len(list.Items) == page.Limit:
				list.HasMore = true
			default:
				list.Items = append(list.Items, rows[i])
				list.Cursor = formatNameCursor(place)
			}
		}
	}
	if !list.HasMore {
		list.Cursor = ""
	}
	return list, nil
}

// adaptationPlace orders the rows as the list does.
func adaptationPlace(r *evidence.Row) string {
	var b strings.Builder
	b.WriteByte(byte('0' + slices.Index(adaptationScopes, r.Scope)))
	b.WriteString(r.ScopeID)
	return b.String()
}

// scopeName is what a message calls a scope.
func scopeName(s evidence.Scope, id string) string {
	if s == evidence.ScopeGlobal {
		return "all that the model learned"
	}
	return fmt.Sprintf("%s %q", s, id)
}
