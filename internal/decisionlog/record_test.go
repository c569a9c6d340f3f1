package decisionlog

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

var someRow = decision.Row{
	{Name: "age", Kind: decision.Number, Num: 38.5},
	{Name: "city.name", Kind: decision.Text, Text: "Zürich \"\\\n\x01"},
	{Name: "likes", Kind: decision.Member, Text: "art"},
	{Name: "likes", Kind: decision.Member, Text: "cars"},
	{Name: "none", Kind: decision.EmptySet},
	{Name: "vip", Kind: decision.Bool, Num: 1},
}

// some returns a decision among three candidates.
func some(id string) *Decision {
	return &Decision{
		ID: id, Node: "n1", Route: RouteOfferSet, At: 1_760_000_000_123, ModelID: "model_1", ModelKey: "nbo", ModelType: decision.ThompsonBandit,
		Version: 3, Family: "cards", Variant: "__champion__", ExperimentID: "exp_1", CustomerID: "C9", SamplePct: 12.5, Features: someRow,
		Candidates: []Candidate{
			{OfferID: "travel", Score: 0.25, Own: math.NaN(), Propensity: 0.7, Features: decision.Row{{Name: "price", Kind: decision.Number, Num: 1e300}}},
			{OfferID: "cash", Score: 1e-9, Own: 0.5, Propensity: math.NaN(), History: decision.Summary{Impressions: 2, Positives: 1, LastContactAt: 1_700_000_000_000}},
			{OfferID: "nofee", Score: 0, Own: math.NaN(), Propensity: 0},
		},
		Choice: 0, Propensity: 0.7,
	}
}

func anOutcome(decisionID string) *decision.Outcome {
	return &decision.Outcome{
		ID: decision.InteractionID{Index: 7, Seq: 2}, CustomerID: "C9", OfferID: "travel", DecisionID: decisionID, Type: "click",
		Class: decision.Positive, At: 1_760_000_000_999, ConversionValue: 12.5, HasValue: true,
	}
}

func mustParse(t testing.TB, line []byte) *Record {
	t.Helper()
	r, err := Parse(line)
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return r
}

func TestDecisionReadsBack(t *testing.T) {
	d := some("d1")
	line := AppendDecision(nil, d)
	if !json.Valid(line) || strings.Count(string(line), "\n") != 1 {
		t.Fatalf("the record is no line of JSON: %q", line)
	}
	r := mustParse(t, line)
	if !reflect.DeepEqual(decision.Row(r.Features), someRow) {
		t.Errorf("features %v, want %v", r.Features, someRow)
	}
	if r.DecisionID != "d1" || r.At != d.At || r.ModelVersion != 3 || r.SamplePct != 12.5 || r.Variant != d.Variant || r.ExperimentID != d.ExperimentID || r.Family != "cards" {
		t.Errorf("record %+v", r)
	}
	if r.Chosen() != 0 || *r.Propensity != 0.7 || len(r.Candidates) != 3 {
		t.Errorf("choice %v of %v with %v", r.Chosen(), r.Candidates, *r.Propensity)
	}
	if c := r.Candidates[1]; c.Score != 1e-9 || *c.ModelScore != 0.5 || c.Propensity != nil || c.History.Summary() != d.Candidates[1].History {
		t.Errorf("the second candidate is %+v", c)
	}
	if c := r.Candidates[2]; *c.Propensity != 0 || c.History.Summary() != (decision.Summary{}) {
		t.Errorf("the third candidate is %+v", c)
	}
	d.Choice, d.Propensity = -1, math.NaN()
	if r := mustParse(t, AppendDecision(nil, d)); r.Chosen() != -1 || r.Propensity != nil {
		t.Errorf("without a choice: %v, %v", r.Chosen(), r.Propensity)
	}
	d.Choice = 1
	if r := mustParse(t, AppendDecision(nil, d)); r.Chosen() != 1 || r.Propensity != nil {
		t.Errorf("without a propensity: %v, %v", r.Chosen(), r.Propensity)
	}
}

func TestOutcomeReadsBack(t *testing.T) {
	r := mustParse(t, AppendOutcome(nil, "n2", anOutcome("d1")))
	if r.Type != TypeOutcome || r.DecisionID != "d1" || r.Node != "n2" || r.Outcome != "click" || r.Classification != "positive" ||
		*r.ConversionValue != 12.5 || r.OfferID != "travel" || r.InteractionID != anOutcome("").ID.String() {
		t.Errorf("record %+v", r)
	}
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		`{"type":"decision"`:                                "unexpected end",
		`{"type":"note","decisionId":"a"}`:                  "type",
		`{"type":"decision","v":2,"decisionId":"a"}`:        "later release",
		`{"type":"decision","v":1}`:                         "decisionId",
		`{"type":"decision","decisionId":"a","choice":"x"}`: "choice",
	} {
		if _, err := Parse([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%s) = %v, want an error with %q", line, err, want)
		}
	}
}

func TestAppendingAllocatesNothing(t *testing.T) {
	d, o, buffer := some("d1"), anOutcome("d1"), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		buffer = AppendOutcome(AppendDecision(buffer[:0], d), "n1", o)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// A sample is of the size it is meant to be, the same everywhere, and a smaller
// one is part of a larger one.
func TestSampled(t *testing.T) {
	const n = 100_000
	for _, percent := range []float64{0.5, 10, 33.33, 90} {
		count := 0
		for i := range n {
			id := fmt.Sprintf("dec_%d", i)
			if Sampled(id, percent) {
				count++
				if !Sampled(id, percent+5) {
					t.Fatalf("%s is in a sample of %v %% and not in a larger one", id, percent)
				}
			}
		}
		p := percent / 100
		if got, tolerance := float64(count)/n, 5*math.Sqrt(p*(1-p)/n); math.Abs(got-p) > tolerance {
			t.Errorf("a sample of %v %% has %v of the decisions, want it within %v", percent, got, tolerance)
		}
	}
	for _, id := range []string{"", "a", "dec_1"} {
		if Sampled(id, 0) || !Sampled(id, 100) {
			t.Errorf("%q: 0 %% must be none and 100 %% all", id)
		}
	}
	// The samples of old logs do not change.
	if Sampled("dec_000", 26) || !Sampled("dec_000", 27) {
		t.Error("dec_000 is not in the samples from 27 % on")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(AppendDecision(nil, some("d1")))
	f.Add(AppendOutcome(nil, "n1", anOutcome("d1")))
	f.Add([]byte(`{"type":"decision","decisionId":"a","features":{"x":[1,"y"]},"candidates":[{"offerId":"","score":1e999}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := Parse(line)
		if err != nil {
			return
		}
		if row := rowOf(r); row.Type != r.Type {
			t.Errorf("a row of type %q of a record of type %q", row.Type, r.Type)
		}
		if c := r.Chosen(); c >= len(r.Candidates) {
			t.Errorf("choice %d of %d", c, len(r.Candidates))
		}
	})
}

func BenchmarkAppendDecision(b *testing.B) {
	d, buffer := some("d1"), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendDecision(buffer[:0], d)
	}
}
