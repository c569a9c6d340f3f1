package mlclient

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Column is a column of the rows.
type Column struct {
	Name        string `json:"name"`        // for messages; the model's text names columns f0, f1, … in this order
	Categorical bool   `json:"categorical"` // values are codes 0 … Categories−1
	Categories  int    `json:"categories"`  // 0 for numbers
}

// Params are LightGBM's parameters; the bounds are in the worker's README.
type Params struct {
	NumTrees        int     `json:"numTrees"`
	NumLeaves       int     `json:"numLeaves"`
	LearningRate    float64 `json:"learningRate"`
	MinDataInLeaf   int     `json:"minDataInLeaf"`
	FeatureFraction float64 `json:"featureFraction"`
	Seed            int32   `json:"seed"` // from 0
}

// Header announces a training.
type Header struct {
	Columns []Column
	Rows    int
	Params  Params
}

// preamble is the header's length and JSON, ahead of the rows.
func (h Header) preamble() ([]byte, error) {
	text, err := json.Marshal(struct {
		Protocol int      `json:"protocol"`
		Columns  []Column `json:"columns"`
		Rows     int      `json:"rows"`
		Params   Params   `json:"params"`
	}{protocol, h.Columns, h.Rows, h.Params})
	if err != nil {
		return nil, fmt.Errorf("encoding the header: %w", err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...), nil
}

// rowBytes is a row's length: label, weight, a float64 per column.
func (h Header) rowBytes() int64 { return 8 + 8*int64(len(h.Columns)) }

// RowWriter sends the rows of a training, one at a time.
type RowWriter struct {
	out     *bufio.Writer
	buf     []byte
	columns int
	want    int
	rows    int
}

// writeBuffer is what is gathered before it crosses to the connection's
// goroutine: large enough that the crossing costs nothing beside the rows.
const writeBuffer = 256 << 10

func newRowWriter(w io.Writer, h Header) *RowWriter {
	return &RowWriter{
		out:     bufio.NewWriterSize(w, writeBuffer),
		buf:     make([]byte, 0, h.rowBytes()),
		columns: len(h.Columns),
		want:    h.Rows,
	}
}

// Write sends a row: values has a value per column, NaN where it is missing. It
// keeps nothing of values and allocates nothing. Its error ends the training and
// is to be returned by whoever gives the rows.
func (w *RowWriter) Write(positive bool, weight float32, values []float64) error {
	if len(values) != w.columns {
		return decision.Errorf(decision.KindInternal, "row %d: got %d values, want %d", w.rows, len(values), w.columns)
	}
	if w.rows == w.want {
		return decision.Errorf(decision.KindInternal, "got more rows than the %d announced", w.want)
	}
	w.rows++
	label := float32(0)
	if positive {
		label = 1
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], math.Float32bits(label))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(weight))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	_, err := w.out.Write(b)
	return err
}

// finish sends what is gathered and checks the count.
func (w *RowWriter) finish() error {
	if w.rows != w.want {
		return decision.Errorf(decision.KindInternal, "got %d rows, want the %d announced", w.rows, w.want)
	}
	return w.out.Flush()
}
