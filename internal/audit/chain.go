package audit

import (
	"iter"
	"strings"

	"github.com/praetor-engine/praetor/internal/wire"
)

// Chain is what is known of a tenant's log without its entries.
type Chain struct {
	TenantID string
	Anchor   Hash   // what the oldest entry kept names as its predecessor
	Head     Hash   // of the newest entry
	Length   uint64 // of the entries ever chained
	Dropped  uint64 // of those, the ones that are not kept any more
}

// NewChain returns the chain of a log without entries.
func NewChain(tenantID string) Chain { return Chain{TenantID: tenantID} }

// Link makes the entry the newest one: it sets TenantID, PrevHash and
// IntegrityHash and brings Before and After into their canonical form. When these
// are not JSON it fails and changes nothing.
func (c *Chain) Link(e *Entry) error {
	before, err := Canonical(e.Before)
	if err != nil {
		return err
	}
	after, err := Canonical(e.After)
	if err != nil {
		return err
	}
	e.TenantID, e.Before, e.After, e.PrevHash = c.TenantID, before, after, c.Head
	if e.IntegrityHash, err = e.hash(); err != nil {
		return err
	}
	c.Head = e.IntegrityHash
	c.Length++
	return nil
}

// Drop notes that the oldest entry, e, is not kept any more.
func (c *Chain) Drop(e *Entry) {
	c.Anchor = e.IntegrityHash
	c.Dropped++
}

// Verification is what a check of a log found.
type Verification struct {
	Intact bool `json:"intact"`
	// Verified counts the entries that are in order, from the oldest on.
	Verified int `json:"verified"`
	// BrokenAtID is the first entry that is not. It is absent where entries are
	// missing at the end.
	BrokenAtID string `json:"brokenAtId,omitempty"`
}

// Verify checks the entries that are kept, oldest first: each names its
// predecessor and has the hash of what it says, the last one is the head, and
// their number is right. The error is that of reading them.
func (c *Chain) Verify(entries iter.Seq2[*Entry, error]) (Verification, error) {
	var v Verification
	last := c.Anchor
	for e, err := range entries {
		if err != nil {
			return Verification{}, err
		}
		hash, err := e.hash()
		if err != nil || e.PrevHash != last || e.TenantID != c.TenantID || hash != e.IntegrityHash {
			v.BrokenAtID = e.ID
			return v, nil
		}
		last = hash
		v.Verified++
	}
	v.Intact = last == c.Head && uint64(v.Verified) == c.Length-c.Dropped
	return v, nil
}

// Append appends the chain's binary form: the tenant, the anchor, the head (32
// bytes each), length and dropped (uvarints).
func (c *Chain) Append(dst []byte) []byte {
	dst = wire.AppendString(dst, c.TenantID)
	dst = append(dst, c.Anchor[:]...)
	dst = append(dst, c.Head[:]...)
	dst = wire.AppendUvarint(dst, c.Length)
	return wire.AppendUvarint(dst, c.Dropped)
}

// ReadChain reads what Append wrote.
func ReadChain(r *wire.Reader) Chain {
	c := Chain{TenantID: strings.Clone(r.String())}
	c.Anchor = readHash(r)
	c.Head = readHash(r)
	c.Length, c.Dropped = r.Uvarint(), r.Uvarint()
	if c.Dropped > c.Length {
		r.Fail("%d audit entries dropped of %d", c.Dropped, c.Length)
	}
	return c
}
