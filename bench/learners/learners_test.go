package learners

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestMatrixHasTheRows(t *testing.T) {
	table := &dataset.Table{
		Rows: []decision.Row{
			rowOf(map[string]any{"age": 30.0, "digital": true, "town": "Ulm"}),
			rowOf(map[string]any{"digital": false, "town": "Bonn"}),
			rowOf(map[string]any{"age": 40.0}),
		},
		Labels: []bool{true, false, true},
	}
	m := newMatrix(table, []int{1})
	numbers := make([]any, len(m.numbers)) // NaN equals nothing
	for i, v := range m.numbers {
		if !math.IsNaN(v) {
			numbers[i] = v
		}
	}
	if want := []any{30.0, 1.0, nil, 0.0, 40.0, nil}; !reflect.DeepEqual(numbers, want) {
		t.Errorf("numbers = %v, want %v", numbers, want)
	}
	if want := []int32{1, 0, -1}; !reflect.DeepEqual(m.codes, want) {
		t.Errorf("codes = %v, want %v", m.codes, want)
	}
	if string(m.labels) != "\x01\x00\x01" || string(m.test) != "\x00\x01\x00" {
		t.Errorf("labels %v, test %v, want [1 0 1], [0 1 0]", m.labels, m.test)
	}
	dir := t.TempDir()
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if want := `{"rows":3,"numbers":2,"categories":[2]}`; err != nil || string(b) != want {
		t.Errorf("meta.json = %s, %v, want %s", b, err, want)
	}
	for name, size := range map[string]int64{"numbers.f64": 48, "codes.i32": 12, "labels.u8": 3, "test.u8": 3} {
		if s, err := os.Stat(filepath.Join(dir, name)); err != nil || s.Size() != size {
			t.Errorf("%s: %v, want %d bytes", name, err, size)
		}
	}
}

func TestRowsAndAttributesAreTheSame(t *testing.T) {
	want := map[string]any{"age": 30.0, "digital": true, "mortgage": false, "town": "Ulm"}
	row := rowOf(want)
	if got := attributesOf(row); !reflect.DeepEqual(got, want) {
		t.Errorf("attributesOf(rowOf(%v)) = %v", want, got)
	}
	if row[0].Name != "age" || row[3].Name != "town" {
		t.Errorf("rowOf() = %v, want ascending names", row)
	}
}

func TestMarketIsFullAndDrawnTheSame(t *testing.T) {
	table, outcomes, err := newMarket(500)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := newMarket(500)
	if err != nil || !reflect.DeepEqual(again, table) {
		t.Errorf("a second market differs, %v", err)
	}
	for i, o := range outcomes {
		if accepted := o.Outcome == "accept"; len(table.Rows[i]) != marketFields || accepted != table.Labels[i] ||
			!reflect.DeepEqual(attributesOf(table.Rows[i]), o.Attributes) {
			t.Fatalf("row %d = %v, %v for the outcome %+v", i, table.Rows[i], table.Labels[i], o)
		}
	}
}

func TestTastesAreKnown(t *testing.T) {
	market := newTastes(2)
	truth := market.measure(func(i int) float64 { return market.truth[i] })
	rates := market.popularity()
	popular := market.measure(func(i int) float64 { return rates[market.examples[i].OfferID] })
	if truth.AUC < popular.AUC+0.1 || truth.SampleCount != tasteRows/5 {
		t.Errorf("the truth's AUC is %.3f on %d rows, the rates' %.3f, want 0.1 more on %d", truth.AUC, truth.SampleCount, popular.AUC, tasteRows/5)
	}
	rows := 0
	if err := market.Scan(t.Context(), func(ex *learn.Example) error { rows++; return nil }); err != nil || rows != tasteRows*4/5 {
		t.Errorf("Scan() gave %d rows, %v, want %d", rows, err, tasteRows*4/5)
	}
}

func TestParseLatencies(t *testing.T) {
	got, err := parseLatencies("numbers-100x31     5093 ns/row\nmixed-500x31      18807 ns/row\n")
	if want := map[string]float64{"numbers-100x31": 5093, "mixed-500x31": 18807}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseLatencies() = %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"cannot load\n", "a b ns/row\n", "a 1 ms/row\n"} {
		if _, err := parseLatencies(bad); err == nil {
			t.Errorf("parseLatencies(%q) succeeded", bad)
		}
	}
}

func TestReplaceBetweenMarks(t *testing.T) {
	begin, end := marks("bank")
	page := "before\n" + begin + "old\n" + end + "\nafter\n"
	got, err := replaceBetweenMarks(page, "bank", "new\n")
	if want := "before\n" + begin + "new\n" + end + "\nafter\n"; err != nil || got != want {
		t.Errorf("replaceBetweenMarks() = %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"nothing", begin + "no end", end + begin} {
		if _, err := replaceBetweenMarks(bad, "bank", "new"); err == nil {
			t.Errorf("replaceBetweenMarks(%q) succeeded", bad)
		}
	}
}

func TestSectionAsMarkdown(t *testing.T) {
	s := &section{heads: []string{"type", "s"}}
	s.add("a", seconds([]float64{0.2, 0.1, 0.4}))
	s.add("b", seconds([]float64{2}))
	s.add("c", seconds(nil))
	s.notef("%d rows.", 3)
	want := "| type | s |\n| --- | --- |\n| a | 0.200 (0.100 – 0.400) |\n| b | 2.00 |\n| c | — |\n\n3 rows.\n"
	if got := s.markdown(); got != want {
		t.Errorf("markdown() = %q, want %q", got, want)
	}
}

func TestRatiosAndTargets(t *testing.T) {
	r := perRound([]float64{1, 3, 4}, []float64{2, 2, 0})
	if want := (bench.Summary{Median: 1, Min: 0.5, Max: 1.5, N: 2}); r != want {
		t.Errorf("perRound() = %+v, want %+v", r, want)
	}
	for most, want := range map[float64]string{
		0: "1.00 (0.50 – 1.50)", 1: "1.00 (0.50 – 1.50), met: ≤ 1", 0.9: "1.00 (0.50 – 1.50), **missed: ≤ 0.9**",
	} {
		if got := against(r, most); got != want {
			t.Errorf("against(%v) = %q, want %q", most, got, want)
		}
	}
}

func TestBetweenReports(t *testing.T) {
	tr := training{reports: []report{{0.1, 1}, {0.3, 2}, {0.5, 4}, {0.8, 7}}}
	for _, c := range []struct{ from, to, want float64 }{{0.3, 0.8, 5}, {0.1, 0.2, 1}, {0.3, 1, 0}} {
		if got := tr.between(c.from, c.to); got != c.want {
			t.Errorf("between(%v, %v) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// The shares that tell the comparable part are those that the trainers report.
func TestTrainersReportTheComparablePart(t *testing.T) {
	table, _, err := newMarket(5000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range races() {
		tr, err := trainHere(t.Context(), r.kind, r.config, dataset.Source(table, every(table)))
		if err != nil {
			t.Fatal(err)
		}
		found := map[float64]bool{}
		for _, rep := range tr.reports {
			found[math.Round(1000*rep.share)/1000] = true
		}
		if !found[r.from] || !found[r.to] || tr.view == nil {
			t.Errorf("%s reports %v, want %v and %v among them", r.kind, tr.reports, r.from, r.to)
		}
	}
}

func TestScorersDoNotAllocate(t *testing.T) {
	arms, err := armScorers()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range arms {
		if a := allocations(s.view, s.requests); a != 0 {
			t.Errorf("%s: %v allocations, want 0", s.name, a)
		}
		if ns := nanoseconds(s.view, s.requests); !(ns > 0) || math.IsInf(ns, 0) {
			t.Errorf("%s: %v ns, want a time", s.name, ns)
		}
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	c := Config{Sections: []string{"bank", "cost"}, Rows: 10}
	err := c.Validate()
	for _, want := range []string{"datasets", "models", "latency", "rows: got 10", "score-rate: got 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want %q named", err, want)
		}
	}
	c = Config{Sections: []string{"pause"}, Rows: 1000, ScoreRate: 1}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
}
