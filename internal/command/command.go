// Package command holds the replicated commands and their wire form.
//
// A command's wire form is versioned by its kind: a kind's payload never
// changes its meaning, a changed one gets a new kind. Outcomes are binary since
// they are the bulk of the log; everything else is JSON, whose unknown fields
// an older build ignores.
package command

import (
	"encoding/json"
	"fmt"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// Kind says what a command does. The numbers are in the log: append only.
type Kind uint8

// The kinds.
const (
	KindRecord            Kind = 1
	KindSetSettings       Kind = 2
	KindCreateTenant      Kind = 3
	KindDeleteTenant      Kind = 4
	KindCreateKey         Kind = 5
	KindRevokeKey         Kind = 6
	KindCreateOutcomeType Kind = 7
	KindUpdateOutcomeType Kind = 8
	KindDeleteOutcomeType Kind = 9
	KindCreateModel       Kind = 10
	KindUpdateModel       Kind = 11
	KindDeleteModel       Kind = 12
	KindInstallTraining   Kind = 13
	KindResetLearning     Kind = 14
	KindRestoreVersion    Kind = 15
	KindDigest            Kind = 16
	KindImportModel       Kind = 17
	KindTransition        Kind = 18
	// 19 is not taken.
	KindCheck  Kind = 20
	KindReport Kind = 21
	KindAdapt  Kind = 22
	// KindUpgradeModel makes a model of the next type of another.
	KindUpgradeModel Kind = 23

	KindCreateExperiment  Kind = 24
	KindUpdateExperiment  Kind = 25
	KindDeleteExperiment  Kind = 26
	KindAssignCustomers   Kind = 27
	KindPromoteChallenger Kind = 28

	KindObserve      Kind = 30
	KindDrifted      Kind = 31
	KindChangeAlerts Kind = 32

	KindSetDecisionLog   Kind = 38
	KindCreateWebhook    Kind = 34
	KindUpdateWebhook    Kind = 35
	KindDeleteWebhook    Kind = 36
	KindReportDeliveries Kind = 37

	KindCreateOptimization          Kind = 40
	KindUpdateOptimization          Kind = 41
	KindCreateOptimizationModel     Kind = 42
	KindDeleteOptimizationModel     Kind = 43
	KindBeginOptimizationTraining   Kind = 44
	KindEndOptimizationTraining     Kind = 45
	KindInstallOptimizationTraining Kind = 46
	// KindRecordEvents has exposures and rewards in the form of package optimization:
	// of the header's tenant, or without one of any.
	KindRecordEvents Kind = 47

	KindCreateConnection      Kind = 56
	KindDeleteConnection      Kind = 57
	KindCreateWarehouseMetric Kind = 58
	KindDeleteWarehouseMetric Kind = 59
)

// Level is the newest level of commands that this build can apply. A build that
// brings a kind of command raises it, and the log refuses the new kind until
// every member has such a build.
const Level = 1

// LevelOf returns the least level of a build that can apply a command, 0 of what
// is none.
func LevelOf(command []byte) uint8 {
	if len(command) == 0 || command[0] == 0 {
		return 0
	}
	return 1 // every kind so far
}

// Header is what every command carries beside its payload.
type Header struct {
	Kind           Kind
	Tenant         string
	RequestID      string
	KeyID          string // the principal's key; "operator", or what of the engine itself asks
	IdempotencyKey string
	Fingerprint    uint64 // of the request, for the idempotency key
}

// AppendHeader appends the header; the payload follows it to the end.
func AppendHeader(b []byte, h *Header) []byte {
	b = append(b, byte(h.Kind))
	b = wire.AppendString(b, h.Tenant)
	b = wire.AppendString(b, h.RequestID)
	b = wire.AppendString(b, h.KeyID)
	b = wire.AppendString(b, h.IdempotencyKey)
	if h.IdempotencyKey != "" {
		b = wire.AppendUint64(b, h.Fingerprint)
	}
	return b
}

// ReadHeader reads a header; the payload is what r has left.
func ReadHeader(r *wire.Reader) Header {
	h := Header{Kind: Kind(r.Byte()), Tenant: r.String(), RequestID: r.String(), KeyID: r.String(), IdempotencyKey: r.String()}
	if h.IdempotencyKey != "" {
		h.Fingerprint = r.Uint64()
	}
	return h
}

// Encode returns a command with a JSON payload.
func Encode(h *Header, payload any) ([]byte, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("command: encode kind %d: %w", h.Kind, err)
	}
	return append(AppendHeader(make([]byte, 0, len(body)+128), h), body...), nil
}

// Decode reads a JSON payload.
func Decode[T any](payload string) (v T, err error) {
	if err = json.Unmarshal([]byte(payload), &v); err != nil {
		return v, fmt.Errorf("command: decode %T: %w", v, err)
	}
	return v, nil
}

// SetSettings carries what every node must agree on.
type SetSettings struct {
	Settings catalogue.Settings `json:"settings"`
}

// CreateTenant makes a tenant.
type CreateTenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// DeleteTenant removes a tenant with everything it has.
type DeleteTenant struct {
	ID string `json:"id"`
}

// CreateKey makes an API key; the hash stands for the secret.
type CreateKey struct {
	Key  catalogue.Key     `json:"key"`
	Hash catalogue.KeyHash `json:"hash"`
}

// RevokeKey removes an API key.
type RevokeKey struct {
	ID string `json:"id"`
}

// PutOutcomeType makes or changes an outcome type; on a change empty fields stay.
type PutOutcomeType struct {
	Type catalogue.OutcomeType `json:"type"`
}

// DeleteOutcomeType removes an outcome type.
type DeleteOutcomeType struct {
	Key string `json:"key"`
}

// CreateModel makes a model.
type CreateModel struct {
	ID     string                `json:"id"`
	Fields catalogue.ModelFields `json:"fields"`
}

// ImportModel makes a model with the life it had elsewhere.
type ImportModel struct {
	ID    string                  `json:"id"`
	Model catalogue.ImportedModel `json:"model"`
	// States are those of the versions, in their order, in the learner's binary
	// form; nil where a version has none.
	States [][]byte `json:"states"`
}

// Adapt resets, pauses or resumes what a model learned of a scope.
type Adapt struct {
	ID      string `json:"id"`
	Action  string `json:"action"`
	Scope   string `json:"scope"`
	ScopeID string `json:"scopeId,omitempty"`
	ResetTo string `json:"resetTo,omitempty"`
	Reason  string `json:"reason,omitempty"` // for the audit
}

// Check marks a place in the log at which the nodes compare their states.
type Check struct {
	Members int `json:"members"` // of the cluster, when the leader made the mark
}

// Report is a node's digest of its state at a mark.
type Report struct {
	Index  uint64 `json:"index"` // of the mark in the log
	Node   string `json:"node"`
	Digest string `json:"digest"`
}

// UpdateModel changes the given fields of a model.
type UpdateModel struct {
	ID     string                `json:"id"`
	Fields catalogue.ModelFields `json:"fields"`
	By     string                `json:"by,omitempty"` // who, for the history of families
}

// DeleteModel removes a model.
type DeleteModel struct {
	ID    string `json:"id"`
	Force bool   `json:"force"`
	By    string `json:"by,omitempty"` // who, for the history of families
}

// Transition asks the registry to change a model's standing. It counts against
// the tenant's limit whatever comes of it.
type Transition struct {
	ID         string               `json:"id"`
	Transition catalogue.Transition `json:"transition"`
	// Invalid marks a request that was found wrong before it came to the log,
	// and that is counted alone.
	Invalid bool `json:"invalid,omitempty"`
}

// InstallTraining brings a training's result.
type InstallTraining struct {
	ID string `json:"id"`
	// Revision is the model's revision the training started from; another one
	// means the model was changed meanwhile, and the result is discarded.
	Revision uint64 `json:"revision"`
	// Through is the log index up to which the training read the history.
	Through     uint64          `json:"through"`
	State       []byte          `json:"state,omitempty"` // nil: the state stays
	Metrics     json.RawMessage `json:"metrics"`
	SampleCount int             `json:"sampleCount"`
}

// UpgradeModel makes a model of another type of a model.
type UpgradeModel struct {
	ID    string             `json:"id"`
	NewID string             `json:"newId"` // of what is made
	To    decision.ModelType `json:"to"`
	// Auto marks an upgrade that nobody asked for: it is refused when the model
	// has evolved already, or is not ready any more.
	Auto bool `json:"auto,omitempty"`
	// ExperimentID is that of an experiment to be made of the two; empty: none.
	ExperimentID string `json:"experimentId,omitempty"`
}

// SetDecisionLog changes which decisions are logged of a model or a family.
type SetDecisionLog struct {
	Of      catalogue.DecisionLogOf `json:"of"`
	Setting *catalogue.DecisionLog  `json:"setting"` // nil: none
}

// ModelRef names a model.
type ModelRef struct {
	ID string `json:"id"`
}

// RestoreVersion brings an earlier version's state back.
type RestoreVersion struct {
	ID      string `json:"id"`
	Version uint64 `json:"version"`
}
