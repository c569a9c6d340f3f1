package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const modelsPath = "/api/v1/algorithm-models"

// Model is a model as the server describes it. The objects whose shape depends
// on the model type stay JSON.
type Model struct {
	ID                  string             `json:"id"`
	Key                 string             `json:"key"`
	Name                string             `json:"name"`
	Description         string             `json:"description"`
	ModelType           string             `json:"modelType"`
	Status              string             `json:"status"`
	Version             uint64             `json:"version"`
	TrainingSamples     int                `json:"trainingSamples"`
	Config              json.RawMessage    `json:"config,omitempty"`
	TargetField         *string            `json:"targetField"`
	TargetSchemaKey     *string            `json:"targetSchemaKey"`
	Predictors          json.RawMessage    `json:"predictors,omitempty"`
	Metrics             Metrics            `json:"metrics"`
	MetricsHistory      []json.RawMessage  `json:"metricsHistory,omitempty"`
	ModelState          json.RawMessage    `json:"modelState,omitempty"`
	LearningConfig      json.RawMessage    `json:"learningConfig,omitempty"`
	OutcomeWeights      map[string]float64 `json:"outcomeWeights,omitempty"`
	InteractionFeatures json.RawMessage    `json:"interactionFeatures,omitempty"`
	EvolutionConfig     json.RawMessage    `json:"evolutionConfig,omitempty"`
	RegistryStatus      string             `json:"registryStatus"`
	Family              string             `json:"family"`
	LastTrainedAt       *time.Time         `json:"lastTrainedAt"` // nil: never
	CreatedAt           time.Time          `json:"createdAt"`
	UpdatedAt           time.Time          `json:"updatedAt"`
	// Versions are the model's versions, newest first; only a single model's
	// answer has them.
	Versions []Version `json:"versions,omitempty"`
}

// Version is one entry of a model's history.
type Version struct {
	Version         uint64    `json:"version"`
	ModelType       string    `json:"modelType"`
	Metrics         Metrics   `json:"metrics"`
	TrainingSamples int       `json:"trainingSamples"`
	Reason          string    `json:"reason"` // train, reset, evolve or restore
	CreatedAt       time.Time `json:"createdAt"`
}

// Metrics are a model's measures by name, such as auc and logLoss, beside what
// its owner stored there.
type Metrics map[string]any

// Number returns a measure; ok is false where it is not known.
func (m Metrics) Number(name string) (v float64, ok bool) {
	v, ok = m[name].(float64)
	return v, ok
}

// NewModel says which model to create. Objects may be anything that encodes to
// a JSON object; what is nil or empty is left to the server.
type NewModel struct {
	Key                 string             `json:"key"`
	Name                string             `json:"name"`
	ModelType           string             `json:"modelType"`
	Description         string             `json:"description,omitempty"`
	Status              string             `json:"status,omitempty"`
	Config              any                `json:"config,omitempty"`
	TargetField         string             `json:"targetField,omitempty"`
	TargetSchemaKey     string             `json:"targetSchemaKey,omitempty"`
	Predictors          []string           `json:"predictors,omitempty"`
	Metrics             any                `json:"metrics,omitempty"`
	ModelState          any                `json:"modelState,omitempty"`
	LearningConfig      any                `json:"learningConfig,omitempty"`
	OutcomeWeights      map[string]float64 `json:"outcomeWeights,omitempty"`
	InteractionFeatures any                `json:"interactionFeatures,omitempty"`
	EvolutionConfig     any                `json:"evolutionConfig,omitempty"`
	Family              string             `json:"family,omitempty"`
}

func modelPath(id, action string) string {
	path := modelsPath + "/" + url.PathEscape(id)
	if action != "" {
		path += "/" + action
	}
	return path
}

// CreateModel creates a model.
func (c *Client) CreateModel(ctx context.Context, m NewModel, opts ...Option) (Model, error) {
	var out Model
	err := c.do(ctx, call{method: http.MethodPost, path: modelsPath, body: m}, opts, &out)
	return out, err
}

// Models returns a page of the tenant's models, without their learned state.
func (c *Client) Models(ctx context.Context, lo ListOptions, opts ...Option) (Page[Model], error) {
	return list[Model](ctx, c, modelsPath, lo, opts)
}

// AllModels walks all models of the tenant.
func (c *Client) AllModels(ctx context.Context) iter.Seq2[Model, error] { return all(ctx, c.Models) }

// Model returns a model with its versions.
func (c *Client) Model(ctx context.Context, id string, opts ...Option) (Model, error) {
	return c.model(ctx, id, nil, opts)
}

// ModelWithState returns a model with its versions and its learned state.
func (c *Client) ModelWithState(ctx context.Context, id string, opts ...Option) (Model, error) {
	return c.model(ctx, id, url.Values{"include": {"modelState"}}, opts)
}

func (c *Client) model(ctx context.Context, id string, query url.Values, opts []Option) (Model, error) {
	var out Model
	err := c.do(ctx, call{method: http.MethodGet, path: modelPath(id, ""), query: query, safe: true}, opts, &out)
	return out, err
}

// UpdateModel changes the fields named in patch, by their JSON names, and leaves
// the others as they are.
func (c *Client) UpdateModel(ctx context.Context, id string, patch map[string]any, opts ...Option) (Model, error) {
	var out Model
	err := c.do(ctx, call{method: http.MethodPut, path: modelPath(id, ""), body: patch}, opts, &out)
	return out, err
}

// DeleteModel deletes a model for good.
func (c *Client) DeleteModel(ctx context.Context, id string, opts ...Option) error {
	return c.do(ctx, call{method: http.MethodDelete, path: modelPath(id, "")}, opts, nil)
}
