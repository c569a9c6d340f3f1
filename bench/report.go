package bench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a measurement found.
type Report struct {
	Name    string   `json:"name"`
	Method  string   `json:"method"`
	Machine Machine  `json:"machine"`
	Rows    []Row    `json:"rows,omitempty"`
	Ratios  []Ratio  `json:"ratios,omitempty"`
	Open    []Open   `json:"openLoop,omitempty"`
	Figures []Figure `json:"figures,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Faults  []string `json:"faults,omitempty"` // promises found broken
}

// Row is one variant in a closed loop.
type Row struct {
	Variant string  `json:"variant"`
	Unit    string  `json:"unit"` // what is counted
	Rate    Summary `json:"rate"` // units a second
	Latency Latency `json:"latency"`
	// ServerCPU and ClientCPU are microseconds of CPU a unit, where the system
	// tells.
	ServerCPU Summary `json:"serverCpuUs"`
	ClientCPU Summary `json:"clientCpuUs"`
}

// Ratio compares two variants' rates; what counts is the median of the rounds.
type Ratio struct {
	Of     string  `json:"of"`
	To     string  `json:"to"`
	Ratio  Summary `json:"ratio"`
	Target float64 `json:"target,omitempty"` // the project's; 0: none
}

// Figure is one thing measured by itself.
type Figure struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Value  Summary `json:"value"`
	AtMost float64 `json:"atMost,omitempty"` // the project's target; 0: none
}

// Open is one variant in an open loop.
type Open struct {
	Variant string  `json:"variant"`
	Rate    float64 `json:"rate"` // requests a second that were due
	Latency Latency `json:"latency"`
}

// Latency has quantiles of the latency of requests, in milliseconds.
type Latency struct {
	P50  float64 `json:"p50Ms"`
	P99  float64 `json:"p99Ms"`
	P999 float64 `json:"p999Ms"`
	Max  float64 `json:"maxMs"`
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return Latency{
		P50: ms(h.ValueAtQuantile(50)), P99: ms(h.ValueAtQuantile(99)),
		P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()),
	}
}

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	w := &errWriter{out: out}
	w.printf("\n%s\n  %s\n  %s\n", r.Name, r.Method, r.Machine)
	r.writeRows(w)
	r.writeOpen(w)
	r.writeFigures(w)
	r.writeRatios(w)
	for _, n := range r.Notes {
		w.printf("  %s\n", n)
	}
	for _, f := range r.Faults {
		w.printf("  BROKEN: %s\n", f)
	}
	return w.err
}

func (r *Report) writeRows(w *errWriter) {
	if len(r.Rows) == 0 {
		return
	}
	t := w.table("closed loop", "median/s", "min", "max", "p50 ms", "p99 ms", "server CPU µs", "client CPU µs")
	for i := range r.Rows {
		row := &r.Rows[i]
		t.printf("  %s (%s)\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.1f\t%.1f\t\n", row.Variant, row.Unit,
			row.Rate.Median, row.Rate.Min, row.Rate.Max, row.Latency.P50, row.Latency.P99, row.ServerCPU.Median, row.ClientCPU.Median)
	}
	t.flush()
}

func (r *Report) writeOpen(w *errWriter) {
	if len(r.Open) == 0 {
		return
	}
	t := w.table("open loop", "due/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms")
	for _, o := range r.Open {
		t.printf("  %s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", o.Variant, o.Rate, o.Latency.P50, o.Latency.P99, o.Latency.P999, o.Latency.Max)
	}
	t.flush()
}

func (r *Report) writeRatios(w *errWriter) {
	if len(r.Ratios) == 0 {
		return
	}
	t := w.table("ratio", "median", "min", "max", "target")
	for i := range r.Ratios {
		q := &r.Ratios[i]
		target := ""
		if q.Target > 0 {
			verdict := "met"
			if q.Ratio.Median < q.Target {
				verdict = "missed"
			}
			target = fmt.Sprintf("%.2f %s", q.Target, verdict)
		}
		t.printf("  %s / %s\t%.3f\t%.3f\t%.3f\t%s\t\n", q.Of, q.To, q.Ratio.Median, q.Ratio.Min, q.Ratio.Max, target)
	}
	t.flush()
}

func (r *Report) writeFigures(w *errWriter) {
	if len(r.Figures) == 0 {
		return
	}
	t := w.table("figure", "median", "min", "max", "unit", "target")
	for i := range r.Figures {
		f := &r.Figures[i]
		target := ""
		if f.AtMost > 0 {
			verdict := "met"
			if f.Value.Median > f.AtMost {
				verdict = "missed"
			}
			target = fmt.Sprintf("at most %g %s", f.AtMost, verdict)
		}
		t.printf("  %s\t%.3f\t%.3f\t%.3f\t%s\t%s\t\n", f.Name, f.Value.Median, f.Value.Min, f.Value.Max, f.Unit, target)
	}
	t.flush()
}

// errWriter keeps the first error.
type errWriter struct {
	out io.Writer
	err error
}

func (w *errWriter) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, format, args...)
	}
}

// table is lines whose cells stand below each other: the first to the left, the
// figures to the right.
type table struct {
	*errWriter
	tab    *tabwriter.Writer
	parent *errWriter
}

func (w *errWriter) table(heads ...string) *table {
	tab := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	t := &table{errWriter: &errWriter{out: tab, err: w.err}, tab: tab, parent: w}
	t.printf("\n  ")
	for _, h := range heads {
		t.printf("%s\t", h)
	}
	t.printf("\n")
	return t
}

func (t *table) flush() {
	if t.err == nil {
		t.err = t.tab.Flush()
	}
	t.parent.err = t.err
}
