package httpapi

import (
	"fmt"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest in a request. The API's own
// shapes need 6; tree ensembles as modelState need their depth (LightGBM's
// default is unlimited, in practice below 64) times two.
const maxDepth = 128

// syntaxError says where and why a body is not acceptable JSON.
type syntaxError struct {
	offset int
	msg    string
}

// Error says the offset in bytes and the reason.
func (e *syntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.offset, e.msg) }

// checker is the state of one pass of checkJSON.
type checker struct {
	b []byte
	i int
}

// checkJSON reports whether b is exactly one JSON value (RFC 8259) in valid
// UTF-8, nested at most maxDepth deep, without escapes of lone surrogates. It
// accepts nothing that encoding/json.Valid rejects. One pass, no recursion, no
// allocation unless there is an error.
func checkJSON(b []byte) error {
	c := checker{b: b}
	if msg := c.document(); msg != "" {
		return &syntaxError{offset: c.i, msg: msg}
	}
	return nil
}

func (c *checker) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// document checks the whole input; it returns what is wrong, or "".
func (c *checker) document() string {
	var objects [maxDepth/64 + 1]uint64 // bit d: level d is an object
	depth := 0
	for {
		c.space()
		if c.i == len(c.b) {
			return "the input ends where a value was expected"
		}
		opened := false
		switch ch := c.b[c.i]; ch {
		case '{', '[':
			if depth == maxDepth {
				return fmt.Sprintf("nested deeper than %d levels", maxDepth)
			}
			c.i++
			depth++
			if ch == '{' {
				objects[depth/64] |= 1 << (depth % 64)
			} else {
				objects[depth/64] &^= 1 << (depth % 64)
			}
			opened = true
		default:
			if msg := c.scalar(ch); msg != "" {
				return msg
			}
		}
		done, msg := c.afterValue(&objects, &depth, opened)
		if done || msg != "" {
			return msg
		}
	}
}

// afterValue consumes what may follow a value or an opening bracket, up to the
// place where the next value starts. done tells that the document is complete.
func (c *checker) afterValue(objects *[maxDepth/64 + 1]uint64, depth *int, opened bool) (done bool, msg string) {
	for {
		c.space()
		if *depth == 0 {
			if c.i < len(c.b) {
				return false, "data after the end of the value"
			}
			return true, ""
		}
		if c.i == len(c.b) {
			return false, "the input ends inside an array or object"
		}
		object := objects[*depth/64]>>(*depth%64)&1 == 1
		ch := c.b[c.i]
		if (object && ch == '}') || (!object && ch == ']') {
			c.i++
			*depth--
			opened = false
			continue
		}
		if !opened {
			if ch != ',' {
				return false, "a comma or the closing bracket was expected"
			}
			c.i++
			c.space()
		}
		if object {
			return false, c.key()
		}
		return false, ""
	}
}

// key checks an object's key and the colon after it.
func (c *checker) key() string {
	if c.i == len(c.b) || c.b[c.i] != '"' {
		return "a field's name in double quotes was expected"
	}
	if msg := c.text(); msg != "" {
		return msg
	}
	c.space()
	if c.i == len(c.b) || c.b[c.i] != ':' {
		return "a colon after the field's name was expected"
	}
	c.i++
	return ""
}

func (c *checker) scalar(first byte) string {
	switch {
	case first == '"':
		return c.text()
	case first == '-' || (first >= '0' && first <= '9'):
		return c.number()
	case first == 't':
		return c.word("true")
	case first == 'f':
		return c.word("false")
	case first == 'n':
		return c.word("null")
	}
	return "a value was expected"
}

func (c *checker) word(w string) string {
	if len(c.b)-c.i < len(w) || string(c.b[c.i:c.i+len(w)]) != w {
		return "not a JSON value"
	}
	c.i += len(w)
	return ""
}

func (c *checker) digits() bool {
	start := c.i
	for c.i < len(c.b) && c.b[c.i]-'0' <= 9 {
		c.i++
	}
	return c.i > start
}

func (c *checker) number() string {
	if c.b[c.i] == '-' {
		c.i++
	}
	if c.i < len(c.b) && c.b[c.i] == '0' {
		c.i++
		if c.i < len(c.b) && c.b[c.i]-'0' <= 9 {
			return "a number must not start with 0"
		}
	} else if !c.digits() {
		return "a digit was expected"
	}
	if c.i < len(c.b) && c.b[c.i] == '.' {
		c.i++
		if !c.digits() {
			return "a digit after the decimal point was expected"
		}
	}
	if c.i < len(c.b) && (c.b[c.i] == 'e' || c.b[c.i] == 'E') {
		c.i++
		if c.i < len(c.b) && (c.b[c.i] == '+' || c.b[c.i] == '-') {
			c.i++
		}
		if !c.digits() {
			return "a digit in the exponent was expected"
		}
	}
	return ""
}

// text checks a string from its opening quote.
func (c *checker) text() string {
	b, i := c.b, c.i+1
	for i < len(b) {
		ch := b[i]
		switch {
		case ch == '"':
			c.i = i + 1
			return ""
		case ch == '\\':
			n := escape(b[i:])
			if n == 0 {
				c.i = i
				return "not a valid escape in a string"
			}
			i += n
		case ch < 0x20:
			c.i = i
			return "a control character in a string must be escaped"
		case ch < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				c.i = i
				return "a string is not valid UTF-8"
			}
			i += n
		}
	}
	c.i = len(b)
	return "the input ends inside a string"
}

// escape returns the length of the escape sequence that b starts with, 0 when
// it is not a valid one. A pair of surrogates is one sequence.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok || (r >= 0xdc00 && r < 0xe000):
			return 0
		case r < 0xd800 || r >= 0xe000:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		low, ok := hex4(b[8:])
		if !ok || low < 0xdc00 || low >= 0xe000 {
			return 0
		}
		return 12
	}
	return 0
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, ch := range b[:4] {
		switch {
		case ch-'0' <= 9:
			r = r<<4 | rune(ch-'0')
		case ch|0x20 >= 'a' && ch|0x20 <= 'f':
			r = r<<4 | rune(ch|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
