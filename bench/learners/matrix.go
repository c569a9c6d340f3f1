package learners

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
)

// matrix is a table as numerical libraries want it: numbers and categories' codes
// row by row.
type matrix struct {
	numbers    []float64 // rows × number columns, NaN where missing
	codes      []int32   // rows × category columns, −1 where missing
	categories []int     // how many values each category column has
	columns    int       // of numbers
	labels     []byte
	test       []byte // 1 for a row of the test part
}

// newMatrix encodes a table. A field with texts is a category, with codes for its
// values in ascending order; any other is a number, true being 1.
func newMatrix(t *dataset.Table, test []int) *matrix {
	values := map[string]map[string]int32{} // of the category fields
	names := map[string]bool{}              // of all fields
	for _, row := range t.Rows {
		for i := range row {
			f := &row[i]
			names[f.Name] = true
			if f.Kind != decision.Text {
				continue
			}
			if values[f.Name] == nil {
				values[f.Name] = map[string]int32{}
			}
			values[f.Name][f.Text] = 0
		}
	}
	m := &matrix{labels: make([]byte, len(t.Rows)), test: make([]byte, len(t.Rows))}
	at := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if values[name] == nil {
			at[name] = m.columns
			m.columns++
			continue
		}
		at[name] = len(m.categories)
		for code, v := range slices.Sorted(maps.Keys(values[name])) {
			values[name][v] = int32(code)
		}
		m.categories = append(m.categories, len(values[name]))
	}
	m.fill(t, at, values)
	for _, i := range test {
		m.test[i] = 1
	}
	return m
}

func (m *matrix) fill(t *dataset.Table, at map[string]int, values map[string]map[string]int32) {
	m.numbers = slices.Repeat([]float64{math.NaN()}, len(t.Rows)*m.columns)
	m.codes = slices.Repeat([]int32{-1}, len(t.Rows)*len(m.categories))
	for i, row := range t.Rows {
		if t.Labels[i] {
			m.labels[i] = 1
		}
		for k := range row {
			f := &row[k]
			codes, category := values[f.Name]
			switch {
			case category && f.Kind == decision.Text:
				m.codes[i*len(m.categories)+at[f.Name]] = codes[f.Text]
			case !category:
				m.numbers[i*m.columns+at[f.Name]] = f.Num
			}
		}
	}
}

// meta describes the files of a matrix.
type meta struct {
	Rows       int   `json:"rows"`
	Numbers    int   `json:"numbers"`
	Categories []int `json:"categories"`
}

// write writes the files that reference.py reads.
func (m *matrix) write(dir string) error {
	head, err := json.Marshal(meta{len(m.labels), m.columns, m.categories})
	if err != nil {
		return err
	}
	numbers := make([]byte, 0, 8*len(m.numbers))
	for _, v := range m.numbers {
		numbers = binary.LittleEndian.AppendUint64(numbers, math.Float64bits(v))
	}
	codes := make([]byte, 0, 4*len(m.codes))
	for _, v := range m.codes {
		codes = binary.LittleEndian.AppendUint32(codes, uint32(v))
	}
	for name, b := range map[string][]byte{
		"meta.json": head, "numbers.f64": numbers, "codes.i32": codes, "labels.u8": m.labels, "test.u8": m.test,
	} {
		err = cmp.Or(err, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	return err
}
