package boosted

import (
	"context"
	"fmt"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Encoder turns the examples of a source into the matrix that the worker trains
// on. It reads the source twice or more: NewEncoder for the columns, Each for the
// rows of each training. The columns and their dictionaries become part of
// the model (see State), so that scoring and training map a row alike.
//
// A field that holds more numbers than texts is a number; texts are missing
// there. A field with sets has a column for each of its most frequent members. Any
// other field is categorical, with a code for each of its most frequent values in
// ascending order.
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

const (
	maxColumns     = 10_000 // the worker's own bound
	maxColumnName  = 256    // bytes of a column's name in messages
	encoderOp      = "boosted.Encoder"
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

// Each calls f with every row of a part of the source, which must give the rows
// that NewEncoder saw: a value per column, NaN where it is missing, a code from
// 0 in a categorical column. The values are valid during the call only.
func (e *Encoder) Each(ctx context.Context, src learn.Source, part Part, f func(positive bool, weight float32, values []float64) error) error {
	values := make([]float64, e.inputs.n)
	rows := 0
	err := src.Scan(ctx, func(ex *learn.Example) error {
		if part == FittingRows && e.heldOut && ex.HeldOut() {
			return nil
		}
		if rows++; rows > e.Rows(part) {
			return e.errRows(rows, part)
		}
		e.inputs.read(ex.Row, values)
		return f(ex.Positive, float32(min(max(ex.Weight, leastWeight), greatestWeight)), values)
	})
	if err == nil && rows != e.Rows(part) {
		err = e.errRows(rows, part)
	}
	return err
}

func (e *Encoder) errRows(got int, part Part) error {
	return &decision.Error{
		Kind: decision.KindInternal, Op: encoderOp,
		Msg: fmt.Sprintf("a later scan gave %d rows or more, the first %d", got, e.Rows(part)),
	}
}

// ColumnName names column i in messages; the names are distinct.
func (e *Encoder) ColumnName(i int) string {
	c := &e.columns[i]
	name := c.Name
	if c.Member != "" {
		name += "=" + c.Member
	}
	if len(name) > maxColumnName {
		return fmt.Sprintf("column %d", i)
	}
	return name
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
