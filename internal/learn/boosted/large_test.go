package boosted

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// What `generate.py large FOLDER` writes.
const (
	largeColumns       = 20
	largeRows          = 100_000
	largeContributions = 1000 // rows with contributions
)

var largeModels = []string{"numbers-100x31", "numbers-500x31", "mixed-100x31", "mixed-500x31"}

func largeFolder(t testing.TB) string {
	folder := os.Getenv("PRAETOR_LIGHTGBM")
	if folder == "" {
		t.Skip("PRAETOR_LIGHTGBM does not name the folder that testdata/generate.py large wrote")
	}
	return folder
}

func readFloats(t testing.TB, path string) []float64 {
	b := []byte(readFile(t, path))
	out := make([]float64, len(b)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}

// largeFields are the names that LightGBM gives to the columns of a matrix.
func largeFields() []string {
	names := make([]string, largeColumns)
	for i := range names {
		names[i] = fmt.Sprintf("Column_%d", i)
	}
	return names
}

func largeState(t testing.TB, folder, model, form string) json.RawMessage {
	if form == "dump" {
		return json.RawMessage(readFile(t, filepath.Join(folder, model+".dump.json")))
	}
	raw, err := json.Marshal(textJSON{Model: readFile(t, filepath.Join(folder, model+".txt"))})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestLargeModelsScoreAsLightGBM(t *testing.T) {
	folder, fields := largeFolder(t), largeFields()
	rows := readFloats(t, filepath.Join(folder, "rows.f64"))
	if len(rows) != largeRows*largeColumns {
		t.Fatalf("rows.f64 has %d numbers, want %d", len(rows), largeRows*largeColumns)
	}
	for _, name := range largeModels {
		raw := readFloats(t, filepath.Join(folder, name+".raw.f64"))
		contrib := readFloats(t, filepath.Join(folder, name+".contrib.f64"))
		for _, form := range []string{"text", "dump"} {
			t.Run(name+"/"+form, func(t *testing.T) {
				view := mustNew(t, largeState(t, folder, name, form)).Publish()
				var res learn.Result
				for i := range largeRows {
					row := rowOfValues(fields, rows[i*largeColumns:(i+1)*largeColumns])
					explain := i < largeContributions
					view.Score(&learn.Request{Row: row, Explain: explain}, &res)
					if math.Float64bits(res.Raw) != math.Float64bits(raw[i]) {
						t.Fatalf("row %d: raw = %v, want %v", i, res.Raw, raw[i])
					}
					if explain {
						want := map[string]float64{}
						for k, f := range fields {
							want[f] = contrib[i*(largeColumns+1)+k]
						}
						compareContributions(t, i, &res, want, contrib[i*(largeColumns+1)+largeColumns])
					}
				}
			})
		}
	}
}

// benchmarkModels are the large models where they are, and one of the package's
// own anyway.
func benchmarkModels(b *testing.B) (models map[string]json.RawMessage, names []string, rows []decision.Row) {
	models = map[string]json.RawMessage{"categorical": goldenStates(b, "categorical")["text"]}
	names = []string{"categorical"}
	folder := os.Getenv("PRAETOR_LIGHTGBM")
	if folder == "" {
		return models, names, []decision.Row{nil}
	}
	values := readFloats(b, filepath.Join(folder, "rows.f64"))
	for i := range 2000 {
		rows = append(rows, rowOfValues(largeFields(), values[i*largeColumns:(i+1)*largeColumns]))
	}
	for _, name := range largeModels {
		names = append(names, name)
		models[name] = largeState(b, folder, name, "text")
	}
	return models, names, rows
}

func BenchmarkScore(b *testing.B) {
	models, names, rows := benchmarkModels(b)
	for _, name := range names {
		view := mustNew(b, models[name]).Publish()
		for _, explain := range []bool{false, true} {
			b.Run(fmt.Sprintf("model=%s/explain=%v", name, explain), func(b *testing.B) {
				b.ReportAllocs()
				var res learn.Result
				req := learn.Request{Explain: explain}
				for i := 0; b.Loop(); i++ {
					req.Row = rows[i%len(rows)]
					view.Score(&req, &res)
				}
			})
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	folder := largeFolder(b)
	for _, name := range largeModels {
		for _, form := range []string{"text", "dump"} {
			binary := string(mustNew(b, largeState(b, folder, name, form)).AppendState(nil))
			b.Run(fmt.Sprintf("model=%s/form=%s", name, form), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(binary)))
				for b.Loop() {
					if _, err := Load(learn.Spec{}, binary); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted under the race detector")
	}
	var g golden
	if err := json.Unmarshal([]byte(readFile(t, "testdata/lightgbm/pandas.rows.json")), &g); err != nil {
		t.Fatal(err)
	}
	view := mustNew(t, goldenStates(t, "pandas")["text"]).Publish()
	req := learn.Request{Row: rowOf(g.Fields, g.Rows[0])}
	var res learn.Result
	for _, req.Explain = range []bool{false, true} { // explanations reuse the result's memory
		if allocs := testing.AllocsPerRun(100, func() { view.Score(&req, &res) }); allocs != 0 {
			t.Errorf("explain=%v: %v allocations, want 0", req.Explain, allocs)
		}
	}
}
