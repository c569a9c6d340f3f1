package catalogue

import (
	"fmt"
	"slices"

	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/decision"
)

// The catalogue has the audit logs' chains: what the entries must hash to, how
// many there are, and which are not kept any more. The entries themselves are on
// disk, with the caller. So a chain is compared between replicas like everything
// in the catalogue, and costs a snapshot next to nothing.
//
// Every tenant has a log, and the operator has one for what is no tenant's.

// The bounds on an audit log when nothing else is set: seven years, as banks
// keep such records, and about a gigabyte of entries.
const (
	DefaultMaxAuditEntries = 1_000_000
	DefaultMaxAuditDays    = 2557
)

const dayMillis = decision.Time(24 * 60 * 60 * 1000)

// auditLog is what is known of a log without its entries.
type auditLog struct {
	chain    audit.Chain
	segments []auditSegment // oldest first
}

// auditSegment is a run of entries that is dropped as a whole: the log keeps a
// hash for each run, to be the anchor once the run is dropped, and none for each
// entry.
type auditSegment struct {
	Last   uint64        `json:"last"` // position of its newest entry
	Hash   audit.Hash    `json:"hash"` // of that entry
	Opened decision.Time `json:"opened"`
	Newest decision.Time `json:"newest"`
}

// auditSteps is into how many segments a bound is divided at least: what is kept
// stays within a sixty-fourth of the bound.
const auditSteps = 64

func newAuditLog(tenantID string) auditLog { return auditLog{chain: audit.NewChain(tenantID)} }

// add counts the entry that was just chained into the last segment or a new one.
func (l *auditLog) add(at decision.Time, most uint64, age decision.Time) {
	n := len(l.segments)
	if n == 0 || l.entriesOf(n-1) >= max(most/auditSteps, 1) || at-l.segments[n-1].Opened > age/auditSteps {
		l.segments = append(l.segments, auditSegment{Opened: at})
		n++
	}
	s := &l.segments[n-1]
	s.Last, s.Hash, s.Newest = l.chain.Length, l.chain.Head, max(s.Newest, at)
}

// entriesOf returns how many entries the i-th segment has.
func (l *auditLog) entriesOf(i int) uint64 {
	before := l.chain.Dropped
	if i > 0 {
		before = l.segments[i-1].Last
	}
	return l.segments[i].Last - before
}

// retain drops the segments that are over the bounds, never the last one.
func (l *auditLog) retain(at decision.Time, most uint64, age decision.Time) {
	for len(l.segments) > 1 {
		s := &l.segments[0]
		if l.chain.Length-l.chain.Dropped <= most && at-s.Newest <= age {
			return
		}
		l.chain.Anchor, l.chain.Dropped = s.Hash, s.Last
		l.segments = slices.Delete(l.segments, 0, 1)
	}
}

// AuditAppended tells what adding an entry did to a log.
type AuditAppended struct {
	Ordinal     uint32 // of the log's tenant, 0 the operator
	Chain       audit.Chain
	DroppedFrom uint64 // positions of what is not kept any more; 0: nothing
	DroppedTo   uint64
}

// AppendAudit makes the entry the newest of a tenant's log, or with an empty
// tenant of the operator's: it gives the entry its id, its tenant and its hashes,
// and drops what is over the bounds. The entry is the caller's to store, at the
// position that is the chain's length.
func (c *Catalogue) AppendAudit(tenantID string, e *audit.Entry) (AuditAppended, error) {
	log, ordinal, err := c.auditLog(tenantID)
	if err != nil {
		return AuditAppended{}, err
	}
	e.ID = fmt.Sprintf("aud_%d", log.chain.Length+1)
	if err := log.chain.Link(e); err != nil {
		return AuditAppended{}, err
	}
	most, age := c.settings.auditBounds()
	before := log.chain.Dropped
	log.add(e.Timestamp, most, age)
	log.retain(e.Timestamp, most, age)
	done := AuditAppended{Ordinal: ordinal, Chain: log.chain}
	if log.chain.Dropped > before {
		done.DroppedFrom, done.DroppedTo = before+1, log.chain.Dropped
	}
	return done, nil
}

func (c *Catalogue) auditLog(tenantID string) (*auditLog, uint32, error) {
	if tenantID == "" {
		return &c.audit, 0, nil
	}
	t, err := c.tenant(tenantID)
	if err != nil {
		return nil, 0, err
	}
	return &t.audit, t.Ordinal, nil
}

func (s *Settings) auditBounds() (entries uint64, age decision.Time) {
	entries, days := DefaultMaxAuditEntries, int64(DefaultMaxAuditDays)
	if s.MaxAuditEntries > 0 {
		entries = uint64(s.MaxAuditEntries)
	}
	if s.MaxAuditDays > 0 {
		days = s.MaxAuditDays
	}
	return entries, decision.Time(days) * dayMillis
}

// EachAudit calls f with the chain of every log, the operator's first.
func (c *Catalogue) EachAudit(f func(ordinal uint32, chain audit.Chain)) {
	f(0, c.audit.chain)
	for _, t := range c.sortedTenants() {
		f(t.Ordinal, t.audit.chain)
	}
}

// auditDocument is a log in a snapshot.
type auditDocument struct {
	Anchor   audit.Hash     `json:"anchor"`
	Head     audit.Hash     `json:"head"`
	Length   uint64         `json:"length"`
	Dropped  uint64         `json:"dropped"`
	Segments []auditSegment `json:"segments"`
}

// document returns the log as a snapshot has it, nil while it is empty.
func (l *auditLog) document() *auditDocument {
	if l.chain.Length == 0 {
		return nil
	}
	return &auditDocument{
		Anchor: l.chain.Anchor, Head: l.chain.Head, Length: l.chain.Length, Dropped: l.chain.Dropped,
		Segments: slices.Clone(l.segments),
	}
}

// log makes the log, or tells what in it cannot have come from a catalogue.
func (d *auditDocument) log(tenantID string) (auditLog, error) {
	l := newAuditLog(tenantID)
	if d == nil { // empty, or written before there were any
		return l, nil
	}
	l.chain.Anchor, l.chain.Head, l.chain.Length, l.chain.Dropped = d.Anchor, d.Head, d.Length, d.Dropped
	l.segments = d.Segments
	last, hash := d.Dropped, d.Anchor
	for _, s := range d.Segments {
		if s.Last <= last {
			return l, fmt.Errorf("a segment of the audit log ends at %d after one that ends at %d", s.Last, last)
		}
		last, hash = s.Last, s.Hash
	}
	if last != d.Length || hash != d.Head {
		return l, fmt.Errorf("the audit log ends at %d with %s, its chain at %d with %s", last, hash, d.Length, d.Head)
	}
	return l, nil
}

// AuditChain returns the chain of a tenant's log.
func (c *Catalogue) AuditChain(tenantID string) audit.Chain {
	log, _, err := c.auditLog(tenantID)
	if err != nil {
		return audit.NewChain(tenantID)
	}
	return log.chain
}
