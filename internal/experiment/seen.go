package experiment

import (
	"slices"
	"sync/atomic"
)

// Seen remembers customers by their hashes. Any number of goroutines may add, and
// none waits for another.
//
// It is a row of hash tables, each four times as large as the one before and made
// when it is needed. A hash has a window of eight slots in each table and goes to
// the first free slot of the first window that has one. Slots are only ever
// filled, so a look-up may end at a free slot.
type Seen struct {
	levels   [seenLevels]atomic.Pointer[seenLevel]
	overflow atomic.Uint64
}

type seenLevel []atomic.Uint64

// 1024 · (4^6 − 1)/3 slots, of which some three quarters are filled before the
// last window is full.
const (
	seenLevels = 6
	seenFirst  = 1024
	seenWindow = 8
)

// Add remembers a customer and reports whether it is a new one; one for whom there
// is no room is counted and is none.
func (s *Seen) Add(hash uint64) (fresh bool) {
	hash = max(hash, 1) // 0 is a free slot
	for i := range s.levels {
		if known, fresh := s.level(i).add(hash); known {
			return fresh
		}
	}
	s.overflow.Add(1)
	return false
}

// Overflow returns how often there was no room.
func (s *Seen) Overflow() uint64 { return s.overflow.Load() }

func (s *Seen) level(i int) seenLevel {
	if l := s.levels[i].Load(); l != nil {
		return *l
	}
	l := make(seenLevel, seenFirst<<(2*i))
	if s.levels[i].CompareAndSwap(nil, &l) {
		return l
	}
	return *s.levels[i].Load()
}

// add reports whether the hash is in the table now, and whether this put it there.
func (l seenLevel) add(hash uint64) (known, fresh bool) {
	mask := uint64(len(l) - 1)
	// The finaliser of SplitMix64, so that windows do not depend on how well the
	// low bits of the hash are mixed.
	at := (hash ^ hash>>30) * 0xbf58476d1ce4e5b9
	at ^= at >> 27
	for i := range uint64(seenWindow) {
		slot := &l[(at+i)&mask]
		had := slot.Load()
		if had == 0 && slot.CompareAndSwap(0, hash) {
			return true, true
		}
		if had == hash || had == 0 && slot.Load() == hash {
			return true, false
		}
	}
	return false, false
}

// Hashes returns the customers' hashes, ascending; what is added meanwhile may be
// among them.
func (s *Seen) Hashes() []uint64 {
	var all []uint64
	for i := range s.levels {
		l := s.levels[i].Load()
		if l == nil {
			break
		}
		for j := range *l {
			if h := (*l)[j].Load(); h != 0 {
				all = append(all, h)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Fresh has the customers who are to be told to the other nodes. Any number of
// goroutines may push, and none waits for another: a stack that is only ever
// taken whole (R. K. Treiber). The zero Fresh is empty.
type Fresh struct{ top atomic.Pointer[freshCustomer] }

type freshCustomer struct {
	hash uint64
	next *freshCustomer
}

// Push adds a customer.
func (f *Fresh) Push(hash uint64) {
	c := &freshCustomer{hash: hash}
	for {
		c.next = f.top.Load()
		if f.top.CompareAndSwap(c.next, c) {
			return
		}
	}
}

// Empty reports whether there is none.
func (f *Fresh) Empty() bool { return f.top.Load() == nil }

// Take returns the customers there are, ascending, and leaves none.
func (f *Fresh) Take() []uint64 {
	var all []uint64
	for c := f.top.Swap(nil); c != nil; c = c.next {
		all = append(all, c.hash)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
