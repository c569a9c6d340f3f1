// Package catalogue is the replicated registry as a pure state machine: tenants,
// keys, outcome types, models with their versions, families and champions, and
// the answers to idempotency keys. It knows no log, no clock and no actor: every
// change is a method whose arguments carry the time and the ids.
//
// One goroutine changes it. Reads of the published maps need the lock of the
// caller; the entities themselves are immutable.
package catalogue

import (
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// KeyHash is the HMAC-SHA-256 of a raw API key under the pepper.
type KeyHash [32]byte

// Settings are what every node must agree on; they are set by a command.
type Settings struct {
	// Pepper is the secret under which key hashes are made, in hexadecimal.
	Pepper string `json:"pepper"`
	// MaxHistoryRows bounds the interactions kept per tenant.
	MaxHistoryRows int64 `json:"maxHistoryRows"`
	// MaxHistoryDays bounds the age of interactions, in days.
	MaxHistoryDays int64 `json:"maxHistoryDays"`
	// MaxSummaryCustomers bounds the customers with summaries per tenant.
	MaxSummaryCustomers int64 `json:"maxSummaryCustomers"`
	// MaxAnswerBytes bounds the memory of the answers kept for idempotency keys.
	MaxAnswerBytes int64 `json:"maxAnswerBytes"`
	// MaxAuditEntries bounds the entries kept of each audit log, 0 the default.
	MaxAuditEntries int64 `json:"maxAuditEntries,omitempty"`
	// MaxAuditDays bounds their age in days, 0 the default.
	MaxAuditDays int64 `json:"maxAuditDays,omitempty"`
}

// Principal is the owner of a key.
type Principal struct {
	TenantID  string
	KeyID     string
	KeyName   string
	Role      decision.Role
	ExpiresAt decision.Time
}

// Catalogue is the registry's state.
type Catalogue struct {
	settings    Settings
	tenants     map[string]*tenant
	lastOrdinal uint32 // of the newest tenant
	sequence    uint64 // numbers entities in the order of their making
	answers     *Answers
	audit       auditLog // the operator's
}

// tenant is one tenant's part.
type tenant struct {
	Tenant
	keys         map[string]*keyRecord
	outcomeTypes map[string]*typeRecord
	models       map[string]*ModelRecord
	modelKeys    map[string]string // model key → id
	families     map[string]*family
	experiments  map[string]*experimentRecord
	active       []*experimentRecord // the active ones, oldest first
	requests     []decision.Time     // to the registry, in its window; oldest first
	audit        auditLog
	decisionLogs map[DecisionLogOf]DecisionLog
	connection   *connectionRecord        // nil: none
	metrics      map[string]*metricRecord // of the warehouse
	sequence     uint64
}

type keyRecord struct {
	Key
	hash     KeyHash
	sequence uint64
}

type typeRecord struct {
	OutcomeType
	class      decision.Classification
	impression bool
	sequence   uint64
}

// New returns an empty catalogue.
func New() *Catalogue {
	return &Catalogue{tenants: map[string]*tenant{}, answers: newAnswers(), audit: newAuditLog("")}
}

// Settings returns the replicated settings.
func (c *Catalogue) Settings() Settings { return c.settings }

// SetSettings replaces the settings; a pepper, once set, stays.
func (c *Catalogue) SetSettings(s Settings) {
	if c.settings.Pepper != "" {
		s.Pepper = c.settings.Pepper
	}
	c.settings = s
	c.answers.limit(s.MaxAnswerBytes)
}

// Answers returns the table of answers to idempotency keys.
func (c *Catalogue) Answers() *Answers { return c.answers }

func (c *Catalogue) next() uint64 {
	c.sequence++
	return c.sequence
}

func (c *Catalogue) tenant(id string) (*tenant, error) {
	t, ok := c.tenants[id]
	if !ok {
		return nil, decision.Errorf(decision.KindNotFound, "tenant %q does not exist", id)
	}
	return t, nil
}

// Tenant returns a tenant.
func (c *Catalogue) Tenant(id string) (Tenant, bool) {
	t, ok := c.tenants[id]
	if !ok {
		return Tenant{}, false
	}
	return t.Tenant, true
}

// CreateTenant makes a tenant with the system's outcome types.
func (c *Catalogue) CreateTenant(id, name string, at decision.Time) (Tenant, error) {
	if _, ok := c.tenants[id]; ok {
		return Tenant{}, decision.Errorf(decision.KindConflict, "tenant %q exists already", id)
	}
	c.lastOrdinal++
	t := &tenant{
		Tenant:       Tenant{ID: id, Name: name, CreatedAt: at, Ordinal: c.lastOrdinal},
		keys:         map[string]*keyRecord{},
		outcomeTypes: map[string]*typeRecord{},
		models:       map[string]*ModelRecord{},
		modelKeys:    map[string]string{},
		families:     map[string]*family{},
		audit:        newAuditLog(id),
		sequence:     c.next(),
	}
	for _, s := range systemOutcomeTypes {
		t.putOutcomeType(s, c.next())
	}
	c.tenants[id] = t
	return t.Tenant, nil
}

// DeleteTenant removes a tenant with everything it has; it returns the tenant
// and its models, whose actors and history the caller must drop.
func (c *Catalogue) DeleteTenant(id string) (Tenant, []*ModelRecord, error) {
	t, err := c.tenant(id)
	if err != nil {
		return Tenant{}, nil, err
	}
	delete(c.tenants, id)
	c.answers.dropTenant(t.Ordinal)
	return t.Tenant, t.sortedModels(), nil
}

// Tenants lists the tenants.
func (c *Catalogue) Tenants(after uint64, limit int) (items []Tenant, sequences []uint64, total int) {
	return page(c.tenants, after, limit, func(t *tenant) (Tenant, uint64) { return t.Tenant, t.sequence })
}

// page returns up to limit entities made before the sequence number after (0 =
// from the newest), newest first, with their sequence numbers.
func page[R, T any](all map[string]R, after uint64, limit int, view func(R) (T, uint64)) (items []T, sequences []uint64, total int) {
	type numbered struct {
		item     T
		sequence uint64
	}
	rows := make([]numbered, 0, len(all))
	for _, r := range all {
		item, sequence := view(r)
		if after == 0 || sequence < after {
			rows = append(rows, numbered{item, sequence})
		}
	}
	slices.SortFunc(rows, func(a, b numbered) int {
		if a.sequence > b.sequence {
			return -1
		}
		return 1 // sequence numbers are never equal
	})
	for _, r := range rows[:min(limit, len(rows))] {
		items, sequences = append(items, r.item), append(sequences, r.sequence)
	}
	return items, sequences, len(all)
}

// CreateKey makes an API key.
func (c *Catalogue) CreateKey(tenantID string, k Key, hash KeyHash, at decision.Time) (Key, error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return Key{}, err
	}
	if _, ok := t.keys[k.ID]; ok {
		return Key{}, decision.Errorf(decision.KindConflict, "key %q exists already", k.ID)
	}
	k.CreatedAt = at
	t.keys[k.ID] = &keyRecord{Key: k, hash: hash, sequence: c.next()}
	return k, nil
}

// RevokeKey removes an API key.
func (c *Catalogue) RevokeKey(tenantID, id string) error {
	t, err := c.tenant(tenantID)
	if err != nil {
		return err
	}
	if _, ok := t.keys[id]; !ok {
		return decision.Errorf(decision.KindNotFound, "API key %q does not exist", id)
	}
	delete(t.keys, id)
	return nil
}

// Keys lists a tenant's API keys.
func (c *Catalogue) Keys(tenantID string, after uint64, limit int) (items []Key, sequences []uint64, total int, err error) {
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, nil, 0, err
	}
	items, sequences, total = page(t.keys, after, limit, func(k *keyRecord) (Key, uint64) { return k.Key, k.sequence })
	return items, sequences, total, nil
}

// Key returns a tenant's key.
func (c *Catalogue) Key(tenantID, id string) (Key, bool) {
	if t := c.tenants[tenantID]; t != nil && t.keys[id] != nil {
		return t.keys[id].Key, true
	}
	return Key{}, false
}

// Principals returns the owner of every key by its hash.
func (c *Catalogue) Principals() map[KeyHash]*Principal {
	all := map[KeyHash]*Principal{}
	for _, t := range c.tenants {
		for _, k := range t.keys {
			role, _ := decision.ParseRole(k.Role)
			all[k.hash] = &Principal{TenantID: t.ID, KeyID: k.ID, KeyName: k.Name, Role: role, ExpiresAt: k.ExpiresAt}
		}
	}
	return all
}

func (t *tenant) sortedModels() []*ModelRecord {
	all := make([]*ModelRecord, 0, len(t.models))
	for _, m := range t.models {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *ModelRecord) int { return strings.Compare(a.ID, b.ID) })
	return all
}
