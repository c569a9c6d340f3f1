package boosted

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// examples is a source in memory.
type examples []learn.Example

func (s examples) Scan(ctx context.Context, f func(*learn.Example) error) error {
	for i := range s {
		if err := errors.Join(ctx.Err(), f(&s[i])); err != nil {
			return err
		}
	}
	return nil
}

// market has n rows of a number, a category, a set, a truth, a mixed field and
// the target.
func market(n int) examples {
	var src examples
	for i := range n {
		row := decision.Row{number("age", float64(20+i%50)), text("plan", []string{"basic", "family", "8001"}[i%3]), number("y", float64(i%2))}
		row = append(row, decision.Field{Name: "member", Kind: decision.Bool, Num: float64(i % 2)})
		if i%5 == 0 {
			row[0] = text("age", "old")
		}
		if i%6 == 5 {
			row[1] = number("plan", 8001)
		}
		for k, tag := range []string{"new", "vip"} {
			if i%(k+2) == 0 {
				row = append(row, decision.Field{Name: "tags", Kind: decision.Member, Text: tag})
			}
		}
		src = append(src, learn.Example{
			ID: decision.InteractionID{Index: uint64(i)}, Row: row.Sort(), Positive: i%2 == 0, Weight: 1 + float64(i%4),
		})
	}
	return src
}

func TestEncoderGivesTheMatrix(t *testing.T) {
	src := market(300)
	spec := &learn.Spec{TargetField: "y"}
	e, err := NewEncoder(t.Context(), spec, src)
	if err != nil {
		t.Fatal(err)
	}
	want := []Column{
		{Name: "age"}, {Name: "member"},
		{Name: "plan", Categorical: true, Categories: []string{"8001", "basic", "family"}},
		{Name: "tags", Member: "new"}, {Name: "tags", Member: "vip"},
	}
	if got := e.Columns(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("Columns() = %v, want %v", got, want)
	}
	if got := e.ColumnName(3); got != "tags=new" {
		t.Errorf("ColumnName(3) = %q, want tags=new", got)
	}
	for _, part := range []Part{AllRows, FittingRows} {
		compareRows(t, src, part, e)
	}
	if n := e.Rows(FittingRows); n == 300 || n < 200 || !e.HeldOut() {
		t.Errorf("%d of 300 rows are for fitting, want about four fifths", n)
	}
}

// compareRows wants the rows that market made.
func compareRows(t *testing.T, src examples, part Part, e *Encoder) {
	t.Helper()
	i, rows := -1, 0
	err := e.Each(t.Context(), src, part, func(positive bool, weight float32, values []float64) error {
		for i++; part == FittingRows && src[i].HeldOut(); i++ {
		}
		rows++
		ex := &src[i]
		if positive != ex.Positive || float64(weight) != ex.Weight {
			t.Fatalf("row %d: label %v and weight %v, want %v and %v", i, positive, weight, ex.Positive, ex.Weight)
		}
		want := []float64{float64(20 + i%50), float64(i % 2), []float64{1, 2, 0}[i%3], b2f(i%2 == 0), b2f(i%3 == 0)}
		if i%5 == 0 {
			want[0] = math.NaN()
		}
		if i%2 != 0 && i%3 != 0 {
			want[3], want[4] = math.NaN(), math.NaN() // no tags at all
		}
		for k, w := range want {
			if got := values[k]; got != w && !(math.IsNaN(got) && math.IsNaN(w)) {
				t.Fatalf("row %d, %s: got %v, want %v", i, e.Columns()[k].Name, got, w)
			}
		}
		return nil
	})
	if err != nil || rows != e.Rows(part) {
		t.Fatalf("Each() = %v after %d rows, want %d", err, rows, e.Rows(part))
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestTrainedModelScoresItsRows plays the worker with a tree that splits on a
// category, and wants the engine to score with the encoder's codes.
func TestTrainedModelScoresItsRows(t *testing.T) {
	src := market(300)
	spec := learn.Spec{TargetField: "y"}
	e, err := NewEncoder(t.Context(), &spec, src)
	if err != nil {
		t.Fatal(err)
	}
	model := modelText("f0 f1 f2 f3 f4", "split_feature=2 3", "threshold=0 0.5", "decision_type=1 2")
	model = strings.Replace(model, "num_cat=0", "num_cat=1\ncat_boundaries=0 1\ncat_threshold=2", 1)
	state, err := State(model, e.Columns())
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(spec, string(state))
	if err != nil {
		t.Fatal(err)
	}
	if got := rawOf(l, text("plan", "basic")); got != 1 {
		t.Errorf("raw of basic = %v, want 1", got)
	}
	if got := rawOf(l, text("plan", "family"), decision.Field{Name: "tags", Kind: decision.Member, Text: "new"}); got != 3 {
		t.Errorf("raw of family and new = %v, want 3", got)
	}
	m, err := e.Evaluate(t.Context(), spec, state, src)
	if err != nil || m.Evaluation != learn.EvaluationHoldout || m.SampleCount != e.Rows(AllRows)-e.Rows(FittingRows) {
		t.Errorf("Evaluate() = %+v, %v, want the held-out rows", m, err)
	}
	var d *decision.Error
	if _, err := State(model, e.Columns()[1:]); !errors.As(err, &d) || d.Kind != decision.KindUnprocessable {
		t.Errorf("State() with too few columns = %v, want unprocessable", err)
	}
	if _, err := State("<html>", e.Columns()); !errors.As(err, &d) || d.Kind != decision.KindUnprocessable {
		t.Errorf("State() of a wrong text = %v, want unprocessable", err)
	}
}

func TestEncoderRefuses(t *testing.T) {
	one := market(100)
	for i := range one {
		one[i].Positive = true
	}
	bare := market(100)
	for i := range bare {
		bare[i].Row = nil
	}
	for name, src := range map[string]examples{"no rows": nil, "one class": one, "no field": bare} {
		if _, err := NewEncoder(t.Context(), &learn.Spec{}, src); decision.KindOf(err) != decision.KindUnprocessable {
			t.Errorf("%s: NewEncoder() = %v, want unprocessable", name, err)
		}
	}
	src := market(100)
	e, err := NewEncoder(t.Context(), &learn.Spec{}, src)
	if err != nil {
		t.Fatal(err)
	}
	if e.HeldOut() || e.Rows(FittingRows) != 100 {
		t.Errorf("%d of 100 rows are for fitting, want all", e.Rows(FittingRows))
	}
	for _, n := range []int{99, 101} {
		if err := e.Each(t.Context(), market(n), AllRows, ignore); decision.KindOf(err) != decision.KindInternal {
			t.Errorf("Each() of %d rows = %v, want an internal error", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Each(ctx, src, AllRows, ignore); !errors.Is(err, context.Canceled) {
		t.Errorf("Each() after cancelling = %v", err)
	}
}

func TestColumnNamesAreBounded(t *testing.T) {
	e := &Encoder{columns: []Column{{Name: strings.Repeat("x", 300)}, {Name: `a "b"`}}}
	if got := e.ColumnName(0); got != "column 0" {
		t.Errorf("ColumnName(0) = %q, want column 0", got)
	}
	if got := e.ColumnName(1); got != `a "b"` {
		t.Errorf("ColumnName(1) = %q", got)
	}
}

// ignore takes a row and does nothing with it.
func ignore(bool, float32, []float64) error { return nil }
