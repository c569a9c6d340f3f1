package boosted

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Encoder turns the examples of a source into the matrix that the worker trains
// on. It reads the source twice or more: NewEncoder for the columns, Encode for
// the rows of each training. The columns and their dictionaries become part of
// the model (see State), so that scoring and training map a row alike.
//
// A field that holds more numbers than texts is a number; texts are missing
// there. A field with sets has a column for each of its most frequent members. Any
// other field is categorical, with a code for each of its most frequent values in
// ascending order.
//
// The form on the wire, protocol 1:
//
//	a line of JSON, ended by "\n":
//	  {"protocol":1,
//	   "columns":[{"name":"age","categorical":false,"categories":0},
//	              {"name":"job","categorical":true,"categories":12}, …],
//	   "rows":32950,
//	   "params":{"numTrees":100,"numLeaves":31,"learningRate":0.1,
//	             "minDataInLeaf":20,"featureFraction":1,"seed":1}}
//	then each row, without anything between rows, little endian:
//	  float32  label, 0 or 1
//	  float32  weight, > 0
//	  float64  a value per column, NaN where missing; a categorical column has
//	           codes from 0 to categories − 1
//
// The length of the body follows from the header, so that it can be announced and
// checked. The names are distinct and only for messages: features go by their
// place.
type Encoder struct {
	columns   []Column
	inputs    *inputs
	rows      int
	fitting   int
	positives int
	heldOut   bool
}

// Part says which rows a training gets.
type Part uint8

const (
	// AllRows are the rows of the model that is installed.
	AllRows Part = iota
	// FittingRows leave out the rows that are held out for the metrics.
	FittingRows
)

// header is the first line of the wire form.
type header struct {
	Protocol int            `json:"protocol"`
	Columns  []headerColumn `json:"columns"`
	Rows     int            `json:"rows"`
	Params   Params         `json:"params"`
}

type headerColumn struct {
	Name        string `json:"name"`
	Categorical bool   `json:"categorical"`
	Categories  int    `json:"categories"`
}

const (
	protocol       = 1
	maxColumns     = 10_000 // the worker's own bound
	maxWireName    = 256    // bytes of a column's name in the header, for messages
	labelBytes     = 8      // label and weight of a row
	encoderOp      = "boosted.Encode"
	leastWeight    = 1e-30 // the weights that a float32 holds with room for squares
	greatestWeight = 1e30
)

// NewEncoder profiles the examples. It fails where they are of one class or have
// no usable field.
func NewEncoder(ctx context.Context, spec *learn.Spec, src learn.Source) (*Encoder, error) {
	p := newProfile(spec)
	if err := src.Scan(ctx, func(ex *learn.Example) error { p.add(ex); return nil }); err != nil {
		return nil, err
	}
	if p.positives == 0 || p.positives == p.rows {
		return nil, learn.ErrOneClass(encoderOp, p.rows, p.positives)
	}
	e := &Encoder{columns: p.columns(), rows: p.rows, fitting: p.rows, positives: p.positives}
	if n := len(e.columns); n == 0 || n > maxColumns {
		return nil, &decision.Error{
			Kind: decision.KindUnprocessable, Op: encoderOp,
			Msg: fmt.Sprintf("the interactions give %d columns to train on, want 1 to %d; list the model's predictors", n, maxColumns),
		}
	}
	if p.rows >= learn.MinHoldoutRows && p.heldOut > 0 && p.fittingHasBothClasses() {
		e.heldOut, e.fitting = true, p.rows-p.heldOut
	}
	use := make([]int, len(e.columns))
	for i := range use {
		use[i] = i
	}
	e.inputs = newInputs(e.columns, use)
	return e, nil
}

// Columns returns the columns of the matrix, for State.
func (e *Encoder) Columns() []Column { return slices.Clone(e.columns) }

// HeldOut reports whether a fifth of the rows is held out for the metrics: with
// too few rows, or with one class left without them, none is, FittingRows are all
// rows, and Evaluate measures in sample.
func (e *Encoder) HeldOut() bool { return e.heldOut }

// Rows returns how many rows a part has.
func (e *Encoder) Rows(part Part) int {
	if part == FittingRows {
		return e.fitting
	}
	return e.rows
}

// Encode writes a part of the source, which must give the rows that NewEncoder
// saw, in the wire form.
func (e *Encoder) Encode(ctx context.Context, src learn.Source, part Part, params Params, w io.Writer) error {
	head, err := e.Header(part, params)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := out.Write(head); err != nil {
		return fmt.Errorf("writing the header: %w", err)
	}
	values := make([]float64, e.inputs.n)
	row := make([]byte, 0, e.rowBytes())
	rows := 0
	err = src.Scan(ctx, func(ex *learn.Example) error {
		if part == FittingRows && e.heldOut && ex.HeldOut() {
			return nil
		}
		if rows++; rows > e.Rows(part) {
			return e.errRows(rows, part)
		}
		e.inputs.read(ex.Row, values)
		row = appendRow(row[:0], ex, values)
		if _, err := out.Write(row); err != nil {
			return fmt.Errorf("writing row %d: %w", rows, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case rows != e.Rows(part):
		return e.errRows(rows, part)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the rows: %w", err)
	}
	return nil
}

func (e *Encoder) errRows(got int, part Part) error {
	return &decision.Error{
		Kind: decision.KindInternal, Op: encoderOp,
		Msg: fmt.Sprintf("a later scan gave %d rows or more, the first %d", got, e.Rows(part)),
	}
}

// Header returns the first line, with its end.
func (e *Encoder) Header(part Part, params Params) ([]byte, error) {
	h := header{Protocol: protocol, Rows: e.Rows(part), Params: params}
	for i := range e.columns {
		c := &e.columns[i]
		h.Columns = append(h.Columns, headerColumn{wireName(c, i), c.Categorical, len(c.Categories)})
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding the header: %w", err)
	}
	return append(line, '\n'), nil
}

// BodyBytes returns the length of what Encode writes behind the header.
func (e *Encoder) BodyBytes(part Part) int64 { return int64(e.Rows(part)) * int64(e.rowBytes()) }

func (e *Encoder) rowBytes() int { return labelBytes + 8*len(e.columns) }

// wireName names column i in messages of the worker.
func wireName(c *Column, i int) string {
	name := c.Name
	if c.Member != "" {
		name += "=" + c.Member
	}
	if len(name) > maxWireName {
		return fmt.Sprintf("column %d", i)
	}
	return name
}

func appendRow(b []byte, ex *learn.Example, values []float64) []byte {
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(ex.Label())))
	weight := float32(min(max(ex.Weight, leastWeight), greatestWeight))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(weight))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// Evaluate measures a binary state on the rows held out, or on all of them where
// none is.
func (e *Encoder) Evaluate(ctx context.Context, spec learn.Spec, state []byte, src learn.Source) (learn.Metrics, error) {
	l, err := Load(spec, string(state))
	if err != nil {
		return learn.Metrics{}, err
	}
	view := l.Publish()
	var scored []learn.Scored
	var res learn.Result
	err = src.Scan(ctx, func(ex *learn.Example) error {
		if e.heldOut && !ex.HeldOut() {
			return nil
		}
		view.Score(&learn.Request{Row: ex.Row, CustomerID: ex.CustomerID, OfferID: ex.OfferID}, &res)
		scored = append(scored, learn.Scored{Score: res.Score, Positive: ex.Positive})
		return nil
	})
	if err != nil {
		return learn.Metrics{}, err
	}
	if e.heldOut {
		return learn.Measure(scored, learn.EvaluationHoldout), nil
	}
	return learn.Measure(scored, learn.EvaluationInSample), nil
}
