package scorecard

import (
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// An operator says how a rule compares its field with its value.
type operator uint8

const (
	opEq operator = iota
	opNeq
	opGt
	opGte
	opLt
	opLte
	opIn
	opNotIn
	opContains
	opStartsWith
	opBetween // a bin: low inclusive, high exclusive
)

// operators are the names of the API, in the order of the constants; opBetween
// has none.
var operators = []string{"eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "starts_with"}

// rule is a rule or a bin, ready to be compared.
type rule struct {
	op        operator
	low, high float64   // limits of the ordering operators and of bins
	values    []operand // of eq, neq, in and not_in
	text      string    // of contains and starts_with
	points    float64
	index     int // its place among the explanations
}

// operand is a value to be equal to. Its type decides how the field is read: a
// number wants a numeric field (a boolean is 1 or 0), a text wants a category (a
// number by its shortest decimal text, a boolean as "true" or "false"), a boolean
// takes either. A field that cannot be read so is missing for it.
type operand struct {
	numeric, textual bool // a boolean is both
	num              float64
	text             string
}

// comparison is the outcome of comparing a value with an operand.
type comparison uint8

const (
	missing comparison = iota // the value cannot be read as the operand's type
	different
	equal
)

func (o *operand) compare(f *decision.Field) comparison {
	var same bool
	if v, ok := f.Numeric(); ok && o.numeric {
		same = v == o.num
	} else if o.textual {
		same = f.Kind != decision.EmptySet && equalsText(f, o.text)
	} else {
		return missing
	}
	if same {
		return equal
	}
	return different
}

// matches reports whether the rule applies to the values of its field: one, or
// the members of a set.
func (r *rule) matches(values []decision.Field) bool {
	switch r.op {
	case opEq, opIn:
		return r.equality(values) == equal
	case opNeq, opNotIn:
		return r.equality(values) == different
	case opContains, opStartsWith:
		return slices.ContainsFunc(values, r.matchesText)
	}
	v, ok := values[0].Numeric()
	if !ok {
		return false
	}
	switch r.op {
	case opGt:
		return v > r.low
	case opGte:
		return v >= r.low
	case opLt:
		return v < r.high
	case opLte:
		return v <= r.high
	}
	return v >= r.low && v < r.high
}

// equality compares a field with every operand: equal when one of its values
// equals one of them, different when it does not although some comparison was
// possible. A set is compared member by member; an empty one differs from
// every text.
func (r *rule) equality(values []decision.Field) comparison {
	result := missing
	for i := range r.values {
		for k := range values {
			c := r.values[i].compare(&values[k])
			if c == equal {
				return equal
			}
			result = max(result, c)
		}
	}
	return result
}

// matchesText is contains and starts_with for one value. A set contains the text
// when it is a member, not when it is part of one.
func (r *rule) matchesText(f decision.Field) bool {
	switch {
	case f.Kind == decision.EmptySet:
		return false
	case f.Kind == decision.Member && r.op == opContains:
		return f.Text == r.text
	}
	if f.Kind != decision.Number {
		return r.testText(f.Category())
	}
	var buf [32]byte // of the text, which so stays on the stack
	return r.testText(string(f.AppendCategory(buf[:0])))
}

func (r *rule) testText(text string) bool {
	if r.op == opContains {
		return strings.Contains(text, r.text)
	}
	return strings.HasPrefix(text, r.text)
}

func equalsText(f *decision.Field, text string) bool {
	if f.Kind != decision.Number {
		return f.Category() == text
	}
	var buf [32]byte
	return string(f.AppendCategory(buf[:0])) == text
}
