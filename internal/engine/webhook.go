package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/learn/external"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// Webhook is an endpoint for a tenant's events, with how far it has been served.
type Webhook struct {
	webhook.Webhook
	Delivery Delivery `json:"delivery"`
}

// Delivery is how far an endpoint has been served. What the leader did within the
// last second may not be in it.
type Delivery struct {
	Through   event.ID `json:"through"` // everything up to it is delivered
	Pending   int      `json:"pending"` // events to be delivered
	Delivered uint64   `json:"delivered"`
	// Missed are events that went out of the log before they were delivered; the
	// endpoint is told.
	Missed              uint64           `json:"missed"`
	ConsecutiveFailures uint64           `json:"consecutiveFailures"`
	FailingSince        decision.Time    `json:"failingSince"`
	NextAttemptAt       decision.Time    `json:"nextAttemptAt"`
	LastSuccessAt       decision.Time    `json:"lastSuccessAt"`
	LastFailure         *DeliveryFailure `json:"lastFailure"`
}

// DeliveryFailure is why a message was not taken.
type DeliveryFailure struct {
	At     decision.Time `json:"at"`
	Status int           `json:"status,omitempty"` // HTTP's; none: there was no answer
	Reason string        `json:"reason,omitempty"` // why there was none
}

// NewWebhook is a webhook with the secret that was just made; it is shown this once.
type NewWebhook struct {
	Webhook
	Secret string `json:"secret"`
}

// WebhookTest is what came of a message that somebody had sent.
type WebhookTest struct {
	Delivered  bool   `json:"delivered"`
	Status     int    `json:"status,omitempty"` // HTTP's; none: there was no answer
	Reason     string `json:"reason,omitempty"` // why there was none
	DurationMs int64  `json:"durationMs"`
}

const (
	maxWebhookDescription = 4096 // characters
	maxEventTypes         = 50   // entries of a filter
)

// webhookOf finds a tenant's webhook on this node.
func (e *Engine) webhookOf(tenant, id string) (*webhook.Record, error) {
	for _, r := range e.webhooks() {
		if r.ID == id && r.TenantID == tenant {
			return r, nil
		}
	}
	return nil, decision.Errorf(decision.KindNotFound, "webhook %q does not exist", id)
}

// webhooks returns the webhooks of all tenants on this node, oldest first.
func (e *Engine) webhooks() []*webhook.Record {
	if all := e.machine.directory.webhooks.Load(); all != nil {
		return *all
	}
	return nil
}

// shownWebhook is a webhook as the API shows it.
func (e *Engine) shownWebhook(r *webhook.Record) Webhook {
	st, view := &r.State, e.Events(r.TenantID)
	w := Webhook{Webhook: r.Webhook, Delivery: Delivery{
		Through: st.Through, Pending: r.Pending(&view), Delivered: st.Delivered, Missed: st.Missed, ConsecutiveFailures: st.Failures,
		FailingSince: st.FailingSince, NextAttemptAt: st.NextAttempt, LastSuccessAt: st.LastSuccess,
	}}
	if st.LastFailure != 0 {
		w.Delivery.LastFailure = &DeliveryFailure{st.LastFailure, st.FailureStatus, st.FailureReason}
	}
	return w
}

// Webhooks lists a tenant's webhooks, newest first.
func (e *Engine) Webhooks(tenant string, page Page) (List[Webhook], error) {
	if err := checkLimit(page.Limit); err != nil {
		return List[Webhook]{}, err
	}
	after, err := parseCursor(page.Cursor)
	if err != nil {
		return List[Webhook]{}, err
	}
	var list List[Webhook]
	last := uint64(0)
	for _, r := range slices.Backward(e.webhooks()) {
		if r.TenantID != tenant {
			continue
		}
		list.Total++
		switch {
		case after != 0 && r.Sequence >= after:
		case len(list.Items) < page.Limit:
			list.Items, last = append(list.Items, e.shownWebhook(r)), r.Sequence
		default:
			list.HasMore, list.Cursor = true, formatCursor(last)
		}
	}
	return list, nil
}

// Webhook returns a webhook.
func (e *Engine) Webhook(tenant, id string) (Webhook, error) {
	r, err := e.webhookOf(tenant, id)
	if err != nil {
		return Webhook{}, err
	}
	return e.shownWebhook(r), nil
}

// CreateWebhook makes a webhook with a secret of its own.
func (e *Engine) CreateWebhook(ctx context.Context, w Write, f webhook.Fields) (NewWebhook, Receipt, error) {
	if f.URL == nil {
		return NewWebhook{}, Receipt{}, decision.Invalid("url", "is required")
	}
	if err := e.checkWebhook(&f); err != nil {
		return NewWebhook{}, Receipt{}, err
	}
	return e.putWebhook(ctx, w, command.KindCreateWebhook, newID("wh"), f, webhook.NewSecret())
}

// UpdateWebhook changes the given fields of a webhook, and has it tried again at
// once if it was failing.
func (e *Engine) UpdateWebhook(ctx context.Context, w Write, id string, f webhook.Fields) (Webhook, Receipt, error) {
	f.Secret, f.Overlap = "", 0
	if err := e.checkWebhook(&f); err != nil {
		return Webhook{}, Receipt{}, err
	}
	made, receipt, err := do[webhook.Webhook](ctx, e, w.header(command.KindUpdateWebhook), command.PutWebhook{ID: id, Fields: f})
	if err != nil {
		return Webhook{}, receipt, err
	}
	done, err := e.Webhook(w.Principal.TenantID, made.ID)
	return done, receipt, err
}

// RotateWebhookSecret gives a webhook another secret. The one before goes on to
// sign beside it for overlap.
func (e *Engine) RotateWebhookSecret(ctx context.Context, w Write, id string, overlap time.Duration) (NewWebhook, Receipt, error) {
	if overlap < 0 || overlap > webhook.MaxOverlap {
		return NewWebhook{}, Receipt{}, decision.Invalid("overlapSeconds", "want 0 to %d, got %d", int(webhook.MaxOverlap.Seconds()), int(overlap.Seconds()))
	}
	return e.putWebhook(ctx, w, command.KindUpdateWebhook, id, webhook.Fields{Overlap: overlap}, webhook.NewSecret())
}

// putWebhook makes or changes a webhook and gives it a secret, sealed where this
// node was given keys for that. The secret of the answer is the present one, also
// when the request is a repeated one: it is the one that the first made.
func (e *Engine) putWebhook(ctx context.Context, w Write, kind command.Kind, id string, f webhook.Fields, s webhook.Secret) (_ NewWebhook, _ Receipt, err error) {
	var seal webhook.Encrypt
	if keys := e.credentials.configured; keys != nil {
		seal = func(key []byte) ([]byte, error) { return keys.Seal(key, w.Principal.TenantID, id) }
	}
	if f.Secret, err = s.Seal(seal); err != nil {
		return NewWebhook{}, Receipt{}, err
	}
	made, receipt, err := do[webhook.Webhook](ctx, e, w.header(kind), command.PutWebhook{ID: id, Fields: f})
	if err != nil {
		return NewWebhook{}, receipt, err
	}
	r, err := e.webhookOf(w.Principal.TenantID, made.ID)
	if err != nil { // it was deleted meanwhile
		return NewWebhook{}, receipt, err
	}
	secret, err := r.Secret(webhookNode{e}.Decrypter(r))
	if err != nil {
		return NewWebhook{}, receipt, err
	}
	return NewWebhook{Webhook: e.shownWebhook(r), Secret: secret.Reveal()}, receipt, nil
}

// DeleteWebhook removes a webhook.
func (e *Engine) DeleteWebhook(ctx context.Context, w Write, id string) (Receipt, error) {
	_, receipt, err := do[nothing](ctx, e, w.header(command.KindDeleteWebhook), command.WebhookRef{ID: id})
	return receipt, err
}

// TestWebhook sends a webhook a message from this node, once, and tells what came
// of it. It changes nothing.
func (e *Engine) TestWebhook(ctx context.Context, tenant, id string) (WebhookTest, error) {
	r, err := e.webhookOf(tenant, id)
	if err != nil {
		return WebhookTest{}, err
	}
	begin := time.Now()
	// The log begins at index 1: the id is before those of all events.
	test := &event.Event{
		ID: event.ID{Seq: rand.Uint32()}, Type: event.Test, TenantID: tenant, At: decision.TimeOf(begin),
		Data: []byte(`{"webhookId":` + strconv.Quote(id) + `}`),
	}
	a := webhook.Attempt(ctx, webhookNode{e}, r, test, begin)
	return WebhookTest{Delivered: a.OK(), Status: a.Status, Reason: a.Reason, DurationMs: time.Since(begin).Milliseconds()}, nil
}

// checkWebhook names everything wrong with the fields. Which addresses may be
// called is this server's rule, as for the endpoints of models.
func (e *Engine) checkWebhook(f *webhook.Fields) error {
	var p decision.Problems
	if f.URL != nil {
		u, err := external.ParseURL(*f.URL)
		if err == nil {
			err = e.endpoints.client.CheckURL(u)
		}
		if err != nil {
			p.Addf("url", "%s", err.Error())
		}
	}
	if f.Description != nil {
		if n := utf8.RuneCountInString(*f.Description); n > maxWebhookDescription {
			p.Addf("description", "want at most %d characters, got %d", maxWebhookDescription, n)
		}
	}
	if f.EventTypes != nil {
		if n := len(*f.EventTypes); n > maxEventTypes {
			p.Addf("eventTypes", "want at most %d items, got %d", maxEventTypes, n)
		}
		for i, t := range *f.EventTypes {
			if !event.Known(t) {
				p.Addf(fmt.Sprintf("eventTypes[%d]", i), "want a type of event such as %s, or a group such as registry.*, got %.60q", event.ChampionChanged, t)
			}
		}
	}
	return p.Err()
}
