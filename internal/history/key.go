package history

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The keys, all numbers big endian so that byte order is number order:
//
//	'r' space(4) index(8) seq(4)                      an interaction
//	'c' space(4) customer hash(8) index(8) seq(4)     an interaction of a customer, no value
//	's' space(4) model(n) version(8) index(8) seq(4)  a model version's state
//	'a' space(4) position(8)                          an entry of the audit log
//
// A space is one life of a tenant: a tenant that was dropped and comes back gets
// a new one, so what is left of its former life is never in the way.
const (
	kindRow      = 'r'
	kindCustomer = 'c'
	kindState    = 's'
	kindAudit    = 'a'

	rowKeySize      = 1 + 4 + 8 + 4
	customerKeySize = 1 + 4 + 8 + 8 + 4
)

func appendID(b []byte, id decision.InteractionID) []byte {
	b = binary.BigEndian.AppendUint64(b, id.Index)
	return binary.BigEndian.AppendUint32(b, id.Seq)
}

func appendRowKey(b []byte, space uint32, id decision.InteractionID) []byte {
	return appendID(binary.BigEndian.AppendUint32(append(b, kindRow), space), id)
}

func appendCustomerKey(b []byte, space uint32, hash uint64, id decision.InteractionID) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindCustomer), space)
	return appendID(binary.BigEndian.AppendUint64(b, hash), id)
}

func appendStateKey(b []byte, space uint32, model string, ref stateRef) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindState), space)
	b = binary.BigEndian.AppendUint64(append(b, model...), ref.version)
	return appendID(b, ref.id)
}

// spaceRange returns the keys of one kind of a space: start inclusive, end not.
func spaceRange(kind byte, space uint32) (start, end []byte) {
	start = binary.BigEndian.AppendUint32([]byte{kind}, space)
	if space == math.MaxUint32 {
		return start, []byte{kind + 1}
	}
	return start, binary.BigEndian.AppendUint32([]byte{kind}, space+1)
}

// keyID reads the id that ends a row's or a customer's key.
func keyID(key []byte, size int) (decision.InteractionID, error) {
	if len(key) != size {
		return decision.InteractionID{}, fmt.Errorf("key %x has %d bytes, want %d", key, len(key), size)
	}
	tail := key[size-12:]
	return decision.InteractionID{Index: binary.BigEndian.Uint64(tail), Seq: binary.BigEndian.Uint32(tail[8:])}, nil
}

// after returns the first id that follows id.
func after(id decision.InteractionID) decision.InteractionID {
	if id.Seq == math.MaxUint32 {
		return decision.InteractionID{Index: id.Index + 1}
	}
	return decision.InteractionID{Index: id.Index, Seq: id.Seq + 1}
}

// hash64 is FNV-1a with a finalizer (the one of splitmix64) that spreads its low
// entropy in the high bits: shards are chosen by those. The hash is on disk and
// decides evictions, so it must never change.
func hash64(s string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, 64 bit
	h := uint64(offset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return mix(h)
}

// mix is the finalizer of splitmix64 (Steele, Lea, Flood 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
