package history

import "unsafe"

// arena keeps the customers' ids in units of 8 bytes. A text lies within one
// page; the place of a removed one is used again by the next of its size.
type arena struct {
	units pages[unit]
	free  map[uint32][]uint32 // by size in units
}

type unit [unitSize]byte

const (
	unitSize = 8
	// maxCustomerID is the longest id that gets a summary: 255 characters of
	// four bytes fit.
	maxCustomerID = 1024
)

func unitsOf(length int) uint32 { return uint32((length + unitSize - 1) / unitSize) }

// put stores s, at most maxCustomerID bytes, and returns its place.
func (a *arena) put(s string) uint32 {
	at := a.place(unitsOf(len(s)))
	for i := 0; i < len(s); i += unitSize {
		copy(a.units.edit(at + uint32(i/unitSize))[:], s[i:])
	}
	return at
}

func (a *arena) place(size uint32) uint32 {
	if places := a.free[size]; len(places) > 0 {
		a.free[size] = places[:len(places)-1]
		return places[len(places)-1]
	}
	if room := pageSize - a.units.len()&pageMask; room < size {
		a.release(a.units.len(), room)
		for range room {
			a.units.add()
		}
	}
	at := a.units.len()
	for range size {
		a.units.add()
	}
	return at
}

// remove frees the place of a text of the given length.
func (a *arena) remove(at uint32, length int) { a.release(at, unitsOf(length)) }

func (a *arena) release(at, size uint32) {
	if a.free == nil {
		a.free = make(map[uint32][]uint32)
	}
	a.free[size] = append(a.free[size], at)
}

// text returns the text at a place. It is valid as long as the lock is held.
func (a *arena) text(at uint32, length uint16) string { return textAt(a.units.at(at), length) }

// textAt reads a text from its first unit; the others follow in the same page.
func textAt(first *unit, length uint16) string { return unsafe.String(&first[0], int(length)) }
