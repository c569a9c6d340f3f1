package jsontext

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestAppendFloat(t *testing.T) {
	for _, f := range []float64{0, 1, -1, 0.1, 0.73, 1e-7, 1e21, 1e20, 123456789.125, 5e-324, 1.7976931348623157e308} {
		got := string(AppendFloat(nil, f))
		back, err := strconv.ParseFloat(got, 64)
		if err != nil || back != f || !json.Valid([]byte(got)) {
			t.Errorf("%v: got %s", f, got)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "q\"b\\n\n\r\t\x00\x1f\x7f", "\xff\xfe", "é😀", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %s: %v", s, b, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestFields(t *testing.T) {
	row := decision.Row{
		{Name: "age", Kind: decision.Number, Num: 38}, {Name: "member", Kind: decision.Bool, Num: 1}, {Name: "none", Kind: decision.EmptySet},
		{Name: "tags", Kind: decision.Member, Text: "a"}, {Name: "tags", Kind: decision.Member, Text: "b"}, {Name: "tier", Kind: decision.Text, Text: "gold"},
	}
	write := func(b []byte) []byte {
		b = AppendText(append(b, '{'), "id", "o\n")
		b = AppendNumber(b, "score", 0.25)
		b = AppendCount(b, "count", 3)
		b = AppendNullable(AppendNullable(b, "channelId", ""), "offerId", "x")
		return append(AppendRow(AppendKey(b, "attributes"), row), '}')
	}
	got := string(write(nil))
	want := `{"id":"o\n","score":0.25,"count":3,"channelId":null,"offerId":"x","attributes":{"age":38,"member":true,"none":[],"tags":["a","b"],"tier":"gold"}}`
	if got != want || !json.Valid([]byte(got)) {
		t.Errorf("got %s, want %s", got, want)
	}
	buffer := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { write(buffer) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
