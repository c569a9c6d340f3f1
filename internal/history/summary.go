package history

import (
	"cmp"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// OfferSummary is what a customer did with one offer.
type OfferSummary struct {
	OfferID string
	decision.Summary
}

// Summary returns what a customer did with an offer; ok is false when nothing is
// known. It allocates nothing and waits at most for the contact that is being
// applied to the same shard.
func (s *Store) Summary(tenant uint32, customer, offer string) (_ decision.Summary, ok bool) {
	if t := s.image.Load().tenant(tenant); t != nil {
		return t.summary(customer, offer)
	}
	return decision.Summary{}, false
}

// Summaries returns what a customer did with every offer, the latest contact
// first.
func (s *Store) Summaries(tenant uint32, customer string) []OfferSummary {
	if t := s.image.Load().tenant(tenant); t != nil {
		return t.summaries(customer)
	}
	return nil
}

func (t *tenant) summary(customer, offer string) (_ decision.Summary, ok bool) {
	hash := hash64(customer)
	sh := t.shards[shardOf(hash)].Load()
	if sh == nil {
		return decision.Summary{}, false
	}
	o := t.offers.find(offer)
	if o == nil {
		return decision.Summary{}, false
	}
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	c := sh.findCustomer(hash, customer)
	if c == 0 {
		return decision.Summary{}, false
	}
	r := sh.findRow(c, o.number)
	if r == 0 || o.dead.Load() {
		return decision.Summary{}, false
	}
	return sh.rows.at(r).summary(), true
}

func (t *tenant) summaries(customer string) []OfferSummary {
	hash := hash64(customer)
	sh := t.shards[shardOf(hash)].Load()
	if sh == nil {
		return nil
	}
	out := t.collect(sh, hash, customer)
	slices.SortFunc(out, func(a, b OfferSummary) int {
		return cmp.Or(cmp.Compare(b.LastContactAt, a.LastContactAt), cmp.Compare(a.OfferID, b.OfferID))
	})
	return out
}

// collect copies a customer's summaries in no particular order.
func (t *tenant) collect(sh *shard, hash uint64, customer string) []OfferSummary {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	c := sh.findCustomer(hash, customer)
	if c == 0 {
		return nil
	}
	e := sh.customers.at(c)
	out := make([]OfferSummary, 0, e.offers)
	for r := e.rows; r != 0; r = sh.rows.at(r).next {
		out = append(out, OfferSummary{t.offers.id(sh.rows.at(r).offer), sh.rows.at(r).summary()})
	}
	return out
}

// contact applies one outcome to the summary of its customer with its offer and
// returns the summary as it was before. A contact is an impression or a positive
// or negative response; anything else (an offer not presented, deferred,
// expired) changes nothing, and neither does an outcome without an offer or a
// customer.
func (t *tenant) contact(o *decision.Outcome, impression bool, limits *Limits) decision.Summary {
	if o.OfferID == "" || o.CustomerID == "" || (!impression && o.Class == decision.Neutral) {
		before, _ := t.summary(o.CustomerID, o.OfferID)
		return before
	}
	if len(o.CustomerID) > maxCustomerID {
		t.untracked.Add(1)
		return decision.Summary{}
	}
	hash := hash64(o.CustomerID)
	sh := t.shard(hash)
	sh.reserve()
	offer := t.offers.intern(o.OfferID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.customer(hash, o.CustomerID)
	r := sh.findRow(c, offer.number)
	if r == 0 {
		r = sh.addRow(c, offer.number)
		offer.refs++
	}
	before := sh.rows.at(r).summary()
	sh.count(r, o.Class, impression, o.At)
	t.evict(sh, c, r, limits)
	return before
}

// shard returns the shard of a hash, made when missing.
func (t *tenant) shard(hash uint64) *shard {
	p := &t.shards[shardOf(hash)]
	if sh := p.Load(); sh != nil {
		return sh
	}
	p.Store(newShard())
	return p.Load()
}

// evict brings the shard back into its share of the limits after a contact of
// customer c in row r, which stay. First the customer's row with the oldest
// contact goes, then whole customers, the one whose last contact was applied
// longest ago first.
func (t *tenant) evict(sh *shard, c, r uint32, limits *Limits) {
	for int64(sh.customers.at(c).offers) > limits.MaxOffersPerCustomer {
		t.offers.release(sh.removeRow(c, t.beforeOldest(sh, c, r)))
		t.evictedSummaries.Add(1)
	}
	for sh.oldest != c && (sh.customerCount > share(limits.MaxCustomers) || sh.rowCount > share(limits.MaxSummaries)) {
		t.evictedCustomers.Add(1)
		oldest := sh.oldest
		for sh.customers.at(oldest).rows != 0 {
			t.offers.release(sh.removeRow(oldest, 0))
			t.evictedSummaries.Add(1)
		}
		sh.removeCustomer(oldest)
	}
}

// share is one shard's part of a limit.
func share(limit int64) int64 { return (limit + shardCount - 1) / shardCount }

// beforeOldest returns the row before the one of customer c with the oldest
// contact, leaving out row keep; equal times go by the offer's id.
func (t *tenant) beforeOldest(sh *shard, c, keep uint32) (prev uint32) {
	var oldest, before uint32
	for r := sh.customers.at(c).rows; r != 0; before, r = r, sh.rows.at(r).next {
		if r == keep {
			continue
		}
		if oldest == 0 || t.older(sh.rows.at(r), sh.rows.at(oldest)) {
			oldest, prev = r, before
		}
	}
	return prev
}

func (t *tenant) older(a, b *row) bool {
	if a.lastContactAt != b.lastContactAt {
		return a.lastContactAt < b.lastContactAt
	}
	return *t.offers.ids.at(a.offer) < *t.offers.ids.at(b.offer)
}
