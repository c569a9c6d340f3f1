package catalogue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// MaxFamilyHistory bounds a family's history; beyond it the oldest events go.
const MaxFamilyHistory = 100

// family is a family with at least one member: the last one takes it, and its
// history, along.
type family struct {
	name     string
	champion string // its id; empty: there is none
	members  map[string]struct{}
	history  []FamilyEvent // oldest first; replaced, never changed
	sequence uint64        // of its founding
}

// FamilyEvent is a change of a member's standing.
type FamilyEvent struct {
	At             decision.Time           `json:"at"`
	Change         string                  `json:"change"` // one of the changes below
	ModelID        string                  `json:"modelId"`
	ModelKey       string                  `json:"modelKey"`
	PreviousStatus decision.RegistryStatus `json:"previousStatus"`
	NewStatus      decision.RegistryStatus `json:"newStatus"`
	Actor          string                  `json:"actor"`
}

// The changes of standing that a family's history holds.
const (
	ChangeTransition = "transition" // asked for at the registry
	ChangeDisplaced  = "displaced"  // a champion whose place another took
	ChangeJoined     = "joined"     // a champion that came from another family
	ChangeLeft       = "left"       // a champion that went to another family
	ChangeDeleted    = "deleted"    // a champion that was deleted
)

// Family is a family as the API lists it.
type Family struct {
	Name     string    `json:"family"`
	Champion *Champion `json:"champion"`
	Members  []Member  `json:"members"` // newest first, the champion among them
}

// FamilyDetail is a family with its history.
type FamilyDetail struct {
	Family
	History []FamilyEvent `json:"history"` // newest first
}

// Champion is the model that decides for a family.
type Champion struct {
	ModelID            string             `json:"modelId"`
	Key                string             `json:"key"`
	Name               string             `json:"name"`
	ModelType          decision.ModelType `json:"modelType"`
	Status             decision.Status    `json:"status"`
	Version            uint64             `json:"version"`
	PromotedAt         decision.Time      `json:"promotedAt"`
	PromotedBy         *string            `json:"promotedBy"`
	MetricsAtPromotion json.RawMessage    `json:"metricsAtPromotion"`
}

// Member is a model of a family.
type Member struct {
	ModelID        string                  `json:"modelId"`
	Key            string                  `json:"key"`
	Name           string                  `json:"name"`
	ModelType      decision.ModelType      `json:"modelType"`
	RegistryStatus decision.RegistryStatus `json:"registryStatus"`
}

// Families lists a tenant's families, the newest first.
func (c *Catalogue) Families(tenantID string, after uint64, limit int) (items []Family, sequences []uint64, total int, err error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, 0, err
	}
	found, sequences, total := page(t.families, after, limit, func(f *family) (*family, uint64) { return f, f.sequence })
	for _, f := range found {
		items = append(items, t.view(f))
	}
	return items, sequences, total, nil
}

// Family returns a family with its history.
func (c *Catalogue) Family(tenantID, name string) (FamilyDetail, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return FamilyDetail{}, err
	}
	f := t.families[name]
	if f == nil {
		return FamilyDetail{}, decision.Errorf(decision.KindNotFound, "family %q does not exist", name)
	}
	d := FamilyDetail{Family: t.view(f), History: append([]FamilyEvent{}, f.history...)}
	slices.Reverse(d.History)
	return d, nil
}

func (t *tenant) view(f *family) Family {
	v := Family{Name: f.name, Members: make([]Member, 0, len(f.members))}
	for _, m := range t.membersOf(f) {
		v.Members = append(v.Members, Member{m.ID, m.Key, m.Name, m.ModelType, m.RegistryStatus})
		if m.ID == f.champion {
			v.Champion = &Champion{
				ModelID: m.ID, Key: m.Key, Name: m.Name, ModelType: m.ModelType, Status: m.Status, Version: m.Version,
				PromotedAt: m.Promotion.At, PromotedBy: m.Promotion.By, MetricsAtPromotion: m.Promotion.Metrics,
			}
		}
	}
	return v
}

// membersOf returns a family's models, the newest first.
func (t *tenant) membersOf(f *family) []*ModelRecord {
	all := make([]*ModelRecord, 0, len(f.members))
	for id := range f.members {
		all = append(all, t.models[id])
	}
	slices.SortFunc(all, func(a, b *ModelRecord) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return all
}

// EachChampion calls f with the champion of every family that has one.
func (c *Catalogue) EachChampion(f func(tenantID, family, modelID string)) {
	for _, t := range c.tenants {
		for _, fam := range t.families {
			if fam.champion != "" {
				f(t.ID, fam.name, fam.champion)
			}
		}
	}
}

// ChampionOf returns the id of a family's champion, empty when there is none.
func (c *Catalogue) ChampionOf(tenantID, family string) string {
	if t := c.tenants[tenantID]; t != nil {
		return t.champion(family)
	}
	return ""
}

// champion returns the id of a family's champion, empty when there is none.
func (t *tenant) champion(name string) string {
	if f := t.families[name]; f != nil {
		return f.champion
	}
	return ""
}

// join makes a model a member of its family, which it founds when there is none.
// The caller has seen to it that there is room for a champion.
func (c *Catalogue) join(t *tenant, m *ModelRecord) *family {
	f := t.families[m.Family]
	if f == nil {
		f = &family{name: m.Family, members: map[string]struct{}{}, sequence: c.next()}
		t.families[m.Family] = f
	}
	f.members[m.ID] = struct{}{}
	if m.RegistryStatus == decision.RegistryChampion {
		f.champion = m.ID
	}
	return f
}

// leave ends a model's membership; a family without members is no more.
func (t *tenant) leave(m *ModelRecord, change, by string, at decision.Time) {
	f := t.families[m.Family]
	delete(f.members, m.ID)
	if f.champion == m.ID {
		f.champion = ""
		f.note(m, change, m.RegistryStatus, by, at)
	}
	if len(f.members) == 0 {
		delete(t.families, f.name)
		delete(t.decisionLogs, DecisionLogOf{Family: f.name})
	}
}

// move takes a model from the family of old to its own. A champion stays one,
// and is refused where there is one already; nothing is changed then.
func (c *Catalogue) move(t *tenant, old, m *ModelRecord, by string, at decision.Time) error {
	champion := old.RegistryStatus == decision.RegistryChampion
	if other := t.champion(m.Family); champion && other != "" {
		return decision.Errorf(decision.KindConflict, "family %q has a champion already: model %q", m.Family, other)
	}
	t.leave(old, ChangeLeft, by, at)
	if f := c.join(t, m); champion {
		f.note(m, ChangeJoined, m.RegistryStatus, by, at)
	}
	return nil
}

// note adds an event to the history: m is the model as it is now.
func (f *family) note(m *ModelRecord, change string, previous decision.RegistryStatus, by string, at decision.Time) {
	e := FamilyEvent{
		At: at, Change: change, ModelID: m.ID, ModelKey: m.Key,
		PreviousStatus: previous, NewStatus: m.RegistryStatus, Actor: by,
	}
	f.history = last(append(slices.Clip(f.history), e), MaxFamilyHistory)
}

// familyDocument is what a snapshot holds of a family beside its members, which
// name it.
type familyDocument struct {
	Name     string        `json:"name"`
	Sequence uint64        `json:"sequence"`
	History  []FamilyEvent `json:"history,omitempty"`
}

func (t *tenant) familyDocuments() []familyDocument {
	var all []familyDocument
	for _, f := range slices.SortedFunc(maps.Values(t.families), func(a, b *family) int { return strings.Compare(a.name, b.name) }) {
		all = append(all, familyDocument{f.name, f.sequence, f.history})
	}
	return all
}

// restoreFamilies makes the families of the models that are there, or tells what
// cannot have come from a catalogue: above all, two champions of one family.
func (t *tenant) restoreFamilies(documents []familyDocument) error {
	for _, d := range documents {
		if t.families[d.Name] != nil {
			return fmt.Errorf("family %q is there twice", d.Name)
		}
		if len(d.History) > MaxFamilyHistory {
			return fmt.Errorf("family %q has %d events, want at most %d", d.Name, len(d.History), MaxFamilyHistory)
		}
		t.families[d.Name] = &family{name: d.Name, members: map[string]struct{}{}, history: d.History, sequence: d.Sequence}
	}
	for _, m := range t.sortedModels() {
		f := t.families[m.Family]
		switch {
		case f != nil:
		case len(documents) > 0:
			return fmt.Errorf("model %q is of family %q, which is not there", m.ID, m.Family)
		default: // written before families were
			f = &family{name: m.Family, members: map[string]struct{}{}, sequence: m.Sequence}
			t.families[m.Family] = f
		}
		f.members[m.ID] = struct{}{}
		if m.RegistryStatus != decision.RegistryChampion {
			continue
		}
		if f.champion != "" {
			return fmt.Errorf("family %q has two champions, models %q and %q", f.name, f.champion, m.ID)
		}
		f.champion = m.ID
	}
	for _, f := range t.families {
		if len(f.members) == 0 {
			return fmt.Errorf("family %q has no member", f.name)
		}
	}
	return nil
}
