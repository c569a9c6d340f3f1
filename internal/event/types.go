package event

import (
	"slices"
	"strings"
)

// The types of events.
const (
	ModelCreated            = "model.created"
	ModelUpgraded           = "model.upgraded"
	ModelTrained            = "model.trained"
	ModelRestored           = "model.restored"
	ModelReset              = "model.reset"
	ModelDeleted            = "model.deleted"
	StatusChanged           = "registry.status_changed"
	ChampionChanged         = "registry.champion_changed"
	ExperimentCreated       = "experiment.created"
	ExperimentStatusChanged = "experiment.status_changed"
	ExperimentPromoted      = "experiment.promoted"
	PromotionRefused        = "experiment.promotion_refused"
	ExperimentDeleted       = "experiment.deleted"
	AlertOpened             = "alert.opened"
	AlertClosed             = "alert.closed"
	WebhookDisabled         = "webhook.disabled"
)

// What only an endpoint or a stream is told; it is in no log.
const (
	// Dropped: the log does not keep some events that were still to be told.
	Dropped = "events.dropped"
	// Test: somebody tries an endpoint.
	Test = "webhook.test"
)

// Types are the types of events in a log.
var Types = []string{
	ModelCreated, ModelUpgraded, ModelTrained, ModelRestored, ModelReset, ModelDeleted, StatusChanged, ChampionChanged,
	ExperimentCreated, ExperimentStatusChanged, ExperimentPromoted, PromotionRefused, ExperimentDeleted,
	AlertOpened, AlertClosed, WebhookDisabled,
}

// Filter chooses events by their types; an empty one chooses all. An entry is a
// type, or a group of them such as "registry.*".
type Filter []string

// group is how an entry for a group of types ends.
const group = ".*"

// Matches reports whether the filter chooses events of a type.
func (f Filter) Matches(eventType string) bool {
	return len(f) == 0 || slices.ContainsFunc(f, func(entry string) bool { return chooses(entry, eventType) })
}

func chooses(entry, eventType string) bool {
	if stem, ok := strings.CutSuffix(entry, group); ok {
		return strings.HasPrefix(eventType, stem+".")
	}
	return entry == eventType
}

// Known reports whether an entry of a filter can choose anything.
func Known(entry string) bool {
	return slices.ContainsFunc(Types, func(t string) bool { return chooses(entry, t) })
}
