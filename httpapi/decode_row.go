package httpapi

import (
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The bounds of one set of attributes. A row of 500 fields is ten times what
// the reference data sets have; names and texts are keys of counts in the
// learners' states, so they are bounded like keys.
const (
	maxRowFields = 500  // fields and members of sets together
	maxRowName   = 255  // characters of a dotted name
	maxRowText   = 4096 // characters of a text or a member
	maxRowDepth  = 8    // objects within objects
)

// row reads an object of attributes as a feature row: numbers, texts and
// booleans as they are, nested objects by dotted names, arrays of strings as
// sets, null as missing. The row aliases the body and the decoder's memory.
func (d *decoder) row() decision.Row {
	if d.null() {
		return nil
	}
	if !d.expect('{', "an object of attributes") {
		return nil
	}
	start := len(d.rows)
	fields := d.rowObject("", start, 0)
	row := d.rows[start:len(d.rows):len(d.rows)]
	if len(row) == 0 {
		return nil
	}
	row = row.Sort()
	d.checkRepeats(row, fields)
	return row
}

// rowObject reads the fields of one object, whose own dotted name is prefix, and
// returns how many there were, an array counting as one.
func (d *decoder) rowObject(prefix string, start, depth int) (fields int) {
	if depth == maxRowDepth {
		d.wrongf("attributes must not nest deeper than %d objects", maxRowDepth)
		d.skip()
		return 0
	}
	d.open()
	d.frames = append(d.frames, frame{object: true, keys: len(d.keys)})
	top := len(d.frames) - 1
	for d.more() {
		key := d.text()
		d.frames[top].key = key
		if len(d.rows)-start >= maxRowFields {
			d.wrongf("attributes must have at most %d fields", maxRowFields)
			d.skipRest()
			return fields
		}
		name := d.rowName(prefix, key)
		if d.kind() == '{' {
			fields += d.rowObject(name, start, depth+1)
			continue
		}
		before := len(d.rows)
		d.rowValue(name, start)
		if len(d.rows) > before {
			fields++
		}
	}
	d.frames = d.frames[:top]
	return fields
}

// rowName returns the dotted name of key within prefix.
func (d *decoder) rowName(prefix, key string) string {
	name := key
	if prefix != "" {
		at := len(d.names)
		d.names = append(append(append(d.names, prefix...), '.'), key...)
		name = alias(d.names[at:])
	}
	if key == "" {
		d.wrongf("a name must not be empty")
	}
	if len(name) > maxRowName && utf8.RuneCountInString(name) > maxRowName {
		d.wrongf("a name must be at most %d characters", maxRowName)
	}
	return name
}

// rowValue reads one value that is not an object.
func (d *decoder) rowValue(name string, start int) {
	switch d.kind() {
	case '"':
		d.rows = append(d.rows, decision.Field{Name: name, Text: d.str(0, maxRowText), Kind: decision.Text})
	case '[':
		d.rowSet(name, start)
	case 't':
		d.skipScalar()
		d.rows = append(d.rows, decision.Field{Name: name, Num: 1, Kind: decision.Bool})
	case 'f':
		d.skipScalar()
		d.rows = append(d.rows, decision.Field{Name: name, Kind: decision.Bool})
	case 'n':
		d.skipScalar()
	default:
		d.rows = append(d.rows, decision.Field{Name: name, Num: d.float(), Kind: decision.Number})
	}
}

// rowSet reads an array of strings.
func (d *decoder) rowSet(name string, start int) {
	d.enterArray()
	empty := true
	for d.nextItem(maxRowFields) {
		empty = false
		switch {
		case d.kind() != '"':
			d.wrongf("must be a string, got %s: an array in attributes is a set of strings", d.typeName())
			d.skip()
		case len(d.rows)-start >= maxRowFields:
			d.wrongf("attributes must have at most %d fields and members", maxRowFields)
			d.skip()
		default:
			d.rows = append(d.rows, decision.Field{Name: name, Text: d.str(0, maxRowText), Kind: decision.Member})
		}
	}
	if empty {
		d.rows = append(d.rows, decision.Field{Name: name, Kind: decision.EmptySet})
	}
}

// checkRepeats notes names that two fields share: the row is sorted, so there
// are as many names in it as there were fields unless one repeats.
func (d *decoder) checkRepeats(row decision.Row, fields int) {
	names := 1
	for i := 1; i < len(row); i++ {
		if row[i].Name != row[i-1].Name {
			names++
		}
	}
	if names == fields || d.failed {
		return
	}
	for i := 1; i < len(row); i++ {
		same := row[i].Name == row[i-1].Name
		if same && (row[i].Kind != decision.Member || row[i-1].Kind != decision.Member) {
			d.wrongf("%s is there twice", clip(row[i].Name))
			return
		}
	}
	d.wrongf("a set is there twice")
}
