package command

import "github.com/praetor-engine/praetor/internal/webhook"

// PutWebhook makes or changes an endpoint for a tenant's events.
type PutWebhook struct {
	ID     string         `json:"id"`
	Fields webhook.Fields `json:"fields"`
}

// WebhookRef names an endpoint.
type WebhookRef struct {
	ID string `json:"id"`
}

// ReportDeliveries tells what a leader delivered, to endpoints of any tenant.
type ReportDeliveries struct {
	Reports []webhook.Report `json:"reports"`
}
