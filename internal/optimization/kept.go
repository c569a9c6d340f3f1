package optimization

import (
	"cmp"
	"slices"
	"sync"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/wire"
)

// keptShards keeps those who serve out of each other's way and out of the writer's.
const keptShards = 64

// Kept is what visitors keep, by the hash of optimization and visitor. Two visitors
// with one hash of 64 bits would share it; among a million that has a chance of
// 3·10⁻⁸. One goroutine changes it; any number may look.
type Kept struct {
	shards [keptShards]keptShard
}

type keptShard struct {
	mu sync.RWMutex
	by map[uint64]kept
}

// kept is an assignment of somebody who is not held out.
type kept struct {
	at         int64
	propensity float64
	variant    uint16
}

func newKept() *Kept {
	k := &Kept{}
	for i := range k.shards {
		k.shards[i].by = map[uint64]kept{}
	}
	return k
}

// Of returns what a visitor was last given, by the key of package factorial.
func (k *Kept) Of(key uint64) factorial.Assignment {
	s := &k.shards[key%keptShards]
	s.mu.RLock()
	a := s.by[key]
	s.mu.RUnlock()
	return factorial.Assignment{Variant: int(a.variant), Propensity: a.propensity, At: a.at}
}

func (k *Kept) put(key uint64, a kept) {
	s := &k.shards[key%keptShards]
	s.mu.Lock()
	s.by[key] = a
	s.mu.Unlock()
}

// Len returns how many visitors keep something, or did lately.
func (k *Kept) Len() (n int) {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.RLock()
		n += len(s.by)
		s.mu.RUnlock()
	}
	return n
}

// forget drops what was given at or before a time.
func (k *Kept) forget(before int64) {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		for key, a := range s.by {
			if a.at <= before {
				delete(s.by, key)
			}
		}
		s.mu.Unlock()
	}
}

// append appends the binary form: a count, then per visitor, in the order of the
// keys, the key, the time, the variant and its propensity.
func (k *Kept) append(b []byte) []byte {
	type entry struct {
		key uint64
		kept
	}
	all := make([]entry, 0, k.Len())
	for i := range k.shards {
		for key, a := range k.shards[i].by { // its only writer is here
			all = append(all, entry{key, a})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	b = wire.AppendUvarint(b, uint64(len(all)))
	for i := range all {
		e := &all[i]
		b = e.append(wire.AppendUint64(b, e.key))
	}
	return b
}

func (a *kept) append(b []byte) []byte {
	b = wire.AppendVarint(b, a.at)
	b = wire.AppendUvarint(b, uint64(a.variant))
	return wire.AppendFloat(b, a.propensity)
}

// minKeptSize is the encoded size of the smallest entry.
const minKeptSize = 18

func readKept(r *wire.Reader) *Kept {
	k := newKept()
	before := uint64(0)
	for i := range r.Count(minKeptSize) {
		key := r.Uint64()
		if i > 0 && key <= before {
			r.Fail("key %x after %x", key, before)
			break
		}
		before = key
		at, variant := r.Varint(), r.Uvarint()
		if variant >= factorial.MaxVariants {
			r.Fail("variant %d, want less than %d", variant, factorial.MaxVariants)
			break
		}
		k.shards[key%keptShards].by[key] = kept{at: at, variant: uint16(variant), propensity: r.Float()}
	}
	return k
}

// digest is a hash that does not depend on the order.
func (k *Kept) digest() (sum uint64) {
	var b []byte
	for i := range k.shards {
		for key, a := range k.shards[i].by {
			b = a.append(wire.AppendUint64(b[:0], key))
			sum += hash(b)
		}
	}
	return sum
}

// hash is FNV-1a.
func hash(b []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return h
}
