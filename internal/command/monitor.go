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
