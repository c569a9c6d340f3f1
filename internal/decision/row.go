package decision

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// ValueKind says what a feature's value is.
type ValueKind uint8

// The kinds of values; the numbers are on disk. A missing value is a field that
// is not in the row.
const (
	// Number is a finite float64.
	Number ValueKind = 1
	// Text is a string.
	Text ValueKind = 2
	// Bool is true (Num 1) or false (Num 0).
	Bool ValueKind = 3
	// Member is one element of an array of strings. An array of n strings is n
	// fields of the same name, in ascending order of Text, without repeats.
	Member ValueKind = 4
	// EmptySet is an array without elements: present, and a member of nothing.
	EmptySet ValueKind = 5
)

// Field is one feature of a row. Name is the dotted path of the attribute.
type Field struct {
	Name string
	Text string  // for Text and Member
	Num  float64 // for Number and Bool
	Kind ValueKind
}

// Category returns the value as a category's name: text as it is, a number by
// its shortest decimal text as JSON writes it, a boolean as "true" or "false".
func (f *Field) Category() string {
	switch f.Kind {
	case Number:
		return string(f.AppendCategory(nil))
	case Bool:
		if f.Num != 0 {
			return "true"
		}
		return "false"
	}
	return f.Text
}

// AppendCategory appends the category's name to dst.
func (f *Field) AppendCategory(dst []byte) []byte {
	switch f.Kind {
	case Number:
		// Exponents start where ECMAScript, and with it JSON, starts them.
		const tiny, huge = 1e-6, 1e21
		if abs := math.Abs(f.Num); abs >= tiny && abs < huge || abs == 0 {
			return strconv.AppendFloat(dst, f.Num+0, 'f', -1, 64) // -0 + 0 is 0
		}
		dst = strconv.AppendFloat(dst, f.Num, 'e', -1, 64)
		if n := len(dst); dst[n-2] == '0' && dst[n-4] == 'e' { // two digits at least: e-07, but e+300
			dst = append(dst[:n-2], dst[n-1])
		}
		return dst
	case Bool:
		return strconv.AppendBool(dst, f.Num != 0)
	}
	return append(dst, f.Text...)
}

// Numeric returns the value as a number; ok is false for texts and sets: strict
// typing beats guessing, so a numeric string is missing in a numeric field.
func (f *Field) Numeric() (v float64, ok bool) {
	if f.Kind == Number || f.Kind == Bool {
		return f.Num, true
	}
	return 0, false
}

// Row is a customer's (or an offer's, or a merged) feature row, sorted by name;
// fields of one name are adjacent only for the members of a set.
type Row []Field

func compareFields(a, b Field) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.Text, b.Text)
}

// Sort brings the fields into the order a Row promises and drops repeated
// members of a set. Rows are short and nearly sorted, so it does not allocate.
func (r Row) Sort() Row {
	slices.SortStableFunc(r, compareFields)
	return slices.CompactFunc(r, func(a, b Field) bool {
		return a.Kind == Member && b.Kind == Member && a.Name == b.Name && a.Text == b.Text
	})
}

// Find returns the range [i, j) of the fields named name; i == j when missing.
func (r Row) Find(name string) (i, j int) {
	i, found := slices.BinarySearchFunc(r, name, func(f Field, n string) int { return strings.Compare(f.Name, n) })
	if !found {
		return i, i
	}
	// BinarySearchFunc finds the first of equal names.
	j = i + 1
	for j < len(r) && r[j].Name == name {
		j++
	}
	return i, j
}

// Get returns the first field named name, nil when missing.
func (r Row) Get(name string) *Field {
	if i, j := r.Find(name); i < j {
		return &r[i]
	}
	return nil
}

// AppendMerged appends to dst the union of base and over, both sorted; where
// both have a name, over's fields win.
func AppendMerged(dst, base, over Row) Row {
	i, j := 0, 0
	for i < len(base) && j < len(over) {
		switch c := strings.Compare(base[i].Name, over[j].Name); {
		case c < 0:
			dst = append(dst, base[i])
			i++
		case c > 0:
			dst = append(dst, over[j])
			j++
		default:
			for name := base[i].Name; i < len(base) && base[i].Name == name; {
				i++
			}
		}
	}
	dst = append(dst, base[i:]...)
	return append(dst, over[j:]...)
}

// Clone returns a copy whose strings are its own: rows decoded from a request
// or a log entry alias its bytes.
func (r Row) Clone() Row {
	out := make(Row, len(r))
	for i, f := range r {
		out[i] = Field{Name: strings.Clone(f.Name), Text: strings.Clone(f.Text), Num: f.Num, Kind: f.Kind}
	}
	return out
}
