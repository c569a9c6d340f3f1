package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	optimizationsPath = "/api/v2/optimizations"
	modelsV2Path      = "/api/v2/models"
	ingestPath        = "/api/v2/ingest/"
)

// Factor is something that varies: its levels are strings or booleans.
type Factor struct {
	Name   string `json:"name"`
	Dtype  string `json:"dtype"` // str or bool
	Levels []any  `json:"levels"`
}

// TrainingDataConfig says what an optimization learns from.
type TrainingDataConfig struct {
	DesignFactors  []Factor          `json:"design_factors"`
	ContextFactors []Factor          `json:"context_factors,omitempty"`
	Reward         RewardConfig      `json:"reward"`
	Attribution    AttributionConfig `json:"attribution"`
}

// RewardConfig says what is to be had.
type RewardConfig struct {
	Name string `json:"name"`
	Type string `json:"type"` // bool or numeric
}

// AttributionConfig says which exposure a reward is credited to.
type AttributionConfig struct {
	Type                  string `json:"type"` // last_touch or first_touch
	ConversionWindowHours int    `json:"conversion_window_hours"`
}

// AutoTrain says when a model is trained without being asked to.
type AutoTrain struct {
	EveryObservations uint64 `json:"every_observations,omitempty"`
	EveryMinutes      uint64 `json:"every_minutes,omitempty"`
}

// Combination is a variant, or a part of one: levels by their factors' names.
type Combination map[string]any

// NewOptimization is what an optimization is made of.
type NewOptimization struct {
	Name                 string             `json:"name"`
	ModelType            string             `json:"model_type"` // mab or cmab
	TrainingDataConfig   TrainingDataConfig `json:"training_data_config"`
	HoldoutPercentage    float64            `json:"holdout_percentage"`
	ExcludedCombinations []Combination      `json:"excluded_combinations,omitempty"`
	AutoTrain            *AutoTrain         `json:"auto_train,omitempty"`
	PublicServe          bool               `json:"public_serve,omitempty"`
}

// Optimization looks for the variant that brings most, by context.
type Optimization struct {
	NewOptimization
	ID          string               `json:"id"`
	Status      string               `json:"status"` // live, completed or archived
	ModelID     string               `json:"model_id"`
	ModelStatus string               `json:"model_status"` // created, training, trained, failed or archived
	Summary     *OptimizationSummary `json:"summary"`      // nil until trained
	CreatedAt   time.Time            `json:"created_at"`
	UpdatedAt   time.Time            `json:"updated_at"`
}

// OptimizationSummary is what the last training came to.
type OptimizationSummary struct {
	VariantsCount int      `json:"variants_count"`
	Lift          *float64 `json:"lift"`       // measured against the holdout, in percent
	Confidence    *float64 `json:"confidence"` // one less p of the lift
	Exposures     uint64   `json:"exposures"`
}

// OptimizationPatch changes an optimization; what is nil stays.
type OptimizationPatch struct {
	Name              *string    `json:"name,omitempty"`
	Status            *string    `json:"status,omitempty"`
	HoldoutPercentage *float64   `json:"holdout_percentage,omitempty"`
	PublicServe       *bool      `json:"public_serve,omitempty"`
	AutoTrain         *AutoTrain `json:"auto_train,omitempty"`
}

// OptimizationsQuery narrows a list of optimizations; the zero value is the server's
// defaults.
type OptimizationsQuery struct {
	Limit, Offset   int
	OrderBy         string // created_at, updated_at, name, exposures or lift, descending
	IncludeArchived bool
}

// OptimizationList is a part of a list.
type OptimizationList struct {
	Optimizations []Optimization `json:"optimizations"`
	Total         int            `json:"total"`
}

// ServeRequest asks for a visitor's variant.
type ServeRequest struct {
	AnonymousID string         `json:"anonymous_id"`
	Context     map[string]any `json:"context,omitempty"`
	DryRun      bool           `json:"dry_run,omitempty"` // records no exposure
}

// Served is a visitor's variant.
type Served struct {
	OptimizationID string      `json:"optimization_id"`
	ModelID        string      `json:"model_id"`
	Variant        Combination `json:"variant"`
	VariantNumber  int         `json:"variant_number"`
	IsHoldout      bool        `json:"is_holdout"`
	Propensity     float64     `json:"propensity"`
}

// OptimizationResults are what came of an optimization so far.
type OptimizationResults struct {
	OptimizationID string             `json:"optimization_id"`
	ModelID        string             `json:"model_id"`
	ModelStatus    string             `json:"model_status"`
	Variants       []VariantFigures   `json:"variants"`
	Importance     map[string]float64 `json:"factor_importance"` // nil until trained
	Lift           MeasuredLift       `json:"measured_lift"`
	Immature       uint64             `json:"immature_exposures"`
}

// VariantFigures are those of one variant.
type VariantFigures struct {
	Number      int         `json:"number"`
	Variant     Combination `json:"variant"`
	Exposures   uint64      `json:"exposures"`
	Conversions float64     `json:"conversions"`
	Rate        *float64    `json:"rate"`
	Weight      float64     `json:"weight"`
	ProbBest    float64     `json:"prob_best"`
	Mean        *float64    `json:"expected_reward_mean"`
	Lower       *float64    `json:"expected_reward_lo"`
	Upper       *float64    `json:"expected_reward_hi"`
}

// MeasuredLift compares the treated visitors with the held-out ones; what is not
// known is nil.
type MeasuredLift struct {
	Percent      *float64 `json:"lift_percent"`
	SE           *float64 `json:"se"`
	Lower        *float64 `json:"ci_lower"`
	Upper        *float64 `json:"ci_upper"`
	P            *float64 `json:"p_value"`
	HoldoutUsers uint64   `json:"holdout_users"`
	TreatedUsers uint64   `json:"treated_users"`
}

// Exposure is that a visitor was shown a variant elsewhere.
type Exposure struct {
	AnonymousID    string         `json:"anonymous_id"`
	OptimizationID string         `json:"optimization_id"`
	Variant        Combination    `json:"variant"`
	Context        map[string]any `json:"context,omitempty"`
	Timestamp      *time.Time     `json:"timestamp,omitempty"` // nil: now
	IdempotencyKey string         `json:"idempotency_key,omitempty"`
}

// Reward is that a visitor brought something.
type Reward struct {
	AnonymousID    string     `json:"anonymous_id"`
	Name           string     `json:"name"`
	Value          *float64   `json:"value,omitempty"` // nil: 1
	Timestamp      *time.Time `json:"timestamp,omitempty"`
	OptimizationID string     `json:"optimization_id,omitempty"` // empty: every one that has the reward
	IdempotencyKey string     `json:"idempotency_key,omitempty"`
}

// Ingested is what became of events.
type Ingested struct {
	Accepted   int             `json:"accepted"`
	Duplicates int             `json:"duplicates"`
	Rejected   []RejectedEvent `json:"rejected"`
}

// RejectedEvent is one that was not taken.
type RejectedEvent struct {
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// OptimizationModel is an optimization's model. OptimizationID and what follows it
// are not in lists.
type OptimizationModel struct {
	ID                 string             `json:"id"`
	ModelType          string             `json:"model_type"`
	Status             string             `json:"status"`
	TrainingDataConfig TrainingDataConfig `json:"training_data_config"`
	CreatedAt          time.Time          `json:"created_at"`
	UpdatedAt          time.Time          `json:"updated_at"`
	OptimizationID     string             `json:"optimization_id"`
	TrainedAt          *time.Time         `json:"trained_at"`
	InSampleMetrics    *InSampleMetrics   `json:"in_sample_metrics"`
	Bias               map[string]float64 `json:"bias"`
	Error              *string            `json:"error"` // why the last training failed
}

// InSampleMetrics is what a training says of itself.
type InSampleMetrics struct {
	HistoricReward float64  `json:"historic_reward"`
	ExpectedReward Interval `json:"expected_reward"`
}

// Interval is an expectation with the interval that has 95 % of the probability.
type Interval struct {
	Mean  float64 `json:"mean"`
	Lower float64 `json:"ci_lower"`
	Upper float64 `json:"ci_upper"`
}

// TrainedModel is what a training did.
type TrainedModel struct {
	ModelID         string          `json:"model_id"`
	Status          string          `json:"status"`
	InSampleMetrics InSampleMetrics `json:"in_sample_metrics"`
}

// OptimizationModelState is what a model learned.
type OptimizationModelState struct {
	ModelID  string         `json:"model_id"`
	Status   string         `json:"status"`
	Variants []VariantState `json:"variants"`
}

// VariantState is what a model learned of a variant.
type VariantState struct {
	Number         int         `json:"number"`
	Variant        Combination `json:"variant"`
	Exposures      uint64      `json:"exposures"`
	Rewards        float64     `json:"rewards"`
	Weight         float64     `json:"weight"`
	ProbBest       float64     `json:"prob_best"`
	ExpectedReward *Interval   `json:"expected_reward"` // nil until trained
}

func optimizationPath(id, what string) string {
	path := optimizationsPath + "/" + url.PathEscape(id)
	if what != "" {
		path += "/" + what
	}
	return path
}

func modelV2Path(id, what string) string {
	path := modelsV2Path + "/" + url.PathEscape(id)
	if what != "" {
		path += "/" + what
	}
	return path
}

// Optimizations returns a part of the organization's optimizations.
func (c *Client) Optimizations(ctx context.Context, q OptimizationsQuery, opts ...Option) (out OptimizationList, err error) {
	query := url.Values{}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Offset > 0 {
		query.Set("offset", strconv.Itoa(q.Offset))
	}
	if q.OrderBy != "" {
		query.Set("order_by", q.OrderBy)
	}
	if q.IncludeArchived {
		query.Set("include_archived", "true")
	}
	err = c.do(ctx, call{method: http.MethodGet, path: optimizationsPath, query: query, safe: true}, opts, &out)
	return out, err
}

// Optimization returns an optimization.
func (c *Client) Optimization(ctx context.Context, id string, opts ...Option) (out Optimization, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: optimizationPath(id, ""), safe: true}, opts, &out)
	return out, err
}

// CreateOptimization makes an optimization with its model. Editors only.
func (c *Client) CreateOptimization(ctx context.Context, o NewOptimization, opts ...Option) (out Optimization, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: optimizationsPath, body: o}, opts, &out)
	return out, err
}

// UpdateOptimization changes the given fields of an optimization. Editors only.
func (c *Client) UpdateOptimization(ctx context.Context, id string, p OptimizationPatch, opts ...Option) (out Optimization, err error) {
	err = c.do(ctx, call{method: http.MethodPatch, path: optimizationPath(id, ""), body: p}, opts, &out)
	return out, err
}

// CreateOptimizationModel makes a new model after the old one was deleted. Editors
// only.
func (c *Client) CreateOptimizationModel(ctx context.Context, id string, opts ...Option) (out OptimizationModel, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: optimizationPath(id, "models")}, opts, &out)
	return out, err
}

// OptimizationResults returns what came of an optimization so far.
func (c *Client) OptimizationResults(ctx context.Context, id string, opts ...Option) (out OptimizationResults, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: optimizationPath(id, "results"), safe: true}, opts, &out)
	return out, err
}

// Serve returns a visitor's variant. The exposure is durable when it returns. It is
// not repeated by itself: a second call records a second exposure.
func (c *Client) Serve(ctx context.Context, id string, r ServeRequest, opts ...Option) (out Served, err error) {
	err = c.do(ctx, call{method: http.MethodPost, path: optimizationPath(id, "serve"), body: r, safe: r.DryRun}, opts, &out)
	return out, err
}

// BestVariant is Serve with the optimization in the body.
func (c *Client) BestVariant(ctx context.Context, id string, r ServeRequest, opts ...Option) (out Served, err error) {
	body := struct {
		OptimizationID string         `json:"optimization_id"`
		AnonymousID    string         `json:"anonymous_id"`
		Context        map[string]any `json:"context,omitempty"`
	}{id, r.AnonymousID, r.Context}
	err = c.do(ctx, call{method: http.MethodPost, path: optimizationsPath + "/best-variant", body: body}, opts, &out)
	return out, err
}

// RecordExposures records at most 500 exposures that happened elsewhere. Editors
// only. It is repeated by itself when each has an idempotency key.
func (c *Client) RecordExposures(ctx context.Context, events []Exposure, opts ...Option) (out Ingested, err error) {
	keyed := true
	for i := range events {
		keyed = keyed && events[i].IdempotencyKey != ""
	}
	return ingest(ctx, c, "exposures", events, keyed, opts)
}

// RecordRewards records at most 500 rewards; see RecordExposures.
func (c *Client) RecordRewards(ctx context.Context, events []Reward, opts ...Option) (out Ingested, err error) {
	keyed := true
	for i := range events {
		keyed = keyed && events[i].IdempotencyKey != ""
	}
	return ingest(ctx, c, "rewards", events, keyed, opts)
}

func ingest[E any](ctx context.Context, c *Client, kind string, events []E, keyed bool, opts []Option) (out Ingested, err error) {
	body := struct {
		Events []E `json:"events"`
	}{events}
	err = c.do(ctx, call{method: http.MethodPost, path: ingestPath + kind, body: body, keyed: keyed}, opts, &out)
	return out, err
}

// OptimizationModels returns the models of the organization's optimizations.
func (c *Client) OptimizationModels(ctx context.Context, opts ...Option) ([]OptimizationModel, error) {
	var out struct {
		Models []OptimizationModel `json:"models"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: modelsV2Path, safe: true}, opts, &out)
	return out.Models, err
}

// OptimizationModel returns an optimization's model.
func (c *Client) OptimizationModel(ctx context.Context, id string, opts ...Option) (out OptimizationModel, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: modelV2Path(id, ""), safe: true}, opts, &out)
	return out, err
}

// OptimizationModelState returns what a model learned.
func (c *Client) OptimizationModelState(ctx context.Context, id string, opts ...Option) (out OptimizationModelState, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: modelV2Path(id, "state"), safe: true}, opts, &out)
	return out, err
}

// TrainOptimizationModel trains a model; bias, by design factor, widens what is
// explored, and may be nil. Editors only.
func (c *Client) TrainOptimizationModel(ctx context.Context, id string, bias map[string]float64, opts ...Option) (out TrainedModel, err error) {
	r := call{method: http.MethodPost, path: modelV2Path(id, "train")}
	if bias != nil {
		r.body = map[string]any{"bias": bias}
	}
	err = c.do(ctx, r, opts, &out)
	return out, err
}

// DeleteOptimizationModel archives a model for good. Admins only.
func (c *Client) DeleteOptimizationModel(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: modelV2Path(id, "")}, opts, nil)
}
