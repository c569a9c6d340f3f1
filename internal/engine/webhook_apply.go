package engine

import (
	"net/url"

	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
	"github.com/praetor-engine/praetor/internal/webhook"
)

func applyCreateWebhook(m *machine, ctx *entryContext, tenant string, c command.PutWebhook) (webhook.Webhook, error) {
	r, err := m.webhooks.Create(tenant, c.ID, &c.Fields, event.ID{Index: ctx.index, Seq: ctx.emitted}, ctx.at)
	return m.putWebhook(ctx, r, err)
}

func applyUpdateWebhook(m *machine, ctx *entryContext, tenant string, c command.PutWebhook) (webhook.Webhook, error) {
	r, err := m.webhooks.Update(tenant, c.ID, &c.Fields, ctx.at)
	return m.putWebhook(ctx, r, err)
}

func (m *machine) putWebhook(ctx *entryContext, r *webhook.Record, err error) (webhook.Webhook, error) {
	if err != nil {
		return webhook.Webhook{}, err
	}
	m.refreshWebhooks(ctx)
	return r.Webhook, nil
}

func applyDeleteWebhook(m *machine, ctx *entryContext, tenant string, c command.WebhookRef) (nothing, error) {
	if err := m.webhooks.Delete(tenant, c.ID); err != nil {
		return nothing{}, err
	}
	m.refreshWebhooks(ctx)
	return nothing{}, nil
}

// disabledWebhook are the data of the event that a webhook was disabled. Who may
// read events may not see its whole URL.
type disabledWebhook struct {
	WebhookID    string        `json:"webhookId"`
	Host         string        `json:"host"`
	Reason       string        `json:"reason"` // failing or gone
	FailingSince decision.Time `json:"failingSince"`
	Pending      int           `json:"pending"`
}

// applyReportDeliveries takes the leader's reports into account. A webhook that is
// disabled by one has an entry in the audit log, and an event.
func applyReportDeliveries(m *machine, ctx *entryContext, h *command.Header, payload string) (any, error) {
	c, err := command.Decode[command.ReportDeliveries](payload)
	if err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "engine.Apply", Msg: "the command cannot be read", Err: err}
	}
	for i := range c.Reports {
		rep := &c.Reports[i]
		before := m.auditView(auditedWebhooks, rep.TenantID, rep.ID)
		r, disabled := m.webhooks.Report(rep, ctx.at)
		if !disabled {
			continue
		}
		owner := *h
		owner.Tenant = rep.TenantID
		after := m.auditView(auditedWebhooks, rep.TenantID, rep.ID)
		m.writeAudit(ctx, &owner, &audit.Entry{
			Action: "disable", EntityType: auditWebhook, EntityID: r.ID, EntityName: after.name, Actor: defaultActor,
		}, before, after, nil)
		ctx.takeChanges() // what follows says it all
		view := m.events.View(rep.TenantID)
		m.emit(ctx, rep.TenantID, []event.Draft{{Type: event.WebhookDisabled, Data: disabledWebhook{
			WebhookID: r.ID, Host: hostOf(r.URL), Reason: r.DisabledReason, FailingSince: r.State.FailingSince, Pending: r.Pending(&view),
		}}})
	}
	m.refreshWebhooks(ctx)
	return nothing{}, nil
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// refreshWebhooks publishes the webhooks when the log entry is stored.
func (m *machine) refreshWebhooks(ctx *entryContext) {
	all := m.webhooks.All()
	ctx.batch.OnCommit(func() {
		m.directory.webhooks.Store(&all)
		if m.feed != nil {
			m.feed.wake()
		}
	})
}

// viewWebhook has no secrets, and nothing of what was delivered.
func viewWebhook(m *machine, tenant, id string) (string, any) {
	r, err := m.webhooks.Find(tenant, id)
	if err != nil {
		return "", nil
	}
	return hostOf(r.URL), struct {
		webhook.Webhook
		UpdatedAt *struct{} `json:"updatedAt,omitempty"`
	}{Webhook: r.Webhook}
}

// webhookFigures returns how many webhooks are enabled, how many of them fail, and
// how many events wait to be delivered.
func (e *Engine) webhookFigures() (enabled, failing, pending int) {
	for _, r := range e.webhooks() {
		if !r.Enabled {
			continue
		}
		enabled++
		if r.State.Failures > 0 {
			failing++
		}
		view := e.Events(r.TenantID)
		pending += r.Pending(&view)
	}
	return enabled, failing, pending
}
