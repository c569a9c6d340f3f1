package neuralcf

import (
	"cmp"
	"slices"
	"strings"
)

// census counts the rows of ids in bounded memory: when it knows twice as many
// as it may keep, it forgets those with the fewest rows, of equal ones those that
// were last seen longest ago. One that comes back starts over, so with more than
// twice as many ids the kept ones are nearly, not exactly, those with most rows.
type census struct {
	most  int
	index map[string]uint32 // place in seen
	seen  []tally
	row   uint64
}

type tally struct {
	id   string
	rows uint32
	last uint64 // row it was last in
}

func newCensus(most int) *census { return &census{most: most, index: make(map[string]uint32)} }

// add counts one row of id, which it copies.
func (c *census) add(id string) {
	c.row++
	if i, ok := c.index[id]; ok {
		c.seen[i].rows++
		c.seen[i].last = c.row
		return
	}
	if len(c.seen) >= 2*c.most {
		c.keep(c.most)
	}
	id = strings.Clone(id)
	c.index[id] = uint32(len(c.seen))
	c.seen = append(c.seen, tally{id: id, rows: 1, last: c.row})
}

func (c *census) keep(n int) {
	slices.SortFunc(c.seen, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(b.last, a.last))
	})
	clear(c.seen[n:])
	c.seen = c.seen[:n]
	c.reindex()
}

func (c *census) reindex() {
	clear(c.index)
	for i := range c.seen {
		c.index[c.seen[i].id] = uint32(i)
	}
}

// close chooses the ids to keep, those with the most rows of at most c.most whose
// ids and embeddings take no more than size bytes, and puts them in ascending
// order, so that index has their places in a table.
func (c *census) close(size, dim int) {
	c.keep(min(c.most, len(c.seen)))
	for i := range c.seen {
		if size -= stateSize(c.seen[i].id, dim); size < 0 {
			c.seen = c.seen[:i]
			break
		}
	}
	slices.SortFunc(c.seen, func(a, b tally) int { return strings.Compare(a.id, b.id) })
	c.reindex()
}

func (c *census) ids() []string {
	ids := make([]string, len(c.seen))
	for i := range ids {
		ids[i] = c.seen[i].id
	}
	return ids
}

// place returns the id's place in the table, or that of the unknown, which comes
// after all others.
func (c *census) place(id string) uint32 {
	if i, ok := c.index[id]; ok {
		return i
	}
	return uint32(len(c.seen))
}
