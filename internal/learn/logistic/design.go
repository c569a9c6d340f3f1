package logistic

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/learn/tape"
)

// design is the design matrix, compact and in the order in which training reads
// it. Rows are stored at random places, so that reading memory in sequence is
// reading rows in random order; the rows that fit the model while the held-out
// ones measure it come first.
//
//	row i:  numbers [i·N, (i+1)·N)   standardised, 0 where missing
//	        slots   [i·S, (i+1)·S)   index of the category's weight, 0 for none
//	        members [from, to)       the same for members of sets
type design struct {
	encoder
	rows    int
	fitting int       // rows [0, fitting) are not held out
	numbers []float32 // rows × N
	slots   []uint32  // rows × S
	members []uint32
	spans   []span    // of each row in members; nil without sets
	labels  []float32 // the example's weight, negative for a negative example
}

type span struct{ from, to uint32 }

// encoder turns rows into features.
type encoder struct {
	columns []column // ascending by name
	n, s    int      // numbers and slots of a row
	weights int      // of categories, the unused one of index 0 included
	sets    bool
}

// column is how one field is encoded.
type column struct {
	name      string
	numeric   bool
	set       bool
	at        int // position among the numbers or slots of a row
	mean      float64
	deviation float64
	values    []string          // of categories
	index     map[string]uint32 // weight of a category
}

// newEncoder chooses the features from the profile.
func newEncoder(p *profile) encoder {
	e := encoder{weights: 1}
	for _, fp := range p.fields {
		c := column{name: fp.name, numeric: fp.numeric(), set: fp.set}
		if c.numeric {
			c.mean, c.deviation = fp.mean, fp.deviation()
		} else {
			c.values = fp.categories()
		}
		if fp.used && (c.deviation > 0 || len(c.values) > 0) {
			e.columns = append(e.columns, c)
		}
	}
	slices.SortFunc(e.columns, func(a, b column) int { return strings.Compare(a.name, b.name) })
	for i := range e.columns {
		c := &e.columns[i]
		switch {
		case c.numeric:
			c.at = e.n
			e.n++
		case c.set:
			e.sets = true
		default:
			c.at = e.s
			e.s++
		}
		c.index = make(map[string]uint32, len(c.values))
		for _, v := range c.values {
			c.index[v] = uint32(e.weights)
			e.weights++
		}
	}
	return e
}

// layout hands out places for rows in random order, those of the fitting part
// and of the held-out part separately.
type layout struct{ fitting, heldOut []uint32 }

func newLayout(p *profile, rng *rand.Rand) layout {
	places := make([]uint32, p.rows)
	for i := range places {
		places[i] = uint32(i)
	}
	k := p.rows - p.heldOutRows
	l := layout{places[:k], places[k:]}
	shuffle(rng, l.fitting)
	shuffle(rng, l.heldOut)
	return l
}

// next returns the place of the next row, -1 when the rows are more than the
// profile had.
func (l *layout) next(heldOut bool) int {
	part := &l.fitting
	if heldOut {
		part = &l.heldOut
	}
	if len(*part) == 0 {
		return -1
	}
	place := (*part)[0]
	*part = (*part)[1:]
	return int(place)
}

// shuffle is the Fisher–Yates shuffle.
func shuffle(rng *rand.Rand, a []uint32) {
	for i := len(a) - 1; i > 0; i-- {
		j := rng.Uint32N(uint32(i + 1))
		a[i], a[j] = a[j], a[i]
	}
}

func newDesign(p *profile) *design {
	d := &design{encoder: newEncoder(p), rows: p.rows, fitting: p.rows - p.heldOutRows}
	d.numbers = make([]float32, d.rows*d.n)
	d.slots = make([]uint32, d.rows*d.s)
	d.labels = make([]float32, d.rows)
	if d.sets {
		d.spans = make([]span, d.rows)
	}
	return d
}

// designRow is a row that is being stored.
type designRow struct {
	d       *design
	numbers []float32
	slots   []uint32
	i, from int // its place, and where its members begin
}

// row begins row i with its label.
func (d *design) row(i int, ex *learn.Example) designRow {
	const least, most = 1e-30, 1e30 // the weights that a float32 holds with room for squares
	d.labels[i] = float32(min(max(ex.Weight, least), most))
	if !ex.Positive {
		d.labels[i] = -d.labels[i]
	}
	return designRow{d, d.numbers[i*d.n : (i+1)*d.n], d.slots[i*d.s : (i+1)*d.s], i, len(d.members)}
}

func (r *designRow) number(c *column, x float64) {
	r.numbers[c.at] = float32((x - c.mean) / c.deviation)
}

func (r *designRow) category(c *column, weight uint32) {
	switch {
	case !c.set:
		r.slots[c.at] = weight
	case weight != 0:
		r.d.members = append(r.d.members, weight)
	}
}

func (r *designRow) end() {
	if r.d.sets {
		r.d.spans[r.i] = span{uint32(r.from), uint32(len(r.d.members))}
	}
}

// set stores an example as row i.
func (d *design) set(i int, ex *learn.Example) {
	r := d.row(i, ex)
	row := ex.Row
	for k := range d.columns {
		c := &d.columns[k]
		for len(row) > 0 && row[0].Name != c.name && row[0].Name < c.name {
			row = row[1:]
		}
		for len(row) > 0 && row[0].Name == c.name {
			v := &row[0]
			if !c.numeric {
				r.category(c, c.weight(v))
			} else if x, ok := v.Numeric(); ok {
				r.number(c, x)
			}
			row = row[1:]
		}
	}
	r.end()
}

// tapedField says what a field's values on a tape are in the design.
type tapedField struct {
	*column          // nil: no feature
	weights []uint32 // of a category's texts, by their codes
}

// tapedFields returns the tape's fields by their numbers.
func (e *encoder) tapedFields(t *tape.Tape) []tapedField {
	columns := make(map[string]*column, len(e.columns))
	for k := range e.columns {
		columns[e.columns[k].name] = &e.columns[k]
	}
	names := t.Fields()
	fields := make([]tapedField, len(names))
	for number := 1; number < len(names); number++ {
		c := columns[names[number]]
		if c == nil {
			continue
		}
		fields[number].column = c
		for _, text := range t.Texts(number) {
			fields[number].weights = append(fields[number].weights, c.index[text])
		}
	}
	return fields
}

// setTaped is set for the values of an example on a tape.
func (d *design) setTaped(i int, ex *learn.Example, values []tape.Value, fields []tapedField) {
	r := d.row(i, ex)
	for k := range values {
		v := &values[k]
		f := &fields[v.Field]
		number := v.Kind == decision.Number || v.Kind == decision.Bool
		switch {
		case f.column == nil || f.numeric && !number:
		case f.numeric:
			r.number(f.column, v.Num)
		case number:
			r.category(f.column, f.weight(&decision.Field{Kind: v.Kind, Num: v.Num}))
		case v.Kind == decision.EmptySet:
			r.category(f.column, 0)
		default:
			r.category(f.column, f.weights[v.Code])
		}
	}
	r.end()
}

// weight returns the index of a category's weight, 0 when it has none.
func (c *column) weight(v *decision.Field) uint32 {
	switch v.Kind {
	case decision.Text, decision.Member:
		return c.index[v.Text]
	case decision.Number, decision.Bool:
		var text [32]byte
		return c.index[string(encode.AppendCategory(text[:0], v))]
	}
	return 0
}

// fold returns the table of weights that were fitted to standardised numbers: a
// number's weight is divided by its standard deviation and what its mean
// contributes goes to the bias.
func (e *encoder) fold(m *model) *table {
	b := newBuilder()
	b.bias = m.bias()
	for i := range e.columns {
		c := &e.columns[i]
		if c.numeric {
			w := m.w[c.at] / c.deviation
			b.bias -= w * c.mean
			b.number(c.name, w, c.mean)
		}
		for _, v := range c.values {
			if w := m.w[e.n+int(c.index[v])]; w != 0 {
				b.category(c.name, v, w)
			}
		}
	}
	return b.table()
}
