package attribution

import (
	"cmp"
	"maps"
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/wire"
)

// place is what exposures are counted by.
type place struct {
	variant uint16
	holdout bool
	cell    uint64
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.variant, o.variant), cmp.Compare(p.cell, o.cell), compareBool(p.holdout, o.holdout))
}

// counts are n values, their sum and that of their squares.
type counts struct {
	n           uint64
	sum, square sum
}

func (c *counts) give(value int64) {
	c.n++
	c.sum.add(sumOf(value))
	c.square.add(squareOf(value))
}

func (c *counts) take(value int64) {
	c.n--
	c.sum.add(sumOf(value).negated())
	c.square.add(squareOf(value).negated())
}

// Table is what was counted: exposures that are mature or rewarded, by variant,
// context cell and holdout, and the visitors of both sides.
type Table struct {
	rules    Rules
	cells    map[place]*counts
	visitors [2]counts // treated, held out
	immature uint64
}

// NewTable returns an empty table.
func NewTable(rules Rules) *Table { return &Table{rules: rules, cells: make(map[place]*counts)} }

// Clone returns a copy that does not change with the table.
func (t *Table) Clone() *Table {
	c := *t
	c.cells = make(map[place]*counts, len(t.cells))
	for p, n := range t.cells {
		own := *n
		c.cells[p] = &own
	}
	return &c
}

func (t *Table) give(e *Exposure, value int64) {
	p := place{e.Variant, e.Holdout, e.Cell}
	c := t.cells[p]
	if c == nil {
		c = new(counts)
		t.cells[p] = c
	}
	c.give(value)
}

func (t *Table) take(e *Exposure, value int64) {
	p := place{e.Variant, e.Holdout, e.Cell}
	c := t.cells[p]
	if c.take(value); c.n == 0 {
		delete(t.cells, p)
	}
}

func side(holdout bool) int {
	if holdout {
		return 1
	}
	return 0
}

// Observed returns what a model learns from, by variant and cell. The held out belong
// to it: they saw the baseline, and by no choice of their own.
func (t *Table) Observed() []factorial.Observed {
	var observed []factorial.Observed
	unit := t.rules.unit()
	for _, p := range slices.SortedFunc(maps.Keys(t.cells), place.compare) {
		c := *t.cells[p]
		if other, both := t.cells[place{p.variant, !p.holdout, p.cell}]; both {
			if p.holdout {
				continue // added to the treated
			}
			c.n += other.n
			c.sum.add(other.sum)
			c.square.add(other.square)
		}
		observed = append(observed, factorial.Observed{
			Variant: int(p.variant), Cell: p.cell, N: c.n,
			Sum: c.sum.float() * unit, SumSq: c.square.float() * unit * unit,
		})
	}
	return observed
}

// Visitors returns what the visitors of one side brought: of boolean rewards, whether
// any was credited to one of their counted exposures; of numbers, the sum.
func (t *Table) Visitors(holdout bool) factorial.Arm {
	c, unit := &t.visitors[side(holdout)], t.rules.unit()
	return factorial.Arm{Users: c.n, Sum: c.sum.float() * unit, SumSq: c.square.float() * unit * unit}
}

// Immature returns how many exposures are left out because nobody knows yet what
// they bring.
func (t *Table) Immature() uint64 { return t.immature }

// Exposures returns how many exposures were counted.
func (t *Table) Exposures() (n uint64) {
	for _, c := range t.cells {
		n += c.n
	}
	return n
}

// Append appends the binary form, which is canonical: the immature, the visitors of
// both sides, the cells in ascending order.
func (t *Table) Append(b []byte) []byte {
	b = wire.AppendUvarint(b, t.immature)
	for i := range t.visitors {
		b = t.visitors[i].append(b)
	}
	b = wire.AppendUvarint(b, uint64(len(t.cells)))
	for _, p := range slices.SortedFunc(maps.Keys(t.cells), place.compare) {
		b = wire.AppendUvarint(b, uint64(p.variant))
		b = wire.AppendUvarint(b, p.cell)
		b = wire.AppendBool(b, p.holdout)
		b = t.cells[p].append(b)
	}
	return b
}

func (c *counts) append(b []byte) []byte {
	return c.square.append(c.sum.append(wire.AppendUvarint(b, c.n)))
}

func readCounts(r *wire.Reader) counts {
	return counts{r.Uvarint(), readSum(r), readSum(r)}
}

// readTable reads what Append wrote. That the form is canonical is for the caller
// to check, by writing it again.
func readTable(r *wire.Reader, rules Rules) *Table {
	t := NewTable(rules)
	t.immature = r.Uvarint()
	for i := range t.visitors {
		t.visitors[i] = readCounts(r)
	}
	for range r.Count(36) {
		variant := r.Uvarint()
		p := place{cell: r.Uvarint(), holdout: r.Bool(), variant: uint16(variant)}
		c := readCounts(r)
		if variant >= factorial.MaxVariants || c.n == 0 || t.cells[p] != nil {
			r.Fail("variant %d with %d exposures", variant, c.n)
			break
		}
		t.cells[p] = &c
	}
	return t
}

// DecodeTable reads what Append wrote.
func DecodeTable(rules Rules, s string) (*Table, error) {
	r := wire.NewReader(s)
	t := readTable(&r, rules)
	if err := r.Close(); err != nil {
		return nil, err
	}
	if string(t.Append(make([]byte, 0, len(s)))) != s {
		r.Fail("not canonical")
	}
	return t, r.Err()
}
