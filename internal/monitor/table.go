package monitor

import (
	"hash/maphash"
	"math"
	"math/bits"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// A place holds a served score as a key and a word:
//
//	key   48 bits of the hash of what it was served to, 16 of the subject's own
//	word  20 bits the model's slot, 20 the time in seconds, 24 the score
//
// The low 16 bits of the key decide whether the subject, a customer or a
// decision, is in the sample.
const (
	sampleBits = 16
	slotBits   = 20
	timeBits   = 20
	scoreBits  = 24

	maxSlots  = 1 << slotBits
	timeMask  = 1<<timeBits - 1
	scoreMask = 1<<scoreBits - 1
)

// MaxWindow is the longest time, in milliseconds, that a served score can wait
// for its outcome: the seconds of a place come round after twelve days, and a
// score of the day before must not be taken for a fresh one.
const MaxWindow = 7 * millisecondsADay

// maxSkew is how far the clock of whoever says when an outcome happened may be
// behind the node's, in seconds.
const maxSkew = 60

type place struct{ check, word atomic.Uint64 }

// places are those of a bucket: a cache line. A key can be in one of two buckets.
const places = 4

// region is how many buckets beside each other hold a subject's scores: a ranking
// costs one place in memory, not one for each of its offers.
const region = 4

type bucket [places]place

// table keeps served scores. Any goroutine may write to it and read it.
type table struct {
	seed    maphash.Seed
	buckets []bucket
	window  uint64
	level   atomic.Uint32 // the sample is one of 2^level subjects

	displaced atomic.Uint64 // what fresh scores displaced of the sample
}

// newTable returns a table of about size places.
func newTable(size int, window int64) *table {
	n := 1 << (bits.Len(uint(max(size/places, region))) - 1)
	return &table{seed: maphash.MakeSeed(), buckets: make([]bucket, n), window: uint64(window / 1000)}
}

// The kinds of subjects.
const (
	kindCustomer = 0x9E3779B97F4A7C15
	kindDecision = 0xC2B2AE3D27D4EB4F
)

// subject is the hash of a customer or a decision of a tenant; 0 is none.
func (t *table) subject(kind, tenant uint64, id string) uint64 {
	return mix(maphash.String(t.seed, id)^kind^tenant) | 1
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

func (t *table) key(subject uint64, offerID string) uint64 {
	offer := uint64(0)
	if offerID != "" {
		offer = maphash.String(t.seed, offerID)
	}
	const low = 1<<sampleBits - 1
	return mix(subject^bits.RotateLeft64(offer, 17))&^low | subject>>32&low
}

func inSample(key uint64, level uint32) bool { return key&(1<<level-1) == 0 }

// sampled reports whether the subject's scores are kept.
func (t *table) sampled(subject uint64) bool { return inSample(subject>>32, t.level.Load()) }

// bucket returns the place of a key's first bucket, in its subject's region; the
// second one is beside it.
func (t *table) bucket(subject, key uint64) uint64 {
	return (subject>>8&^(region-1) | key>>62) & uint64(len(t.buckets)-1)
}

// touch brings a subject's region near: its cache lines come together, and not one
// after the other as they are written to.
func (t *table) touch(subject uint64) (sum uint64) {
	first := subject >> 8 &^ (region - 1) & uint64(len(t.buckets)-1)
	for i := range uint64(region) {
		sum += t.buckets[first+i][0].word.Load()
	}
	return sum
}

// age returns how many seconds before the time at a word was written, and
// whether that is within the window.
func (t *table) age(word uint64, at int64) (age uint64, ok bool) {
	age = (uint64(at/1000) - word>>scoreBits) & timeMask
	if age > timeMask-maxSkew {
		return 0, true // by a clock that is ahead
	}
	return age, age <= t.window
}

func wordOf(slot uint32, at decision.Time, score float64) uint64 {
	return uint64(slot)<<(timeBits+scoreBits) | uint64(int64(at)/1000)&timeMask<<scoreBits | fixed(score)
}

// fixed returns a score in steps of 2⁻²⁴, 1 as the last step.
func fixed(score float64) uint64 {
	switch {
	case !(score > 0):
		return 0
	case score >= 1:
		return scoreMask
	}
	return min(uint64(score*scoreMask+0.5), scoreMask)
}

func slotOf(word uint64) uint32   { return uint32(word >> (timeBits + scoreBits)) }
func scoreOf(word uint64) float64 { return float64(word&scoreMask) / scoreMask }

// put keeps a served score: in the place of an earlier one of the same model to
// the same, else in a free one, one whose window is over or one that is not of
// the sample any more, else in the oldest one's.
func (t *table) put(subject uint64, offerID string, slot uint32, at decision.Time, score float64) {
	key, level := t.key(subject, offerID), t.level.Load()
	first := t.bucket(subject, key)
	best, rank := t.place(&t.buckets[first], key, slot, at, level)
	if rank < freeRank {
		if other, r := t.place(&t.buckets[first^1], key, slot, at, level); r > rank {
			best, rank = other, r
		}
	}
	word := wordOf(slot, at, score)
	best.check.Store(key ^ word)
	best.word.Store(word)
	if rank >= freeRank {
		return
	}
	// Collisions displace now and then; whether the table is full a look tells.
	if n := t.displaced.Add(1); n%uint64(len(t.buckets)/8+1) == 0 && t.fill(at, level, n) > fullShare {
		t.resize(level, level+1)
	}
}

// The ranks of places that may be had for nothing; others rank by their age.
const (
	sameRank = math.MaxUint64
	freeRank = math.MaxUint64 - 1
)

// place returns the best place of a bucket for a key.
func (t *table) place(b *bucket, key uint64, slot uint32, at decision.Time, level uint32) (best *place, rank uint64) {
	for i := range b {
		word := b[i].word.Load()
		old := b[i].check.Load() ^ word
		if old == key && slotOf(word) == slot {
			return &b[i], sameRank
		}
		age, within := t.age(word, int64(at))
		r := age + 1
		if word == 0 || !within || !inSample(old, level) {
			r = freeRank
		}
		if r > rank {
			best, rank = &b[i], r
		}
	}
	return best, rank
}

// The shares of the places in use above which the sample is halved, and below
// which it is doubled.
const (
	fullShare  = 0.5
	emptyShare = 0.2
)

// lookedAt is how many buckets tell how full the table is: with 2048 places the
// standard error is 0.011.
const lookedAt = 512

// fill estimates the share of the places that are in use, from some buckets.
func (t *table) fill(at decision.Time, level uint32, from uint64) float64 {
	look := min(len(t.buckets), lookedAt)
	full := 0
	for i := range look {
		b := &t.buckets[(mix(from)+uint64(i))&uint64(len(t.buckets)-1)]
		for k := range b {
			word := b[k].word.Load()
			if _, within := t.age(word, int64(at)); within && word != 0 && inSample(b[k].check.Load()^word, level) {
				full++
			}
		}
	}
	return float64(full) / float64(look*places)
}

func (t *table) resize(from, to uint32) {
	if to <= sampleBits {
		t.level.CompareAndSwap(from, to)
	}
}

// widen doubles the sample when there is room.
func (t *table) widen(at decision.Time) {
	if level := t.level.Load(); level > 0 && t.fill(at, level, uint64(at)) < emptyShare {
		t.resize(level, level-1)
	}
}

// find returns the newest score within the window before the time at that was
// served to the subject for the offer, by the model of the slot or, with a
// negative slot, by any.
func (t *table) find(subject uint64, offerID string, slot int, at int64) (word uint64, ok bool) {
	key := t.key(subject, offerID)
	first := t.bucket(subject, key)
	least := uint64(math.MaxUint64)
	for _, n := range [...]uint64{first, first ^ 1} {
		b := &t.buckets[n]
		for i := range b {
			w := b[i].word.Load()
			if w == 0 || b[i].check.Load()^w != key || (slot >= 0 && slotOf(w) != uint32(slot)) {
				continue
			}
			if age, within := t.age(w, at); within && age < least {
				word, ok, least = w, true, age
			}
		}
	}
	return word, ok
}
