package history

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// shardCount is the number of shards of a tenant's summaries. Evictions go by
// shard, so it is part of the replicated behaviour and must never change.
const shardCount = 64

func shardOf(hash uint64) int { return int(hash >> 58) }

// shard holds the summaries of the customers whose hash falls into it:
//
//	byCustomer: hash of the id ─▶ customers[c] ─▶ keys (the id)
//	                              │ rows ─▶ rows[r] ─next─▶ rows[r'] …
//	byOffer: hash of (c, offer number) ──────▶ rows[r]
//
// Customers are linked from the oldest to the newest contact applied. Place 0 of
// customers and rows is unused and means none. The apply goroutine is the only
// writer; it holds the lock for the few hundred nanoseconds of one contact.
type shard struct {
	mu         sync.RWMutex
	byCustomer index
	byOffer    index
	customers  pages[customer]
	rows       pages[row]
	keys       arena

	oldest, newest          uint32
	freeCustomer, freeRow   uint32 // chains through newer and next
	customerCount, rowCount int64

	frozen atomic.Int32 // captures that share pages
}

// customer is 20 bytes.
type customer struct {
	key          uint32 // place of the id
	keyLen       uint16
	offers       uint16 // how many rows
	rows         uint32 // first of them
	older, newer uint32
}

// row is one customer × offer summary, 32 bytes.
type row struct {
	customer, offer, next             uint32
	impressions, positives, negatives uint32
	lastContactAt                     int64
}

func (r *row) summary() decision.Summary {
	return decision.Summary{Impressions: r.impressions, Positives: r.positives, Negatives: r.negatives, LastContactAt: r.lastContactAt}
}

func newShard() *shard {
	s := &shard{}
	s.customers.frozen, s.rows.frozen, s.keys.units.frozen = &s.frozen, &s.frozen, &s.frozen
	s.customers.add()
	s.rows.add()
	return s
}

func rowHash(customer, offer uint32) uint32 { return uint32(mix(uint64(customer)<<32 | uint64(offer))) }

func (s *shard) findCustomer(hash uint64, id string) uint32 {
	return s.byCustomer.find(uint32(hash), func(c uint32) bool {
		e := s.customers.at(c)
		return int(e.keyLen) == len(id) && s.keys.text(e.key, e.keyLen) == id
	})
}

func (s *shard) findRow(customer, offer uint32) uint32 {
	return s.byOffer.find(rowHash(customer, offer), func(r uint32) bool {
		e := s.rows.at(r)
		return e.customer == customer && e.offer == offer
	})
}

// reserve makes room for one more customer and row. The writer does the long
// part, a rehash, before it locks readers out.
func (s *shard) reserve() {
	customers, rows := s.byCustomer.grown(), s.byOffer.grown()
	if customers == nil && rows == nil {
		return
	}
	s.mu.Lock()
	if customers != nil {
		s.byCustomer.slots = customers
	}
	if rows != nil {
		s.byOffer.slots = rows
	}
	s.mu.Unlock()
}

// customer returns the place of a customer, made when new, as the newest.
func (s *shard) customer(hash uint64, id string) uint32 {
	c := s.findCustomer(hash, id)
	if c == 0 {
		c = s.addCustomer(hash, id)
	} else if c != s.newest {
		s.unlink(c)
	} else {
		return c
	}
	s.customers.edit(c).older = s.newest
	if s.newest != 0 {
		s.customers.edit(s.newest).newer = c
	} else {
		s.oldest = c
	}
	s.newest = c
	return c
}

func (s *shard) addCustomer(hash uint64, id string) uint32 {
	c := s.freeCustomer
	if c != 0 {
		s.freeCustomer = s.customers.at(c).newer
	} else {
		c = s.customers.add()
	}
	*s.customers.edit(c) = customer{key: s.keys.put(id), keyLen: uint16(len(id))}
	s.byCustomer.insert(uint32(hash), c)
	s.customerCount++
	return c
}

func (s *shard) unlink(c uint32) {
	e := s.customers.edit(c)
	if e.older != 0 {
		s.customers.edit(e.older).newer = e.newer
	} else {
		s.oldest = e.newer
	}
	if e.newer != 0 {
		s.customers.edit(e.newer).older = e.older
	} else {
		s.newest = e.older
	}
	e.older, e.newer = 0, 0
}

// addRow makes the summary of a customer with an offer.
func (s *shard) addRow(c, offer uint32) uint32 {
	r := s.freeRow
	if r != 0 {
		s.freeRow = s.rows.at(r).next
	} else {
		r = s.rows.add()
	}
	e := s.customers.edit(c)
	*s.rows.edit(r) = row{customer: c, offer: offer, next: e.rows}
	e.rows = r
	e.offers++
	s.byOffer.insert(rowHash(c, offer), r)
	s.rowCount++
	return r
}

// removeRow takes out the row of customer c that follows prev, the first one
// when prev is 0.
func (s *shard) removeRow(c, prev uint32) (offer uint32) {
	r := s.customers.at(c).rows
	if prev != 0 {
		r = s.rows.at(prev).next
	}
	old := *s.rows.at(r)
	if prev != 0 {
		s.rows.edit(prev).next = old.next
	} else {
		s.customers.edit(c).rows = old.next
	}
	s.customers.edit(c).offers--
	s.byOffer.remove(rowHash(c, old.offer), r)
	*s.rows.edit(r) = row{next: s.freeRow}
	s.freeRow = r
	s.rowCount--
	return old.offer
}

// removeCustomer takes out a customer that has no rows left.
func (s *shard) removeCustomer(c uint32) {
	s.unlink(c)
	e := *s.customers.at(c)
	s.byCustomer.remove(uint32(hash64(s.keys.text(e.key, e.keyLen))), c)
	s.keys.remove(e.key, int(e.keyLen))
	*s.customers.edit(c) = customer{newer: s.freeCustomer}
	s.freeCustomer = c
	s.customerCount--
}

// count adds one contact to a row.
func (s *shard) count(r uint32, class decision.Classification, impression bool, at int64) {
	e := s.rows.edit(r)
	if impression {
		increment(&e.impressions)
	}
	switch class {
	case decision.Positive:
		increment(&e.positives)
	case decision.Negative:
		increment(&e.negatives)
	}
	// 0 means never, so the epoch itself and what was before it count as 1 ms
	// after it.
	e.lastContactAt = max(e.lastContactAt, at, 1)
}

// increment counts up to what fits and stays there.
func increment(n *uint32) {
	if *n < math.MaxUint32 {
		*n++
	}
}
