package decision

import "slices"

// ModelType names how a model decides.
type ModelType string

// The nine model types of /api/v1.
const (
	Scorecard          ModelType = "scorecard"
	Bayesian           ModelType = "bayesian"
	LogisticRegression ModelType = "logistic_regression"
	GradientBoosted    ModelType = "gradient_boosted"
	ThompsonBandit     ModelType = "thompson_bandit"
	EpsilonGreedy      ModelType = "epsilon_greedy"
	NeuralCF           ModelType = "neural_cf"
	OnlineLearner      ModelType = "online_learner"
	ExternalEndpoint   ModelType = "external_endpoint"
)

// ModelTypes lists the model types in the order of the API's documentation.
var ModelTypes = []ModelType{
	Scorecard, Bayesian, LogisticRegression, GradientBoosted, ThompsonBandit,
	EpsilonGreedy, NeuralCF, OnlineLearner, ExternalEndpoint,
}

// Valid reports whether t is one of the nine types.
func (t ModelType) Valid() bool { return slices.Contains(ModelTypes, t) }

// Bandit reports whether the type keeps an arm per offer.
func (t ModelType) Bandit() bool { return t == ThompsonBandit || t == EpsilonGreedy }

// Status is where a model is in its life.
type Status string

// The statuses. Draft and active models score; paused and archived ones do not.
const (
	StatusDraft    Status = "draft"
	StatusActive   Status = "active"
	StatusPaused   Status = "paused"
	StatusArchived Status = "archived"
)

// Valid reports whether s is one of the four statuses.
func (s Status) Valid() bool {
	return s == StatusDraft || s == StatusActive || s == StatusPaused || s == StatusArchived
}

// Scores reports whether a model of this status answers scores.
func (s Status) Scores() bool { return s == StatusDraft || s == StatusActive }

// RegistryStatus is a model's standing in its family.
type RegistryStatus string

// The registry's statuses.
const (
	RegistryDraft      RegistryStatus = "draft"
	RegistryChallenger RegistryStatus = "challenger"
	RegistryChampion   RegistryStatus = "champion"
	RegistryArchived   RegistryStatus = "archived"
)

// Valid reports whether s is one of the four statuses.
func (s RegistryStatus) Valid() bool {
	switch s {
	case RegistryDraft, RegistryChallenger, RegistryChampion, RegistryArchived:
		return true
	}
	return false
}

// Role is what a key may do. Higher roles may do all that lower ones may.
type Role uint8

// The roles, lowest first. RoleNone is the zero value and may do nothing.
const (
	RoleNone Role = iota
	RoleViewer
	RoleEditor
	RoleAdmin
	// RoleOperator runs the engine: tenants and the cluster. It is never a
	// tenant's key.
	RoleOperator
)

var roleNames = [...]string{RoleNone: "none", RoleViewer: "viewer", RoleEditor: "editor", RoleAdmin: "admin", RoleOperator: "operator"}

// String returns the role's name in the API.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "none"
}

// ParseRole reads a tenant key's role; the operator's role cannot be asked for.
func ParseRole(s string) (Role, bool) {
	switch s {
	case "viewer":
		return RoleViewer, true
	case "editor":
		return RoleEditor, true
	case "admin":
		return RoleAdmin, true
	}
	return RoleNone, false
}

// Classification says what an outcome means for learning.
type Classification uint8

// The classifications; the numbers are on disk.
const (
	Neutral  Classification = 0
	Positive Classification = 1
	Negative Classification = 2
)

// String returns the classification's name in the API.
func (c Classification) String() string {
	switch c {
	case Positive:
		return "positive"
	case Negative:
		return "negative"
	}
	return "neutral"
}

// ParseClassification reads a classification's name.
func ParseClassification(s string) (Classification, bool) {
	switch s {
	case "positive":
		return Positive, true
	case "negative":
		return Negative, true
	case "neutral":
		return Neutral, true
	}
	return Neutral, false
}

// Direction says who started the contact.
type Direction uint8

// The directions; the numbers are on disk.
const (
	DirectionUnset Direction = 0
	Inbound        Direction = 1
	Outbound       Direction = 2
)

// String returns the direction's name in the API, empty when unset.
func (d Direction) String() string {
	switch d {
	case Inbound:
		return "inbound"
	case Outbound:
		return "outbound"
	}
	return ""
}

// ParseDirection reads a direction's name; empty is unset.
func ParseDirection(s string) (Direction, bool) {
	switch s {
	case "":
		return DirectionUnset, true
	case "inbound":
		return Inbound, true
	case "outbound":
		return Outbound, true
	}
	return DirectionUnset, false
}
