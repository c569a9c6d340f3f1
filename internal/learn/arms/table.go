// Package arms holds what the bandits share: the table of arms, one goroutine
// writing and any number reading, the reading of their JSON, and the evaluation
// of per-offer rates.
package arms

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

// MaxMass bounds the evidence of one arm. Beyond it a further outcome would
// drown in rounding anyway; the bound keeps every sum finite.
const MaxMass = 1e12

// DefaultMax is the bound on a model's arms where its configuration has none,
// and LimitMax the highest bound it may set.
const (
	DefaultMax = 10_000
	LimitMax   = 1_000_000
)

// Cell is one arm: the owner's working state S, and the last published P.
type Cell[S, P any] struct {
	ID string
	// State belongs to the table's owner; readers use Load.
	State S

	dirty     bool // listed in Table.dirty
	published atomic.Pointer[P]
}

// Load returns what was last published, nil before the first time. Any
// goroutine may call it.
func (c *Cell[S, P]) Load() *P { return c.published.Load() }

// Table maps offer ids to arms. One goroutine owns it and calls Add, Touch and
// Publish; any goroutine may call Find and Sorted meanwhile. An arm that was
// never published looks absent to readers, so they see a whole P or none.
//
// It is an open-addressing hash table with linear probing, at most half full:
// slots are only ever filled, a fuller table is copied to one twice as large,
// so an addition costs O(1) amortised and a reader needs no lock. Readers that
// still hold the smaller table miss only arms newer than it.
type Table[S, P any] struct {
	seed  maphash.Seed // decides only where an arm lies, never a result
	cells []*Cell[S, P]
	dirty []*Cell[S, P]

	slots  atomic.Pointer[[]atomic.Pointer[Cell[S, P]]]
	listed atomic.Pointer[[]*Cell[S, P]] // published cells, in order of arrival
	sorted atomic.Pointer[Sorted[S, P]]
}

// Sorted lists the published arms in ascending order of their ids; IDs[i] is
// the id of Cells[i]. It is not to be changed.
type Sorted[S, P any] struct {
	IDs   []string
	Cells []*Cell[S, P]
}

// firstSlots is the size of a new table: most models have a handful of offers.
const firstSlots = 16

// NewTable returns an empty table.
func NewTable[S, P any]() *Table[S, P] {
	t := &Table[S, P]{seed: maphash.MakeSeed()}
	slots := make([]atomic.Pointer[Cell[S, P]], firstSlots)
	t.slots.Store(&slots)
	t.listed.Store(new([]*Cell[S, P]))
	t.sorted.Store(new(Sorted[S, P]))
	return t
}

// Len returns how many arms the owner has added.
func (t *Table[S, P]) Len() int { return len(t.cells) }

// Find returns the arm of an offer, nil when there is none.
func (t *Table[S, P]) Find(id string) *Cell[S, P] {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := maphash.String(t.seed, id) & mask; ; i = (i + 1) & mask {
		c := slots[i].Load()
		if c == nil || c.ID == id {
			return c
		}
	}
}

// Add adds an arm for an offer that has none; id is copied. The caller sets its
// State and calls Touch.
func (t *Table[S, P]) Add(id string) *Cell[S, P] {
	slots := *t.slots.Load()
	if 2*(len(t.cells)+1) > len(slots) {
		slots = make([]atomic.Pointer[Cell[S, P]], 2*len(slots))
		for _, c := range t.cells {
			t.place(slots, c)
		}
		t.slots.Store(&slots)
	}
	c := &Cell[S, P]{ID: strings.Clone(id)}
	t.place(slots, c)
	t.cells = append(t.cells, c)
	return c
}

func (t *Table[S, P]) place(slots []atomic.Pointer[Cell[S, P]], c *Cell[S, P]) {
	mask := uint64(len(slots) - 1)
	i := maphash.String(t.seed, c.ID) & mask
	for slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].Store(c)
}

// Touch notes that the arm's state changed, for the next Publish.
func (t *Table[S, P]) Touch(c *Cell[S, P]) {
	if !c.dirty {
		c.dirty = true
		t.dirty = append(t.dirty, c)
	}
}

// Publish shows readers what render makes of every arm touched since the last
// time. Without one it does nothing and does not allocate.
func (t *Table[S, P]) Publish(render func(*S) *P) {
	for _, c := range t.dirty {
		c.published.Store(render(&c.State))
		c.dirty = false
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	if len(*t.listed.Load()) < len(t.cells) {
		cells := t.cells // readers never look past their own length
		t.listed.Store(&cells)
	}
}

// Sorted returns the published arms by ascending id. It allocates only when arms
// were added since the last call, and then costs O(arms).
func (t *Table[S, P]) Sorted() *Sorted[S, P] {
	listed, s := *t.listed.Load(), t.sorted.Load()
	if len(s.Cells) >= len(listed) {
		return s
	}
	// s holds the first len(s.Cells) arms listed; merge in the rest.
	added := byID(listed[len(s.Cells):])
	next := &Sorted[S, P]{IDs: make([]string, 0, len(listed)), Cells: make([]*Cell[S, P], 0, len(listed))}
	old := s.Cells
	for len(old)+len(added) > 0 {
		from := &old
		if len(old) == 0 || len(added) > 0 && added[0].ID < old[0].ID {
			from = &added
		}
		next.Cells = append(next.Cells, (*from)[0])
		next.IDs = append(next.IDs, (*from)[0].ID)
		*from = (*from)[1:]
	}
	t.sorted.Store(next) // a racing reader may put an older list back: rebuilt next time
	return next
}

// Owned returns all arms by ascending id, published or not; the owner's.
func (t *Table[S, P]) Owned() []*Cell[S, P] { return byID(t.cells) }

func byID[S, P any](cells []*Cell[S, P]) []*Cell[S, P] {
	return slices.SortedFunc(slices.Values(cells), func(a, b *Cell[S, P]) int { return cmp.Compare(a.ID, b.ID) })
}
