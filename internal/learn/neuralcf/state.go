package neuralcf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/praetor-engine/praetor/internal/wire"
)

// The binary state; a block of numbers is a length in bytes and float32 numbers,
// little endian:
//
//	byte     version, 1
//	uvarint  dim
//	uvarint  hidden
//	block    w1, hidden rows of 2·dim
//	block    b1
//	block    w2
//	block    b2, one number
//	then the customers and the offers, each:
//	  uvarint  number of ids, then the ids, ascending
//	  block    their embeddings in the same order
const stateVersion = 1

func (m *model) append(b []byte) []byte {
	b = append(b, stateVersion)
	b = wire.AppendUvarint(b, uint64(m.dim))
	b = wire.AppendUvarint(b, uint64(m.hidden))
	for _, block := range [][]float32{m.w1, m.b1, m.w2, {m.b2}} {
		b = appendBlock(b, block)
	}
	for _, t := range []*table{&m.users, &m.items} {
		b = wire.AppendUvarint(b, uint64(len(t.ids)))
		for _, id := range t.ids {
			b = wire.AppendString(b, id)
		}
		b = appendBlock(b, t.vectors)
	}
	return b
}

func appendBlock(b []byte, block []float32) []byte {
	b = wire.AppendUvarint(b, uint64(4*len(block)))
	for _, v := range block {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func decodeState(s string) (*model, error) {
	r := wire.NewReader(s)
	if v := r.Byte(); v != stateVersion {
		r.Fail("got version %d, want %d", v, stateVersion)
	}
	m := new(model)
	m.dim, m.hidden = decodeWidth(&r, maxDim), decodeWidth(&r, maxHidden)
	m.w1 = decodeBlock(&r, m.hidden*2*m.dim)
	m.b1 = decodeBlock(&r, m.hidden)
	m.w2 = decodeBlock(&r, m.hidden)
	if b2 := decodeBlock(&r, 1); len(b2) == 1 {
		m.b2 = b2[0]
	}
	m.users = decodeTable(&r, m.dim)
	m.items = decodeTable(&r, m.dim)
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("neural_cf state: %w", err)
	}
	return m, nil
}

func decodeWidth(r *wire.Reader, most uint64) int {
	n := r.Uvarint()
	if n > most {
		r.Fail("got a width of %d, want at most %d", n, most)
		return 0
	}
	return int(n)
}

func decodeTable(r *wire.Reader, dim int) table {
	n := r.Count(1 + 4*dim) // an id takes at least its length, and its embedding
	ids := make([]string, 0, n)
	for i := 0; i < n && r.Err() == nil; i++ {
		id := r.String()
		if i > 0 && id <= ids[i-1] {
			r.Fail("id %q after %q, want ascending ids", id, ids[i-1])
		}
		ids = append(ids, id)
	}
	vectors := decodeBlock(r, n*dim)
	if r.Err() != nil {
		return table{}
	}
	return newTable(ids, vectors)
}

// decodeBlock reads n numbers.
func decodeBlock(r *wire.Reader, n int) []float32 {
	raw := r.String()
	if r.Err() == nil && len(raw) != 4*n {
		r.Fail("got a block of %d bytes, want %d", len(raw), 4*n)
	}
	if r.Err() != nil {
		return nil
	}
	block := make([]float32, n)
	for i := range block {
		b := raw[4*i : 4*i+4]
		v := math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
		if !finite(v) {
			r.Fail("want finite numbers")
			return nil
		}
		block[i] = v
	}
	return block
}

func finite(v float32) bool { return math.Abs(float64(v)) <= math.MaxFloat32 }
