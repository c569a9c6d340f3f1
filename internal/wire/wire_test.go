package wire

import (
	"errors"
	"math"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	var b []byte
	b = AppendUvarint(b, math.MaxUint64)
	b = AppendVarint(b, math.MinInt64)
	b = AppendUint64(b, 0x0123456789abcdef)
	b = AppendFloat(b, -0.1)
	b = AppendString(b, "größe")
	b = AppendBytes(b, []byte{0, 1})
	b = AppendBool(b, true)
	b = AppendUvarint(b, 3)
	b = append(b, "abc"...)

	r := NewReader(string(b))
	if got := r.Uvarint(); got != math.MaxUint64 {
		t.Errorf("Uvarint() = %d, want %d", got, uint64(math.MaxUint64))
	}
	if got := r.Varint(); got != math.MinInt64 {
		t.Errorf("Varint() = %d, want %d", got, int64(math.MinInt64))
	}
	if got := r.Uint64(); got != 0x0123456789abcdef {
		t.Errorf("Uint64() = %x", got)
	}
	if got := r.Float(); got != -0.1 {
		t.Errorf("Float() = %v, want -0.1", got)
	}
	if got := r.String(); got != "größe" {
		t.Errorf("String() = %q", got)
	}
	if got := r.String(); got != "\x00\x01" {
		t.Errorf("String() = %q", got)
	}
	if !r.Bool() {
		t.Error("Bool() = false, want true")
	}
	if got := r.Count(1); got != 3 {
		t.Errorf("Count() = %d, want 3", got)
	}
	for range 3 {
		r.Byte()
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func TestReaderRefusesDamage(t *testing.T) {
	cases := []struct {
		name string
		in   string
		read func(*Reader)
	}{
		{"empty byte", "", func(r *Reader) { r.Byte() }},
		{"boolean of 2", "\x02", func(r *Reader) { r.Bool() }},
		{"unfinished varint", "\x80\x80", func(r *Reader) { r.Uvarint() }},
		{"varint over 64 bits", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", func(r *Reader) { r.Uvarint() }},
		{"short uint64", "1234567", func(r *Reader) { r.Uint64() }},
		{"infinity", string(AppendUint64(nil, math.Float64bits(math.Inf(1)))), func(r *Reader) { r.Float() }},
		{"NaN", string(AppendUint64(nil, math.Float64bits(math.NaN()))), func(r *Reader) { r.Float() }},
		{"string longer than the input", "\x05abc", func(r *Reader) { _ = r.String() }},
		{"count longer than the input", "\x05abcd", func(r *Reader) { r.Count(1) }},
		{"bytes left over", "ab", func(r *Reader) { r.Byte() }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(c.in)
			c.read(&r)
			if err := r.Close(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("Close() = %v, want ErrCorrupt", err)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add("\x01a\x00", []byte{0, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, in string, ops []byte) {
		r := NewReader(in)
		for _, op := range ops {
			switch op % 8 {
			case 0:
				r.Byte()
			case 1:
				r.Bool()
			case 2:
				r.Uvarint()
			case 3:
				r.Varint()
			case 4:
				r.Uint64()
			case 5:
				r.Float()
			case 6:
				_ = r.String()
			case 7:
				if n := r.Count(2); n > len(in) {
					t.Fatalf("Count() = %d of %d bytes", n, len(in))
				}
			}
		}
		_ = r.Close()
	})
}
