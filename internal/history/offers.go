package history

import (
	"strings"
	"sync"
	"sync/atomic"
)

// offers numbers the offer ids of a tenant, so that a summary names its offer in
// four bytes. Lookups take no lock. An offer that no summary names any more is
// forgotten and its number used again.
type offers struct {
	table atomic.Pointer[[]atomic.Pointer[offer]] // open addressing, linear probing
	used  int                                     // slots taken, tombstones included
	live  int
	free  []uint32

	mu     sync.RWMutex  // guards ids and byNumber against the writer
	ids    pages[string] // by number, empty for a free one
	number []*offer      // by number, the writer's alone
}

// offer is one numbered id.
type offer struct {
	id     string
	hash   uint64
	number uint32
	refs   uint32 // summaries that name it; the writer's alone
	// dead is set before the number can be used again: who finds a summary by
	// the number and then finds the offer alive has found its summary.
	dead atomic.Bool
}

// forgotten stands in the table where an offer was, so that probing goes on.
var forgotten = &offer{}

// find returns the offer with an id, nil when no summary names it.
func (t *offers) find(id string) *offer {
	table := t.table.Load()
	if table == nil {
		return nil
	}
	return probe(*table, id, hash64(id))
}

func probe(slots []atomic.Pointer[offer], id string, hash uint64) *offer {
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		o := slots[i].Load()
		if o == nil {
			return nil
		}
		if o.hash == hash && o.id == id && o != forgotten {
			return o
		}
	}
}

// intern returns the offer with an id, numbering it when it is new.
func (t *offers) intern(id string) *offer {
	if o := t.find(id); o != nil {
		return o
	}
	t.reserve()
	o := &offer{id: strings.Clone(id), hash: hash64(id)}
	t.mu.Lock()
	if n := len(t.free); n > 0 {
		o.number, t.free = t.free[n-1], t.free[:n-1]
		t.number[o.number] = o
	} else {
		o.number = t.ids.add()
		t.number = append(t.number, o)
	}
	*t.ids.edit(o.number) = o.id
	t.mu.Unlock()
	t.used++
	t.live++
	place(*t.table.Load(), o)
	return o
}

func place(slots []atomic.Pointer[offer], o *offer) {
	mask := uint64(len(slots) - 1)
	i := o.hash & mask
	for slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].Store(o)
}

// reserve makes room for one more, leaving tombstones behind.
func (t *offers) reserve() {
	old := t.table.Load()
	if old != nil && (t.used+1)*4 <= len(*old)*3 {
		return
	}
	size := minSlots
	for (t.live+1)*2 > size {
		size *= 2
	}
	next := make([]atomic.Pointer[offer], size)
	if old != nil {
		for i := range *old {
			if o := (*old)[i].Load(); o != nil && o != forgotten {
				place(next, o)
			}
		}
	}
	t.used = t.live
	t.table.Store(&next)
}

// release takes one summary's name away.
func (t *offers) release(number uint32) {
	o := t.number[number]
	if o.refs--; o.refs > 0 {
		return
	}
	o.dead.Store(true)
	slots := *t.table.Load()
	mask := uint64(len(slots) - 1)
	i := o.hash & mask
	for slots[i].Load() != o {
		i = (i + 1) & mask
	}
	slots[i].Store(forgotten)
	t.live--
	t.number[number] = nil
	t.mu.Lock()
	*t.ids.edit(number) = ""
	t.mu.Unlock()
	t.free = append(t.free, number)
}

// id returns the id of a number that a summary names.
func (t *offers) id(number uint32) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return *t.ids.at(number)
}
