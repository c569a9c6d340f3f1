package command

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/experiment"
)

// CreateExperiment makes an experiment.
type CreateExperiment struct {
	ID         string                `json:"id"`
	Definition experiment.Definition `json:"definition"`
}

// UpdateExperiment changes the given fields of an experiment.
type UpdateExperiment struct {
	ID     string          `json:"id"`
	Fields json.RawMessage `json:"fields"`
}

// ExperimentRef names an experiment.
type ExperimentRef struct {
	ID string `json:"id"`
}

// AssignCustomers tells whom a node assigned in an experiment.
type AssignCustomers struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"` // of the split that assigned them
	// Customers are their hashes as package experiment writes them.
	Customers []byte `json:"customers"`
}

// PromoteChallenger asks the registry to promote the challenger of an experiment
// that the leader found to have won.
type PromoteChallenger struct {
	ID         string               `json:"id"`
	Revision   uint64               `json:"revision"` // of the split that it won under
	ModelID    string               `json:"modelId"`
	Transition catalogue.Transition `json:"transition"`
}
