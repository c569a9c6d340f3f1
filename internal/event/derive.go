package event

import (
	"cmp"
	"encoding/json"
	"slices"
)

// The entities that events are about, as the audit log names them.
const (
	EntityModel      = "algorithmModel"
	EntityExperiment = "experiment"
	EntityAlert      = "alert"
)

// The actions of the audit log that say more than what they changed.
const (
	actionImport  = "import"
	actionUpgrade = "upgrade"
	actionTrain   = "train"
	actionRestore = "restore"
	actionReset   = "reset-learning"
)

// Members are the members of an entity's JSON; nil where it does not exist.
type Members = map[string]json.RawMessage

// Change is what a command changed of one entity: all its members before and
// after.
type Change struct {
	Action        string // as in the audit log
	EntityType    string
	EntityID      string
	Before, After Members
	Told          Members // what the audit log has beside the members
}

// Cause is what is common to the changes of a command.
type Cause struct {
	Actor        string
	ExperimentID string // of the experiment that promotes its winner; empty: none
}

// Model is what every event about a model has.
type Model struct {
	ModelID   string `json:"modelId"`
	ModelKey  string `json:"modelKey"`
	ModelName string `json:"modelName"`
	ModelType string `json:"modelType"`
	Family    string `json:"family"`
	Version   uint64 `json:"version"`
	Actor     string `json:"actor"`
}

// Created are the data of ModelCreated.
type Created struct {
	Model
	Origin string `json:"origin"` // create or import
}

// Upgraded are the data of ModelUpgraded.
type Upgraded struct {
	Model
	FromModelID string `json:"fromModelId"`
	Auto        bool   `json:"autoEvolve"`
}

// Trained are the data of ModelTrained.
type Trained struct {
	Model
	Samples int             `json:"trainingSamples"`
	Metrics json.RawMessage `json:"metrics"`
}

// Restored are the data of ModelRestored.
type Restored struct {
	Model
	RestoredVersion uint64 `json:"restoredVersion"`
}

// Standing are the data of StatusChanged.
type Standing struct {
	Model
	PreviousStatus string `json:"previousStatus"`
	Status         string `json:"status"`
	ExperimentID   string `json:"experimentId,omitempty"`
}

// Champion are the data of ChampionChanged; a family may have none.
type Champion struct {
	Family           string  `json:"family"`
	ModelID          *string `json:"modelId"`
	ModelKey         *string `json:"modelKey"`
	PreviousModelID  *string `json:"previousModelId"`
	PreviousModelKey *string `json:"previousModelKey"`
	Actor            string  `json:"actor"`
	ExperimentID     string  `json:"experimentId,omitempty"`
}

// Experiment is what every event about an experiment has, and the data of
// ExperimentCreated and ExperimentDeleted.
type Experiment struct {
	ExperimentID   string `json:"experimentId"`
	ExperimentKey  string `json:"experimentKey"`
	ExperimentName string `json:"experimentName"`
	Family         string `json:"family"`
	Status         string `json:"status"`
	Actor          string `json:"actor"`
}

// ExperimentStanding are the data of ExperimentStatusChanged.
type ExperimentStanding struct {
	Experiment
	PreviousStatus string `json:"previousStatus"`
	EndReason      string `json:"endReason,omitempty"`
}

// Promotion are the data of ExperimentPromoted and PromotionRefused.
type Promotion struct {
	Experiment
	ModelID string `json:"modelId"`
	Reason  string `json:"reason,omitempty"` // why it was refused
}

// Alert are the data of AlertOpened and AlertClosed.
type Alert struct {
	AlertID            string          `json:"alertId"`
	ModelID            string          `json:"modelId"`
	ModelKey           string          `json:"modelKey"`
	ModelName          string          `json:"modelName"`
	Family             string          `json:"family"`
	Rule               string          `json:"rule"`
	Severity           string          `json:"severity"`
	Message            string          `json:"message"`
	GoodWhen           string          `json:"goodWhen"`
	NeedsAttentionWhen string          `json:"needsAttentionWhen"`
	Field              string          `json:"field,omitempty"` // the predictor it is about
	Value              json.RawMessage `json:"value"`
	Threshold          json.RawMessage `json:"threshold"`
	OpenedAt           json.RawMessage `json:"openedAt"`
	ClosedAt           json.RawMessage `json:"closedAt"`
	ClosedBecause      string          `json:"closedBecause,omitempty"`
}

const champion = "champion"

// Derive makes the events of what a command changed, in the order of the changes;
// then come the families that have another champion, or none any more. Changes that
// concern nobody outside make none.
func Derive(cause Cause, changes []Change) []Draft {
	var drafts []Draft
	crowns := map[string]*Champion{}
	for i := range changes {
		c := &changes[i]
		switch c.EntityType {
		case EntityModel:
			drafts = append(drafts, ofModel(cause, c)...)
			c.crown(cause, crowns)
		case EntityExperiment:
			drafts = append(drafts, ofExperiment(cause, c)...)
		case EntityAlert:
			drafts = append(drafts, ofAlert(c, changes))
		}
	}
	var changed []*Champion
	for _, crown := range crowns {
		if crown.ModelID == nil || crown.PreviousModelID == nil || *crown.ModelID != *crown.PreviousModelID {
			changed = append(changed, crown)
		}
	}
	slices.SortFunc(changed, func(a, b *Champion) int { return cmp.Compare(a.Family, b.Family) })
	for _, crown := range changed {
		drafts = append(drafts, Draft{ChampionChanged, *crown})
	}
	return drafts
}

// member reads one member; what is not there is zero.
func member[T any](m Members, name string) (v T) {
	_ = json.Unmarshal(m[name], &v) // the members come from our own encoder
	return v
}

func (c *Change) model(cause Cause) Model {
	m := c.After
	if m == nil {
		m = c.Before
	}
	return Model{
		ModelID: c.EntityID, ModelKey: member[string](m, "key"), ModelName: member[string](m, "name"), ModelType: member[string](m, "modelType"),
		Family: member[string](m, "family"), Version: member[uint64](m, "version"), Actor: cause.Actor,
	}
}

func ofModel(cause Cause, c *Change) (drafts []Draft) {
	about := c.model(cause)
	switch {
	case c.Before == nil && c.After == nil:
		return nil
	case c.Before == nil && c.Action == actionUpgrade:
		return []Draft{{ModelUpgraded, Upgraded{about, member[string](c.Told, "upgradedFrom"), member[bool](c.Told, "autoEvolve")}}}
	case c.Before == nil:
		origin := "create"
		if c.Action == actionImport {
			origin = actionImport
		}
		return []Draft{{ModelCreated, Created{about, origin}}}
	case c.After == nil:
		return []Draft{{ModelDeleted, about}}
	}
	switch c.Action {
	case actionTrain:
		drafts = append(drafts, Draft{ModelTrained, Trained{about, member[int](c.After, "trainingSamples"), orNull(c.After["metrics"])}})
	case actionRestore:
		drafts = append(drafts, Draft{ModelRestored, Restored{about, member[uint64](c.Told, "restoredVersion")}})
	case actionReset:
		drafts = append(drafts, Draft{ModelReset, about})
	}
	if was, is := c.status(); was != is {
		drafts = append(drafts, Draft{StatusChanged, Standing{about, was, is, cause.ExperimentID}})
	}
	return drafts
}

// status returns a model's standing before and after.
func (c *Change) status() (was, is string) {
	return member[string](c.Before, "registryStatus"), member[string](c.After, "registryStatus")
}

// crown notes which families the change takes the champion from, and gives it to.
func (c *Change) crown(cause Cause, crowns map[string]*Champion) {
	of := func(m Members) *Champion {
		family := member[string](m, "family")
		if crowns[family] == nil {
			crowns[family] = &Champion{Family: family, Actor: cause.Actor, ExperimentID: cause.ExperimentID}
		}
		return crowns[family]
	}
	was, is := c.status()
	if was == champion {
		f, key := of(c.Before), member[string](c.Before, "key")
		f.PreviousModelID, f.PreviousModelKey = &c.EntityID, &key
	}
	if is == champion {
		f, key := of(c.After), member[string](c.After, "key")
		f.ModelID, f.ModelKey = &c.EntityID, &key
	}
}

func ofExperiment(cause Cause, c *Change) (drafts []Draft) {
	m := c.After
	if m == nil {
		m = c.Before
	}
	about := Experiment{
		ExperimentID: c.EntityID, ExperimentKey: member[string](m, "key"), ExperimentName: member[string](m, "name"),
		Family: member[string](m, "family"), Status: member[string](m, "status"), Actor: cause.Actor,
	}
	switch {
	case c.Before == nil && c.After == nil:
		return nil
	case c.Before == nil:
		return []Draft{{ExperimentCreated, about}}
	case c.After == nil:
		return []Draft{{ExperimentDeleted, about}}
	}
	type promotion struct {
		ModelID  string `json:"modelId"`
		Promoted bool   `json:"promoted"`
		Reason   string `json:"reason"`
	}
	if p := member[*promotion](c.After, "promotion"); p != nil && string(c.Before["promotion"]) != string(c.After["promotion"]) {
		drafts = append(drafts, Draft{ExperimentPromoted, Promotion{about, p.ModelID, p.Reason}})
		if !p.Promoted {
			drafts[len(drafts)-1].Type = PromotionRefused
		}
	}
	if was := member[string](c.Before, "status"); was != about.Status {
		drafts = append(drafts, Draft{ExperimentStatusChanged, ExperimentStanding{about, was, member[string](c.After, "endReason")}})
	}
	return drafts
}

// ofAlert names the model by what is told with the alert, else by the change that
// deleted it.
func ofAlert(c *Change, changes []Change) Draft {
	m, about := c.After, c.Told
	for i := range changes {
		if o := &changes[i]; about["key"] == nil && o.EntityType == EntityModel && o.EntityID == member[string](m, "modelId") {
			about = o.Before
		}
	}
	a := Alert{
		AlertID: c.EntityID, ModelID: member[string](m, "modelId"), ModelKey: member[string](about, "key"), ModelName: member[string](about, "name"),
		Family: member[string](about, "family"), Rule: member[string](m, "rule"), Severity: member[string](m, "severity"), Message: member[string](m, "message"),
		GoodWhen: member[string](m, "goodWhen"), NeedsAttentionWhen: member[string](m, "needsAttentionWhen"), Field: member[string](m, "field"),
		Value: orNull(m["value"]), Threshold: orNull(m["threshold"]), OpenedAt: orNull(m["openedAt"]), ClosedAt: orNull(m["closedAt"]),
		ClosedBecause: member[string](m, "closedBecause"),
	}
	if c.Before == nil {
		return Draft{AlertOpened, a}
	}
	return Draft{AlertClosed, a}
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
