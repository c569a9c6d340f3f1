// Package jsontext appends JSON to a buffer without allocating, for what is written
// too often to go through encoding/json: answers of the hot routes, logged decisions.
package jsontext

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + n
			}
			i += n
			continue
		}
		if ch >= 0x20 && ch != '"' && ch != '\\' && ch != 0x7f {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch ch {
		case '"', '\\':
			dst = append(dst, '\\', ch)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// AppendFloat appends f in the shortest form that reads back as f, in the
// notation of ECMAScript, which encoding/json uses too. What is not finite has
// no form in JSON and becomes null.
func AppendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

// AppendKey appends a field's name, which needs no escapes, after a comma unless
// the object begins.
func AppendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), key...), `":`...)
}

// AppendText appends a field with a text value.
func AppendText(dst []byte, key, value string) []byte {
	return AppendString(AppendKey(dst, key), value)
}

// AppendNumber appends a field with a number.
func AppendNumber(dst []byte, key string, value float64) []byte {
	return AppendFloat(AppendKey(dst, key), value)
}

// AppendCount appends a field with a whole number.
func AppendCount[T int | int64 | uint32 | uint64](dst []byte, key string, value T) []byte {
	return strconv.AppendInt(AppendKey(dst, key), int64(value), 10)
}

// AppendNullable appends a field with a text, null when it is empty.
func AppendNullable(dst []byte, key, value string) []byte {
	if value == "" {
		return append(AppendKey(dst, key), "null"...)
	}
	return AppendText(dst, key, value)
}

// AppendRow appends a feature row as an object: dotted names stay as they are,
// the members of a set become an array.
func AppendRow(dst []byte, row decision.Row) []byte {
	dst = append(dst, '{')
	for i := 0; i < len(row); {
		f := &row[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, f.Name), ':')
		i++
		switch f.Kind {
		case decision.Number:
			dst = AppendFloat(dst, f.Num)
		case decision.Bool:
			dst = strconv.AppendBool(dst, f.Num != 0)
		case decision.Text:
			dst = AppendString(dst, f.Text)
		case decision.Member:
			dst = AppendString(append(dst, '['), f.Text)
			for ; i < len(row) && row[i].Name == f.Name; i++ {
				dst = AppendString(append(dst, ','), row[i].Text)
			}
			dst = append(dst, ']')
		default:
			dst = append(dst, "[]"...)
		}
	}
	return append(dst, '}')
}
