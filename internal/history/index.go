package history

// index is an open-addressing hash table from hashes to places in pages, with
// linear probing and without tombstones. A slot holds the hash above the place;
// place 0 is never used, so 0 is an empty slot.
type index struct {
	slots []uint64
	used  int
}

const minSlots = 8

// find returns the place with the hash for which match holds, 0 when there is
// none.
func (x *index) find(hash uint32, match func(place uint32) bool) uint32 {
	if len(x.slots) == 0 {
		return 0
	}
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := x.slots[i]
		if slot == 0 {
			return 0
		}
		if uint32(slot>>32) == hash && match(uint32(slot)) {
			return uint32(slot)
		}
	}
}

// grown returns slots with room for one more, nil when x has room. Past three
// quarters full, probing gets long.
func (x *index) grown() []uint64 {
	if (x.used+1)*4 <= len(x.slots)*3 {
		return nil
	}
	next := index{slots: make([]uint64, max(2*len(x.slots), minSlots))}
	for _, slot := range x.slots {
		if slot != 0 {
			next.insert(uint32(slot>>32), uint32(slot))
		}
	}
	return next.slots
}

// insert adds a place that is not there yet; there must be room.
func (x *index) insert(hash, place uint32) {
	mask := uint32(len(x.slots) - 1)
	i := hash & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = uint64(hash)<<32 | uint64(place)
	x.used++
}

// remove takes out a place that is there, moving up what probing put behind it.
func (x *index) remove(hash, place uint32) {
	mask := uint32(len(x.slots) - 1)
	hole := hash & mask
	for x.slots[hole] != uint64(hash)<<32|uint64(place) {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; x.slots[i] != 0; i = (i + 1) & mask {
		home := uint32(x.slots[i]>>32) & mask
		if (i-home)&mask >= (i-hole)&mask {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = 0
	x.used--
}
