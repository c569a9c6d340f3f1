package factorial

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

// sized returns factors with levels named by their indexes.
func sized(prefix string, sizes ...int) []Factor {
	var factors []Factor
	for i, n := range sizes {
		f := Factor{Name: fmt.Sprintf("%s%d", prefix, i), Type: String}
		for l := range n {
			f.Levels = append(f.Levels, StringOf(fmt.Sprint(l)))
		}
		factors = append(factors, f)
	}
	return factors
}

func TestVariantsAreNumberedLastFactorFastest(t *testing.T) {
	s, err := New(Definition{Design: sized("f", 2, 3, 4)})
	if err != nil {
		t.Fatal(err)
	}
	v := 0
	for a := range 2 {
		for b := range 3 {
			for c := range 4 {
				if got, want := s.Levels(v), []uint8{uint8(a), uint8(b), uint8(c)}; !slices.Equal(got, want) {
					t.Errorf("Levels(%d) = %v, want %v", v, got, want)
				}
				levels := Combination{"f0": StringOf(fmt.Sprint(a)), "f1": StringOf(fmt.Sprint(b)), "f2": StringOf(fmt.Sprint(c))}
				if got, err := s.VariantOf(levels, "variant"); got != v || err != nil {
					t.Errorf("VariantOf(%v) = %d, %v, want %d", levels, got, err, v)
				}
				for f, want := range []int{a, b, c} {
					if got := s.Level(v, f); got != StringOf(fmt.Sprint(want)) {
						t.Errorf("Level(%d, %d) = %v, want %d", v, f, got, want)
					}
				}
				v++
			}
		}
	}
	if s.Variants() != v || len(s.Allowed()) != v {
		t.Errorf("%d variants, %d allowed, want %d", s.Variants(), len(s.Allowed()), v)
	}
}

func TestExcludedKeepTheirNumbers(t *testing.T) {
	s, err := New(Definition{Design: sized("f", 2, 3, 2), Excluded: []Combination{
		{"f0": StringOf("1"), "f2": StringOf("1")}, {"f1": StringOf("2")}, {"f1": StringOf("2"), "f0": StringOf("1")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var want []uint16
	for v := range s.Variants() {
		l := s.Levels(v)
		out := l[0] == 1 && l[2] == 1 || l[1] == 2
		if s.Excluded(v) != out {
			t.Errorf("Excluded(%d), levels %v, = %v, want %v", v, l, s.Excluded(v), out)
		}
		if !out {
			want = append(want, uint16(v))
		}
	}
	if !slices.Equal(s.Allowed(), want) || s.Variants() != 12 {
		t.Errorf("allowed %v of %d, want %v of 12", s.Allowed(), s.Variants(), want)
	}
}

func TestCells(t *testing.T) {
	context := sized("c", 3, 2)
	context = append(context, Factor{Name: "returning", Type: Bool, Levels: []Value{BoolOf(false), BoolOf(true)}})
	s, err := New(Definition{Design: sized("f", 2), Context: context})
	if err != nil {
		t.Fatal(err)
	}
	if s.Cells() != 4*3*3 || s.UnknownCell() != 35 {
		t.Fatalf("%d cells, unknown %d", s.Cells(), s.UnknownCell())
	}
	for _, c := range []struct {
		context map[string]Value
		want    []int
	}{
		{nil, []int{3, 2, 2}},
		{map[string]Value{"c0": StringOf("0"), "c1": StringOf("1"), "returning": BoolOf(true)}, []int{0, 1, 1}},
		{map[string]Value{"c0": StringOf("7"), "c1": StringOf("0"), "returning": StringOf("true"), "other": StringOf("x")}, []int{3, 0, 2}},
		{map[string]Value{"c0": {Text: "null", Kind: OtherValue}}, []int{3, 2, 2}},
	} {
		cell := s.CellOf(c.context)
		if want := uint64(c.want[0]*9 + c.want[1]*3 + c.want[2]); cell != want {
			t.Errorf("CellOf(%v) = %d, want %d", c.context, cell, want)
		}
		for f, want := range c.want {
			if got := s.CellLevel(cell, f); got != want {
				t.Errorf("CellLevel(%d, %d) = %d, want %d", cell, f, got, want)
			}
		}
	}
	empty, err := New(Definition{Design: sized("f", 2)})
	if err != nil || empty.Cells() != 1 || empty.UnknownCell() != 0 || empty.CellOf(map[string]Value{"x": BoolOf(true)}) != 0 {
		t.Errorf("without context factors: %v, %d cells", err, empty.Cells())
	}
	wide, err := New(Definition{Design: sized("f", 2), Context: sized("c", 50, 50, 50, 50, 50, 50, 50, 50, 50, 50)})
	if err != nil || float64(wide.Cells()) != math.Pow(51, 10) {
		t.Errorf("ten context factors of fifty: %v, %d cells", err, wide.Cells())
	}
}

func TestEveryProblemHasItsPath(t *testing.T) {
	two := []Value{StringOf("a"), StringOf("b")}
	const d, c = "training_data_config.design_factors", "training_data_config.context_factors"
	for _, tc := range []struct {
		name string
		def  Definition
		want []string
	}{
		{"nothing", Definition{}, []string{d}},
		{"too many factors", Definition{Design: sized("f", slices.Repeat([]int{2}, 21)...), Context: sized("c", slices.Repeat([]int{2}, 11)...)}, []string{d, c}},
		{"names", Definition{Design: []Factor{{"", String, two}, {"x", String, two}, {strings.Repeat("n", 101), String, two}}, Context: []Factor{{"x", String, two}}},
			[]string{d + "[0].name", d + "[2].name", c + "[0].name"}},
		{"dtype", Definition{Design: []Factor{{"x", "int", two}}}, []string{d + "[0].dtype"}},
		{"levels", Definition{Design: []Factor{
			{"a", String, two[:1]}, {"b", String, sized("x", 51)[0].Levels},
			{"c", String, []Value{StringOf(""), BoolOf(true), StringOf("z"), StringOf("z"), {Text: "3", Kind: OtherValue}}},
			{"d", Bool, []Value{StringOf("true"), BoolOf(true), BoolOf(true)}},
		}}, []string{d + "[0].levels", d + "[1].levels", d + "[2].levels[0]", d + "[2].levels[1]", d + "[2].levels[3]", d + "[2].levels[4]", d + "[3].levels[0]", d + "[3].levels[2]"}},
		{"10 001 variants", Definition{Design: sized("f", 50, 50, 5)}, []string{d}},
		{"parameters", Definition{Design: sized("f", 50, 50), Context: sized("c", 50), PairModel: true}, []string{"training_data_config"}},
		{"exclusions", Definition{Design: sized("f", 2, 2), Excluded: []Combination{
			{}, {"g": StringOf("0")}, {"f0": StringOf("9")}, {"f0": StringOf("0")}, {"f1": StringOf("1")},
		}}, []string{"excluded_combinations[0]", "excluded_combinations[1]", "excluded_combinations[2].f0", "excluded_combinations[3]"}},
		{"one is left", Definition{Design: sized("f", 2), Excluded: []Combination{{"f0": StringOf("1")}}}, []string{"excluded_combinations"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(tc.def)
			var e *decision.Error
			if !errors.As(err, &e) || e.Kind != decision.KindBadRequest {
				t.Fatalf("got %v, want a bad request", err)
			}
			var got []string
			for _, detail := range e.Details {
				got = append(got, detail.Path)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("paths %q, want %q\n%v", got, tc.want, err)
			}
		})
	}
	for _, sizes := range [][]int{{50, 50, 4}, {10, 10, 10, 10}, slices.Repeat([]int{2}, 13)} {
		if _, err := New(Definition{Design: sized("f", sizes...), PairModel: true}); err != nil {
			t.Errorf("%v: %v", sizes, err)
		}
	}
}

func TestVariantOfNamesWhatIsWrong(t *testing.T) {
	s, err := New(Definition{Design: sized("f", 2, 2)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.VariantOf(Combination{"f0": StringOf("5"), "g": BoolOf(true)}, "events[3].variant")
	for _, want := range []string{"events[3].variant.f0", "events[3].variant.f1", `"g"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

func TestParameters(t *testing.T) {
	// 1 + (1+2) + 3 contexts and unknown less the first + 1·2 + 3·3
	if got := Parameters(sized("f", 2, 3), sized("c", 3)); got != 1+3+3+2+9 {
		t.Errorf("Parameters = %d, want 18", got)
	}
}

func TestValuesInJSON(t *testing.T) {
	const text = `{"name":"sale","dtype":"bool","levels":[true,false,"a",1.5,null,{"b":[2]}]}`
	var f Factor
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	want := []Value{BoolOf(true), BoolOf(false), StringOf("a"), {"1.5", OtherValue}, {"null", OtherValue}, {`{"b":[2]}`, OtherValue}}
	if !slices.Equal(f.Levels, want) {
		t.Errorf("levels %v, want %v", f.Levels, want)
	}
	if got, err := json.Marshal(&f); err != nil || string(got) != text {
		t.Errorf("written %s, %v, want %s", got, err, text)
	}
}

func TestHoldout(t *testing.T) {
	const n = 100_000
	held, both := 0, 0
	for i := range n {
		id := fmt.Sprintf("visitor-%d", i)
		if HeldOut("opt", id, 0) {
			t.Fatal("held out at 0 %")
		}
		if !HeldOut("opt", id, 20) {
			continue
		}
		held++
		if !HeldOut("opt", id, 35) {
			t.Fatal("held out at 20 % and not at 35 %")
		}
		if DrawKey("opt", id)>>63 == 0 {
			both++
		}
	}
	// Five standard deviations.
	if got, tolerance := float64(held)/n, 5*math.Sqrt(0.2*0.8/n); math.Abs(got-0.2) > tolerance {
		t.Errorf("held out %v, want 0.2 ± %v", got, tolerance)
	}
	if got, tolerance := float64(both)/float64(held), 5*math.Sqrt(0.25/float64(held)); math.Abs(got-0.5) > tolerance {
		t.Errorf("of the held out %v have a low draw, want 0.5 ± %v", got, tolerance)
	}
	// What decides who is held out must not change between releases.
	if got := DrawKey("opt", "visitor"); got != 0x402d2c94a48ec91a {
		t.Errorf("DrawKey = %#x, want 0x402d2c94a48ec91a", got)
	}
}

func TestAssignmentHolds(t *testing.T) {
	a := Assignment{Variant: 3, At: 1000}
	for _, c := range []struct {
		a    Assignment
		now  int64
		want bool
	}{{a, 1000, true}, {a, 1499, true}, {a, 1500, false}, {a, 900, true}, {Assignment{}, 100, false}, {Assignment{At: 1000, Holdout: true}, 1001, false}} {
		if got := c.a.Holds(c.now, 500); got != c.want {
			t.Errorf("%+v at %d: %v, want %v", c.a, c.now, got, c.want)
		}
	}
}

func TestMeasureLift(t *testing.T) {
	l := MeasureLift(Arm{Users: 10_000, Sum: 2600, SumSq: 2600}, Arm{Users: 1000, Sum: 200, SumSq: 200}, false)
	for _, c := range []struct {
		name            string
		got, want, unit float64
	}{
		{"lift", l.Percent, 30, 1e-9}, {"se", l.SE, 8.5094, 5e-5}, {"lower", l.Lower, 13.3216, 5e-5}, {"upper", l.Upper, 46.6784, 5e-5}, {"p", l.P, 0.00042267, 5e-9},
	} {
		if math.Abs(c.got-c.want) > c.unit {
			t.Errorf("%s %v, want %v", c.name, c.got, c.want)
		}
	}
	if !l.Known || !l.Tested || l.HoldoutUsers != 1000 || l.TreatedUsers != 10_000 {
		t.Errorf("got %+v", l)
	}
	if l := MeasureLift(Arm{Users: 99, Sum: 9}, Arm{Users: 1000, Sum: 200}, false); !l.Known || l.Tested {
		t.Errorf("99 users: %+v, want a lift without an interval", l)
	}
	for _, none := range []Arm{{}, {Users: 500}} {
		if l := MeasureLift(Arm{Users: 500, Sum: 3}, none, false); l.Known || l.Tested {
			t.Errorf("holdout %+v: %+v, want nothing", none, l)
		}
	}
	// Of numbers: the values 0 and 2, as many of each, have the sample variance
	// n/(n−1).
	n := MeasureLift(Arm{Users: 200, Sum: 300, SumSq: 500}, Arm{Users: 100, Sum: 100, SumSq: 200}, true)
	vh, vm := 100.0/99/100, (500-300*1.5)/199/200
	if want := 100 * math.Sqrt(vm+2.25*vh); math.Abs(n.SE-want) > 1e-9 || n.Percent != 50 || !n.Tested {
		t.Errorf("numbers: %+v, want 50 ± %v", n, want)
	}
}
