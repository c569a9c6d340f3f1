package httpapi

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

// maxFields is how many fields one object of a request's own shape may have,
// known and unknown ones together. The largest shape has 18.
const maxFields = 64

// decoder reads one request body field by field. Every method that reads a
// value consumes it, also when it is of the wrong type: then it notes the
// problem at the value's path and goes on, so that one answer names all the
// fields at fault. Strings alias the body (see cursor).
type decoder struct {
	cursor
	problems decision.Problems
	failed   bool     // whether there are any problems
	strict   bool     // unknown fields are problems
	key      string   // of the field that nextField moved to
	frames   []frame  // the open arrays and objects, outermost first
	keys     []string // fields met so far in the open objects, for repeats
	left     []string // fields of the object that was left last
	rows     decision.Row
	names    []byte // memory of dotted names
}

// frame is an open array or object and the place in it.
type frame struct {
	key    string // the current field of an object
	index  int    // the current item of an array
	object bool
	keys   int // where this object's fields start in decoder.keys
}

// begin checks body and prepares to read it. An empty body reads as {}.
func (d *decoder) begin(body []byte, strict bool) error {
	d.problems, d.failed, d.strict = decision.Problems{}, false, strict
	d.frames, d.keys, d.rows, d.names = d.frames[:0], d.keys[:0], d.rows[:0], d.names[:0]
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		body = emptyObject
	}
	if err := checkJSON(body); err != nil {
		return decision.Errorf(decision.KindBadRequest, "the body is not valid JSON: %s", err.Error())
	}
	d.reset(body)
	return nil
}

var emptyObject = []byte("{}")

// err is everything that was wrong with the body.
func (d *decoder) err() error {
	if !d.failed {
		return nil
	}
	return d.problems.Err()
}

// path renders where the decoder is, such as "offers[3].id".
func (d *decoder) path() string {
	var b strings.Builder
	for i := range d.frames {
		f := &d.frames[i]
		switch {
		case !f.object:
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(f.index))
			b.WriteByte(']')
		case f.key != "" || i == len(d.frames)-1:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(clip(f.key))
		}
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}

// clip shortens a client's text for a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.Clone(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// wrongf notes that the current value is wrong.
func (d *decoder) wrongf(format string, args ...any) {
	d.failed = true
	d.problems.Addf(d.path(), format, args...)
}

// need notes which of the fields the object that was left last did not have.
func (d *decoder) need(fields ...string) {
	for _, field := range fields {
		if !slices.Contains(d.left, field) {
			d.invalid(field, "is required")
		}
	}
}

// invalid notes that a field of the current object is wrong; for what can only
// be judged after the whole object was read.
func (d *decoder) invalid(field, format string, args ...any) {
	d.failed = true
	path := field
	if len(d.frames) > 0 {
		path = d.path() + "." + field
	}
	d.problems.Addf(path, format, args...)
}

// typeName names the next value's type for a message.
func (d *decoder) typeName() string {
	switch d.kind() {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// expect consumes a value of the wrong type and notes it; ok is true, and
// nothing consumed, when the type is right.
func (d *decoder) expect(first byte, want string) (ok bool) {
	got := d.kind()
	if got == first || (first == 't' && got == 'f') || (first == '0' && (got == '-' || got-'0' <= 9)) {
		return true
	}
	d.wrongf("must be %s, got %s", want, d.typeName())
	d.skip()
	return false
}

// null consumes a null, if the next value is one.
func (d *decoder) null() bool {
	if d.kind() != 'n' {
		return false
	}
	d.skipScalar()
	return true
}

// enterObject starts reading an object. When it returns true, nextField must be
// called until it returns false.
func (d *decoder) enterObject() bool {
	if !d.expect('{', "an object") {
		return false
	}
	d.open()
	d.frames = append(d.frames, frame{object: true, keys: len(d.keys)})
	return true
}

// nextField moves to the next field of the current object and sets d.key; the
// field's value must be consumed before the next call.
func (d *decoder) nextField() bool {
	for {
		f := &d.frames[len(d.frames)-1]
		if !d.more() {
			d.leave()
			return false
		}
		d.key = d.text()
		f.key = d.key
		met := d.keys[f.keys:]
		switch {
		case len(met) == maxFields:
			d.wrongf("has too many fields before it; an object here may have %d", maxFields)
			d.skipRest()
			return false
		case slices.Contains(met, d.key):
			d.wrongf("is there twice")
			d.skip()
			continue
		}
		d.keys = append(d.keys, d.key)
		return true
	}
}

// skipRest leaves the current object, from before the value of a field.
func (d *decoder) skipRest() {
	d.skip()
	for d.more() {
		d.skipText()
		d.skip()
	}
	d.leave()
}

// leave ends the current object.
func (d *decoder) leave() {
	start := d.frames[len(d.frames)-1].keys
	d.left, d.keys = d.keys[start:], d.keys[:start]
	d.frames = d.frames[:len(d.frames)-1]
}

// unknown consumes a field that the request's shape does not have.
func (d *decoder) unknown() {
	if d.strict {
		d.wrongf("is not a known field")
	}
	d.skip()
}

// enterArray starts reading an array. When it returns true, nextItem must be
// called until it returns false.
func (d *decoder) enterArray() bool {
	if !d.expect('[', "an array") {
		return false
	}
	d.open()
	d.frames = append(d.frames, frame{index: -1})
	return true
}

// nextItem moves to the next item of the current array, of which there may be
// most; the item must be consumed before the next call.
func (d *decoder) nextItem(most int) bool {
	f := &d.frames[len(d.frames)-1]
	if !d.more() {
		d.frames = d.frames[:len(d.frames)-1]
		return false
	}
	if f.index++; f.index == most {
		d.skip()
		for n := most + 1; ; n++ {
			if !d.more() {
				d.frames = d.frames[:len(d.frames)-1]
				d.wrongf("must have at most %d items, got %d", most, n)
				return false
			}
			d.skip()
		}
	}
	return true
}

// str reads a string of least to most characters.
func (d *decoder) str(least, most int) string {
	if !d.expect('"', "a string") {
		return ""
	}
	s := d.text()
	// Bytes bound characters from above, so the usual case needs no counting.
	if len(s) >= least && len(s) <= most && least <= 1 {
		return s
	}
	if n := utf8.RuneCountInString(s); n < least || n > most {
		d.wrongf("must be %d to %d characters, got %d", least, most, n)
		return ""
	}
	return s
}

// optionalStr reads a string or null; null is "".
func (d *decoder) optionalStr(most int) string {
	if d.null() {
		return ""
	}
	return d.str(0, most)
}

// boolean reads true or false.
func (d *decoder) boolean() bool {
	return d.expect('t', "a boolean") && d.b[d.skipScalar()] == 't'
}

// float reads a finite number.
func (d *decoder) float() float64 {
	if !d.expect('0', "a number") {
		return 0
	}
	v, ok := d.number()
	if !ok {
		d.wrongf("must be a finite number within ±1.8e308")
	}
	return v
}

// whole reads an integer of least to most.
func (d *decoder) whole(least, most uint64) uint64 {
	if !d.expect('0', "a whole number") {
		return 0
	}
	start := d.skipScalar()
	v, err := strconv.ParseUint(alias(d.b[start:d.i]), 10, 64)
	if err != nil || v < least || v > most {
		d.wrongf("must be a whole number from %d to %d, got %s", least, most, clip(alias(d.b[start:d.i])))
		return least
	}
	return v
}

// time reads an RFC 3339 time.
func (d *decoder) time() (t decision.Time, ok bool) {
	if !d.expect('"', "a time as a string") {
		return 0, false
	}
	s := d.text()
	t, err := decision.ParseTime(s)
	if err != nil {
		d.wrongf("must be an RFC 3339 time such as 2026-03-14T06:00:00.000Z, got %q", clip(s))
		return 0, false
	}
	return t, true
}

// rawObject reads an object of at most mostKeys fields as it is, into memory of
// its own. Repeated fields are refused at every depth.
func (d *decoder) rawObject(mostKeys int) []byte {
	if !d.expect('{', "an object") {
		return nil
	}
	return d.raw(mostKeys, 0)
}

// rawArray reads an array of at most most items as it is, into memory of its
// own.
func (d *decoder) rawArray(most int) []byte {
	if !d.expect('[', "an array") {
		return nil
	}
	return d.raw(0, most)
}

// raw consumes the next value as it is and checks it for repeated fields. The
// bounds are those of its own level; 0 is none.
func (d *decoder) raw(mostKeys, mostItems int) []byte {
	d.kind()
	start := d.i
	d.checkRaw(mostKeys, mostItems)
	return bytes.Clone(d.b[start:d.i])
}

func (d *decoder) checkRaw(mostKeys, mostItems int) {
	switch d.kind() {
	case '{':
		d.open()
		d.frames = append(d.frames, frame{object: true, keys: len(d.keys)})
		seen := make(map[string]struct{})
		n := 0
		for ; d.more(); n++ {
			key := d.text()
			d.frames[len(d.frames)-1].key = key
			if _, again := seen[key]; again {
				d.wrongf("is there twice")
			}
			seen[key] = struct{}{}
			d.checkRaw(0, 0)
		}
		d.frames = d.frames[:len(d.frames)-1]
		if mostKeys > 0 && n > mostKeys {
			d.wrongf("must have at most %d keys, got %d", mostKeys, n)
		}
	case '[':
		d.open()
		d.frames = append(d.frames, frame{})
		n := 0
		for ; d.more(); n++ {
			d.frames[len(d.frames)-1].index = n
			d.checkRaw(0, 0)
		}
		d.frames = d.frames[:len(d.frames)-1]
		if mostItems > 0 && n > mostItems {
			d.wrongf("must have at most %d items, got %d", mostItems, n)
		}
	case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-':
		if _, ok := d.number(); !ok {
			d.wrongf("must be a finite number within ±1.8e308")
		}
	default:
		d.skip()
	}
}
