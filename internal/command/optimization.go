package command

import "github.com/praetor-engine/praetor/internal/optimization"

// CreateOptimization makes an optimization with its model.
type CreateOptimization struct {
	ID         string                  `json:"id"`
	ModelID    string                  `json:"modelId"`
	Definition optimization.Definition `json:"definition"`
}

// UpdateOptimization changes the given fields of an optimization.
type UpdateOptimization struct {
	ID    string             `json:"id"`
	Patch optimization.Patch `json:"patch"`
}

// CreateOptimizationModel makes a new model of an optimization.
type CreateOptimizationModel struct {
	ID      string `json:"id"` // of the optimization
	ModelID string `json:"modelId"`
}

// BeginOptimizationTraining begins a training on a node, as of its place in the log.
type BeginOptimizationTraining struct {
	ModelID string `json:"modelId"`
	Node    string `json:"node"`
}

// EndOptimizationTraining ends a training without a result; without a problem as if
// it had not been.
type EndOptimizationTraining struct {
	ModelID string `json:"modelId"`
	Run     uint64 `json:"run"` // the index of the entry that began it
	Problem string `json:"problem,omitempty"`
}

// InstallOptimizationTraining brings a training's result.
type InstallOptimizationTraining struct {
	ModelID string               `json:"modelId"`
	Run     uint64               `json:"run"` // the index of the entry that began it
	State   []byte               `json:"state"`
	Arms    optimization.Arms    `json:"arms"`
	Summary optimization.Summary `json:"summary"`
}
