package pmml

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/logistic"
	"github.com/praetor-engine/praetor/internal/learn/scorecard"
)

var update = flag.Bool("update", false, "rewrite the documents in testdata; run testdata/reference.py afterwards")

// tolerance of a score: the exports add the same few numbers in another order.
const tolerance = 1e-9

// case of testdata/cases.json; its values are for testdata/reference.py.
type testCase struct {
	Name   string
	Type   decision.ModelType
	Meta   Meta
	Config json.RawMessage
	State  json.RawMessage
}

func (c *testCase) view(t testing.TB) learn.View {
	t.Helper()
	spec := learn.Spec{Type: c.Type, Config: c.Config}
	make := scorecard.New
	if c.Type == decision.LogisticRegression {
		make = logistic.New
	}
	learner, err := make(spec, c.State)
	if err != nil {
		t.Fatal(err)
	}
	return learner.Publish()
}

func export(t testing.TB, meta Meta, view learn.View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, meta, view); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func cases(t testing.TB) []testCase {
	var all []testCase
	readJSON(t, "cases.json", &all)
	return all
}

// row makes a row of an attribute object, as the API does.
func row(attributes map[string]any) decision.Row {
	var r decision.Row
	for name, value := range attributes {
		f := decision.Field{Name: name}
		switch v := value.(type) {
		case float64:
			f.Kind, f.Num = decision.Number, v
		case string:
			f.Kind, f.Text = decision.Text, v
		case bool:
			f.Kind = decision.Bool
			if v {
				f.Num = 1
			}
		}
		r = append(r, f)
	}
	return r.Sort()
}

func TestDocumentsAreTheGoldenOnes(t *testing.T) {
	for _, c := range cases(t) {
		name := filepath.Join("testdata", c.Name+".pmml")
		got := export(t, c.Meta, c.view(t))
		if *update {
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the document changed; see the flag -update. Got\n%s", c.Name, got)
		}
	}
}

// referenceRow is a row with what the reader of testdata/reference.py computed
// from the golden document.
type referenceRow struct {
	Row      map[string]any
	Score    float64
	RawScore *float64
}

func TestScoresEqualThoseOfTheReader(t *testing.T) {
	var reference map[string][]referenceRow
	readJSON(t, "reference.json", &reference)
	for _, c := range cases(t) {
		rows := reference[c.Name]
		if len(rows) == 0 {
			t.Errorf("%s: no rows", c.Name)
		}
		view, worst := c.view(t), 0.0
		var res learn.Result
		for _, ref := range rows {
			view.Score(&learn.Request{Row: row(ref.Row)}, &res)
			d := math.Abs(res.Score - ref.Score)
			if res.HasRaw {
				d = max(d, math.Abs(res.Raw-*ref.RawScore))
			}
			worst = max(worst, d)
			if d > tolerance {
				t.Errorf("%s: score of %v = %v (raw %v), the reader has %+v", c.Name, ref.Row, res.Score, res.Raw, ref)
			}
		}
		t.Logf("%s: %d rows, largest difference %.3g", c.Name, len(rows), worst)
	}
}

func TestWhatPMMLCannotSayIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, config, state string
		meta                Meta
		want                []decision.Detail
	}{
		{
			name: "numbers and texts",
			config: `{"rules":[{"id":"old","field":"age","operator":"gt","value":60,"points":1},
				{"id":"text","field":"age","operator":"eq","value":"old","points":1},
				{"id":"prefix","field":"age","operator":"starts_with","value":"6","points":1},
				{"id":"both","field":"x","operator":"in","value":[true,"a",1],"points":1}]}`,
			want: []decision.Detail{
				{Path: "rules[text]", Message: `compares "age" with a string, want a double, as rule "old" does: a field of PMML has one type`},
				{Path: "rules[prefix]", Message: `compares "age" with a string, want a double, as rule "old" does: a field of PMML has one type`},
				{Path: "rules[both]", Message: `compares "x" with a double, want a string, as rule "both" does: a field of PMML has one type`},
			},
		},
		{
			name:   "control characters",
			config: `{"rules":[{"id":"bell","field":"a\u0001","operator":"eq","value":"\u0007","points":1}]}`,
			meta:   Meta{Name: "\xff"},
			want: []decision.Detail{
				{Path: "name", Message: `got "\xff", want UTF-8`},
				{Path: "rules[bell].field", Message: `got "a\x01", want only characters that XML 1.0 can hold`},
				{Path: "rules[bell].value", Message: `got "\a", want only characters that XML 1.0 can hold`},
			},
		},
		{
			name:  "a number and categories",
			state: `{"weights":{"age":1,"age=none":2,"x=\uffff":1,"=v":3}}`,
			want: []decision.Detail{
				{Path: "weights[]", Message: "got an empty field name, want a name"},
				{Path: "weights[age]", Message: `got the weight of a number and that of the category "none", want one or the other: a field of PMML has one type`},
				{Path: "weights[x=\uffff]", Message: `got "\uffff", want only characters that XML 1.0 can hold`},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			model := testCase{Type: decision.Scorecard, Config: json.RawMessage(c.config)}
			if c.state != "" {
				model = testCase{Type: decision.LogisticRegression, State: json.RawMessage(c.state)}
			}
			var b bytes.Buffer
			err := Write(&b, c.meta, model.view(t))
			var e *decision.Error
			if !errors.As(err, &e) || e.Kind != decision.KindUnprocessable {
				t.Fatalf("Write: %v, want an unprocessable decision.Error", err)
			}
			if b.Len() > 0 {
				t.Errorf("%d bytes were written", b.Len())
			}
			if got, want := e.Details, c.want; len(got) != len(want) {
				t.Errorf("details = %+v\nwant %+v", got, want)
			} else {
				for i := range got {
					if got[i] != want[i] {
						t.Errorf("detail %d = %+v\nwant %+v", i, got[i], want[i])
					}
				}
			}
		})
	}
}

type otherView struct{}

func (otherView) Score(*learn.Request, *learn.Result) {}

func TestOtherModelsAreRefused(t *testing.T) {
	err := Write(new(bytes.Buffer), Meta{}, otherView{})
	if got, want := decision.KindOf(err), decision.KindUnprocessable; err == nil || got != want {
		t.Errorf("Write: %v, want kind %v", err, want)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestErrorsOfTheWriterAreReturned(t *testing.T) {
	want := errors.New("disk full")
	for _, c := range cases(t) {
		if err := Write(brokenWriter{want}, c.Meta, c.view(t)); !errors.Is(err, want) {
			t.Errorf("%s: Write: %v, want %v", c.Name, err, want)
		}
	}
}
