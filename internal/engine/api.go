// Package engine holds the use cases: it turns a request into a replicated
// command or into a read of a published view. It is the only package that knows
// both the actors and the cluster.
package engine

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Principal is who asks.
type Principal struct {
	TenantID string // empty for the operator without a selected tenant
	KeyID    string
	KeyName  string
	Role     decision.Role
}

// Write is the context of a request that changes state.
type Write struct {
	Principal      Principal
	RequestID      string
	IdempotencyKey string // empty: none
	Fingerprint    uint64 // hash of method, path and body, for the idempotency key
}

// Receipt tells what became of a write.
type Receipt struct {
	Index    uint64 // log index that holds it; a read that waits for it sees it
	Replayed bool   // the answer is the first answer to the same idempotency key
}

// Page asks for a part of a list.
type Page struct {
	Limit  int    // 1–100
	Cursor string // opaque; empty for the first page
}

// List is a part of a list, newest first.
type List[T any] struct {
	Items   []T
	Total   int64 // −1 where counting would need a full scan
	HasMore bool
	Cursor  string // empty when there is no more
}

// NewKey is a key just made; Raw is shown this once.
type NewKey struct {
	catalogue.Key
	Raw string `json:"key"`
}

// ModelDetail is a model with its versions, newest first, and, when asked for,
// its learned state.
type ModelDetail struct {
	*catalogue.Model
	Versions   []catalogue.Version
	ModelState json.RawMessage // nil unless asked for
}

// OutcomeInput is one outcome as a client sent it.
type OutcomeInput struct {
	decision.Outcome
	// Fingerprint identifies the content for the idempotency key: a hash of the
	// fields as sent, so that a defaulted time does not change it.
	Fingerprint uint64
}

// OutcomeResult is what became of one outcome.
type OutcomeResult struct {
	Err            error // nil when recorded or a duplicate
	ID             decision.InteractionID
	Classification decision.Classification
	At             decision.Time
	Duplicate      bool
}

// Offer is one candidate of a score-offer-set.
type Offer struct {
	ID         string
	Name       string
	Attributes decision.Row
}

// OfferScore is one candidate's place in the ranking.
type OfferScore struct {
	Index         int // position in the request
	Score         float64
	Propensity    float64 // bandits: probability of being first
	HasPropensity bool
	Degraded      bool // the score is a fallback
	// Source says what an adapted score is made of, and Own is the model's own
	// score then; empty: the score is the model's own.
	Source     string
	Own        float64
	HasHistory bool
	History    decision.Summary // of this customer with this offer
}

// TrainResult is a training's outcome.
type TrainResult struct {
	Model       *catalogue.Model
	SampleCount int
	Metrics     learn.Metrics
}

// JobStatus is where a job is in its life.
type JobStatus string

// The job statuses.
const (
	JobQueued    JobStatus = "queued"
	JobRunning   JobStatus = "running"
	JobSucceeded JobStatus = "succeeded"
	JobFailed    JobStatus = "failed"
	JobCancelled JobStatus = "cancelled"
)

// What a job was started by.
const (
	TriggerRequest  = "request"
	TriggerSchedule = "schedule"
)

// Job is a training in the background.
type Job struct {
	ID         string         `json:"jobId"`
	ModelID    string         `json:"modelId"`
	Kind       string         `json:"kind"` // "train"
	Trigger    string         `json:"trigger"`
	Status     JobStatus      `json:"status"`
	Progress   float64        `json:"progress"` // share done in [0, 1]
	Error      *JobError      `json:"error"`
	Metrics    *learn.Metrics `json:"metrics"`
	Version    uint64         `json:"version,omitempty"` // of the trained model
	CreatedAt  decision.Time  `json:"createdAt"`
	FinishedAt decision.Time  `json:"finishedAt"`
}

// JobError is why a job failed.
type JobError struct {
	Code    string `json:"code"` // a kind's name
	Message string `json:"message"`
}

// HistoryFilter narrows a list of interactions; empty fields permit all.
type HistoryFilter struct {
	CustomerID, OfferID, Type string
}

// OfferSummary is a customer's history with one offer.
type OfferSummary struct {
	OfferID string
	decision.Summary
}

// ClusterStatus is the cluster as its members describe themselves.
type ClusterStatus struct {
	Leader       string       `json:"leader"`
	Term         uint64       `json:"term"`
	AppliedIndex uint64       `json:"appliedIndex"`
	Nodes        []NodeStatus `json:"nodes"`
}

// NodeStatus is one member.
type NodeStatus struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Role    string `json:"role"` // leader, voter or nonvoter
	// Null of a node that does not answer.
	AppliedIndex  *uint64 `json:"appliedIndex"`
	LastContactMs *int64  `json:"lastContactMs"` // since it heard the leader
	Healthy       bool    `json:"healthy"`
	Problem       string  `json:"problem,omitempty"` // why it is not healthy
	Version       string  `json:"version,omitempty"` // of its build
}
