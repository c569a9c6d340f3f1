package history

import (
	"slices"
	"sync/atomic"
)

// pages is an array in pages that can be frozen: freezing copies the directory
// of pages only, and a page that a frozen view shares is copied when it is next
// edited. The elements of summaries hold no pointers, so the garbage collector
// has one object to look at per page.
//
// There is one writer. Readers need the lock of the owner; frozen views need
// none, for a page they share is not written until they are released.
type pages[T any] struct {
	dir    [][]T
	owner  []uint32 // epoch in which the page was made or last copied
	epoch  uint32
	frozen *atomic.Int32 // views that are not released yet
}

// A page of 256 rows of 32 bytes takes about a microsecond to copy.
const (
	pageShift = 8
	pageSize  = 1 << pageShift
	pageMask  = pageSize - 1
)

// frozenPages is a view of pages as they were.
type frozenPages[T any] [][]T

func (p frozenPages[T]) at(i uint32) *T { return &p[i>>pageShift][i&pageMask] }

func (p *pages[T]) at(i uint32) *T { return &p.dir[i>>pageShift][i&pageMask] }

// len returns the number of elements.
func (p *pages[T]) len() uint32 {
	if len(p.dir) == 0 {
		return 0
	}
	last := len(p.dir) - 1
	return uint32(last<<pageShift + len(p.dir[last]))
}

// add appends a zero element and returns its place. The last page grows like a
// slice: a small table stays small.
func (p *pages[T]) add() uint32 {
	i := p.len()
	if i&pageMask == 0 {
		p.dir = append(p.dir, nil)
		p.owner = append(p.owner, p.epoch)
	}
	var zero T
	// Growing in place is safe for frozen views: they end before the new element.
	p.dir[i>>pageShift] = append(p.dir[i>>pageShift], zero)
	return i
}

// edit returns an element that may be written.
func (p *pages[T]) edit(i uint32) *T {
	k := i >> pageShift
	if p.owner[k] != p.epoch {
		if p.frozen.Load() > 0 {
			p.dir[k] = slices.Clone(p.dir[k])
		}
		p.owner[k] = p.epoch
	}
	return &p.dir[k][i&pageMask]
}

// freeze returns a view of the elements as they are now. The caller has counted
// the view in frozen before.
func (p *pages[T]) freeze() frozenPages[T] {
	p.epoch++
	return slices.Clone(p.dir)
}
