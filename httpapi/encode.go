package httpapi

import (
	"math"
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD;
// request bodies cannot bring it in, header values could.
func appendString(dst []byte, s string) []byte {
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

// appendFloat appends f in the shortest form that reads back as f, in the
// notation of ECMAScript, which encoding/json uses too. What is not finite has
// no form in JSON and becomes null.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

// appendText appends a field with a text value, after a comma.
func appendText(dst []byte, key, value string) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return appendString(dst, value)
}

// appendNumber appends a field with a number, after a comma.
func appendNumber(dst []byte, key string, value float64) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return appendFloat(dst, value)
}

// appendCount appends a field with a whole number, after a comma.
func appendCount[T int | int64 | uint32 | uint64](dst []byte, key string, value T) []byte {
	dst = append(append(append(dst, `,"`...), key...), `":`...)
	return strconv.AppendInt(dst, int64(value), 10)
}

// appendNullable appends a field with a text, null when it is empty, after a
// comma.
func appendNullable(dst []byte, key, value string) []byte {
	if value == "" {
		dst = append(append(append(dst, `,"`...), key...), `":`...)
		return append(dst, "null"...)
	}
	return appendText(dst, key, value)
}
