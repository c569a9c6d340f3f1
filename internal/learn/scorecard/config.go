package scorecard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Bounds of a configuration.
const (
	maxRules  = 1000 // rules and bins together
	maxValues = 1000 // of one "in" or "not_in"
	maxText   = 1000 // bytes of a name or a value
	// largest bounds every number, so that no sum of points overflows.
	largest = math.MaxFloat64 / (8 * maxRules)
)

// The defaults of the API.
const (
	defaultBase = 50
	defaultMin  = 0
	defaultMax  = 100
)

// compiler turns a configuration into a card and notes what is wrong with it.
type compiler struct {
	problems *decision.Problems
	card     *Scorecard
	byField  map[string][]rule
}

// compile makes a card of the config object; it is of use only when no problem
// was noted.
func compile(config json.RawMessage, problems *decision.Problems) *Scorecard {
	o := encode.ReadObject(config, "config", problems)
	card := &Scorecard{
		base:   o.Float("baseScore", defaultBase, -largest, largest),
		low:    o.Float("minScore", defaultMin, -largest, largest),
		high:   o.Float("maxScore", defaultMax, -largest, largest),
		linear: o.Choice("normalization", "sigmoid", "sigmoid", "linear") == "linear",
	}
	if card.low >= card.high {
		problems.Addf("config.maxScore", "got %g, want more than minScore %g", card.high, card.low)
	}
	c := &compiler{problems: problems, card: card, byField: map[string][]rule{}}
	for i, raw := range o.List("rules", maxRules) {
		c.rule(encode.ReadObject(raw, o.ItemPath("rules", i), problems))
	}
	for i, raw := range o.List("bins", maxRules) {
		c.bins(encode.ReadObject(raw, o.ItemPath("bins", i), problems))
	}
	if n := len(card.names); n > maxRules {
		problems.Addf("config", "got %d rules and bins, want at most %d", n, maxRules)
	}
	for name, rules := range c.byField {
		card.fields = append(card.fields, fieldRules{name, rules})
	}
	slices.SortFunc(card.fields, func(a, b fieldRules) int { return cmp.Compare(a.name, b.name) })
	return card
}

func (c *compiler) add(field, name string, r rule) {
	r.index = len(c.card.names)
	c.card.names = append(c.card.names, name)
	c.byField[field] = append(c.byField[field], r)
}

// required reads a string that must not be empty.
func (c *compiler) required(o encode.Object, key string) string {
	if !o.Has(key) {
		c.problems.Addf(o.Path(key), "is missing")
		return ""
	}
	text := o.Text(key, "?", maxText) // "?" only where a problem was noted
	if text == "" {
		c.problems.Addf(o.Path(key), `got "", want a name`)
	}
	return text
}

func (c *compiler) points(o encode.Object) float64 {
	if !o.Has("points") {
		c.problems.Addf(o.Path("points"), "is missing")
	}
	return o.Float("points", 0, -largest, largest)
}

// rule compiles one element of config.rules.
func (c *compiler) rule(o encode.Object) {
	field := c.required(o, "field")
	r := rule{points: c.points(o)}
	o.Text("description", "", 10*maxText) // for people; only its type matters here
	if !o.Has("operator") {
		c.problems.Addf(o.Path("operator"), "is missing")
		return
	}
	name := o.Choice("operator", "", operators...)
	if name == "" {
		return
	}
	r.op = operator(slices.Index(operators, name))
	raw := o.Raw("value")
	if raw == nil {
		c.problems.Addf(o.Path("value"), "is missing")
		return
	}
	switch r.op {
	case opGt, opGte:
		r.low = o.Float("value", 0, -math.MaxFloat64, math.MaxFloat64)
	case opLt, opLte:
		r.high = o.Float("value", 0, -math.MaxFloat64, math.MaxFloat64)
	case opContains, opStartsWith:
		r.text = o.Text("value", "", maxText)
	case opIn, opNotIn:
		items := o.List("value", maxValues)
		if items != nil && len(items) == 0 {
			c.problems.Addf(o.Path("value"), "got an empty array, want at least one value")
		}
		for i, item := range items {
			r.values = append(r.values, c.operand(o.ItemPath("value", i), item))
		}
	default:
		r.values = []operand{c.operand(o.Path("value"), raw)}
	}
	c.add(field, o.Text("id", field+" "+name+" "+encode.Excerpt(raw), maxText), r)
}

// operand reads a value to be equal to.
func (c *compiler) operand(path string, raw json.RawMessage) operand {
	var v any
	if err := json.Unmarshal(raw, &v); err == nil {
		switch v := v.(type) {
		case string:
			if len(v) > maxText {
				c.problems.Addf(path, "got %d bytes, want at most %d", len(v), maxText)
			}
			return operand{textual: true, text: v}
		case float64:
			return operand{numeric: true, num: v}
		case bool:
			o := operand{numeric: true, textual: true, text: strconv.FormatBool(v)}
			if v {
				o.num = 1
			}
			return o
		}
	}
	c.problems.Addf(path, "got %s, want a string, a number or a boolean", encode.Excerpt(raw))
	return operand{}
}

// bins compiles one element of config.bins: the bins of one field. Each bin is a
// rule of its own; where bins overlap, all that apply count.
func (c *compiler) bins(o encode.Object) {
	field := c.required(o, "field")
	items := o.List("bins", maxRules)
	if len(items) == 0 {
		c.problems.Addf(o.Path("bins"), "got none, want at least one bin")
	}
	for i, raw := range items {
		c.bin(field, encode.ReadObject(raw, o.ItemPath("bins", i), c.problems), raw)
	}
}

func (c *compiler) bin(field string, o encode.Object, raw json.RawMessage) {
	r := rule{points: c.points(o)}
	hasMin, hasMax := o.Has("min"), o.Has("max")
	var name string
	switch value := o.Raw("value"); {
	case value != nil && (hasMin || hasMax):
		c.problems.Addf(o.Path("value"), "got a value beside min or max, want one or the other")
	case value != nil:
		r.op, r.values = opEq, []operand{c.operand(o.Path("value"), value)}
		name = fmt.Sprintf("%s = %s", field, encode.Excerpt(value))
	case !hasMin && !hasMax:
		c.problems.Addf(o.Path("min"), "got %s, want min, max or value", encode.Excerpt(raw))
	case !hasMin:
		r.op, r.high = opLt, o.Number("max", 0)
		name = fmt.Sprintf("%s < %g", field, r.high)
	case !hasMax:
		r.op, r.low = opGte, o.Number("min", 0)
		name = fmt.Sprintf("%s >= %g", field, r.low)
	default:
		r.op, r.low, r.high = opBetween, o.Number("min", 0), o.Number("max", 0)
		if r.low >= r.high {
			c.problems.Addf(o.Path("max"), "got %g, want more than min %g", r.high, r.low)
		}
		name = fmt.Sprintf("%s in [%g, %g)", field, r.low, r.high)
	}
	c.add(field, name, r)
}
