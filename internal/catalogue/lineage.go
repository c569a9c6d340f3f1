package catalogue

import (
	"github.com/praetor-engine/praetor/internal/decision"
)

// Lineage says what a model was upgraded from and to.
type Lineage struct {
	From string `json:"from,omitempty"` // id of the model that this one was made of
	To   string `json:"to,omitempty"`   // id of the newest model that was made of this one
	// Auto marks a model that evolution made by itself: it is trained and
	// registered as a challenger without being asked for.
	Auto bool `json:"auto,omitempty"`
}

// HasKey reports whether a tenant has a model with the key.
func (c *Catalogue) HasKey(tenantID, key string) bool {
	t := c.tenants[tenantID]
	return t != nil && t.modelKeys[key] != ""
}

// UpgradeModel makes a model of another: the fields are the new one's. Both know
// of each other; the version that the new one begins with says why it is there.
func (c *Catalogue) UpgradeModel(tenantID, id, newID string, f *ModelFields, auto bool, at decision.Time) (source, made *ModelRecord, err error) {
	t, old, err := c.find(tenantID, id)
	if err != nil {
		return nil, nil, err
	}
	if made, err = c.CreateModel(tenantID, newID, f, at); err != nil {
		return nil, nil, err
	}
	made.Lineage = Lineage{From: id, Auto: auto}
	made.Versions = []Version{made.entry(ReasonEvolve, at)}
	next := *old
	next.Lineage.To = newID
	t.models[id] = &next
	return &next, made, nil
}
