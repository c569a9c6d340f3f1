package scorecard

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// twin scores a customer by a card, both as JSON has them, in the words of the
// API's definition and one rule after the other.
type twin struct {
	BaseScore, MinScore, MaxScore float64
	Normalization                 string
	Rules                         []struct {
		Field, Operator string
		Value           any
		Points          float64
	}
	Bins []struct {
		Field string
		Bins  []struct {
			Min, Max *float64
			Value    any
			Points   float64
		}
	}
}

func (c *twin) score(customer map[string]any) (score, raw float64, matched []bool) {
	raw = c.BaseScore
	add := func(applies bool, points float64) {
		matched = append(matched, applies)
		if applies {
			raw += points
		}
	}
	for _, r := range c.Rules {
		add(applies(r.Operator, customer[r.Field], r.Value), r.Points)
	}
	for _, f := range c.Bins {
		for _, b := range f.Bins {
			v := customer[f.Field]
			if b.Value != nil {
				add(applies("eq", v, b.Value), b.Points)
				continue
			}
			x, ok := asNumber(v)
			add(ok && (b.Min == nil || x >= *b.Min) && (b.Max == nil || x < *b.Max), b.Points)
		}
	}
	if raw < c.MinScore {
		raw = c.MinScore
	}
	if raw > c.MaxScore {
		raw = c.MaxScore
	}
	if c.Normalization == "linear" {
		return (raw - c.MinScore) / (c.MaxScore - c.MinScore), raw, matched
	}
	mid := (c.MinScore + c.MaxScore) / 2
	return 1 / (1 + math.Exp(-6*(raw-mid)/(c.MaxScore-c.MinScore))), raw, matched
}

func applies(operator string, v, operand any) bool {
	if v == nil {
		return false
	}
	list, isList := operand.([]any)
	if !isList {
		list = []any{operand}
	}
	readable, same := false, false
	for _, o := range list {
		r, s := equals(v, o)
		readable, same = readable || r, same || s
	}
	x, isNumber := asNumber(v)
	limit, _ := operand.(float64)
	part, _ := operand.(string)
	switch operator {
	case "eq", "in":
		return same
	case "neq", "not_in":
		return readable && !same
	case "gt":
		return isNumber && x > limit
	case "gte":
		return isNumber && x >= limit
	case "lt":
		return isNumber && x < limit
	case "lte":
		return isNumber && x <= limit
	case "contains":
		if members, isSet := v.([]string); isSet {
			return slices.Contains(members, part)
		}
		return strings.Contains(asText(v), part)
	case "starts_with":
		if members, isSet := v.([]string); isSet {
			return slices.ContainsFunc(members, func(m string) bool { return strings.HasPrefix(m, part) })
		}
		return strings.HasPrefix(asText(v), part)
	}
	panic(operator)
}

// equals compares a value with a rule's: numbers with numbers, where a boolean is
// 1 or 0, all else as text, where a rule's number has no text.
func equals(v, operand any) (readable, same bool) {
	x, isNumber := asNumber(v)
	want, wantsNumber := asNumber(operand)
	if isNumber && wantsNumber {
		return true, x == want
	}
	if _, onlyNumber := operand.(float64); onlyNumber {
		return false, false
	}
	if members, isSet := v.([]string); isSet {
		return true, slices.Contains(members, asText(operand))
	}
	return true, asText(v) == asText(operand)
}

func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func asText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v) // of a number or a boolean
	if err != nil {
		panic(err)
	}
	return string(text)
}

var (
	twinFields  = []string{"account.balance", "age", "segment", "vip"}
	twinNumbers = []float64{-1, 0, 0.5, 1, 25, 25.5, 1e-7, 1e21}
	twinTexts   = []string{"", "0.5", "1", "25", "Gold", "Go", "old", "true", "Silver"}
	twinMembers = []string{"1", "Gold", "Golden", "Silver", "true"}
)

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// points are eighths, so that sums of them are exact in any order.
func points(rng *rand.Rand) float64 { return float64(rng.IntN(401)-200) / 8 }

func operandOf(rng *rand.Rand) any {
	return pick(rng, []any{pick(rng, twinNumbers), pick(rng, twinTexts), rng.IntN(2) == 0})
}

func randomCard(rng *rand.Rand) map[string]any {
	rules, bins := []any{}, []any{}
	for range rng.IntN(12) {
		operator := pick(rng, operators)
		var value any
		switch operator {
		case "gt", "gte", "lt", "lte":
			value = pick(rng, twinNumbers)
		case "contains", "starts_with":
			value = pick(rng, twinTexts)
		case "in", "not_in":
			value = []any{operandOf(rng), operandOf(rng), operandOf(rng)}[rng.IntN(3):]
		default:
			value = operandOf(rng)
		}
		rules = append(rules, map[string]any{"field": pick(rng, twinFields), "operator": operator, "value": value, "points": points(rng)})
	}
	for range rng.IntN(4) {
		var of []any
		for range 1 + rng.IntN(3) {
			low := pick(rng, twinNumbers)
			bin := map[string]any{"points": points(rng)}
			switch rng.IntN(4) {
			case 0:
				bin["value"] = operandOf(rng)
			case 1:
				bin["min"] = low
			case 2:
				bin["max"] = low
			default:
				bin["min"], bin["max"] = low, low+math.Abs(low)+pick(rng, []float64{0.5, 1, 1e6})
			}
			of = append(of, bin)
		}
		bins = append(bins, map[string]any{"field": pick(rng, twinFields), "bins": of})
	}
	low := float64(rng.IntN(60) - 30)
	return map[string]any{
		"baseScore": points(rng), "minScore": low, "maxScore": low + float64(1+rng.IntN(200)),
		"normalization": pick(rng, []string{"sigmoid", "linear"}), "rules": rules, "bins": bins,
	}
}

// randomCustomer returns the same customer as JSON has it and as a row.
func randomCustomer(rng *rand.Rand) (customer map[string]any, row decision.Row) {
	customer = make(map[string]any)
	for _, name := range twinFields {
		switch rng.IntN(5) {
		case 0:
			v := pick(rng, twinNumbers)
			customer[name], row = v, append(row, num(name, v))
		case 1:
			v := pick(rng, twinTexts)
			customer[name], row = v, append(row, text(name, v))
		case 2:
			v := rng.IntN(2)
			customer[name], row = v == 1, append(row, boolean(name, float64(v)))
		case 3:
			members := slices.DeleteFunc(slices.Clone(twinMembers), func(string) bool { return rng.IntN(2) == 0 })
			customer[name], row = members, append(row, set(name, members...)...)
		}
	}
	return customer, row
}

// The points are exact, so is the raw score; the two sigmoids round differently.
func TestScoresEqualThoseOfTheTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(20240607, 1))
	applied := make(map[string]int) // rules that applied, by operator
	for n := range 3000 {
		config, err := json.Marshal(randomCard(rng))
		if err != nil {
			t.Fatal(err)
		}
		var slow twin
		if err := json.Unmarshal(config, &slow); err != nil {
			t.Fatal(err)
		}
		card := newCard(t, string(config))
		for range 5 {
			customer, row := randomCustomer(rng)
			want, raw, matched := slow.score(customer)
			var got learn.Result
			card.Publish().Score(&learn.Request{Row: row, Explain: true}, &got)
			if got.Raw != raw || !(math.Abs(got.Score-want) <= 1e-15) {
				t.Fatalf("card %d: raw %v, score %v, want %v, %v\n%s\n%v", n, got.Raw, got.Score, raw, want, config, customer)
			}
			var applies []bool
			for _, e := range got.Explanations {
				applies = append(applies, e.Matched)
			}
			if !slices.Equal(applies, matched) {
				t.Fatalf("card %d: rules %v applied, want %v\n%s\n%v", n, applies, matched, config, customer)
			}
			for i, r := range slow.Rules {
				if matched[i] {
					applied[r.Operator]++
				}
			}
		}
	}
	for _, operator := range operators {
		if applied[operator] < 100 {
			t.Errorf("%s applied %d times, want at least 100 for the test to tell anything; all: %s", operator, applied[operator], fmt.Sprint(applied))
		}
	}
}
