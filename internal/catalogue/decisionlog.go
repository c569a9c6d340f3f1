package catalogue

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// DecisionLog says which decisions the nodes log, and how.
type DecisionLog struct {
	Enabled   bool          `json:"enabled"`
	SamplePct float64       `json:"samplePct"` // of the decisions, 0 to 100
	Format    string        `json:"format"`    // ndjson or parquet
	Features  bool          `json:"features"`  // with what the candidates were scored by
	UpdatedAt decision.Time `json:"updatedAt"`
}

// DecisionLogOf is what decisions are logged of: a model or, of the models without
// a setting of their own, a family. The other one is empty.
type DecisionLogOf struct {
	ModelID string `json:"modelId,omitempty"`
	Family  string `json:"family,omitempty"`
}

// String names what it is of.
func (o DecisionLogOf) String() string {
	if o.Family != "" {
		return "family:" + o.Family
	}
	return "model:" + o.ModelID
}

func (t *tenant) hasLogged(of DecisionLogOf) error {
	if of.Family == "" {
		_, err := t.model(of.ModelID)
		return err
	}
	if t.families[of.Family] == nil {
		return decision.Errorf(decision.KindNotFound, "family %q does not exist", of.Family)
	}
	return nil
}

// SetDecisionLog changes what is logged of a model or a family; nil takes the
// setting away.
func (c *Catalogue) SetDecisionLog(tenantID string, of DecisionLogOf, setting *DecisionLog, at decision.Time) error {
	t, err := c.tenant(tenantID)
	if err != nil {
		return err
	}
	if err := t.hasLogged(of); err != nil {
		return err
	}
	if setting == nil {
		delete(t.decisionLogs, of)
		return nil
	}
	if t.decisionLogs == nil {
		t.decisionLogs = map[DecisionLogOf]DecisionLog{}
	}
	set := *setting
	set.UpdatedAt = at
	t.decisionLogs[of] = set
	return nil
}

// DecisionLog returns the setting of a model or a family that exists; ok is false
// where it has none.
func (c *Catalogue) DecisionLog(tenantID string, of DecisionLogOf) (setting DecisionLog, ok bool, err error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return setting, false, err
	}
	if err := t.hasLogged(of); err != nil {
		return setting, false, err
	}
	setting, ok = t.decisionLogs[of]
	return setting, ok, nil
}

// EachDecisionLog calls f with every setting.
func (c *Catalogue) EachDecisionLog(f func(tenantID string, of DecisionLogOf, setting DecisionLog)) {
	for _, t := range c.tenants {
		for of, setting := range t.decisionLogs {
			f(t.ID, of, setting)
		}
	}
}

// decisionLogDocument is a setting in a snapshot.
type decisionLogDocument struct {
	DecisionLogOf
	Setting DecisionLog `json:"setting"`
}

func (t *tenant) decisionLogDocuments() (all []decisionLogDocument) {
	for _, of := range slices.SortedFunc(maps.Keys(t.decisionLogs), func(a, b DecisionLogOf) int {
		return cmp.Or(strings.Compare(a.ModelID, b.ModelID), strings.Compare(a.Family, b.Family))
	}) {
		all = append(all, decisionLogDocument{of, t.decisionLogs[of]})
	}
	return all
}

// restoreDecisionLogs reads the settings into a tenant with its models and
// families.
func (t *tenant) restoreDecisionLogs(all []decisionLogDocument) error {
	for _, d := range all {
		if err := t.hasLogged(d.DecisionLogOf); err != nil {
			return err
		}
		if t.decisionLogs == nil {
			t.decisionLogs = map[DecisionLogOf]DecisionLog{}
		}
		t.decisionLogs[d.DecisionLogOf] = d.Setting
	}
	return nil
}
