package catalogue

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// Capture is the catalogue as of one log index. Its entities are shared with
// the live catalogue, which replaces but never changes them.
type Capture struct {
	doc         document
	experiments []capturedExperiment
	answers     []*Answer
	evicted     uint64
}

// document is the catalogue's form in a snapshot: everything in a fixed order,
// so that equal catalogues give equal bytes.
type document struct {
	Settings    Settings         `json:"settings"`
	LastOrdinal uint32           `json:"lastOrdinal"`
	Sequence    uint64           `json:"sequence"`
	Tenants     []tenantDocument `json:"tenants"`
	Audit       *auditDocument   `json:"audit,omitempty"`
}

type tenantDocument struct {
	ID               string           `json:"id"`
	Name             string           `json:"name"`
	CreatedAt        decision.Time    `json:"createdAt"`
	Ordinal          uint32           `json:"ordinal"`
	Sequence         uint64           `json:"sequence"`
	Keys             []keyDocument    `json:"keys"`
	OutcomeTypes     []typeDocument   `json:"outcomeTypes"`
	Models           []modelDocument  `json:"models"`
	Families         []familyDocument `json:"families,omitempty"`
	RegistryRequests []decision.Time  `json:"registryRequests,omitempty"`
	Audit            *auditDocument   `json:"audit,omitempty"`

	DecisionLogs []decisionLogDocument `json:"decisionLogs,omitempty"`
	Warehouse    *sourceDocument       `json:"warehouse,omitempty"`
}

type keyDocument struct {
	Key      Key     `json:"key"`
	Hash     KeyHash `json:"hash"`
	Sequence uint64  `json:"sequence"`
}

type typeDocument struct {
	Type     OutcomeType `json:"type"`
	Sequence uint64      `json:"sequence"`
}

type modelDocument struct {
	Model     Model             `json:"model"`
	Revision  uint64            `json:"revision"`
	Sequence  uint64            `json:"sequence"`
	Versions  []Version         `json:"versions"`
	Promotion RegistryPromotion `json:"promotion"`
	Lineage   Lineage           `json:"lineage,omitzero"`
}

// sortedTenants returns the tenants by ordinal.
func (c *Catalogue) sortedTenants() []*tenant {
	return slices.SortedFunc(maps.Values(c.tenants), func(a, b *tenant) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
}

// AllTenants returns the tenants by ordinal.
func (c *Catalogue) AllTenants() []Tenant {
	all := make([]Tenant, 0, len(c.tenants))
	for _, t := range c.sortedTenants() {
		all = append(all, t.Tenant)
	}
	return all
}

// Capture returns the present state. It copies references only.
func (c *Catalogue) Capture() *Capture {
	doc := document{Settings: c.settings, LastOrdinal: c.lastOrdinal, Sequence: c.sequence, Tenants: []tenantDocument{}, Audit: c.audit.document()}
	for _, t := range c.sortedTenants() {
		doc.Tenants = append(doc.Tenants, t.document())
	}
	return &Capture{doc: doc, experiments: c.captureExperiments(), answers: c.answers.kept(), evicted: c.answers.Evicted()}
}

func (t *tenant) document() tenantDocument {
	d := tenantDocument{ID: t.ID, Name: t.Name, CreatedAt: t.CreatedAt, Ordinal: t.Ordinal, Sequence: t.sequence}
	for _, k := range slices.SortedFunc(maps.Values(t.keys), func(a, b *keyRecord) int { return strings.Compare(a.ID, b.ID) }) {
		d.Keys = append(d.Keys, keyDocument{k.Key, k.hash, k.sequence})
	}
	for _, o := range slices.SortedFunc(maps.Values(t.outcomeTypes), func(a, b *typeRecord) int { return strings.Compare(a.Key, b.Key) }) {
		d.OutcomeTypes = append(d.OutcomeTypes, typeDocument{o.OutcomeType, o.sequence})
	}
	for _, m := range t.sortedModels() {
		d.Models = append(d.Models, modelDocument{m.Model, m.Revision, m.Sequence, m.Versions, m.Promotion, m.Lineage})
	}
	d.Families, d.RegistryRequests, d.Audit = t.familyDocuments(), slices.Clone(t.requests), t.audit.document()
	d.DecisionLogs = t.decisionLogDocuments()
	d.Warehouse = t.warehouse()
	return d
}

// Registry returns the encoded registry: JSON.
func (c *Capture) Registry() ([]byte, error) { return json.Marshal(&c.doc) }

// AppendAnswers appends the encoded answers: a count and the answers, oldest
// first.
func (c *Capture) AppendAnswers(b []byte) []byte {
	b = wire.AppendUvarint(b, c.evicted)
	b = wire.AppendUvarint(b, uint64(len(c.answers)))
	for _, a := range c.answers {
		b = append(b, a.Key[:]...)
		b = wire.AppendUvarint(b, uint64(a.Tenant))
		b = wire.AppendUint64(b, a.Fingerprint)
		b = wire.AppendVarint(b, int64(a.At))
		b = wire.AppendUvarint(b, a.ID.Index)
		b = wire.AppendUvarint(b, uint64(a.ID.Seq))
		b = append(b, byte(a.Class))
		b = wire.AppendVarint(b, int64(a.RecordedFor))
		b = wire.AppendBytes(b, a.Body)
	}
	return b
}

// minAnswerSize is the encoded size of the smallest answer.
const minAnswerSize = 16 + 1 + 8 + 1 + 1 + 1 + 1 + 1 + 1

// Restore reads a catalogue from what Registry and AppendAnswers wrote.
func Restore(registry []byte, answers string) (*Catalogue, error) {
	var doc document
	if err := json.Unmarshal(registry, &doc); err != nil {
		return nil, fmt.Errorf("catalogue: read the registry: %w", err)
	}
	c := New()
	c.lastOrdinal, c.sequence = doc.LastOrdinal, doc.Sequence
	c.SetSettings(doc.Settings)
	var err error
	if c.audit, err = doc.Audit.log(""); err != nil {
		return nil, fmt.Errorf("catalogue: read the registry: %w", err)
	}
	for i := range doc.Tenants {
		t, err := doc.Tenants[i].tenant()
		if err == nil && c.tenants[t.ID] != nil {
			err = fmt.Errorf("it is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("catalogue: read the registry: tenant %q: %w", doc.Tenants[i].ID, err)
		}
		c.tenants[t.ID] = t
	}
	if err := c.answers.restore(answers); err != nil {
		return nil, fmt.Errorf("catalogue: read the answers: %w", err)
	}
	return c, nil
}

// tenant makes the tenant, or tells what in it cannot have come from Registry.
func (d *tenantDocument) tenant() (*tenant, error) {
	t := &tenant{
		Tenant:       Tenant{ID: d.ID, Name: d.Name, CreatedAt: d.CreatedAt, Ordinal: d.Ordinal},
		keys:         map[string]*keyRecord{},
		outcomeTypes: map[string]*typeRecord{},
		models:       map[string]*ModelRecord{},
		modelKeys:    map[string]string{},
		families:     map[string]*family{},
		sequence:     d.Sequence,
	}
	for _, k := range d.Keys {
		t.keys[k.Key.ID] = &keyRecord{k.Key, k.Hash, k.Sequence}
	}
	for _, o := range d.OutcomeTypes {
		t.putOutcomeType(o.Type, o.Sequence)
	}
	for _, m := range d.Models {
		if other, ok := t.modelKeys[m.Model.Key]; ok {
			return nil, fmt.Errorf("models %q and %q have one key", other, m.Model.ID)
		}
		t.models[m.Model.ID] = &ModelRecord{m.Model, t.ID, m.Revision, m.Sequence, m.Versions, m.Promotion, m.Lineage}
		t.modelKeys[m.Model.Key] = m.Model.ID
	}
	if len(t.models) != len(d.Models) {
		return nil, fmt.Errorf("%d models have %d ids", len(d.Models), len(t.models))
	}
	if len(d.RegistryRequests) > RegistryRequests {
		return nil, fmt.Errorf("%d requests to the registry, want at most %d", len(d.RegistryRequests), RegistryRequests)
	}
	t.requests = d.RegistryRequests
	var err error
	if t.audit, err = d.Audit.log(t.ID); err != nil {
		return nil, err
	}
	if err := t.restoreFamilies(d.Families); err != nil {
		return nil, err
	}
	t.restoreWarehouse(d.Warehouse)
	return t, t.restoreDecisionLogs(d.DecisionLogs)
}

func (a *Answers) restore(s string) error {
	r := wire.NewReader(s)
	a.evicted.Store(r.Uvarint())
	for range r.Count(minAnswerSize) {
		ans := &Answer{}
		for i := range ans.Key {
			ans.Key[i] = r.Byte()
		}
		ans.Tenant = uint32(r.Uvarint())
		ans.Fingerprint = r.Uint64()
		ans.At = decision.Time(r.Varint())
		ans.ID = decision.InteractionID{Index: r.Uvarint(), Seq: uint32(r.Uvarint())}
		ans.Class = decision.Classification(r.Byte())
		ans.RecordedFor = decision.Time(r.Varint())
		if body := r.String(); body != "" {
			ans.Body = []byte(body)
		}
		if r.Err() != nil {
			break
		}
		a.push(ans)
	}
	return r.Close()
}
