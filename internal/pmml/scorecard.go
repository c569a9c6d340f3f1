package pmml

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/scorecard"
)

// Scorecard writes a scorecard as a Scorecard. Every rule and every bin is a
// Characteristic of its own, because all that apply count, with two Attributes:
// its points where the predicate is true, else 0 points, also where the field is
// missing. The output fields are
//
//	points   = initialScore + Σ points
//	rawScore = min(max(points, minScore), maxScore)
//	score    = the normalised rawScore, linear or sigmoid
//
// A list of values is a CompoundPredicate, not a SimpleSetPredicate: the quoting
// of an Array's strings is not settled among readers. "contains" and "starts_with"
// are derived fields with the function matches.
func Scorecard(w io.Writer, meta Meta, card scorecard.Card) error {
	const op = "pmml.Scorecard"
	var p decision.Problems
	meta.check(&p)
	types := fieldTypes(&p, card.Rules)
	if err := refuse(op, &p); err != nil {
		return err
	}
	doc := newDocument(&meta)
	m := &scorecardModel{InitialScore: number(card.Base)}
	m.Name, m.Function = meta.ModelKey, "regression"
	doc.Model = m
	taken := names{}
	for _, field := range slices.Sorted(maps.Keys(types)) {
		taken[field] = true
		doc.input(&m.model, field, types[field])
	}
	doc.target(&m.model, dataField{Name: taken.free("total"), OpType: continuous, DataType: typeDouble})
	m.Outputs = scoreOutputs(taken, &card)
	for i := range card.Rules {
		r := &card.Rules[i]
		m.Characteristics = append(m.Characteristics, characteristic{Name: r.Name, Attributes: []attribute{
			{number(r.Points), m.predicate(r, types[r.Field], taken)},
			{"0", truePredicate{}},
		}})
	}
	if len(card.Rules) == 0 { // the schema wants a characteristic
		m.Characteristics = []characteristic{{Name: "no rules", Attributes: []attribute{{"0", truePredicate{}}}}}
	}
	return encode(w, op, doc)
}

// scoreOutputs are the output fields of a scorecard.
func scoreOutputs(taken names, card *scorecard.Card) []outputField {
	points, raw := taken.free("points"), taken.free("rawScore")
	span := card.High - card.Low
	var score apply
	if card.Linear {
		score = call("/", call("-", ref(raw), literal(card.Low)), literal(span))
	} else {
		x := call("/", call("*", literal(-scorecard.SigmoidSteepness), call("-", ref(raw), literal((card.Low+card.High)/2))), literal(span))
		score = call("/", literal(1), call("+", literal(1), call("exp", x)))
	}
	return []outputField{
		{Name: points, OpType: continuous, DataType: typeDouble, Feature: "predictedValue"},
		{
			Name: raw, OpType: continuous, DataType: typeDouble, Feature: "transformedValue",
			Expression: call("min", call("max", ref(points), literal(card.Low)), literal(card.High)),
		},
		{Name: taken.free("score"), OpType: continuous, DataType: typeDouble, Feature: "transformedValue", Expression: score},
	}
}

// fieldTypes finds the type of every field from what the rules compare it with,
// and notes the rules that have no form in PMML.
func fieldTypes(p *decision.Problems, rules []scorecard.Rule) map[string]string {
	types := make(map[string]string)
	decidedBy := make(map[string]string) // the rule that decided the field's type
	for i := range rules {
		r := &rules[i]
		path := "rules[" + r.Name + "]"
		checkText(p, path, r.Name)
		checkText(p, path+".field", r.Field)
		for _, v := range r.Values {
			if text, ok := v.(string); ok {
				checkText(p, path+".value", text)
			}
			want := typeOf(v)
			switch got := types[r.Field]; {
			case got == "" || got == typeBoolean:
				types[r.Field], decidedBy[r.Field] = want, r.Name
			case want != got && want != typeBoolean:
				p.Addf(path, "compares %q with a %s, want a %s, as rule %q does: a field of PMML has one type",
					r.Field, want, got, decidedBy[r.Field])
			}
		}
	}
	return types
}

// typeOf returns the type of field that an operand of a rule asks for; a boolean
// goes with any.
func typeOf(v any) string {
	switch v.(type) {
	case float64:
		return typeDouble
	case bool:
		return typeBoolean
	}
	return typeString
}

// comparisons are the operators of PMML for those of the API that compare with
// one value.
var comparisons = map[string]string{
	"eq": "equal", "neq": "notEqual", "in": "equal", "not_in": "notEqual",
	"gt": "greaterThan", "gte": "greaterOrEqual", "lt": "lessThan", "lte": "lessOrEqual",
}

// predicate returns the predicate that is true where the rule applies. That of a
// missing field is unknown, whatever the operator.
func (m *scorecardModel) predicate(r *scorecard.Rule, dataType string, taken names) any {
	compare := func(operator string, v any) simplePredicate {
		return simplePredicate{Field: r.Field, Operator: operator, Value: operand(v, dataType)}
	}
	switch r.Operator {
	case "contains", "starts_with":
		name := taken.free(r.Field + " " + r.Operator)
		m.DerivedFields = append(m.DerivedFields, matches(name, r))
		return simplePredicate{Field: name, Operator: "equal", Value: "true"}
	case scorecard.Between:
		return compoundPredicate{Operator: "and", Predicates: []simplePredicate{
			compare("greaterOrEqual", r.Values[0]), compare("lessThan", r.Values[1]),
		}}
	}
	var all []simplePredicate
	for _, v := range r.Values {
		all = append(all, compare(comparisons[r.Operator], v))
	}
	if len(all) == 1 {
		return all[0]
	}
	if r.Operator == "not_in" {
		return compoundPredicate{Operator: "and", Predicates: all}
	}
	return compoundPredicate{Operator: "or", Predicates: all}
}

// matches is the derived field that is true where the text of a contains or a
// starts_with is found.
func matches(name string, r *scorecard.Rule) outputField {
	text, _ := r.Values[0].(string)
	pattern := quote(text)
	if r.Operator == "starts_with" || text == "" { // readers differ on an empty pattern
		pattern = "^" + pattern
	}
	found := call("matches", ref(r.Field), constant{DataType: typeString, Text: pattern})
	found.MapMissingTo = "false" // in a missing field nothing is found
	return outputField{Name: name, OpType: categorical, DataType: typeBoolean, Expression: found}
}

// quote returns the pattern of the text: letters and digits as they are, any other
// ASCII character by its code. What means something to patterns is so quoted in all
// their dialects, and no character is left that XML refers to (&lt; and the like) or
// treats apart, before which some readers lose the beginning of an element's text.
func quote(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= utf8.RuneSelf || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x%02X`, r)
		}
	}
	return b.String()
}

// operand writes a rule's value in the type of its field.
func operand(v any, dataType string) string {
	switch v := v.(type) {
	case float64:
		return number(v)
	case bool:
		if dataType != typeDouble {
			return strconv.FormatBool(v)
		}
		if v {
			return "1"
		}
		return "0"
	}
	return v.(string)
}
