package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const webhooksPath = "/api/v1/webhooks"

// Webhook is an endpoint that is sent events.
type Webhook struct {
	ID                  string     `json:"id"`
	URL                 string     `json:"url"`
	Description         string     `json:"description"`
	EventTypes          []string   `json:"eventTypes"` // empty: all
	Enabled             bool       `json:"enabled"`
	DisabledReason      string     `json:"disabledReason,omitempty"` // request, failing or gone
	SecretRotatedAt     *time.Time `json:"secretRotatedAt"`
	PreviousSecretUntil *time.Time `json:"previousSecretUntil"`
	CreatedAt           *time.Time `json:"createdAt"`
	UpdatedAt           *time.Time `json:"updatedAt"`
	Delivery            Delivery   `json:"delivery"`
	// Secret signs the messages; the server shows it once, when it is made.
	Secret string `json:"secret,omitempty"`
}

// Delivery is how far a webhook has been served.
type Delivery struct {
	Through             string     `json:"through"` // everything up to this event is delivered
	Pending             int        `json:"pending"`
	Delivered           uint64     `json:"delivered"`
	Missed              uint64     `json:"missed"`
	ConsecutiveFailures uint64     `json:"consecutiveFailures"`
	FailingSince        *time.Time `json:"failingSince"`
	NextAttemptAt       *time.Time `json:"nextAttemptAt"`
	LastSuccessAt       *time.Time `json:"lastSuccessAt"`
	LastFailure         *struct {
		At     time.Time `json:"at"`
		Status int       `json:"status,omitempty"` // HTTP's; 0: there was no answer
		Reason string    `json:"reason,omitempty"` // why there was none
	} `json:"lastFailure"`
}

// WebhookFields are what is given of a webhook to make or to change it; what is nil
// is not given.
type WebhookFields struct {
	URL         *string  `json:"url,omitempty"`
	Description *string  `json:"description,omitempty"`
	EventTypes  []string `json:"eventTypes,omitempty"`
	Enabled     *bool    `json:"enabled,omitempty"`
}

// WebhookTest is what came of a test message.
type WebhookTest struct {
	Delivered  bool   `json:"delivered"`
	Status     int    `json:"status,omitempty"` // HTTP's; 0: there was no answer
	Reason     string `json:"reason,omitempty"` // why there was none
	DurationMs int64  `json:"durationMs"`
}

func webhookPath(id, what string) string {
	path := webhooksPath + "/" + url.PathEscape(id)
	if what != "" {
		path += "/" + what
	}
	return path
}

// Webhooks returns a page of the tenant's webhooks. Admins only, as all calls about
// webhooks.
func (c *Client) Webhooks(ctx context.Context, lo ListOptions, opts ...Option) (Page[Webhook], error) {
	return list[Webhook](ctx, c, webhooksPath, lo, opts)
}

// AllWebhooks walks all webhooks of the tenant.
func (c *Client) AllWebhooks(ctx context.Context) iter.Seq2[Webhook, error] {
	return all(ctx, c.Webhooks)
}

// Webhook returns a webhook.
func (c *Client) Webhook(ctx context.Context, id string, opts ...Option) (w Webhook, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: webhookPath(id, ""), safe: true}, opts, &w)
	return w, err
}

// CreateWebhook makes a webhook; its secret is in the answer and nowhere else.
func (c *Client) CreateWebhook(ctx context.Context, f WebhookFields, opts ...Option) (w Webhook, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: webhooksPath, body: f}, opts, &w)
	return w, err
}

// UpdateWebhook changes the given fields of a webhook, and has it tried at once.
func (c *Client) UpdateWebhook(ctx context.Context, id string, f WebhookFields, opts ...Option) (w Webhook, err error) {
	err = c.do(ctx, call{method: http.MethodPut, path: webhookPath(id, ""), body: f}, opts, &w)
	return w, err
}

// DeleteWebhook removes a webhook.
func (c *Client) DeleteWebhook(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: webhookPath(id, "")}, opts, nil)
}

// RotateWebhookSecret gives a webhook another secret; the one before goes on to sign
// for overlap.
func (c *Client) RotateWebhookSecret(ctx context.Context, id string, overlap time.Duration, opts ...Option) (w Webhook, err error) {
	body := map[string]int64{"overlapSeconds": int64(overlap / time.Second)}
	err = c.do(ctx, call{method: http.MethodPost, path: webhookPath(id, "rotate-secret"), body: body}, opts, &w)
	return w, err
}

// TestWebhook has the server send a webhook a message now.
func (c *Client) TestWebhook(ctx context.Context, id string, opts ...Option) (t WebhookTest, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: webhookPath(id, "test")}, opts, &t)
	return t, err
}
