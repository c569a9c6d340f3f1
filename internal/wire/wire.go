// Package wire holds the primitives of every binary form of the engine: unsigned
// varints, little-endian floats, length-prefixed bytes. Writers append; a Reader
// keeps its first error, bounds every length by what is left, and never panics.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrCorrupt is what every failed read wraps.
var ErrCorrupt = errors.New("corrupt encoding")

// AppendUvarint appends v.
func AppendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// AppendVarint appends v, zig-zag encoded.
func AppendVarint(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

// AppendUint64 appends v in 8 bytes, little endian.
func AppendUint64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendFloat appends v's IEEE 754 bits in 8 bytes, little endian.
func AppendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// AppendString appends the length and the bytes of s.
func AppendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendBytes appends the length and the bytes of p.
func AppendBytes(b, p []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

// AppendBool appends v as one byte.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// Reader reads what the append functions wrote. Its strings share memory with
// the string it was made from; clone what is kept.
type Reader struct {
	s   string
	at  int
	err error
}

// NewReader returns a reader of s.
func NewReader(s string) Reader { return Reader{s: s} }

// Err returns the first error, nil when all reads so far succeeded.
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.s) - r.at }

// Offset returns how many bytes were read.
func (r *Reader) Offset() int { return r.at }

// Since returns what was read since the offset from; it shares memory with the
// input.
func (r *Reader) Since(from int) string { return r.s[from:r.at] }

// Rest reads everything that is left.
func (r *Reader) Rest() string {
	from := r.at
	r.at = len(r.s)
	return r.s[from:]
}

// Close returns the first error, or an error when bytes are left over.
func (r *Reader) Close() error {
	if r.err == nil && r.Len() > 0 {
		r.fail("%d bytes left over", r.Len())
	}
	return r.err
}

// Fail records a failure of the caller's own checks; the first one stays.
func (r *Reader) Fail(format string, args ...any) { r.fail(format, args...) }

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrCorrupt, r.at, fmt.Sprintf(format, args...))
	}
	r.at = len(r.s)
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.at >= len(r.s) {
		r.fail("want a byte")
		return 0
	}
	c := r.s[r.at]
	r.at++
	return c
}

// Bool reads one byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	c := r.Byte()
	if c > 1 {
		r.fail("want a boolean, got %d", c)
	}
	return c == 1
}

// Uvarint reads an unsigned varint. Almost all are one byte: lengths, counts.
func (r *Reader) Uvarint() uint64 {
	if r.at < len(r.s) && r.s[r.at] < 0x80 {
		r.at++
		return uint64(r.s[r.at-1])
	}
	return r.longUvarint()
}

func (r *Reader) longUvarint() uint64 {
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		c := r.Byte()
		if shift == 63 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail("varint is over 64 bits")
	return 0
}

// Varint reads a zig-zag encoded varint.
func (r *Reader) Varint() int64 {
	u := r.Uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// Uint64 reads 8 bytes, little endian.
func (r *Reader) Uint64() uint64 {
	if r.Len() < 8 {
		r.fail("want 8 bytes, have %d", r.Len())
		return 0
	}
	s := r.s[r.at : r.at+8]
	r.at += 8
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// Float reads a float64; NaN and infinities are corrupt: none is ever written.
func (r *Reader) Float() float64 {
	v := math.Float64frombits(r.Uint64())
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.fail("want a finite number")
		return 0
	}
	return v
}

// String reads a length-prefixed string. It shares memory with the input.
func (r *Reader) String() string {
	n := r.Uvarint()
	if n > uint64(r.Len()) {
		r.fail("want %d bytes, have %d", n, r.Len())
		return ""
	}
	s := r.s[r.at : r.at+int(n)]
	r.at += int(n)
	return s
}

// Count reads how many elements follow, each at least min bytes long, so that a
// corrupt count is refused before anything is allocated for it.
func (r *Reader) Count(min int) int {
	n := r.Uvarint()
	if n > uint64(r.Len()/max(min, 1)) {
		r.fail("want %d elements of at least %d bytes, have %d bytes", n, min, r.Len())
		return 0
	}
	return int(n)
}
