package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/bench"
	"github.com/praetor-engine/praetor/internal/client"
)

// childVariable makes the test binary be the command: the measurements start
// their servers with the running program.
const childVariable = "PRAETOR_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// measure runs a command line and returns its report.
func measure(t *testing.T, args ...string) (r bench.Report) {
	t.Helper()
	t.Setenv(childVariable, "1")
	var out, progress bytes.Buffer
	args = append(args, "--json", "--dir="+t.TempDir(), "--duration=100ms", "--rounds=1")
	if code := run(t.Context(), args, streams{strings.NewReader(""), &out, &progress}); code != 0 {
		t.Fatalf("%v: got exit code %d, want 0:\n%s%s", args, code, out.String(), progress.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %v in %s", args, err, out.String())
	}
	return r
}

// Nothing here looks at how fast anything is, only at whether it was measured.
func TestMeasurements(t *testing.T) {
	for _, c := range []struct {
		args         []string
		rows, ratios int
	}{
		{[]string{"outcomes"}, 2, 1},
		{[]string{"group-commit"}, 3, 2},
		{[]string{"score", "--types=scorecard"}, 4, 2},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			r := measure(t, c.args...)
			if len(r.Rows) != c.rows || len(r.Ratios) != c.ratios {
				t.Fatalf("got %d rows and %d ratios, want %d and %d", len(r.Rows), len(r.Ratios), c.rows, c.ratios)
			}
			for _, row := range r.Rows {
				if row.Rate.Median <= 0 || row.Latency.P99 <= 0 {
					t.Errorf("%s: got %+v, want a rate and latencies", row.Variant, row)
				}
			}
		})
	}
}

func TestCrash(t *testing.T) {
	r := measure(t, "crash", "--outcomes=10000", "--kills=2")
	if len(r.Faults) > 0 || len(r.Notes) != 4 {
		t.Errorf("got faults %q and notes %q, want none and 4", r.Faults, r.Notes)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"nothing"}, {"outcomes", "--rounds=0"}, {"crash", "--outcomes=7"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, streams{strings.NewReader(""), &out, &errs}); code != 1 || errs.Len() == 0 {
			t.Errorf("%v: got exit code %d and %q, want 1 and a reason", args, code, errs.String())
		}
	}
}

// BenchmarkRequest is one request after the other over one connection, to a node
// in its own process.
func BenchmarkRequest(b *testing.B) {
	b.Setenv(childVariable, "1")
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	o := bench.Options{Self: self, Progress: &bytes.Buffer{}}
	e, err := o.StartEngine(context.Background(), b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Stop(); err != nil {
			b.Error(err)
		}
	})
	model, err := e.CreateModel(context.Background(), client.NewModel{Key: "online", Name: "Online", ModelType: "online_learner", Status: "active"})
	if err != nil {
		b.Fatal(err)
	}
	const row = `{"age":38,"income":95000,"credit_score":760,"tenure_months":48,"segment":"affluent","region":"north","mortgage":true,"digital":false}`
	for _, c := range []struct{ op, path, body string }{
		{"score", "/api/v1/algorithm-models/" + model.ID + "/score", `{"attributes":` + row + `}`},
		{"respond", "/api/v1/respond", `{"customerId":"C1","outcome":"accept","offerId":"o1","channelId":"web","attributes":` + row + `}`},
	} {
		b.Run("op="+c.op, func(b *testing.B) {
			conn, err := bench.Dial(e.Addr)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			request := bench.PrepareRequest(c.path, e.Key, []byte(c.body))
			b.ReportAllocs()
			for b.Loop() {
				if status, body, err := conn.Do(request); err != nil || status/100 != 2 {
					b.Fatalf("got status %d, %v: %s", status, err, body)
				}
			}
		})
	}
}

func TestLearnersNamesWhatItNeeds(t *testing.T) {
	t.Setenv("PRAETOR_DATASETS", "") // puts it back at the end
	if err := os.Unsetenv("PRAETOR_DATASETS"); err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	if code := run(t.Context(), []string{"learners"}, streams{strings.NewReader(""), &out, &problems}); code == 0 {
		t.Fatal("got exit code 0 without data, want an error")
	}
	for _, want := range []string{"PRAETOR_DATASETS", "models", "latency"} {
		if !strings.Contains(problems.String(), want) {
			t.Errorf("got %q, want %q in it", problems.String(), want)
		}
	}
}
