package predictors

import (
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// sampled is how many numbers of a field its edges are made from. The standard
// error of a decile of so many is below 0.56 percentiles (√(¼/n)); what the bins
// then hold is counted exactly.
const sampled = 1 << 13

// countedValues is the size of the table that finds a field's most frequent
// categories, 64 for each of DefaultCategories: one that has a value in more than
// rows/countedValues of the rows is not lost.
const countedValues = 64 * DefaultCategories

// maxValue is how long a category may be to have a bin of its own, in bytes;
// longer ones are "other".
const maxValue = 128

// tally counts rows: those of training by half, so that one half can order what
// the other measures.
type tally struct {
	rows, positives [2]int
	recent          int
}

func (t *tally) add(p place) {
	t.rows[p.half] += p.training
	t.positives[p.half] += p.positive
	t.recent += p.recent
}

func (t tally) minus(u tally) tally {
	for half := range t.rows {
		t.rows[half] -= u.rows[half]
		t.positives[half] -= u.positives[half]
	}
	t.recent -= u.recent
	return t
}

func (t *tally) samples() int          { return t.rows[0] + t.rows[1] }
func (t *tally) positiveCount() int    { return t.positives[0] + t.positives[1] }
func (t *tally) empty() bool           { return t.samples()+t.recent == 0 }
func (t *tally) rate(half int) float64 { return share(t.positives[half], t.rows[half]) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// kinds counts rows by what a field has in them.
type kinds struct{ numbers, booleans, texts, sets int }

func (k *kinds) add(v decision.ValueKind) {
	switch v {
	case decision.Number:
		k.numbers++
	case decision.Bool:
		k.booleans++
	case decision.Text:
		k.texts++
	default:
		k.sets++
	}
}

// kind returns the kind of the most rows; numbers and booleans are taken together,
// as learners take a boolean for 0 or 1.
func (k *kinds) kind() Kind {
	numeric := k.numbers + k.booleans
	switch {
	case numeric+k.texts+k.sets == 0:
		return Unknown
	case k.sets > numeric+k.texts:
		return Set
	case numeric <= k.texts+k.sets:
		return Category
	case k.numbers > 0:
		return Number
	}
	return Boolean
}

// field is one attribute.
type field struct {
	name string
	used bool
	next *field // the one that last followed it in a row

	// Of the first scan.
	training, recent kinds
	sample           encode.Sample  // of the training rows
	values           encode.Counter // the same; members of sets, too

	// Of the second.
	kind    Kind
	edges   []float64      // of a number
	names   []string       // of a category's values or a set's members, ascending
	index   map[string]int // of names
	cells   []tally        // by bin, a category's last one being "other"; by member
	present tally          // rows with a value of the kind
}

func newField(name string, used bool) *field {
	f := &field{name: name, used: used}
	if used {
		f.sample.Most = sampled
		f.values = encode.Counter{}
	}
	return f
}

// profile looks at the field's values in one row, one or the members of a set.
func (f *field) profile(values decision.Row, p place) {
	v := &values[0]
	if p.training == 0 {
		f.recent.add(v.Kind)
		return
	}
	f.training.add(v.Kind)
	switch v.Kind {
	case decision.Number, decision.Bool:
		f.sample.Add(v.Num)
		if f.training.texts > f.training.numbers { // most likely a field of categories
			var text [32]byte // the longest float64 takes 24
			f.values.CountWithin(countedValues, string(v.AppendCategory(text[:0])))
		}
	case decision.Text, decision.Member:
		for i := range values {
			if text := values[i].Text; len(text) <= maxValue {
				f.values.CountWithin(countedValues, text)
			}
		}
	}
}

// cut makes the bins: of what the training rows have, and "other" alone, or one
// range, of a field that only recent rows have.
func (f *field) cut(o *Options) {
	f.kind = f.training.kind()
	if f.kind == Unknown {
		f.kind = f.recent.kind()
	}
	switch f.kind {
	case Number:
		f.edges = edges(f.sample.Values, o.Bins)
		f.cells = make([]tally, len(f.edges)+1)
	case Boolean:
		f.cells = make([]tally, 2)
	case Category, Set:
		f.names = f.values.Frequent(1, o.Categories)
		f.index = make(map[string]int, len(f.names))
		for i, name := range f.names {
			f.index[name] = i
		}
		f.cells = make([]tally, len(f.names)+1)
	}
	f.sample, f.values = encode.Sample{}, nil
}

// count counts the field's values in one row.
func (f *field) count(values decision.Row, p place) {
	v := &values[0]
	isSet := v.Kind == decision.Member || v.Kind == decision.EmptySet
	switch f.kind {
	case Number:
		x, ok := v.Numeric()
		if !ok {
			return
		}
		f.cells[encode.BinOf(f.edges, x)].add(p)
	case Boolean:
		if v.Kind != decision.Bool {
			return
		}
		f.cells[int(v.Num)].add(p)
	case Category:
		if isSet {
			return
		}
		f.cells[f.find(v)].add(p)
	case Set:
		if !isSet {
			return
		}
		for i := range values {
			if values[i].Kind == decision.Member {
				f.cells[f.find(&values[i])].add(p)
			}
		}
	default:
		return
	}
	f.present.add(p)
}

// find returns the cell of a category, the last one when it has none.
func (f *field) find(v *decision.Field) int {
	var k int
	var ok bool
	if v.Kind == decision.Number {
		var text [32]byte
		k, ok = f.index[string(v.AppendCategory(text[:0]))]
	} else {
		k, ok = f.index[v.Category()]
	}
	if !ok {
		return len(f.names)
	}
	return k
}
