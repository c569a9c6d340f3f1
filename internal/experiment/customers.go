package experiment

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/wire"
)

// Customers are the customers who were assigned in an experiment, each once, by
// their hashes: the replicated counterpart of Seen. Who is in it depends on what
// was added in which order and on nothing else, so that replicas agree. There are
// MaxKept at most; those beyond are counted. The zero Customers is empty.
//
// One goroutine changes it. It is a hash table with linear probing, at most half
// full: 16 bytes a customer.
type Customers struct {
	slots   []uint64 // 0 is free
	n       int
	sum     uint64 // of the mixed hashes, whatever their order
	dropped uint64
	shared  bool // slots belongs to a capture too

	perBucket [Buckets]uint32 // how many there are in each bucket
}

const firstCustomers = 1024 // slots

// Len returns how many customers there are.
func (c *Customers) Len() int { return c.n }

// Dropped returns how many did not find room.
func (c *Customers) Dropped() uint64 { return c.dropped }

// Has reports whether a customer is among them.
func (c *Customers) Has(hash uint64) bool {
	if c.n == 0 {
		return false
	}
	hash = max(hash, 1) // as Seen does it
	return c.slots[c.place(hash)] == hash
}

// place returns the slot where a hash is, or where it would go.
func (c *Customers) place(hash uint64) uint64 {
	mask := uint64(len(c.slots) - 1)
	at := mix(hash) & mask
	for c.slots[at] != 0 && c.slots[at] != hash {
		at = (at + 1) & mask
	}
	return at
}

// Add adds a customer and reports whether it is a new one that found room.
func (c *Customers) Add(hash uint64) bool {
	hash = max(hash, 1)
	if c.Has(hash) {
		return false
	}
	if c.n == MaxKept {
		c.dropped++
		return false
	}
	switch {
	case 2*(c.n+1) > len(c.slots):
		c.grow()
	case c.shared:
		c.slots, c.shared = slices.Clone(c.slots), false
	}
	c.slots[c.place(hash)] = hash
	c.n++
	c.sum += mix(hash)
	c.perBucket[hash%Buckets]++
	return true
}

func (c *Customers) grow() {
	old := c.slots
	c.slots, c.shared = make([]uint64, max(firstCustomers, 2*len(old))), false
	for _, h := range old {
		if h != 0 {
			c.slots[c.place(h)] = h
		}
	}
}

// Hashes returns the customers, ascending.
func (c *Customers) Hashes() []uint64 { return hashesOf(c.slots, c.n) }

func hashesOf(slots []uint64, n int) []uint64 {
	all := make([]uint64, 0, n)
	for _, h := range slots {
		if h != 0 {
			all = append(all, h)
		}
	}
	slices.Sort(all)
	return all
}

// Moved returns the customers, ascending, whose buckets have another variant in the
// next plan: of plans with the same kept customers all that Carry could move.
func (c *Customers) Moved(from, next *Plan) []uint64 {
	var moved [Buckets]bool
	n := 0
	for b := range moved {
		if moved[b] = from.Variants[from.of[b]].Name != next.Variants[next.of[b]].Name; moved[b] {
			n += int(c.perBucket[b])
		}
	}
	all := make([]uint64, 0, n)
	for _, h := range c.slots {
		if h != 0 && moved[h%Buckets] {
			all = append(all, h)
		}
	}
	slices.Sort(all)
	return all
}

// CustomersCapture is a set as it was at one moment.
type CustomersCapture struct {
	slots   []uint64
	n       int
	sum     uint64
	dropped uint64
}

// Capture returns the set as it is now. It copies nothing: the set goes on with a
// copy of its own when it changes.
func (c *Customers) Capture() CustomersCapture {
	c.shared = true
	return CustomersCapture{c.slots, c.n, c.sum, c.dropped}
}

// Append appends the binary form: how many were dropped, then the hashes as
// AppendHashes writes them.
func (c *CustomersCapture) Append(dst []byte) []byte {
	return AppendHashes(wire.AppendUvarint(dst, c.dropped), hashesOf(c.slots, c.n))
}

// AppendDigest appends what is equal for equal sets and, but for a chance of
// 2^−64, differs for others.
func (c *CustomersCapture) AppendDigest(dst []byte) []byte {
	dst = wire.AppendUvarint(wire.AppendUvarint(dst, c.dropped), uint64(c.n))
	return wire.AppendUint64(dst, c.sum)
}

// ReadCustomers reads what Append wrote.
func ReadCustomers(r *wire.Reader) *Customers {
	c := &Customers{}
	dropped := r.Uvarint()
	hashes := ReadHashes(r)
	if len(hashes) > MaxKept {
		r.Fail("%d customers, want at most %d", len(hashes), MaxKept)
		return c
	}
	for _, h := range hashes {
		c.Add(h)
	}
	c.dropped = dropped
	return c
}

// Assigned returns how many of the customers are settled in each variant, in the
// order of Variants.
func (p *Plan) Assigned(c *Customers) []uint64 {
	counts := make([]uint64, len(p.Variants))
	for b, n := range c.perBucket {
		if !p.moved[b] {
			counts[p.of[b]] += uint64(n)
		}
	}
	return counts
}

// mix is the finaliser of SplitMix64 (S. Vigna).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
