package boosted

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// golden is what LightGBM said; testdata/generate.py wrote it.
type golden struct {
	Fields  []string    `json:"fields"`
	Rows    [][]any     `json:"rows"`
	Raw     []float64   `json:"raw"`
	Score   []float64   `json:"score"`
	Contrib [][]float64 `json:"contrib"`
}

func goldenNames(t testing.TB) []string {
	files, err := filepath.Glob("testdata/lightgbm/*.rows.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(filepath.Base(files[i]), ".rows.json")
	}
	return files
}

func readFile(t testing.TB, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goldenStates returns the model's two states: the text and the dump.
func goldenStates(t testing.TB, name string) map[string]json.RawMessage {
	text, err := json.Marshal(map[string]string{"model": readFile(t, "testdata/lightgbm/"+name+".txt")})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]json.RawMessage{
		"text": text, "dump": json.RawMessage(readFile(t, "testdata/lightgbm/"+name+".dump.json")),
	}
}

// rowOf makes a row of JSON values, as the API would; null is missing.
func rowOf(fields []string, values []any) decision.Row {
	var row decision.Row
	for i, v := range values {
		f := decision.Field{Name: fields[i], Kind: decision.Number}
		switch v := v.(type) {
		case nil:
			continue
		case float64:
			f.Num = v
		case bool:
			f.Kind = decision.Bool
			if v {
				f.Num = 1
			}
		case string:
			f.Kind, f.Text = decision.Text, v
		}
		row = append(row, f)
	}
	return row.Sort()
}

func mustNew(t testing.TB, state json.RawMessage) learn.Learner {
	l, err := New(learn.Spec{}, state)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestScoresAreLightGBMs(t *testing.T) {
	for _, name := range goldenNames(t) {
		var g golden
		if err := json.Unmarshal([]byte(readFile(t, "testdata/lightgbm/"+name+".rows.json")), &g); err != nil {
			t.Fatal(err)
		}
		if name == "custom_objective" { // LightGBM does not know its link
			for i, raw := range g.Raw {
				g.Score[i] = learn.Sigmoid(raw)
			}
		}
		for form, state := range goldenStates(t, name) {
			t.Run(name+"/"+form, func(t *testing.T) { compareGolden(t, &g, mustNew(t, state).Publish()) })
		}
	}
}

func compareGolden(t *testing.T, g *golden, view learn.View) {
	var res learn.Result
	for i := range g.Rows {
		view.Score(&learn.Request{Row: rowOf(g.Fields, g.Rows[i]), Explain: true}, &res)
		if math.Float64bits(res.Raw) != math.Float64bits(g.Raw[i]) {
			t.Fatalf("row %d %v: raw = %v, want %v", i, g.Rows[i], res.Raw, g.Raw[i])
		}
		if math.Abs(res.Score-g.Score[i]) > 1e-15 {
			t.Fatalf("row %d: score = %v, want %v", i, res.Score, g.Score[i])
		}
		want := g.Contrib[i]
		byField := map[string]float64{}
		for k, f := range g.Fields {
			byField[f] = want[k]
		}
		compareContributions(t, i, &res, byField, want[len(g.Fields)])
	}
}

// compareContributions wants the contributions of a field, 0 for those that are
// not explained.
func compareContributions(t *testing.T, row int, res *learn.Result, want map[string]float64, base float64) {
	t.Helper()
	const tolerance = 1e-9
	sum := res.Baseline
	got := map[string]float64{}
	for k, e := range res.Explanations {
		got[e.Name] = e.Value
		sum += e.Value
		if k > 0 && math.Abs(e.Value) > math.Abs(res.Explanations[k-1].Value) {
			t.Fatalf("row %d: explanations are not in order: %v", row, res.Explanations)
		}
	}
	for f, w := range want {
		if !(math.Abs(got[f]-w) <= tolerance) {
			t.Fatalf("row %d: contribution of %s = %v, want %v", row, f, got[f], w)
		}
	}
	if !res.HasBaseline || math.Abs(res.Baseline-base) > tolerance {
		t.Fatalf("row %d: baseline = %v, want %v", row, res.Baseline, base)
	}
	if math.Abs(sum-res.Raw) > tolerance {
		t.Fatalf("row %d: contributions and baseline add up to %v, want %v", row, sum, res.Raw)
	}
}

func TestRefusesWhatHasNoSingleProbability(t *testing.T) {
	for name, want := range map[string]string{
		"refuse_linear":     "is a linear tree",
		"refuse_multiclass": "several classes",
		"refuse_regression": `got "regression", want binary or cross_entropy`,
		"refuse_lambda":     `got "cross_entropy_lambda", want binary or cross_entropy`,
	} {
		for form, state := range goldenStates(t, name) {
			_, err := New(learn.Spec{}, state)
			if err == nil || !strings.Contains(err.Error(), want) || decision.KindOf(err) != decision.KindBadRequest {
				t.Errorf("%s, %s: New() = %v, want a bad request with %q", name, form, err, want)
			}
		}
	}
}

func TestGoldenStatesRoundTrip(t *testing.T) {
	for _, name := range goldenNames(t) {
		for form, raw := range goldenStates(t, name) {
			l := mustNew(t, raw)
			binary := l.AppendState(nil)
			loaded, err := Load(learn.Spec{}, string(binary))
			if err != nil {
				t.Fatalf("%s, %s: Load() = %v", name, form, err)
			}
			if string(loaded.AppendState(nil)) != string(binary) {
				t.Errorf("%s, %s: the binary state changed on its way", name, form)
			}
			got, err := loaded.StateJSON()
			if err != nil {
				t.Fatal(err)
			}
			if !sameJSON(t, got, raw) {
				t.Errorf("%s, %s: StateJSON() = %.100s, want %.100s", name, form, got, raw)
			}
		}
	}
}

func sameJSON(t *testing.T, a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		t.Fatal("not JSON")
	}
	xs, _ := json.Marshal(x)
	ys, _ := json.Marshal(y)
	return string(xs) == string(ys)
}
