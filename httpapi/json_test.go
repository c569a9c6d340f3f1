package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// acceptable are documents that both checkJSON and encoding/json accept.
var acceptable = []string{
	`{}`, `[]`, `0`, `-0`, `1`, `-1.5e+10`, `1E5`, `0.0`, `""`, `"a"`, `true`, `false`, `null`, " [ 1 , 2 ]\n",
	`{"a":1,"b":[true,false,null,{"c":"d"}]}`, `"\u0041\n\"\\\/\b\f\r\t"`, `"\ud83d\ude00"`, `"ü€😀"`, `{"":{"":[[[]]]}}`,
	`{"a":1,"a":2}`, strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
}

// refused are documents that checkJSON must refuse.
var refused = []string{
	``, ` `, `NaN`, `nan`, `Inf`, `-Infinity`, `01`, `-01`, `+1`, `1.`, `.5`, `1e`, `1e+`, `-`, `--1`, `0x10`, `1_000`,
	`{"a":NaN}`, `[1,]`, `[,1]`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{'a':1}`, `[1 2]`, `{"a":1 "b":2}`, `{1:2}`,
	`"`, `"a`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\`, "\"\t\"", "\"\x00\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}",
	`"\ud800"`, `"\udc00"`, `"\ud800\u0041"`, `"\ud800x"`, `tru`, `truex`, `nulll`, `{} {}`, `{}x`, `1 2`, `[`, `{`, `]`, `}`, `[}`, `{]`, `[1}`,
	`{"a":[}`, `,`, `:`, "[1,\v2]", "{\"a\":1}\x00", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
}

func TestCheckJSON(t *testing.T) {
	for _, doc := range acceptable {
		if err := checkJSON([]byte(doc)); err != nil {
			t.Errorf("%.60q: got %v, want it accepted", doc, err)
		}
		if !json.Valid([]byte(doc)) {
			t.Errorf("%.60q: encoding/json does not accept it", doc)
		}
	}
	for _, doc := range refused {
		if checkJSON([]byte(doc)) == nil {
			t.Errorf("%.60q: got it accepted, want an error", doc)
		}
	}
}

// readAny reads a value with the cursor the way encoding/json reads one into an
// any, except that numbers stay texts.
func readAny(c *cursor) any {
	switch c.kind() {
	case '{':
		m := map[string]any{}
		c.open()
		for c.more() {
			k := c.text()
			m[k] = readAny(c)
		}
		return m
	case '[':
		a := []any{}
		c.open()
		for c.more() {
			a = append(a, readAny(c))
		}
		return a
	case '"':
		return c.text()
	case 't', 'f', 'n':
		switch string(c.skip()) {
		case "true":
			return true
		case "false":
			return false
		}
		return nil
	}
	return json.Number(c.skip())
}

func FuzzJSON(f *testing.F) {
	for _, doc := range append(acceptable, refused...) {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		err := checkJSON(doc)
		if err != nil {
			// Beyond encoding/json's own rules only these are refused.
			own := !utf8.Valid(doc) || strings.Contains(err.Error(), "escape") || strings.Contains(err.Error(), "deeper")
			if json.Valid(doc) && !own {
				t.Fatalf("%q: got %v, but encoding/json accepts it", doc, err)
			}
			return
		}
		if !json.Valid(doc) {
			t.Fatalf("%q: got it accepted, but encoding/json refuses it", doc)
		}
		var c cursor
		c.reset(doc)
		if got := c.skip(); !json.Valid(got) {
			t.Fatalf("%q: skip gave %q", doc, got)
		}
		c.reset(doc)
		got := readAny(&c)
		var want any
		dec := json.NewDecoder(strings.NewReader(string(doc)))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", doc, got, want)
		}
	})
}

func decodeRow(t testing.TB, d *decoder, body string) (decision.Row, error) {
	t.Helper()
	if err := d.begin([]byte(body), false); err != nil {
		return nil, err
	}
	row := d.row()
	return row, d.err()
}

func TestRow(t *testing.T) {
	num := func(n string, v float64) decision.Field {
		return decision.Field{Name: n, Num: v, Kind: decision.Number}
	}
	txt := func(n, v string) decision.Field { return decision.Field{Name: n, Text: v, Kind: decision.Text} }
	mem := func(n, v string) decision.Field { return decision.Field{Name: n, Text: v, Kind: decision.Member} }
	for _, tc := range []struct {
		body string
		want decision.Row
	}{
		{`{}`, nil},
		{`null`, nil},
		{`{"b":1,"a":"x","c":true,"d":false,"e":null}`, decision.Row{txt("a", "x"), num("b", 1),
			{Name: "c", Num: 1, Kind: decision.Bool}, {Name: "d", Kind: decision.Bool}}},
		{`{"address":{"city":"Bern","geo":{"lat":46.9}}}`, decision.Row{txt("address.city", "Bern"), num("address.geo.lat", 46.9)}},
		{`{"tags":["b","a","b"]}`, decision.Row{mem("tags", "a"), mem("tags", "b")}},
		{`{"tags":[]}`, decision.Row{{Name: "tags", Kind: decision.EmptySet}}},
		{`{"a\u0062":"\"\ud83d\ude00"}`, decision.Row{txt("ab", "\"😀")}},
		{`{"x":-0.1e-3}`, decision.Row{num("x", -0.1e-3)}},
	} {
		var d decoder
		got, err := decodeRow(t, &d, tc.body)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, %v, want %v", tc.body, got, err, tc.want)
		}
	}
}

func TestRowRefused(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"f%d":1`, i)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, tc := range []struct{ name, body, path string }{
		{"not an object", `[1]`, "body"},
		{"number too large", `{"a":1e999}`, "a"},
		{"array of numbers", `{"a":["x",1]}`, "a[1]"},
		{"array of arrays", `{"a":[["x"]]}`, "a[0]"},
		{"array of objects", `{"a":[{"b":1}]}`, "a[0]"},
		{"repeat", `{"a":1,"b":2,"a":3}`, "body"},
		{"repeat by dots", `{"a.b":1,"a":{"b":2}}`, "body"},
		{"repeat of a set", `{"a":["x"],"a":["y"]}`, "body"},
		{"repeat of an equal set", `{"a":["x"],"a":["x"]}`, "body"},
		{"set and number", `{"a":["x"],"a":1}`, "body"},
		{"empty name", `{"":1}`, "body"},
		{"long name", `{"` + strings.Repeat("n", maxRowName+1) + `":1}`, strings.Repeat("n", 64) + "…"},
		{"long text", `{"a":"` + strings.Repeat("x", maxRowText+1) + `"}`, "a"},
		{"long member", `{"a":["` + strings.Repeat("x", maxRowText+1) + `"]}`, "a[0]"},
		{"too many fields", many(maxRowFields + 1), "f500"},
		{"too deep", deep(maxRowDepth + 1), strings.TrimSuffix(strings.Repeat("a.", maxRowDepth), ".")},
	} {
		var d decoder
		row, err := decodeRow(t, &d, tc.body)
		var e *decision.Error
		if err == nil {
			t.Errorf("%s: got %v, want an error", tc.name, row)
			continue
		}
		if e = asError(err); e.Kind != decision.KindBadRequest || len(e.Details) == 0 || e.Details[0].Path != tc.path {
			t.Errorf("%s: got %v, want a problem at %q", tc.name, err, tc.path)
		}
	}
	for _, body := range []string{many(maxRowFields), deep(maxRowDepth)} {
		var d decoder
		if _, err := decodeRow(t, &d, body); err != nil {
			t.Errorf("got %v, want the bound itself accepted", err)
		}
	}
}

func FuzzRow(f *testing.F) {
	for _, body := range append([]string{`{"a":{"b":["x","y"],"c":1},"d":"é\n","e":true}`, `{"a.b":1,"a":{"b":1}}`}, acceptable...) {
		f.Add([]byte(body))
	}
	var d decoder
	f.Fuzz(func(t *testing.T, body []byte) {
		row, err := decodeRow(t, &d, string(body))
		if err != nil {
			return
		}
		// What was read renders to JSON that reads back as the same row.
		again, err := decodeRow(t, &decoder{}, string(jsontext.AppendRow(nil, row)))
		if err != nil || len(again) != len(row) {
			t.Fatalf("%q: got %v, %v back, want %v", body, again, err, row)
		}
		for i := range row {
			if row[i] != again[i] {
				t.Fatalf("%q: got %v back, want %v", body, again[i], row[i])
			}
			if i > 0 && row[i].Name == row[i-1].Name && (row[i].Kind != decision.Member || row[i-1].Kind != decision.Member) {
				t.Fatalf("%q: %q is there twice", body, row[i].Name)
			}
		}
	})
}

const scoreExample = `{"attributes":{"credit_score":760,"income":95000.5,"age":38,"segment":"Gold","city":"Bern","member":true,"tenure_months":17,"balance":-12.25},"customerId":"CUST001"}`

func TestDecodeAllocs(t *testing.T) {
	body := []byte(scoreExample)
	rq := &request{}
	run := func() {
		rq.body = body
		if err := rq.scoreBody(); err != nil {
			t.Fatal(err)
		}
		rq.score.trim()
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("got %v allocations for a score's body, want 0", n)
	}
}

func BenchmarkDecodeScore(b *testing.B) {
	body := []byte(scoreExample)
	rq := &request{}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		rq.body = body
		if err := rq.scoreBody(); err != nil {
			b.Fatal(err)
		}
	}
}
