package decision

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestCategory(t *testing.T) {
	cases := []struct {
		field Field
		want  string
	}{
		{Field{Kind: Text, Text: "Gold"}, "Gold"},
		{Field{Kind: Member, Text: "x"}, "x"},
		{Field{Kind: EmptySet}, ""},
		{Field{Kind: Bool, Num: 1}, "true"},
		{Field{Kind: Bool}, "false"},
		{Field{Kind: Number, Num: 0}, "0"},
		{Field{Kind: Number, Num: math.Copysign(0, -1)}, "0"},
		{Field{Kind: Number, Num: 3}, "3"},
		{Field{Kind: Number, Num: -0.1}, "-0.1"},
		{Field{Kind: Number, Num: 1e6}, "1000000"},
		{Field{Kind: Number, Num: 123456789012}, "123456789012"},
		{Field{Kind: Number, Num: 0.000001}, "0.000001"},
		{Field{Kind: Number, Num: 1.5e-7}, "1.5e-7"},
		{Field{Kind: Number, Num: -1e-10}, "-1e-10"},
		{Field{Kind: Number, Num: 1e21}, "1e+21"},
		{Field{Kind: Number, Num: 1.5e300}, "1.5e+300"},
		{Field{Kind: Number, Num: 1e-105}, "1e-105"},
	}
	for _, c := range cases {
		if got := c.field.Category(); got != c.want {
			t.Errorf("Category(%+v) = %q, want %q", c.field, got, c.want)
		}
		if got := string(c.field.AppendCategory([]byte("<"))); got != "<"+c.want {
			t.Errorf("AppendCategory(%+v) = %q, want %q", c.field, got, "<"+c.want)
		}
	}
}

func TestNumeric(t *testing.T) {
	cases := []struct {
		field Field
		want  float64
		ok    bool
	}{
		{Field{Kind: Number, Num: 2.5}, 2.5, true},
		{Field{Kind: Bool, Num: 1}, 1, true},
		{Field{Kind: Text, Text: "2.5"}, 0, false},
		{Field{Kind: Member, Text: "1"}, 0, false},
		{Field{Kind: EmptySet}, 0, false},
	}
	for _, c := range cases {
		if got, ok := c.field.Numeric(); got != c.want || ok != c.ok {
			t.Errorf("Numeric(%+v) = %v, %v, want %v, %v", c.field, got, ok, c.want, c.ok)
		}
	}
}

func TestSortAndFind(t *testing.T) {
	row := Row{
		{Name: "tags", Text: "b", Kind: Member}, {Name: "age", Num: 3, Kind: Number},
		{Name: "tags", Text: "a", Kind: Member}, {Name: "tags", Text: "b", Kind: Member},
		{Name: "zone", Kind: EmptySet},
	}.Sort()
	want := Row{
		{Name: "age", Num: 3, Kind: Number}, {Name: "tags", Text: "a", Kind: Member},
		{Name: "tags", Text: "b", Kind: Member}, {Name: "zone", Kind: EmptySet},
	}
	if !slices.Equal(row, want) {
		t.Fatalf("Sort() = %v, want %v", row, want)
	}
	finds := []struct {
		name string
		i, j int
	}{{"age", 0, 1}, {"tags", 1, 3}, {"zone", 3, 4}, {"", 0, 0}, {"b", 1, 1}, {"zz", 4, 4}}
	for _, c := range finds {
		if i, j := row.Find(c.name); i != c.i || j != c.j {
			t.Errorf("Find(%q) = %d, %d, want %d, %d", c.name, i, j, c.i, c.j)
		}
	}
	if got := row.Get("tags"); got != &row[1] {
		t.Errorf("Get(tags) = %v, want the first member", got)
	}
	if got := row.Get("none"); got != nil {
		t.Errorf("Get(none) = %v, want nil", got)
	}
}

// TestMergeAgreesWithAMap compares AppendMerged with a merge through a map, on
// random rows.
func TestMergeAgreesWithAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() Row {
		var r Row
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			switch rng.IntN(3) {
			case 0:
				r = append(r, Field{Name: name, Kind: Number, Num: float64(rng.IntN(9))})
			case 1:
				for range 1 + rng.IntN(3) {
					r = append(r, Field{Name: name, Kind: Member, Text: string(rune('a' + rng.IntN(5)))})
				}
			}
		}
		return r.Sort()
	}
	for range 500 {
		base, over := random(), random()
		byName := map[string]Row{}
		for _, r := range []Row{base, over} {
			for i := 0; i < len(r); {
				_, j := r.Find(r[i].Name)
				byName[r[i].Name] = r[i:j]
				i = j
			}
		}
		var want Row
		for _, fields := range byName {
			want = append(want, fields...)
		}
		want.Sort()
		if got := AppendMerged(nil, base, over); !slices.Equal(got, want) {
			t.Fatalf("AppendMerged(%v, %v) = %v, want %v", base, over, got, want)
		}
	}
}

func TestCloneOwnsItsStrings(t *testing.T) {
	buf := []byte("agegold")
	text := string(buf)
	row := Row{{Name: text[:3], Text: text[3:], Kind: Text}}
	got := row.Clone()
	if !slices.Equal(got, row) {
		t.Errorf("Clone() = %v, want %v", got, row)
	}
	got[0].Num = 1
	if row[0].Num != 0 {
		t.Error("changing the clone changed the row")
	}
}

func TestRowHotPathsDoNotAllocate(t *testing.T) {
	row := Row{{Name: "age", Num: 38, Kind: Number}, {Name: "b", Kind: Bool}, {Name: "segment", Text: "Gold", Kind: Text}}
	dst := make(Row, 0, 8)
	buf := make([]byte, 0, 32)
	allocs := testing.AllocsPerRun(100, func() {
		_ = row.Get("segment")
		dst = AppendMerged(dst[:0], row, row).Sort()
		buf = row[0].AppendCategory(buf[:0])
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestSummaryFeatures(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	s := Summary{Impressions: 8, Positives: 2, Negatives: 1, LastContactAt: 10 * day}
	got := s.AppendFeatures(nil, append([]string{"unknown"}, InteractionFeatures...), 12*day)
	want := []float64{8, 2, 1, 0.25, 2}
	if len(got) != len(want) {
		t.Fatalf("AppendFeatures() = %v, want %d fields", got, len(want))
	}
	for i, v := range want {
		if got[i].Name != InteractionFeatures[i] || got[i].Num != v || got[i].Kind != Number {
			t.Errorf("feature %d = %+v, want %s = %v", i, got[i], InteractionFeatures[i], v)
		}
	}
	responses := Summary{Positives: 1, Negatives: 3, LastContactAt: 1}
	if got := responses.PositiveRate(); got != 0.25 {
		t.Errorf("PositiveRate() without impressions = %v, want 0.25", got)
	}
	if got := (&Summary{}).AppendFeatures(nil, InteractionFeatures, day); len(got) != 0 {
		t.Errorf("AppendFeatures() without history = %v, want nothing", got)
	}
	if got := s.AppendFeatures(nil, []string{FeatureDaysSinceContact}, 0); got[0].Num != 0 {
		t.Errorf("days since a contact in the future = %v, want 0", got[0].Num)
	}
}

func FuzzRow(f *testing.F) {
	f.Add("b\x01x,a\x02y,b\x04m,b\x04l", "a")
	f.Fuzz(func(t *testing.T, in, name string) {
		var row Row
		for _, part := range strings.Split(in, ",") {
			if len(part) > 1 {
				row = append(row, Field{Name: part[:1], Kind: ValueKind(part[1] % 6), Text: part[2:], Num: float64(len(part))})
			}
		}
		row = row.Sort()
		i, j := row.Find(name)
		for k := range row {
			if k > 0 && compareFields(row[k-1], row[k]) > 0 {
				t.Fatalf("not sorted: %v", row)
			}
			if (k >= i && k < j) != (row[k].Name == name) {
				t.Fatalf("Find(%q) = %d, %d in %v", name, i, j, row)
			}
		}
	})
}
