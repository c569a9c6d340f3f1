package pmml

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// source draws models and rows. The names of the fields begin with their type:
// double, string, boolean.
type source struct{ *rand.Rand }

var fieldNames = []string{"d age", "d <&>", "d score", "d points", "s plan", "s \"'", "s rawScore", "s total", "b new", "b outcome"}

// fragments are what texts are made of: what XML, patterns and arrays quote, and
// the texts of numbers and booleans.
var fragments = []string{
	"a", "A", "b", " ", "\t", "\n", "\r", "&", "<", ">", `"`, "'", "]]>", `\`, ".", "*", "+", "?", "^", "$", "(", ")", "[", "]", "{", "}", "|", "/", "-", "#",
	"é", "☃", "𝄞", "true", "12",
}

func (s source) pick(from ...string) string { return from[s.IntN(len(from))] }

func (s source) text() string {
	var b strings.Builder
	for range s.IntN(4) {
		b.WriteString(s.pick(fragments...))
	}
	return b.String()
}

// number draws from a few values, so that limits are met, or from many.
func (s source) number() float64 {
	if s.IntN(4) > 0 {
		return float64(s.IntN(7)-3) / 2
	}
	return s.NormFloat64() * math.Pow(10, float64(s.IntN(13)-6))
}

// value draws a value of the field: of its type, or a boolean.
func (s source) value(field string) any {
	switch {
	case field[0] == 'b' || s.IntN(8) == 0:
		return s.IntN(2) == 0
	case field[0] == 'd':
		return s.number()
	}
	return s.text()
}

func (s source) row() map[string]any {
	row := map[string]any{}
	for _, f := range fieldNames {
		if s.IntN(5) > 0 {
			row[f] = s.value(f)
		}
	}
	return row
}

func (s source) rule() map[string]any {
	field := s.pick(fieldNames...)
	rule := map[string]any{"field": field, "points": math.Round(s.NormFloat64()*80) / 8}
	operators := map[byte][]string{
		'd': {"eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in"},
		's': {"eq", "neq", "in", "not_in", "contains", "starts_with"},
		'b': {"eq", "neq", "in", "not_in"},
	}[field[0]]
	switch operator := s.pick(operators...); operator {
	case "in", "not_in":
		var values []any
		for range 1 + s.IntN(4) {
			values = append(values, s.value(field))
		}
		rule["operator"], rule["value"] = operator, values
	case "contains", "starts_with":
		rule["operator"], rule["value"] = operator, s.text()
	case "gt", "gte", "lt", "lte":
		rule["operator"], rule["value"] = operator, s.number()
	default:
		rule["operator"], rule["value"] = operator, s.value(field)
	}
	return rule
}

func (s source) bins() map[string]any {
	low := s.number()
	return map[string]any{"field": s.pick("d age", "d <&>", "d score"), "bins": []any{
		map[string]any{"max": low, "points": s.number()},
		map[string]any{"min": low, "max": low + float64(1+s.IntN(4))/2, "points": s.number()},
		map[string]any{"min": low + float64(s.IntN(3))/2, "points": s.number()},
		map[string]any{"value": s.number(), "points": s.number()},
	}}
}

// exact reports whether no field of the rows has another type than the model
// reads: an operand that is a boolean makes a field that is otherwise unused one
// of booleans, in which a row's numbers and texts have no counterpart.
func exact(types map[string]string, row map[string]any) bool {
	for field, v := range row {
		if _, isBool := v.(bool); types[field] == typeBoolean && !isBool {
			return false
		}
	}
	return true
}

func (s source) scorecard() testCase {
	low := s.number()
	config := map[string]any{
		"baseScore": s.NormFloat64() * 20, "minScore": low, "maxScore": low + 1 + 100*s.Float64(), "normalization": s.pick("sigmoid", "linear"),
	}
	var rules, bins []any
	for range s.IntN(12) {
		rules = append(rules, s.rule())
	}
	for range s.IntN(3) {
		bins = append(bins, s.bins())
	}
	config["rules"], config["bins"] = rules, bins
	return testCase{Type: decision.Scorecard, Config: encodeJSON(config)}
}

func (s source) logistic() testCase {
	weights, means := map[string]float64{}, map[string]float64{}
	for range s.IntN(12) {
		switch field := s.pick(fieldNames...); {
		case field[0] == 'd':
			weights[field] = s.NormFloat64() / 10
			if s.IntN(2) == 0 {
				means[field] = s.NormFloat64() * 10
			}
		default:
			weights[field+"="+s.text()] = s.NormFloat64()
		}
	}
	return testCase{Type: decision.LogisticRegression, State: encodeJSON(map[string]any{"bias": s.NormFloat64(), "weights": weights, "means": means})}
}

func encodeJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// Whatever the model and the row, a reader that goes by PMML's rules alone scores
// as the learner does.
func TestRandomModelsScoreTheSame(t *testing.T) {
	const models, rows = 600, 40
	s := source{rand.New(rand.NewPCG(44, 0))}
	compared := 0
	for i := range models {
		c := s.scorecard()
		if i%3 == 0 {
			c = s.logistic()
		}
		view := c.view(t)
		meta := Meta{ModelKey: s.text(), Name: s.text(), Version: uint64(i)}
		document := export(t, meta, view)
		if !bytes.Equal(export(t, meta, c.view(t)), document) {
			t.Fatalf("two exports differ; the first is\n%s", document)
		}
		reader := newReader(t, document)
		var res learn.Result
		for range rows {
			r := s.row()
			if !exact(reader.types, r) {
				continue
			}
			compared++
			view.Score(&learn.Request{Row: row(r)}, &res)
			if got, want := reader.score(r), res.Score; !(math.Abs(got-want) <= tolerance) {
				t.Fatalf("reader's score of %q = %v, want %v; the document is\n%s", r, got, want, document)
			}
		}
	}
	if got, want := compared, models*rows/4; got < want {
		t.Errorf("%d rows were compared, want at least %d", got, want)
	}
}

// A text that XML can hold reads back as it was.
func TestTextsReadBack(t *testing.T) {
	for _, text := range slices.Concat(fragments, []string{"", " a  b ", "a\r\nb", "\ue000", "\ufffd", "\U0010ffff", "a=b"}) {
		field := "f" + strings.ReplaceAll(text, "=", "")
		c := testCase{Type: decision.LogisticRegression, State: encodeJSON(map[string]any{"weights": map[string]any{field + "=" + text: 1}})}
		r := newReader(t, export(t, Meta{}, c.view(t)))
		p := r.model.all("CategoricalPredictor")[0]
		if got := p.attr("name"); got != field {
			t.Errorf("name = %q, want %q", got, field)
		}
		if got := p.attr("value"); got != text {
			t.Errorf("value = %q, want %q", got, text)
		}
	}
}

func BenchmarkLogistic(b *testing.B) {
	s := source{rand.New(rand.NewPCG(1, 0))}
	weights := map[string]any{}
	for range 1000 {
		weights["s plan="+s.text()+s.text()] = s.NormFloat64()
	}
	c := testCase{Type: decision.LogisticRegression, State: encodeJSON(map[string]any{"weights": weights})}
	view := c.view(b)
	b.ReportAllocs()
	for b.Loop() {
		export(b, Meta{}, view)
	}
}
