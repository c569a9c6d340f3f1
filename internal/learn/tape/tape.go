// Package tape remembers the examples of a training's first scan, so that its
// later scans need not read and decode the history again: reading is most of a
// training's time.
package tape

import (
	"context"
	"encoding/binary"
	"math"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Limit is how many bytes of examples a training may remember, beside what it
// holds anyway: about four million rows of ten fields.
const Limit = 256 << 20

// Tape is a compact copy of examples. It is bounded: when they turn out to be
// too many it forgets them all, and who wants them again has to read them again.
//
// An example takes about 7 bytes, and 9 for a number, 3 for a text. Those of one
// block, and none is divided between two:
//
//	varint   log index, less that of the row before
//	uvarint  sequence number in its log entry
//	byte     1: positive, 2: the weight is 1, else it follows
//	float64  weight
//	values:  uvarint  8 × number of the field, from 1, plus its decision.ValueKind
//	         float64  of a number or boolean
//	         uvarint  of a text or member: its code among the field's texts
//	byte     0, the end of the row
//
// A Tape is for one goroutine.
type Tape struct {
	limit  int
	uses   func(field string) bool
	blocks [][]byte
	names  int // bytes that the fields and their texts take
	lost   bool

	fields []*field // by number, less 1
	byName map[string]*field
	// The last row's fields in order: rows mostly have the same fields.
	order []*field
	last  uint64 // log index
}

// field is an attribute with the texts it had.
type field struct {
	name   string
	number uint64 // 0: not used, not remembered
	texts  []string
	codes  map[string]uint32
	recent *[recentTexts]recentText // nil before the first text
}

// recentText spares hashing for the few texts that most fields have: measured, it
// halves what a text costs.
type recentText struct {
	text string
	code uint32
	set  bool
}

const recentTexts = 64

const (
	blockSize = 1 << 20
	// What the parts of a row take at most.
	maxHead  = 2*binary.MaxVarintLen64 + 1 + 8
	maxValue = binary.MaxVarintLen64 + 8
	// What a text and a field take beside their bytes: places in maps and lists,
	// and a field's recent texts.
	textOverhead  = 64
	fieldOverhead = 256
	recentSize    = 32 * recentTexts

	flagPositive = 1
	flagOne      = 2
)

// New makes a tape of at most limit bytes for the fields that uses reports.
func New(limit int, uses func(field string) bool) *Tape {
	return &Tape{limit: limit, uses: uses, byName: make(map[string]*field)}
}

// Complete reports whether every example added is remembered.
func (t *Tape) Complete() bool { return !t.lost }

// Add remembers an example's id, row, label and weight.
func (t *Tape) Add(ex *learn.Example) {
	if t.lost {
		return
	}
	b, ok := t.room(maxHead + len(ex.Row)*maxValue + 1)
	if !ok {
		*t = Tape{lost: true}
		return
	}
	b = t.appendHead(b, ex)
	for i := range ex.Row {
		v := &ex.Row[i]
		if i >= len(t.order) {
			t.order = append(t.order, t.field(v.Name))
		} else if t.order[i].name != v.Name {
			t.order[i] = t.field(v.Name)
		}
		f := t.order[i]
		if f.number == 0 {
			continue
		}
		b = binary.AppendUvarint(b, f.number<<3|uint64(v.Kind))
		switch v.Kind {
		case decision.Number, decision.Bool:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Num))
		case decision.Text, decision.Member:
			b = binary.AppendUvarint(b, uint64(t.code(f, v.Text)))
		}
	}
	t.blocks[len(t.blocks)-1] = append(b, 0)
}

// room returns the last block, with room for size more bytes.
func (t *Tape) room(size int) (block []byte, ok bool) {
	n := len(t.blocks)
	left := t.limit - n*blockSize - t.names
	switch {
	case left < 0:
		return nil, false
	case n > 0 && cap(t.blocks[n-1])-len(t.blocks[n-1]) >= size:
		return t.blocks[n-1], true
	case left < blockSize || size > blockSize:
		return nil, false
	}
	t.blocks = append(t.blocks, make([]byte, 0, blockSize))
	return t.blocks[len(t.blocks)-1], true
}

func (t *Tape) appendHead(b []byte, ex *learn.Example) []byte {
	b = binary.AppendVarint(b, int64(ex.ID.Index-t.last))
	t.last = ex.ID.Index
	b = binary.AppendUvarint(b, uint64(ex.ID.Seq))
	var flags byte
	if ex.Positive {
		flags = flagPositive
	}
	if ex.Weight == 1 {
		return append(b, flags|flagOne)
	}
	return binary.LittleEndian.AppendUint64(append(b, flags), math.Float64bits(ex.Weight))
}

func (t *Tape) field(name string) *field {
	f := t.byName[name]
	if f == nil {
		f = &field{name: strings.Clone(name)}
		if t.uses(name) {
			f.codes = make(map[string]uint32)
			t.fields = append(t.fields, f)
			f.number = uint64(len(t.fields))
		}
		t.byName[f.name] = f
		t.names += len(name) + fieldOverhead
	}
	return f
}

// code returns the code of a field's text, a new one for a new text.
func (t *Tape) code(f *field, text string) uint32 {
	if f.recent == nil {
		f.recent = new([recentTexts]recentText)
		t.names += recentSize
	}
	r := &f.recent[place(text)]
	if r.set && r.text == text {
		return r.code
	}
	code, known := f.codes[text]
	if !known {
		code = uint32(len(f.texts))
		text = strings.Clone(text)
		f.texts, f.codes[text] = append(f.texts, text), code
		t.names += len(text) + textOverhead
	}
	*r = recentText{f.texts[code], code, true}
	return code
}

// place is where a text is among the recent ones.
func place(text string) int {
	n := len(text)
	if n == 0 {
		return 0
	}
	return (n + 3*int(text[0]) + 5*int(text[n/2]) + 7*int(text[n-1])) % recentTexts
}

// Fields returns the names of the fields by their numbers, from 1 on.
func (t *Tape) Fields() []string {
	names := make([]string, len(t.fields)+1)
	for _, f := range t.fields {
		names[f.number] = f.name
	}
	return names
}

// Texts returns the texts of a field by their codes.
func (t *Tape) Texts(number int) []string { return t.fields[number-1].texts }

// Row is an example as the tape has it.
type Row struct {
	ID       decision.InteractionID
	Positive bool
	Weight   float64
	Values   []Value // in the order of the row
}

// Value is one field of a row.
type Value struct {
	Field int // its number
	Kind  decision.ValueKind
	Code  uint32  // of a text or member
	Num   float64 // of a number or boolean
}

// Each calls f with every row in the order in which they were added. The row is
// valid during the call only.
func (t *Tape) Each(ctx context.Context, f func(*Row) error) error {
	var row Row
	for _, b := range t.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		for len(b) > 0 {
			b = row.read(b)
			if err := f(&row); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// read reads the row that follows r and returns the rest of the block.
func (r *Row) read(b []byte) []byte {
	delta, n := binary.Varint(b)
	r.ID.Index += uint64(delta)
	seq, m := binary.Uvarint(b[n:])
	r.ID.Seq = uint32(seq)
	b = b[n+m:]
	r.Positive, r.Weight = b[0]&flagPositive != 0, 1
	one := b[0]&flagOne != 0
	b = b[1:]
	if !one {
		r.Weight = math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	r.Values = r.Values[:0]
	for b[0] != 0 {
		ref, n := binary.Uvarint(b)
		b = b[n:]
		v := Value{Field: int(ref >> 3), Kind: decision.ValueKind(ref & 7)}
		switch v.Kind {
		case decision.Number, decision.Bool:
			v.Num = math.Float64frombits(binary.LittleEndian.Uint64(b))
			b = b[8:]
		case decision.Text, decision.Member:
			code, n := binary.Uvarint(b)
			v.Code = uint32(code)
			b = b[n:]
		}
		r.Values = append(r.Values, v)
	}
	return b[1:]
}

// Remember returns a source that gives src's examples and remembers those of the
// first scan, of which it gives later ones the id, the label, the weight and the
// fields that uses reports. When they are more than Limit permits, every scan is
// one of src.
func Remember(src learn.Source, uses func(field string) bool) learn.Source {
	return &remembered{src: src, uses: uses}
}

type remembered struct {
	src  learn.Source
	uses func(string) bool
	tape *Tape // nil before a scan has come to its end
}

// Scan implements learn.Source.
func (r *remembered) Scan(ctx context.Context, f func(*learn.Example) error) error {
	if r.tape != nil {
		if r.tape.Complete() {
			return r.tape.scan(ctx, f)
		}
		return r.src.Scan(ctx, f)
	}
	t := New(Limit, r.uses)
	err := r.src.Scan(ctx, func(ex *learn.Example) error {
		t.Add(ex)
		return f(ex)
	})
	if err == nil {
		r.tape = t
	}
	return err
}

// scan gives the rows as examples.
func (t *Tape) scan(ctx context.Context, f func(*learn.Example) error) error {
	var ex learn.Example
	var fields decision.Row
	return t.Each(ctx, func(row *Row) error {
		fields = fields[:0]
		for _, v := range row.Values {
			of := t.fields[v.Field-1]
			field := decision.Field{Name: of.name, Kind: v.Kind, Num: v.Num}
			if v.Kind == decision.Text || v.Kind == decision.Member {
				field.Text = of.texts[v.Code]
			}
			fields = append(fields, field)
		}
		ex = learn.Example{ID: row.ID, Row: fields, Positive: row.Positive, Weight: row.Weight}
		return f(&ex)
	})
}
