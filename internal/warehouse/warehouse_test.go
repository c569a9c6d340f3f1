package warehouse

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
)

func TestParseTime(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"2026-03-14", "2026-03-14T00:00:00Z"},
		{"2026-03-14T06:07:08Z", "2026-03-14T06:07:08Z"},
		{"2026-03-14t06:07:08.5z", "2026-03-14T06:07:08.5Z"},
		{"2026-03-14 06:07:08.123999", "2026-03-14T06:07:08.123Z"},
		{"2026-03-14 06:07:08.123456789+05:30", "2026-03-14T00:37:08.123Z"},
		{"2026-03-14 06:07:08-08", "2026-03-14T14:07:08Z"},
		{"2026-03-14 06:07:08+0130", "2026-03-14T04:37:08Z"},
		{"2026-03-14 06:07", "2026-03-14T06:07:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z"},
		{"0001-01-01", "0001-01-01T00:00:00Z"},
	} {
		want, err := time.Parse(time.RFC3339, tc.want)
		if err != nil {
			t.Fatal(err)
		}
		if ms, ok := ParseTime([]byte(tc.text)); !ok || ms != want.UnixMilli() {
			t.Errorf("%q: got %v, %v, want %v", tc.text, time.UnixMilli(ms).UTC(), ok, want)
		}
	}
	for _, text := range []string{
		"", "now", "infinity", "2026", "2026-3-14", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-01-01T", "2026-01-01T24:00:00",
		"2026-01-01T00:60:00", "2026-01-01T00:00:60", "2026-01-01T00:00:00.", "2026-01-01T00:00:00.1234567890", "2026-01-01T00:00:00+5", "2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00Zx", "2026-01-01X00:00:00", "14/03/2026", "0044-03-15 BC", "2026-01-01 00:00:00 UTC",
	} {
		if ms, ok := ParseTime([]byte(text)); ok {
			t.Errorf("%q: got %v, want a refusal", text, time.UnixMilli(ms).UTC())
		}
	}
}

func TestMillis(t *testing.T) {
	for _, tc := range []struct {
		count, nanos, want int64
		ok                 bool
	}{
		{1, 1e9, 1000, true}, {1, 1e6, 1, true}, {1999, 1e3, 1, true}, {1_999_999, 1, 1, true}, {-1, 1, -1, true}, {-1000, 1e3, -1, true},
		{math.MaxInt64, 1e9, 0, false}, {math.MinInt64, 1e9, 0, false}, {math.MaxInt64, 1e3, 0, false}, {math.MaxInt64, 1, math.MaxInt64 / 1_000_000, true},
	} {
		if got, ok := Millis(tc.count, tc.nanos); ok != tc.ok || ok && got != tc.want {
			t.Errorf("%d of %d ns: got %d, %v, want %d, %v", tc.count, tc.nanos, got, ok, tc.want, tc.ok)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-03-14", "2026-03-14 06:07:08.123456+05:30", "2026-03-14T06:07:08Z", "x", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, ok := ParseTime(b)
		if want, err := time.Parse(time.RFC3339, string(b)); err == nil && len(b) > 0 && ok && ms != want.UnixMilli() {
			t.Errorf("%q: got %d, want %d", b, ms, want.UnixMilli())
		}
	})
}

// reader makes what reads exposures of a small space.
func reader(t *testing.T, m Mapping, columns ...string) Rows[attribution.Exposure] {
	t.Helper()
	rows, err := NewExposures(testRequest(t), &m, "a test", columns)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func testRequest(t *testing.T) *Request {
	t.Helper()
	space, err := factorial.New(factorial.Definition{
		Design: []factorial.Factor{
			{Name: "size", Type: factorial.String, Levels: []factorial.Value{factorial.StringOf("1"), factorial.StringOf("2.5"), factorial.StringOf("true")}},
			{Name: "on", Type: factorial.Bool, Levels: []factorial.Value{factorial.BoolOf(true), factorial.BoolOf(false)}},
		},
		Context: []factorial.Factor{{Name: "device", Type: factorial.String, Levels: []factorial.Value{factorial.StringOf("m"), factorial.StringOf("d")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Optimization: "o", Space: space, Reward: "signup", Rules: attribution.Rules{Window: 1000}, Start: 1000, Now: 5000}
}

func textCell(s string) Cell { return Cell{Type: Text, Text: []byte(s)} }

func TestExposureOfRow(t *testing.T) {
	rows := reader(t, Mapping{AnonymousID: "id", Timestamp: "at", IsHoldout: "held", OptimizationID: "opt"}, "id", "at", "size", "on", "device", "held", "opt", "other")
	row := func(change ...func([]Cell)) []Cell {
		r := []Cell{textCell("v"), {Type: Int, Int: 2000}, textCell("2.5"), {Type: Bool}, textCell("d"), {}, textCell("o"), {}}
		for _, c := range change {
			c(r)
		}
		return r
	}
	set := func(i int, c Cell) func([]Cell) { return func(r []Cell) { r[i] = c } }
	for _, tc := range []struct {
		name    string
		row     []Cell
		visitor string
		want    attribution.Exposure
	}{
		{"as text", row(), "v", attribution.Exposure{At: 2000, Variant: 3, Cell: 1}},
		{"a number for an id", row(set(0, Cell{Type: Int, Int: 42})), "42", attribution.Exposure{At: 2000, Variant: 3, Cell: 1}},
		{"numbers for levels", row(set(2, Cell{Type: Float, Float: 2.5}), set(3, Cell{Type: Int, Int: 1})), "v", attribution.Exposure{At: 2000, Variant: 2, Cell: 1}},
		{"true for a text", row(set(2, Cell{Type: Bool, Bool: true}), set(3, textCell("T"))), "v", attribution.Exposure{At: 2000, Variant: 4, Cell: 1}},
		{"an unknown context", row(set(4, textCell("watch"))), "v", attribution.Exposure{At: 2000, Variant: 3, Cell: 2}},
		{"no context", row(set(4, Cell{})), "v", attribution.Exposure{At: 2000, Variant: 3, Cell: 2}},
		{"held out", row(set(5, textCell("true"))), "v", attribution.Exposure{At: 2000, Variant: 3, Cell: 1, Holdout: true}},
		{"at the start", row(set(1, Cell{Type: Time, Int: 1000})), "v", attribution.Exposure{At: 1000, Variant: 3, Cell: 1}},
		{"at the end", row(set(1, Cell{Type: Text, Text: []byte("1970-01-01 00:00:05")})), "v", attribution.Exposure{At: 5000, Variant: 3, Cell: 1}},
	} {
		visitor, e, ok, err := rows.Read(tc.row)
		if err != nil || !ok || string(visitor) != tc.visitor || e != tc.want {
			t.Errorf("%s: got %q %+v %v %v, want %q %+v", tc.name, visitor, e, ok, err, tc.visitor, tc.want)
		}
	}
	for name, r := range map[string][]Cell{
		"too early": row(set(1, Cell{Type: Int, Int: 999})), "too late": row(set(1, Cell{Type: Int, Int: 5001})),
		"another optimization": row(set(6, textCell("p"))), "no optimization": row(set(6, Cell{})),
		"another optimization's levels": row(set(6, textCell("p")), set(2, textCell("odd"))),
	} {
		if _, _, ok, err := rows.Read(r); ok || err != nil {
			t.Errorf("%s: got %v, %v, want it left out", name, ok, err)
		}
	}
	for name, tc := range map[string]struct {
		row    []Cell
		column string
	}{
		"no id": {row(set(0, Cell{})), "id"}, "an empty id": {row(set(0, textCell(""))), "id"}, "a long id": {row(set(0, textCell(strings.Repeat("x", 256)))), "id"},
		"broken text": {row(set(0, textCell("\xff"))), "id"}, "a time for an id": {row(set(0, Cell{Type: Time, Int: 7})), "id"},
		"no time": {row(set(1, Cell{})), "at"}, "not a time": {row(set(1, textCell("soon"))), "at"}, "before 1970": {row(set(1, Cell{Type: Int, Int: -1})), "at"},
		"half a millisecond": {row(set(1, Cell{Type: Float, Float: 2000.5})), "at"},
		"no level":           {row(set(2, Cell{})), "size"}, "another level": {row(set(2, textCell("3"))), "size"}, "not a boolean": {row(set(3, textCell("yes"))), "on"},
		"holdout": {row(set(5, textCell("maybe"))), "held"},
	} {
		_, _, _, err := rows.Read(tc.row)
		err = At("file, line 7", err)
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindConflict || e.Reason != ReasonData || !strings.Contains(e.Msg, fmt.Sprintf("file, line 7, column %q", tc.column)) {
			t.Errorf("%s: got %v, want the place and the column %q", name, err, tc.column)
		}
	}
}

func TestVariantByNumberAndHoldout(t *testing.T) {
	rows := reader(t, Mapping{AnonymousID: "id", Timestamp: "at", VariantNumber: "n"}, "id", "at", "n")
	for _, n := range []int64{1, 6} {
		_, e, ok, err := rows.Read([]Cell{textCell("v"), {Type: Int, Int: 2000}, {Type: Int, Int: n}})
		if err != nil || !ok || e.Variant != uint16(n-1) || e.Cell != 2 {
			t.Errorf("number %d: got %+v, %v, %v", n, e, ok, err)
		}
	}
	for _, c := range []Cell{{Type: Int}, {Type: Int, Int: 7}, {Type: Float, Float: 1.5}, textCell("x"), {}} {
		if _, _, _, err := rows.Read([]Cell{textCell("v"), {Type: Int, Int: 2000}, c}); err == nil {
			t.Errorf("number %s: want an error", &c)
		}
	}
	// Who is held out follows from the percentage where no column says.
	r := testRequest(t)
	r.Holdout = 30
	m := Mapping{AnonymousID: "id", Timestamp: "at", VariantNumber: "n"}
	rows, err := NewExposures(r, &m, "a test", []string{"id", "at", "n"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		visitor := fmt.Sprint("v", i)
		for _, n := range []int64{1, 2} {
			_, e, _, err := rows.Read([]Cell{textCell(visitor), {Type: Int, Int: 2000}, {Type: Int, Int: n}})
			if want := n == 1 && factorial.HeldOut("o", visitor, 30); err != nil || e.Holdout != want {
				t.Fatalf("%s, number %d: got %v, %v, want %v", visitor, n, e.Holdout, err, want)
			}
		}
	}
}

func TestRewardOfRow(t *testing.T) {
	r := testRequest(t)
	columns := []string{"id", "at", "name", "worth", "key", "opt"}
	m := Mapping{AnonymousID: "id", Timestamp: "at", TimestampUnit: Seconds, Name: "name", Value: "worth", IdempotencyKey: "key", OptimizationID: "opt"}
	rows, err := NewRewards(r, &m, "a test", columns)
	if err != nil {
		t.Fatal(err)
	}
	row := func(worth Cell) []Cell {
		return []Cell{textCell("v"), {Type: Int, Int: 2}, textCell("signup"), worth, textCell("k"), {}}
	}
	for _, tc := range []struct {
		worth Cell
		want  attribution.Amount
	}{
		{Cell{Type: Float, Float: 2.5}, 2_500_000}, {Cell{Type: Int, Int: -3}, -3_000_000}, {Cell{Type: Bool, Bool: true}, 1_000_000}, {Cell{Type: Bool}, 0},
		{textCell("1e3"), 1_000_000_000}, {textCell("0.0000005"), 0}, {textCell("true"), 1_000_000}, {textCell("-0.01"), -10_000},
	} {
		visitor, e, ok, err := rows.Read(row(tc.worth))
		if want := (attribution.Reward{At: 2000, Key: attribution.KeyOf("k"), Value: tc.want}); err != nil || !ok || string(visitor) != "v" || e != want {
			t.Errorf("%s: got %+v, %v, %v, want %+v", &tc.worth, e, ok, err, want)
		}
	}
	for _, worth := range []Cell{{}, textCell(""), textCell("NaN"), textCell("0x10"), textCell("1_000"), {Type: Float, Float: math.Inf(1)}, {Type: Float, Float: 2e9}, {Type: Time, Int: 1}} {
		if _, _, _, err := rows.Read(row(worth)); err == nil || !strings.Contains(err.Error(), `"worth"`) {
			t.Errorf("%s: got %v, want an error at the column", &worth, err)
		}
	}
	for name, change := range map[string]func([]Cell){
		"another name": func(c []Cell) { c[2] = textCell("sale") }, "another optimization": func(c []Cell) { c[5] = textCell("p") },
		"too late": func(c []Cell) { c[1].Int = 6 },
	} {
		c := row(Cell{Type: Int, Int: 1})
		if change(c); true {
			if _, _, ok, err := rows.Read(c); ok || err != nil {
				t.Errorf("%s: got %v, %v, want it left out", name, ok, err)
			}
		}
	}
}

func TestMappingProblems(t *testing.T) {
	for _, tc := range []struct {
		name    string
		mapping Mapping
		kind    Kind
		implied bool
		at      string
	}{
		{"no id", Mapping{Timestamp: "t"}, KindReward, false, "m.anonymous_id"},
		{"no time", Mapping{AnonymousID: "i"}, KindReward, false, "m.timestamp"},
		{"unit", Mapping{TimestampUnit: "min"}, KindReward, true, "m.timestamp_unit"},
		{"both ways", Mapping{VariantNumber: "n", DesignFactors: map[string]string{"a": "b"}}, KindExposures, true, "m.design_factors"},
		{"a variant of a reward", Mapping{VariantNumber: "n"}, KindReward, true, "m.variant_number"},
		{"factors of a reward", Mapping{ContextFactors: map[string]string{"a": "b"}}, KindReward, true, "m.context_factors"},
		{"a value of an exposure", Mapping{Value: "v"}, KindExposures, true, "m.value"},
		{"long", Mapping{Value: strings.Repeat("x", 129)}, KindReward, true, "m.value"},
		{"no column", Mapping{DesignFactors: map[string]string{"a": ""}}, KindExposures, true, "m.design_factors.a"},
	} {
		var p decision.Problems
		tc.mapping.Check(&p, "m", tc.kind, tc.implied)
		var e *decision.Error
		if !errors.As(p.Err(), &e) || len(e.Details) != 1 || e.Details[0].Path != tc.at {
			t.Errorf("%s: got %v, want a problem at %s", tc.name, p.Err(), tc.at)
		}
	}
	r := testRequest(t)
	m := Mapping{AnonymousID: "id", Timestamp: "at"}
	_, err := NewExposures(r, &m, "metric x", []string{"id", "size", "size", "on"})
	if err == nil || !strings.Contains(err.Error(), `no column "at"`) || !strings.Contains(err.Error(), `two columns "size"`) {
		t.Errorf("columns: got %v, want what is missing and what is there twice", err)
	}
	implied := Mapping{DesignFactors: map[string]string{"size": "s"}}.Implied(KindExposures, []string{"anonymous_id", "timestamp", "variant_number", "value", "is_holdout"})
	if implied.VariantNumber != "" || implied.IsHoldout != "is_holdout" || implied.Value != "" || implied.AnonymousID != "anonymous_id" {
		t.Errorf("implied: got %+v", implied)
	}
}

func TestChooseMetrics(t *testing.T) {
	all := []Metric{
		{Name: "theirs", Kind: KindExposures, Optimization: "p"}, {Name: "all", Kind: KindExposures}, {Name: "ours", Kind: KindExposures, Optimization: "o"},
		{Name: "signup", Kind: KindReward}, {Name: "sale", Kind: KindReward},
	}
	for _, tc := range []struct{ optimization, reward, exposures, rewards string }{
		{"o", "sale", "ours", "sale"}, {"p", "signup", "theirs", "signup"}, {"q", "none", "all", ""},
	} {
		e, r := Choose(all, tc.optimization, tc.reward)
		if e == nil || e.Name != tc.exposures || (r == nil) != (tc.rewards == "") || r != nil && r.Name != tc.rewards {
			t.Errorf("%s, %s: got %v and %v", tc.optimization, tc.reward, e, r)
		}
	}
	if e, _ := Choose(all[:1], "o", ""); e != nil {
		t.Errorf("another's exposures: got %v, want none", e)
	}
}

type repeated struct{ n int }

func (r *repeated) Next() (string, attribution.Reward, bool, error) {
	r.n--
	return "v", attribution.Reward{At: int64(r.n)}, r.n >= 0, nil
}

func TestBoundedVisitor(t *testing.T) {
	s := Bounded[attribution.Reward](&repeated{3}, Limits{MaxVisitorRows: 3}, "a test")
	for range 3 {
		if _, _, ok, err := s.Next(); !ok || err != nil {
			t.Fatalf("got %v, %v, want an event", ok, err)
		}
	}
	if _, _, ok, err := s.Next(); ok || err != nil {
		t.Errorf("got %v, %v, want the end", ok, err)
	}
	s = Bounded[attribution.Reward](&repeated{3}, Limits{MaxVisitorRows: 2}, "a test")
	_, _, _, _ = s.Next()
	_, _, _, _ = s.Next()
	if _, _, _, err := s.Next(); decision.KindOf(err) != decision.KindConflict {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestReadAllocates(t *testing.T) {
	rows := reader(t, Mapping{AnonymousID: "id", Timestamp: "at"}, "id", "at", "size", "on", "device")
	row := []Cell{textCell("visitor"), textCell("1970-01-01 00:00:02"), textCell("2.5"), textCell("false"), textCell("d")}
	if n := testing.AllocsPerRun(100, func() {
		if _, _, ok, err := rows.Read(row); !ok || err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a row: got %v allocations, want 0", n)
	}
}
