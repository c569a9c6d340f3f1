package client

import (
	"context"
	"net/http"
	"time"
)

// Upgraded is what an upgrade made.
type Upgraded struct {
	Model      Model       `json:"upgraded"`
	Experiment *Experiment `json:"experiment"` // nil unless asked for
}

// Upgrade makes a model of the next type on the ladder of a model, a draft that
// has learned nothing; withExperiment, also an experiment of the two, a draft with
// half of the customers for each.
func (c *Client) Upgrade(ctx context.Context, id string, withExperiment bool, opts ...Option) (out Upgraded, err error) {
	body := struct {
		CreateExperiment bool `json:"createExperiment,omitempty"`
	}{withExperiment}
	err = c.do(ctx, call{method: http.MethodPost, path: modelPath(id, "upgrade"), body: body}, opts, &out)
	return out, err
}

// Evolution is where a model stands on the ladder of types.
type Evolution struct {
	ModelID   string `json:"modelId"`
	ModelKey  string `json:"modelKey"`
	ModelType string `json:"currentModelType"`
	Config    struct {
		AutoEvolve  bool               `json:"autoEvolve"`
		CurrentTier string             `json:"currentTier"`
		TargetTier  string             `json:"targetTier"`
		SkipTiers   bool               `json:"skipTiers"`
		Thresholds  map[string]float64 `json:"thresholds"`
	} `json:"evolutionConfig"`
	Progress *struct {
		NextTier    string `json:"nextTier"`
		ProgressPct int    `json:"progressPct"`
		Ready       bool   `json:"readyToEvolve"`
		Details     struct {
			SamplesRequired int     `json:"samplesRequired"`
			SamplesActual   int     `json:"samplesActual"`
			AUCRequired     float64 `json:"aucRequired"`
			AUCActual       float64 `json:"aucActual"`
		} `json:"details"`
	} `json:"progress"` // nil where there is nothing to go to
	Timeline []struct {
		Version         uint64    `json:"version"`
		ModelType       string    `json:"modelType"`
		Metrics         Metrics   `json:"metrics"`
		TrainingSamples int       `json:"trainingSamples"`
		Reason          string    `json:"reason"`
		CreatedAt       time.Time `json:"createdAt"`
	} `json:"timeline"` // newest first
	UpgradedFrom *string `json:"upgradedFrom"`
	UpgradedTo   *string `json:"upgradedTo"`
}

// Evolution returns where a model stands on the ladder.
func (c *Client) Evolution(ctx context.Context, id string, opts ...Option) (e Evolution, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: modelPath(id, "evolution-history"), safe: true}, opts, &e)
	return e, err
}
