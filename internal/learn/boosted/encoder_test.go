package boosted

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
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

func TestEncodeWritesTheWireForm(t *testing.T) {
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
	params := Params{100, 31, 0.1, 20, 1, 7}
	for _, part := range []Part{AllRows, FittingRows} {
		var out bytes.Buffer
		if err := e.Encode(t.Context(), src, part, params, &out); err != nil {
			t.Fatal(err)
		}
		line, err := out.ReadString('\n')
		wantLine := fmt.Sprintf(`{"protocol":1,"columns":[{"name":"age","categorical":false,"categories":0},`+
			`{"name":"member","categorical":false,"categories":0},{"name":"plan","categorical":true,"categories":3},`+
			`{"name":"tags=new","categorical":false,"categories":0},{"name":"tags=vip","categorical":false,"categories":0}],"rows":%d,`+
			`"params":{"numTrees":100,"numLeaves":31,"learningRate":0.1,"minDataInLeaf":20,"featureFraction":1,"seed":7}}`, e.Rows(part))
		if err != nil || strings.TrimSpace(line) != wantLine {
			t.Fatalf("header = %s, %v, want %s", line, err, wantLine)
		}
		if int64(out.Len()) != e.BodyBytes(part) {
			t.Fatalf("the body has %d bytes, want %d", out.Len(), e.BodyBytes(part))
		}
		compareRows(t, out.Bytes(), src, part, e)
	}
	if n := e.Rows(FittingRows); n == 300 || n < 200 || !e.HeldOut() {
		t.Errorf("%d of 300 rows are for fitting, want about four fifths", n)
	}
}

// compareRows reads the rows back and wants what market made.
func compareRows(t *testing.T, body []byte, src examples, part Part, e *Encoder) {
	t.Helper()
	for i := range src {
		ex := &src[i]
		if part == FittingRows && ex.HeldOut() {
			continue
		}
		label := math.Float32frombits(binary.LittleEndian.Uint32(body))
		weight := math.Float32frombits(binary.LittleEndian.Uint32(body[4:]))
		if float64(label) != ex.Label() || float64(weight) != ex.Weight {
			t.Fatalf("row %d: label %v and weight %v, want %v and %v", i, label, weight, ex.Label(), ex.Weight)
		}
		want := []float64{float64(20 + i%50), float64(i % 2), []float64{1, 2, 0}[i%3], b2f(i%2 == 0), b2f(i%3 == 0)}
		if i%5 == 0 {
			want[0] = math.NaN()
		}
		if i%2 != 0 && i%3 != 0 {
			want[3], want[4] = math.NaN(), math.NaN() // no tags at all
		}
		for k, w := range want {
			got := math.Float64frombits(binary.LittleEndian.Uint64(body[8+8*k:]))
			if got != w && !(math.IsNaN(got) && math.IsNaN(w)) {
				t.Fatalf("row %d, %s: got %v, want %v", i, e.Columns()[k].Name, got, w)
			}
		}
		body = body[8+8*len(want):]
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
		if err := e.Encode(t.Context(), market(n), AllRows, Params{}, new(bytes.Buffer)); decision.KindOf(err) != decision.KindInternal {
			t.Errorf("Encode() of %d rows = %v, want an internal error", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Encode(ctx, src, AllRows, Params{}, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("Encode() after cancelling = %v", err)
	}
}

func TestCategoriesAreTheMostFrequent(t *testing.T) {
	c := counter{}
	for i := range 2 * countedValues {
		c.count(fmt.Sprintf("id%d", i))
		c.count([]string{"b", "a", "c"}[i%3])
	}
	if len(c) > countedValues {
		t.Errorf("%d values are counted, want at most %d", len(c), countedValues)
	}
	if got := c.frequent(10, 2); len(got) != 2 || !slices.IsSorted(got) || len(got[0]) != 1 {
		t.Errorf("frequent() = %v, want two of a, b, c", got)
	}
}

func TestHeaderIsJSON(t *testing.T) {
	e := &Encoder{columns: []Column{{Name: strings.Repeat("x", 300)}, {Name: `a "b"`}}}
	line, err := e.Header(AllRows, Params{})
	var h header
	if err != nil || json.Unmarshal(line, &h) != nil || h.Columns[0].Name != "column 0" || h.Columns[1].Name != `a "b"` {
		t.Errorf("Header() = %s, %v", line, err)
	}
}
