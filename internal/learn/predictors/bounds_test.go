package predictors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// TestMemoryIsBounded shows a measurement ever new names, long categories that
// never repeat and numbers that differ.
func TestMemoryIsBounded(t *testing.T) {
	o, err := Options{MaxPredictors: 30, Now: now}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	m := newMeasurement(o)
	rng := rand.New(rand.NewPCG(9, 9))
	pad, long := strings.Repeat("x", 100), strings.Repeat("z", 10_000)
	feed := func(rows int) {
		for range rows {
			var row decision.Row
			for k := range 20 {
				row = append(row, text(fmt.Sprintf("a%02d", k), fmt.Sprintf("%s%d", pad, rng.Uint64())))
				row = append(row, num(fmt.Sprintf("n%02d", k), rng.Float64()))
			}
			row = append(row, text(fmt.Sprintf("new%d", rng.Uint64()), "v"), text("a00"+strings.Repeat("y", 1000), long))
			m.profile(&learn.Example{ID: decision.InteractionID{Index: rng.Uint64()}, Row: row.Sort(), Positive: rng.IntN(2) == 0})
		}
	}
	held := func() int {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	before := held()
	feed(3000)
	half := held() - before
	feed(3000)
	full := held() - before
	t.Logf("%d KiB after 3000 rows, %d KiB after 6000, for %d fields", half>>10, full>>10, m.used)
	if m.used != 30 || !m.truncated || len(m.fields) > 30+maxIgnored {
		t.Errorf("%d fields measured, %d known, truncated %v", m.used, len(m.fields), m.truncated)
	}
	if full > 30*(400<<10) {
		t.Errorf("%d bytes for 30 fields, want at most 400 KiB each", full)
	}
	for _, f := range m.fields {
		if len(f.values) > countedValues || len(f.sample.Values) > sampled {
			t.Errorf("field %s holds %d values and %d numbers", f.name, len(f.values), len(f.sample.Values))
		}
	}
	runtime.KeepAlive(m)
}

// TestCountingDoesNotAllocate once the fields are known.
func TestCountingDoesNotAllocate(t *testing.T) {
	src := mixedRows(2000)
	o, err := Options{TrainedAt: trainedAt, Now: now}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	m := newMeasurement(o)
	for i := range src {
		m.profile(&src[i])
	}
	for _, f := range m.fields {
		f.cut(&m.Options)
	}
	i := 0
	if n := testing.AllocsPerRun(len(src)-1, func() { m.count(&src[i]); i++ }); n != 0 {
		t.Errorf("count allocates %v times a row, want 0", n)
	}
}

// BenchmarkMeasure measures 1 000 000 interactions of the simulated market, 14
// attributes each, over 50 000 different rows.
func BenchmarkMeasure(b *testing.B) {
	const rows = 1_000_000
	src := marketRows(b, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Measure(b.Context(), source(func(_ context.Context, f func(*learn.Example) error) error {
			var ex learn.Example
			for i := range rows {
				ex = src[i%len(src)]
				ex.ID.Index, ex.At = uint64(i)+1, int64(i)*(now/rows)
				if err := f(&ex); err != nil {
					return err
				}
			}
			return nil
		}), Options{TrainedAt: trainedAt, Now: now})
		if err != nil || r.SampleCount < rows/2 || r.RecentCount == 0 {
			b.Fatalf("%v, %+v", err, r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
