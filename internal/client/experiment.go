package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const experimentsPath = "/api/v1/experiments"

// Experiment divides the customers of a family between its champion and
// challengers.
type Experiment struct {
	ID               string       `json:"id"`
	Key              string       `json:"key"`
	Name             string       `json:"name"`
	Description      string       `json:"description"`
	Status           string       `json:"status"` // draft, active, paused, completed or archived
	ChampionModelID  string       `json:"championModelId"`
	TrafficSplit     TrafficSplit `json:"trafficSplit"`
	Challengers      []Challenger `json:"challengers"`
	HoldoutPercent   float64      `json:"holdoutPercent"`
	AutoPromote      bool         `json:"autoPromote"`
	PromoteThreshold float64      `json:"promoteThreshold"`
	PromoteAfterDays int          `json:"promoteAfterDays"`
	Family           string       `json:"family"`
	StartedAt        *time.Time   `json:"startedAt"`
	EndedAt          *time.Time   `json:"endedAt"`
	EndReason        string       `json:"endReason,omitempty"`
	Promotion        *struct {
		ModelID  string    `json:"modelId"`
		At       time.Time `json:"at"`
		Promoted bool      `json:"promoted"`
		Reason   string    `json:"reason,omitempty"`
	} `json:"promotion"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// TrafficSplit has the champion's share; those of all models add up to 100.
type TrafficSplit struct {
	ChampionPct float64 `json:"championPct"`
}

// Challenger is a model with its share.
type Challenger struct {
	ModelID    string  `json:"modelId"`
	TrafficPct float64 `json:"trafficPct"`
}

// ExperimentFields are what is given of an experiment to make or to change it; what
// is nil is not given. Percentages have two decimals at most.
type ExperimentFields struct {
	Key              *string       `json:"key,omitempty"`
	Name             *string       `json:"name,omitempty"`
	Description      *string       `json:"description,omitempty"`
	Status           *string       `json:"status,omitempty"`
	ChampionModelID  *string       `json:"championModelId,omitempty"`
	TrafficSplit     *TrafficSplit `json:"trafficSplit,omitempty"`
	Challengers      []Challenger  `json:"challengers,omitempty"`
	HoldoutPercent   *float64      `json:"holdoutPercent,omitempty"`
	AutoPromote      *bool         `json:"autoPromote,omitempty"`
	PromoteThreshold *float64      `json:"promoteThreshold,omitempty"`
	PromoteAfterDays *int          `json:"promoteAfterDays,omitempty"`
}

// Assignment is the variant that a customer gets.
type Assignment struct {
	ExperimentID string `json:"experimentId"`
	CustomerID   string `json:"customerId"`
	Variant      string `json:"variant"` // __champion__, __holdout__ or a challenger's key
	ModelID      string `json:"modelId"`
	Bucket       int    `json:"bucket"`
}

// ExperimentResults are what came of an experiment.
type ExperimentResults struct {
	ExperimentID string          `json:"experimentId"`
	Status       string          `json:"status"`
	StartedAt    *time.Time      `json:"startedAt"`
	Variants     []VariantResult `json:"variants"`
	SRM          struct {
		ChiSquare float64 `json:"chiSquare"`
		PValue    float64 `json:"pValue"`
		Warning   bool    `json:"warning"`
	} `json:"srm"`
	Shadow ShadowResults `json:"shadow"`
}

// VariantResult is what came of one variant, compared with the champion.
type VariantResult struct {
	Variant          string   `json:"variant"`
	ModelID          string   `json:"modelId"`
	Samples          uint64   `json:"samples"`
	Positives        uint64   `json:"positives"`
	Rate             float64  `json:"rate"`
	CILower          float64  `json:"ciLower"`
	CIUpper          float64  `json:"ciUpper"`
	Uplift           float64  `json:"uplift"`
	RelativeUplift   *float64 `json:"relativeUplift"` // nil: the champion's rate is 0
	ZScore           float64  `json:"zScore"`
	PValue           float64  `json:"pValue"`
	Significant      bool     `json:"significant"`
	InsufficientData bool     `json:"insufficientData"`
}

// ShadowResults compare the scores of the variants' models for the same requests
// of one node.
type ShadowResults struct {
	Share   float64       `json:"share"`
	Dropped uint64        `json:"dropped"`
	Models  []ShadowModel `json:"models"`
}

// ShadowModel is one model's part.
type ShadowModel struct {
	Variant           string   `json:"variant"`
	ModelID           string   `json:"modelId"`
	Samples           uint64   `json:"samples"`
	Mean              float64  `json:"mean"`
	StdDev            float64  `json:"stdDev"`
	Histogram         []uint64 `json:"histogram"` // of 20 equal parts of 0 to 1
	MeanDifference    float64  `json:"meanDifference"`
	MeanAbsDifference float64  `json:"meanAbsDifference"`
	PSI               float64  `json:"psi"`
}

func experimentPath(id, what string) string {
	path := experimentsPath + "/" + url.PathEscape(id)
	if what != "" {
		path += "/" + what
	}
	return path
}

// Experiments returns a page of the tenant's experiments.
func (c *Client) Experiments(ctx context.Context, lo ListOptions, opts ...Option) (Page[Experiment], error) {
	return list[Experiment](ctx, c, experimentsPath, lo, opts)
}

// AllExperiments walks all experiments of the tenant.
func (c *Client) AllExperiments(ctx context.Context) iter.Seq2[Experiment, error] {
	return all(ctx, c.Experiments)
}

// Experiment returns an experiment.
func (c *Client) Experiment(ctx context.Context, id string, opts ...Option) (out Experiment, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: experimentPath(id, ""), safe: true}, opts, &out)
	return out, err
}

// CreateExperiment makes an experiment. Editors only.
func (c *Client) CreateExperiment(ctx context.Context, f ExperimentFields, opts ...Option) (out Experiment, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: experimentsPath, body: f}, opts, &out)
	return out, err
}

// UpdateExperiment changes the given fields of an experiment. Editors only.
func (c *Client) UpdateExperiment(ctx context.Context, id string, f ExperimentFields, opts ...Option) (out Experiment, err error) {
	err = c.do(ctx, call{method: http.MethodPut, path: experimentPath(id, ""), body: f}, opts, &out)
	return out, err
}

// DeleteExperiment removes an experiment that is not active. Editors only.
func (c *Client) DeleteExperiment(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: experimentPath(id, "")}, opts, nil)
}

// Assignment returns the variant that a customer gets, who counts as assigned from
// then on.
func (c *Client) Assignment(ctx context.Context, id, customerID string, opts ...Option) (out Assignment, err error) {
	query := url.Values{"customerId": {customerID}}
	err = c.do(ctx, call{method: http.MethodGet, path: experimentPath(id, "assignment"), query: query, safe: true}, opts, &out)
	return out, err
}

// ExperimentResults returns what came of an experiment so far.
func (c *Client) ExperimentResults(ctx context.Context, id string, opts ...Option) (out ExperimentResults, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: experimentPath(id, "results"), safe: true}, opts, &out)
	return out, err
}
