package encode

import (
	"cmp"
	"slices"
	"strings"
)

// CountedValues bounds the values that a Counter holds: 64 times the 1000
// categories that a learner keeps of a field in the end.
const CountedValues = 64 * 1000

// Counter counts the values of one field. A field of ever new values (an id,
// say) must not fill the memory, so the counts are those of lossy counting
// (Manku, Motwani, Approximate frequency counts over data streams, 2002):
// whenever the table is full every count is lowered by one and those at 0 are
// forgotten. A count is exact below that size, else too low by at most the
// number of rows divided by it.
type Counter map[string]*int

// Count counts one value, of which it keeps a copy, in a table of CountedValues.
func (c Counter) Count(value string) { c.CountWithin(CountedValues, value) }

// CountWithin is Count in a table of another size, which must be the same at
// every call.
func (c Counter) CountWithin(size int, value string) {
	if n, ok := c[value]; ok {
		*n++
		return
	}
	for len(c) >= size {
		for v, n := range c {
			if *n--; *n == 0 {
				delete(c, v)
			}
		}
	}
	n := 1
	c[strings.Clone(value)] = &n
}

// Frequent returns the most frequent values that occur at least least times, at
// most most of them, in ascending order; of equally frequent ones the first.
func (c Counter) Frequent(least, most int) []string {
	var values []string
	for v, n := range c {
		if *n >= least {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(*c[b], *c[a]), strings.Compare(a, b)) })
	values = values[:min(len(values), most)]
	slices.Sort(values)
	return values
}
