package pmml

import (
	"encoding/xml"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
)

// element is any element of a document.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e *element) all(name string) []element {
	var found []element
	for i := range e.Children {
		c := &e.Children[i]
		if c.XMLName.Local == name {
			found = append(found, *c)
		}
		found = append(found, c.all(name)...)
	}
	return found
}

// reader scores by the rules of PMML's own pages, knowing nothing of this
// package: it is the slow twin of the learners.
type reader struct {
	t      testing.TB
	model  element
	types  map[string]string
	values map[string]any // float64, string, bool; a missing field is not in it
}

func newReader(t testing.TB, document []byte) *reader {
	t.Helper()
	var root element
	if err := xml.Unmarshal(document, &root); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	if got, want := root.XMLName, (xml.Name{Space: "http://www.dmg.org/PMML-4_4", Local: "PMML"}); got != want {
		t.Fatalf("root = %v, want %v", got, want)
	}
	r := &reader{t: t, model: root.Children[len(root.Children)-1], types: map[string]string{}}
	for _, f := range root.all("DataField") {
		r.types[f.attr("name")] = f.attr("dataType")
	}
	return r
}

// score returns the last output field.
func (r *reader) score(row map[string]any) float64 {
	r.values = map[string]any{}
	for _, f := range r.model.all("MiningField") {
		name := f.attr("name")
		if v, ok := r.convert(row[name], r.types[name]); ok {
			r.values[name] = v
		} else if f.attr("missingValueReplacement") != "" {
			r.values[name] = parse(f.attr("missingValueReplacement"), r.types[name])
		}
	}
	for _, f := range r.model.all("DerivedField") {
		r.values[f.attr("name")] = r.expression(&f.Children[0])
	}
	var predicted float64
	if r.model.XMLName.Local == "Scorecard" {
		predicted = r.points()
	} else {
		predicted = r.probability()
	}
	var last float64
	for _, f := range r.model.all("OutputField") {
		last = predicted
		if f.attr("feature") == "transformedValue" {
			last = r.expression(&f.Children[0]).(float64)
		}
		r.values[f.attr("name")] = last
	}
	return last
}

// convert is what the caller of a reader does, by this package's comment.
func (r *reader) convert(v any, dataType string) (any, bool) {
	switch v := v.(type) {
	case bool:
		switch {
		case dataType == typeString:
			return strconv.FormatBool(v), true
		case dataType == typeDouble && v:
			return 1.0, true
		case dataType == typeDouble:
			return 0.0, true
		}
		return v, true
	case string:
		return v, dataType == typeString
	case float64:
		return v, dataType == typeDouble
	}
	return nil, false
}

func parse(text, dataType string) any {
	switch dataType {
	case typeDouble:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return math.NaN()
		}
		return v
	case typeBoolean:
		return text == "true"
	}
	return text
}

func (r *reader) points() float64 {
	sum := parse(r.model.attr("initialScore"), typeDouble).(float64)
	for _, c := range r.model.all("Characteristic") {
		for i := range c.Children {
			if a := &c.Children[i]; r.predicate(&a.Children[0]) == yes {
				sum += parse(a.attr("partialScore"), typeDouble).(float64)
				break
			}
		}
	}
	return sum
}

// truth is a value of PMML's three-valued logic, in the order no < unknown < yes,
// so that "and" is the least and "or" the greatest.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (r *reader) predicate(p *element) truth {
	switch p.XMLName.Local {
	case "True":
		return yes
	case "CompoundPredicate":
		all := r.predicate(&p.Children[0])
		for i := range p.Children[1:] {
			t := r.predicate(&p.Children[i+1])
			if p.attr("booleanOperator") == "and" {
				all = min(all, t)
			} else {
				all = max(all, t)
			}
		}
		return all
	case "SimplePredicate":
		return r.compare(p)
	}
	r.t.Fatalf("predicate %s is unknown", p.XMLName.Local)
	return no
}

func (r *reader) compare(p *element) truth {
	var want any
	got, ok := r.values[p.attr("field")]
	switch got.(type) {
	case float64:
		want = parse(p.attr("value"), typeDouble)
	case bool:
		want = parse(p.attr("value"), typeBoolean)
	default:
		want = p.attr("value")
	}
	if !ok {
		return unknown
	}
	switch operator := p.attr("operator"); operator {
	case "equal":
		return truthOf(got == want)
	case "notEqual":
		return truthOf(got != want)
	case "lessThan":
		return truthOf(got.(float64) < want.(float64))
	case "lessOrEqual":
		return truthOf(got.(float64) <= want.(float64))
	case "greaterThan":
		return truthOf(got.(float64) > want.(float64))
	case "greaterOrEqual":
		return truthOf(got.(float64) >= want.(float64))
	default:
		r.t.Fatalf("operator %q is unknown", operator)
	}
	return unknown
}

// expression returns nil for a missing value.
func (r *reader) expression(e *element) any {
	switch e.XMLName.Local {
	case "Constant":
		return parse(e.Text, e.attr("dataType"))
	case "FieldRef":
		return r.values[e.attr("field")]
	}
	var arguments []any
	for i := range e.Children {
		v := r.expression(&e.Children[i])
		if v == nil {
			return parse(e.attr("mapMissingTo"), typeBoolean)
		}
		arguments = append(arguments, v)
	}
	if e.attr("function") == "matches" {
		return regexp.MustCompile(arguments[1].(string)).MatchString(arguments[0].(string))
	}
	x, y := arguments[0].(float64), 0.0
	if len(arguments) > 1 {
		y = arguments[1].(float64)
	}
	switch function := e.attr("function"); function {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	case "min":
		return min(x, y)
	case "max":
		return max(x, y)
	case "exp":
		return math.Exp(x)
	default:
		panic(fmt.Sprintf("function %q is unknown", function))
	}
}

// probability is that of the first category under the normalisation logit.
func (r *reader) probability() float64 {
	table := r.model.all("RegressionTable")[0]
	z := parse(table.attr("intercept"), typeDouble).(float64)
	for i := range table.Children {
		p := &table.Children[i]
		v, w := r.values[p.attr("name")], parse(p.attr("coefficient"), typeDouble).(float64)
		switch p.XMLName.Local {
		case "NumericPredictor":
			z += w * v.(float64)
		case "CategoricalPredictor":
			if v == any(p.attr("value")) {
				z += w
			}
		}
	}
	return 1 / (1 + math.Exp(-z))
}
