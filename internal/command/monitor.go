package command

import "github.com/praetor-engine/praetor/internal/monitor"

// Observe brings what a node learned of the scores that it served.
type Observe struct {
	Deltas []monitor.Delta `json:"deltas"`
}

// Drifted brings how far the inputs of a model have moved.
type Drifted struct {
	ID     string          `json:"id"`
	Drifts []monitor.Drift `json:"drifts"`
}

// ChangeAlerts opens and closes alerts of a tenant's models.
type ChangeAlerts struct {
	Changes []AlertChange `json:"changes"`
}

// AlertChange opens an alert or, without one, closes that of the id.
type AlertChange struct {
	ID     string         `json:"id"`
	Model  string         `json:"model"`
	Opens  *monitor.Alert `json:"opens,omitempty"`
	Reason monitor.Reason `json:"reason,omitempty"` // of closing
}
