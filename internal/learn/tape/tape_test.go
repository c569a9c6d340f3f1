package tape

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// examples is a source that counts its scans.
type examples struct {
	list  []learn.Example
	scans int
}

func (e *examples) Scan(ctx context.Context, f func(*learn.Example) error) error {
	e.scans++
	for i := range e.list {
		ex := e.list[i]
		if err := f(&ex); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// random draws examples with everything that a row may hold.
func random(n int) *examples {
	rng := rand.New(rand.NewPCG(1, 2))
	var e examples
	for i := range n {
		row := decision.Row{}
		for k := range rng.IntN(12) {
			f := decision.Field{Name: fmt.Sprint("field-", rng.IntN(30)), Kind: decision.Text, Text: fmt.Sprint("value-", rng.IntN(300))}
			switch k % 6 {
			case 0:
				f = decision.Field{Name: f.Name, Kind: decision.Number, Num: math.Ldexp(rng.NormFloat64(), rng.IntN(200)-100)}
			case 1:
				f = decision.Field{Name: f.Name, Kind: decision.Bool, Num: float64(rng.IntN(2))}
			case 2:
				f.Kind = decision.Member
			case 3:
				f = decision.Field{Name: f.Name, Kind: decision.EmptySet}
			case 4:
				f.Text = strings.Repeat("ä", rng.IntN(3))
			}
			row = append(row, f)
		}
		id := decision.InteractionID{Index: uint64(i/3) + 1, Seq: uint32(i % 3)}
		if i%100 == 99 {
			id = decision.InteractionID{Index: rng.Uint64(), Seq: rng.Uint32()}
		}
		weight := 1.0
		if i%4 == 0 {
			weight = rng.ExpFloat64()
		}
		e.list = append(e.list, learn.Example{ID: id, Row: row, Positive: rng.IntN(2) == 0, Weight: weight})
	}
	return &e
}

func collect(t *testing.T, src learn.Source) (list []learn.Example) {
	t.Helper()
	if err := src.Scan(t.Context(), func(ex *learn.Example) error {
		c := *ex
		c.Row = append(decision.Row{}, ex.Row...)
		list = append(list, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestLaterScansGiveWhatTheFirstGave(t *testing.T) {
	src := random(50_000) // several blocks
	r := Remember(src, func(field string) bool { return field != "field-7" })
	first, second, third := collect(t, r), collect(t, r), collect(t, r)
	if !reflect.DeepEqual(first, src.list) {
		t.Error("the first scan does not give the source's examples")
	}
	for i := range first {
		first[i].Row = slices.DeleteFunc(first[i].Row, func(f decision.Field) bool { return f.Name == "field-7" })
	}
	for i := range first {
		if !reflect.DeepEqual(second[i], first[i]) {
			t.Fatalf("example %d = %+v, want %+v", i, second[i], first[i])
		}
	}
	if !reflect.DeepEqual(third, second) || src.scans != 1 {
		t.Errorf("a third scan differs, or there were %d scans of the source, want 1", src.scans)
	}
}

func TestTooManyExamplesAreReadAgain(t *testing.T) {
	all := func(string) bool { return true }
	for _, limit := range []int{0, blockSize, 2 * blockSize} {
		src := random(50_000)
		tape := New(limit, all)
		for i := range src.list {
			tape.Add(&src.list[i])
		}
		if tape.Complete() || tape.blocks != nil || tape.fields != nil {
			t.Errorf("limit %d: %d blocks are kept, want none", limit, len(tape.blocks))
		}
		r := &remembered{src: src, uses: all, tape: tape}
		if got := collect(t, r); src.scans != 1 || !reflect.DeepEqual(got, src.list) {
			t.Errorf("limit %d: %d scans of the source, want 1 that gives its examples", limit, src.scans)
		}
	}
	tape := New(3*blockSize, all) // texts count
	for i := range 100_000 {
		tape.Add(&learn.Example{Row: decision.Row{{Name: "id", Kind: decision.Text, Text: fmt.Sprint(i)}}, Weight: 1})
	}
	if tape.Complete() {
		t.Errorf("%d bytes of texts are kept beyond a limit of %d", tape.names, tape.limit)
	}
	tape = New(3*blockSize, all) // and so do fields
	for i := range 20_000 {
		tape.Add(&learn.Example{Row: decision.Row{{Name: fmt.Sprint(i), Kind: decision.Bool}}, Weight: 1})
	}
	if tape.Complete() {
		t.Errorf("%d bytes of fields are kept beyond a limit of %d", tape.names, tape.limit)
	}
	tape = New(Limit, all) // one row beyond a block
	tape.Add(&learn.Example{Row: make(decision.Row, blockSize/maxValue)})
	if tape.Complete() {
		t.Error("a row longer than a block is kept")
	}
}

// A scan that did not come to its end is none.
func TestAnInterruptedScanIsForgotten(t *testing.T) {
	src := random(100)
	r := Remember(src, func(string) bool { return true })
	stop := errors.New("stop")
	if err := r.Scan(t.Context(), func(*learn.Example) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Scan() = %v, want %v", err, stop)
	}
	if got := collect(t, r); len(got) != 100 || src.scans != 2 {
		t.Errorf("got %d examples after %d scans, want 100 after 2", len(got), src.scans)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Scan(ctx, func(*learn.Example) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan() of a context that has ended = %v", err)
	}
	if err := r.Scan(t.Context(), func(*learn.Example) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Scan() from memory = %v, want %v", err, stop)
	}
}

func BenchmarkAdd(b *testing.B) {
	src := random(10_000)
	b.ReportAllocs()
	for b.Loop() {
		t := New(Limit, func(string) bool { return true })
		for i := range src.list {
			t.Add(&src.list[i])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(src.list)), "ns/row")
}

func BenchmarkEach(b *testing.B) {
	src := random(10_000)
	t := New(Limit, func(string) bool { return true })
	for i := range src.list {
		t.Add(&src.list[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := t.Each(b.Context(), func(*Row) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(src.list)), "ns/row")
}
