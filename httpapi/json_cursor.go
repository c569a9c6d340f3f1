package httpapi

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// cursor walks over JSON that checkJSON has accepted; that is why it never
// meets a syntax error. The strings it returns share memory with the input or,
// where they had escapes, with the cursor's own buffer: they are valid until
// the input is overwritten or the cursor is reset.
type cursor struct {
	b       []byte
	i       int
	unquote []byte // text of the strings that had escapes
}

// reset points the cursor at the start of b, which must be valid.
func (c *cursor) reset(b []byte) {
	c.b, c.i, c.unquote = b, 0, c.unquote[:0]
}

// kind returns the first byte of the next value, which tells its type, without
// consuming it.
func (c *cursor) kind() byte {
	for {
		switch ch := c.b[c.i]; ch {
		case ' ', '\t', '\n', '\r', ',', ':':
			c.i++
		default:
			return ch
		}
	}
}

// open consumes the opening bracket of an array or object.
func (c *cursor) open() {
	c.kind()
	c.i++
}

// more reports whether the current array or object has another element;
// otherwise it consumes the closing bracket.
func (c *cursor) more() bool {
	if ch := c.kind(); ch == '}' || ch == ']' {
		c.i++
		return false
	}
	return true
}

// text consumes a string.
func (c *cursor) text() string {
	c.kind()
	start := c.i + 1
	for i := start; ; i++ {
		switch c.b[i] {
		case '"':
			c.i = i + 1
			return alias(c.b[start:i])
		case '\\':
			return c.escaped(start, i)
		}
	}
}

// escaped consumes a string that starts at start and has its first escape at i.
func (c *cursor) escaped(start, i int) string {
	out := len(c.unquote)
	c.unquote = append(c.unquote, c.b[start:i]...)
	for {
		switch ch := c.b[i]; ch {
		case '"':
			c.i = i + 1
			return alias(c.unquote[out:])
		case '\\':
			i += c.appendEscape(c.b[i:])
		default:
			c.unquote = append(c.unquote, ch)
			i++
		}
	}
}

// appendEscape appends what the escape sequence at the start of b stands for and
// returns its length.
func (c *cursor) appendEscape(b []byte) int {
	switch b[1] {
	case 'b':
		c.unquote = append(c.unquote, '\b')
	case 'f':
		c.unquote = append(c.unquote, '\f')
	case 'n':
		c.unquote = append(c.unquote, '\n')
	case 'r':
		c.unquote = append(c.unquote, '\r')
	case 't':
		c.unquote = append(c.unquote, '\t')
	case 'u':
		r, _ := hex4(b[2:])
		if !utf16.IsSurrogate(r) {
			c.unquote = utf8.AppendRune(c.unquote, r)
			return 6
		}
		low, _ := hex4(b[8:])
		c.unquote = utf8.AppendRune(c.unquote, utf16.DecodeRune(r, low))
		return 12
	default: // quote, backslash, slash
		c.unquote = append(c.unquote, b[1])
	}
	return 2
}

// number consumes a number; ok is false when it is beyond a float64.
func (c *cursor) number() (v float64, ok bool) {
	start := c.skipScalar()
	v, err := strconv.ParseFloat(alias(c.b[start:c.i]), 64)
	return v, err == nil
}

// skipScalar consumes a number or a word and returns where it started.
func (c *cursor) skipScalar() (start int) {
	c.kind()
	start = c.i
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r', ',', ']', '}':
			return start
		}
		c.i++
	}
	return start
}

// skip consumes the next value and returns its bytes.
func (c *cursor) skip() []byte {
	first := c.kind()
	start := c.i
	switch first {
	case '"':
		c.skipText()
	case '{', '[':
		c.skipNested()
	default:
		c.skipScalar()
	}
	return c.b[start:c.i]
}

// skipNested consumes an array or object.
func (c *cursor) skipNested() {
	for depth := 0; ; c.i++ {
		switch c.b[c.i] {
		case '"':
			c.skipText()
			c.i-- // the loop steps over the closing quote
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				c.i++
				return
			}
		}
	}
}

// skipText consumes a string without reading it.
func (c *cursor) skipText() {
	for i := c.i + 1; ; i++ {
		switch c.b[i] {
		case '\\':
			i++
		case '"':
			c.i = i + 1
			return
		}
	}
}

// alias returns b as a string without copying; it is valid while b is.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
