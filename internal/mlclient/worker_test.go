package mlclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// startWorker starts the real worker and returns its URL.
func startWorker(tb testing.TB) string {
	tb.Helper()
	python := os.Getenv("PRAETOR_MLWORKER_PYTHON")
	if python == "" {
		tb.Skip("PRAETOR_MLWORKER_PYTHON names no Python with LightGBM (`make -C mlworker test` makes one at mlworker/.venv/bin/python)")
	}
	if strings.Contains(python, "/") {
		var err error
		if python, err = filepath.Abs(python); err != nil {
			tb.Fatal(err)
		}
	}
	cmd := exec.Command(python, "-m", "praetor_mlworker")
	cmd.Dir = filepath.Join("..", "..", "mlworker")
	cmd.Env = append(os.Environ(), "ML_WORKER_PORT=0", "ML_WORKER_HOST=127.0.0.1", "ML_WORKER_TOKEN="+token)
	log, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	drained := make(chan struct{})
	tb.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the worker ended with %v, want a clean stop", err)
		}
	})
	var first struct {
		Message, Error string
		Port           int
	}
	ok := lines.Scan() && json.Unmarshal(lines.Bytes(), &first) == nil
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	if !ok || first.Message != "listening" {
		tb.Fatalf("the worker did not start: %+v", first)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", first.Port)
}

// simulated gives rows whose label depends on the first two of the columns.
func simulated(h Header) func(*RowWriter) error {
	return func(w *RowWriter) error {
		r := rand.New(rand.NewPCG(1, 2))
		values := make([]float64, len(h.Columns))
		for range h.Rows {
			for i, c := range h.Columns {
				if values[i] = r.NormFloat64(); c.Categorical {
					values[i] = float64(r.IntN(c.Categories))
				}
			}
			z := values[0] + math.Mod(values[1], 2) - 1
			positive := r.Float64() < 1/(1+math.Exp(-z))
			if r.IntN(10) == 0 {
				values[0] = math.NaN()
			}
			if err := w.Write(positive, 1, values); err != nil {
				return err
			}
		}
		return nil
	}
}

func simulatedHeader(rows, columns, trees, leaves int) Header {
	h := Header{Rows: rows, Columns: make([]Column, columns), Params: Params{trees, leaves, 0.1, 20, 1, 42}}
	for i := range h.Columns {
		h.Columns[i] = Column{Name: fmt.Sprintf(`col "%d" 列`, i)}
		if i%2 == 1 {
			h.Columns[i].Categorical, h.Columns[i].Categories = true, 12
		}
	}
	return h
}

func TestRealWorker(t *testing.T) {
	url := startWorker(t)
	c := testClient(t, url, func(c *Config) { c.Timeout = 2 * time.Minute; c.HealthTimeout = 10 * time.Second })
	health, err := c.Health(t.Context())
	if err != nil || health.Versions["lightgbm"] == "" || health.Limits.MaxRows == 0 {
		t.Fatalf("Health() = %+v, %v", health, err)
	}

	h := simulatedHeader(5000, 4, 20, 15)
	model, err := c.Train(t.Context(), h, simulated(h), nil)
	if err != nil || !strings.HasPrefix(model.Text, "tree\n") || !strings.Contains(model.Text, "\nfeature_names=f0 f1 f2 f3\n") || model.Trees != 20 {
		t.Fatalf("Train() = %.60q, %d trees, %v", model.Text, model.Trees, err)
	}
	again, err := c.Train(t.Context(), h, simulated(h), nil)
	if err != nil || again.Text != model.Text {
		t.Errorf("the same rows gave another model, or %v", err)
	}

	h.Params.NumLeaves = 1
	_, err = c.Train(t.Context(), h, simulated(h), nil)
	checkError(t, err, decision.KindUnprocessable, url, "header.params.numLeaves: got 1")

	wrong := testClient(t, url, func(c *Config) { c.Token = "other" })
	big := simulatedHeader(500_000, 8, 20, 15)
	_, err = wrong.Train(t.Context(), big, simulated(big), nil)
	checkError(t, err, decision.KindUnavailable, url, "ML_WORKER_TOKEN must be the same")

	// The next training gets its turn only when the cancelled one has stopped.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	endless := simulatedHeader(20_000, 8, 10_000, 100)
	if _, err = c.Train(ctx, endless, simulated(endless), func(float64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	h.Params.NumLeaves = 15
	if again, err = c.Train(t.Context(), h, simulated(h), nil); err != nil || again.Text != model.Text {
		t.Errorf("after a cancelled training: %v", err)
	}
}

// BenchmarkRealWorker measures a whole training: rows made, sent, fitted, the
// model back. worker_s is the worker's own fit within it.
func BenchmarkRealWorker(b *testing.B) {
	url := startWorker(b)
	c, err := New(DefaultConfig(url, token))
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range [][2]int{{33_000, 19}, {1_000_000, 8}} {
		b.Run(fmt.Sprintf("rows=%d/columns=%d", size[0], size[1]), func(b *testing.B) {
			h := simulatedHeader(size[0], size[1], 100, 31)
			for b.Loop() {
				model, err := c.Train(b.Context(), h, simulated(h), nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(model.Seconds, "worker_s")
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
		})
	}
}
