package scorecard

// Between is the operator of a bin with both limits: the lower one inclusive, the
// upper one exclusive.
const Between = "between"

// Card is the content of a scorecard for those who write it in another form: a
// copy, whose changes do not reach the scorecard.
type Card struct {
	Base, Low, High float64 // base score and the limits of the sum
	Linear          bool    // how the sum is normalised; false is the sigmoid
	Rules           []Rule  // rules, then bins, in the order of the configuration
}

// Rule is a rule or a bin. Those of one field do not exclude each other.
type Rule struct {
	Name     string // as explanations call it
	Field    string
	Operator string // as the API names it, or Between
	// Values are the operands, each a string, a float64 or a bool: one, the two
	// limits of Between, or the members of "in" and "not_in".
	Values []any
	Points float64
}

// Card returns the content of the scorecard.
func (s *Scorecard) Card() Card {
	card := Card{Base: s.base, Low: s.low, High: s.high, Linear: s.linear, Rules: make([]Rule, len(s.names))}
	for i := range s.fields {
		f := &s.fields[i]
		for k := range f.rules {
			r := &f.rules[k]
			card.Rules[r.index] = Rule{
				Name: s.names[r.index], Field: f.name, Operator: r.op.String(), Values: r.operands(), Points: r.points,
			}
		}
	}
	return card
}

// String returns the API's name of the operator.
func (op operator) String() string {
	if op == opBetween {
		return Between
	}
	return operators[op]
}

// operands returns what the rule compares its field with.
func (r *rule) operands() []any {
	switch r.op {
	case opGt, opGte:
		return []any{r.low}
	case opLt, opLte:
		return []any{r.high}
	case opBetween:
		return []any{r.low, r.high}
	case opContains, opStartsWith:
		return []any{r.text}
	}
	values := make([]any, len(r.values))
	for i, o := range r.values {
		switch {
		case o.numeric && o.textual:
			values[i] = o.num != 0
		case o.numeric:
			values[i] = o.num
		default:
			values[i] = o.text
		}
	}
	return values
}
