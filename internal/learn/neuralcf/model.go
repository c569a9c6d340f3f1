package neuralcf

import (
	"strings"
)

// model is what is learned. It is immutable once built.
type model struct {
	network
	users, items table
}

// network is the part that all customers and offers share. The zero network
// scores 0.5.
type network struct {
	dim, hidden int
	w1          []float32 // hidden rows of 2·dim: the customer's half, the offer's half
	b1, w2      []float32 // hidden
	b2          float32
}

// table has the embeddings of one kind of thing.
type table struct {
	ids     []string // ascending
	vectors []float32
	index   map[string]uint32 // place of an id in ids
}

// newTable makes a table of ascending ids. It copies them into one string, so
// that a table holds on to nothing else.
func newTable(ids []string, vectors []float32) table {
	all := strings.Join(ids, "")
	t := table{ids: make([]string, len(ids)), vectors: vectors, index: make(map[string]uint32, len(ids))}
	at := 0
	for i, id := range ids {
		t.ids[i] = all[at : at+len(id)]
		t.index[t.ids[i]] = uint32(i)
		at += len(id)
	}
	return t
}

// mean returns the mean of the embeddings, zero for an empty table.
func (t *table) mean(dim int) []float64 {
	sum := make([]float64, dim)
	for i := range t.ids {
		for k, v := range t.vectors[i*dim : (i+1)*dim] {
			sum[k] += float64(v)
		}
	}
	for k := range sum {
		sum[k] /= float64(max(len(t.ids), 1))
	}
	return sum
}
