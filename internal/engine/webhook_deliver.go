package engine

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/webhook"
)

// webhookTimeout bounds one attempt to deliver a message.
const webhookTimeout = 15 * time.Second

// webhookNode is the engine as the deliverer knows it.
type webhookNode struct{ engine *Engine }

// Leading reports whether this node delivers.
func (n webhookNode) Leading() bool { return n.engine.node.IsLeader() && n.engine.Ready() == nil }

// Webhooks returns the webhooks of all tenants.
func (n webhookNode) Webhooks() []*webhook.Record { return n.engine.webhooks() }

// Events returns a tenant's events.
func (n webhookNode) Events(tenant string) event.View { return n.engine.Events(tenant) }

// Report puts reports into the log.
func (n webhookNode) Report(ctx context.Context, reports []webhook.Report) error {
	h := &command.Header{Kind: command.KindReportDeliveries}
	_, _, err := do[nothing](ctx, n.engine, h, command.ReportDeliveries{Reports: reports})
	return err
}

// Decrypter opens what a node with the same keys sealed for the webhook.
func (n webhookNode) Decrypter(r *webhook.Record) webhook.Decrypt {
	return func(sealed []byte) ([]byte, error) { return n.engine.credentials.open(sealed, r.TenantID, r.ID) }
}

// Post sends a message by the rules of outbound calls.
func (n webhookNode) Post(ctx context.Context, m *webhook.Message) webhook.Answer {
	res, err := n.engine.endpoints.client.Do(ctx, &endpoint.Request{
		Method: http.MethodPost, URL: m.URL, Header: m.Header(), Body: m.Body, Timeout: webhookTimeout, IgnoreBody: true,
	})
	var failure *decision.Error
	switch {
	case errors.As(err, &failure):
		return webhook.Answer{Reason: failure.Reason, Abandoned: failure.Reason == endpoint.ReasonCancelled}
	case err != nil:
		return webhook.Answer{Reason: endpoint.ReasonUnreachable}
	}
	return webhook.Answer{Status: res.Status, RetryAfter: retryAfter(res.Header.Get("Retry-After"))}
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
