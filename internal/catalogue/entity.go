package catalogue

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The entities are immutable once they are in the catalogue: a change puts a
// changed copy in their place, so a reader may keep what it was given. Their
// JSON is the API's.

// Tenant is one customer of the engine; nothing of one tenant is visible to
// another.
type Tenant struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt decision.Time `json:"createdAt"`
	// Ordinal numbers the tenants for the history's keys; never used again.
	Ordinal uint32 `json:"-"`
}

// Key is an API key without its secret.
type Key struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Role      string        `json:"role"`
	Prefix    string        `json:"prefix"` // the first characters of the key, to tell keys apart
	CreatedAt decision.Time `json:"createdAt"`
	ExpiresAt decision.Time `json:"expiresAt"`
}

// OutcomeType says what an outcome key means.
type OutcomeType struct {
	Key            string `json:"key"`
	Name           string `json:"name"`
	Classification string `json:"classification"` // positive, negative or neutral
	Category       string `json:"category"`       // impression or response
	IsSystem       bool   `json:"isSystem"`
}

// Model is a model's metadata; its learned state lives in its actor.
type Model struct {
	ID                  string                  `json:"id"`
	Key                 string                  `json:"key"`
	Name                string                  `json:"name"`
	Description         string                  `json:"description"`
	ModelType           decision.ModelType      `json:"modelType"`
	Status              decision.Status         `json:"status"`
	Version             uint64                  `json:"version"`
	TrainingSamples     int                     `json:"trainingSamples"`
	Config              json.RawMessage         `json:"config"`
	TargetField         *string                 `json:"targetField"`
	TargetSchemaKey     *string                 `json:"targetSchemaKey"`
	Predictors          json.RawMessage         `json:"predictors"`
	Metrics             json.RawMessage         `json:"metrics"`
	MetricsHistory      []json.RawMessage       `json:"metricsHistory"`
	LearningConfig      json.RawMessage         `json:"learningConfig"`
	OutcomeWeights      json.RawMessage         `json:"outcomeWeights"`
	InteractionFeatures json.RawMessage         `json:"interactionFeatures"`
	EvolutionConfig     json.RawMessage         `json:"evolutionConfig"`
	RegistryStatus      decision.RegistryStatus `json:"registryStatus"`
	Family              string                  `json:"family"`
	LastTrainedAt       decision.Time           `json:"lastTrainedAt"`
	CreatedAt           decision.Time           `json:"createdAt"`
	UpdatedAt           decision.Time           `json:"updatedAt"`
}

// Version is one entry of a model's version history.
type Version struct {
	Version         uint64             `json:"version"`
	ModelType       decision.ModelType `json:"modelType"`
	Metrics         json.RawMessage    `json:"metrics"`
	TrainingSamples int                `json:"trainingSamples"`
	Reason          string             `json:"reason"` // train, reset, evolve or restore
	CreatedAt       decision.Time      `json:"createdAt"`
}

// The reasons of a version.
const (
	ReasonTrain   = "train"
	ReasonReset   = "reset"
	ReasonEvolve  = "evolve"
	ReasonRestore = "restore"
)

var reasons = []string{ReasonTrain, ReasonReset, ReasonEvolve, ReasonRestore}

// ModelFields are the fields of a model that a client sets. On an update a nil
// field stays as it is.
type ModelFields struct {
	Key                 *string             `json:"key,omitempty"`       // create only
	ModelType           *decision.ModelType `json:"modelType,omitempty"` // create only
	Name                *string             `json:"name,omitempty"`
	Description         *string             `json:"description,omitempty"`
	Status              *decision.Status    `json:"status,omitempty"`
	Config              json.RawMessage     `json:"config,omitempty"`
	TargetField         *string             `json:"targetField,omitempty"`
	TargetSchemaKey     *string             `json:"targetSchemaKey,omitempty"`
	Predictors          json.RawMessage     `json:"predictors,omitempty"`
	Metrics             json.RawMessage     `json:"metrics,omitempty"`
	MetricsHistory      []json.RawMessage   `json:"metricsHistory,omitempty"` // create only
	ModelState          json.RawMessage     `json:"modelState,omitempty"`
	LearningConfig      json.RawMessage     `json:"learningConfig,omitempty"`
	OutcomeWeights      json.RawMessage     `json:"outcomeWeights,omitempty"` // JSON null sets it back to null
	InteractionFeatures json.RawMessage     `json:"interactionFeatures,omitempty"`
	EvolutionConfig     json.RawMessage     `json:"evolutionConfig,omitempty"`
	Family              *string             `json:"family,omitempty"`
}

// RegistryEntry is a model's registry metadata.
type RegistryEntry struct {
	Status             decision.RegistryStatus `json:"status"`
	Family             string                  `json:"family"`
	PromotedAt         decision.Time           `json:"promotedAt"`
	PromotedBy         *string                 `json:"promotedBy"`
	PreviousStatus     decision.RegistryStatus `json:"previousStatus,omitempty"`
	MetricsAtPromotion json.RawMessage         `json:"metricsAtPromotion"`
}
