package mlclient

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

func header(rows int) Header {
	return Header{
		Columns: []Column{{Name: "age"}, {Name: "segment", Categorical: true, Categories: 3}},
		Rows:    rows,
		Params:  Params{NumTrees: 10, NumLeaves: 7, LearningRate: 0.1, MinDataInLeaf: 5, FeatureFraction: 1, Seed: 42},
	}
}

// giveRows gives n rows: row i is positive when odd, has weight i, and the
// values i (missing in every tenth) and i mod 3.
func giveRows(n int) func(*RowWriter) error {
	return func(w *RowWriter) error {
		values := make([]float64, 2)
		for i := range n {
			values[0], values[1] = float64(i), float64(i%3)
			if i%10 == 9 {
				values[0] = math.NaN()
			}
			if err := w.Write(i%2 == 1, float32(i), values); err != nil {
				return fmt.Errorf("giving rows: %w", err)
			}
		}
		return nil
	}
}

// answer is a fake worker that takes the rows and writes lines.
func answer(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for _, line := range lines {
			fmt.Fprintln(w, line)
			w.(http.Flusher).Flush()
		}
	}
}

func refuse(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestTrain(t *testing.T) {
	const n = 50_000
	var body []byte
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/base/train" || r.Header.Get("Content-Type") != contentType ||
			r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("got %s %s %v", r.Method, r.URL.Path, r.Header)
		}
		body, _ = io.ReadAll(r.Body)
		if int64(len(body)) != r.ContentLength {
			t.Errorf("got %d bytes, want Content-Length %d", len(body), r.ContentLength)
		}
		answer(`{"progress":0}`, `{"progress":0.25}`, `{"progress":0.25}`, `{"progress":0.1}`, `{"progress":7}`, `{"progress":-1}`,
			`{"progress":1}`, `{"model":"tree\nversion=v4\n","trees":10,"seconds":1.5}`)(w, r)
	})
	var progress []float64
	got, err := testClient(t, url+"/base/").Train(t.Context(), header(n), giveRows(n), func(p float64) { progress = append(progress, p) })
	if want := (Model{"tree\nversion=v4\n", 10, 1.5}); err != nil || got != want {
		t.Fatalf("Train() = %+v, %v, want %+v", got, err, want)
	}
	if want := []float64{0.25, 1}; !slices.Equal(progress, want) {
		t.Errorf("progress = %v, want %v", progress, want)
	}
	checkBody(t, body, n)
}

func checkBody(t *testing.T, body []byte, n int) {
	t.Helper()
	length := binary.LittleEndian.Uint32(body)
	const want = `{"protocol":1,"columns":[{"name":"age","categorical":false,"categories":0},{"name":"segment","categorical":true,"categories":3}],` +
		`"rows":50000,"params":{"numTrees":10,"numLeaves":7,"learningRate":0.1,"minDataInLeaf":5,"featureFraction":1,"seed":42}}`
	if got := string(body[4 : 4+length]); got != want {
		t.Errorf("header = %s, want %s", got, want)
	}
	rows := body[4+length:]
	if len(rows) != n*24 {
		t.Fatalf("got %d bytes of rows, want %d", len(rows), n*24)
	}
	for _, i := range []int{0, 1, 9, n - 1} {
		row := rows[i*24:]
		label := math.Float32frombits(binary.LittleEndian.Uint32(row))
		weight := math.Float32frombits(binary.LittleEndian.Uint32(row[4:]))
		age := math.Float64frombits(binary.LittleEndian.Uint64(row[8:]))
		segment := math.Float64frombits(binary.LittleEndian.Uint64(row[16:]))
		if label != float32(i%2) || weight != float32(i) || segment != float64(i%3) || (age != float64(i) && !(i%10 == 9 && math.IsNaN(age))) {
			t.Errorf("row %d = %v %v %v %v", i, label, weight, age, segment)
		}
	}
}

func TestTrainFails(t *testing.T) {
	const unavailable, unprocessable = decision.KindUnavailable, decision.KindUnprocessable
	progress := `{"progress":0.5}`
	for _, c := range []struct {
		name   string
		worker http.HandlerFunc
		kind   decision.Kind
		want   string
	}{
		{"bad request", refuse(400, `{"error":{"code":"BAD_REQUEST","message":"rows: want both classes"}}`), unprocessable, "rows: want both classes"},
		{"too large", refuse(413, `{"error":{"code":"PAYLOAD_TOO_LARGE","message":"want at most 5 (ML_WORKER_MAX_ROWS)"}}`), unprocessable, "ML_WORKER_MAX_ROWS"},
		{"wrong token", refuse(401, `{"error":{"code":"UNAUTHORIZED","message":"no"}}`), unavailable, "ML_WORKER_TOKEN must be the same"},
		{"busy", refuse(503, `{"error":{"code":"BUSY","message":"come back"}}`), unavailable, "is busy: come back"},
		{"crash at once", refuse(500, `{"error":{"code":"CRASHED","message":"signal 11"}}`), unavailable, "status 500: signal 11"},
		{"echoes the token", refuse(500, `{"error":{"code":"CRASHED","message":"Bearer `+token+`\u0000"}}`), unavailable, "Bearer *** "},
		{"another service", refuse(404, `<html>`), unavailable, "status 404 and no reason"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, unavailable, "status 307"},
		{"failed", answer(progress, `{"error":{"code":"TRAINING_FAILED","message":"LightGBMError: no"}}`), unprocessable, "LightGBMError: no"},
		{"out of memory", answer(progress, `{"error":{"code":"OUT_OF_MEMORY","message":"killed"}}`), unavailable, "failed (OUT_OF_MEMORY): killed"},
		{"empty answer", answer(), unavailable, "broke off the training"},
		{"no last line", answer(progress, progress), unavailable, "broke off the training"},
		{"cut within a line", func(w http.ResponseWriter, r *http.Request) {
			answer(progress)(w, r)
			fmt.Fprint(w, `{"model":"tree`)
		}, unavailable, "broke off the training"},
		{"connection lost", func(w http.ResponseWriter, r *http.Request) {
			answer(progress)(w, r)
			panic(http.ErrAbortHandler)
		}, unavailable, "broke off the training"},
		{"lost before the answer", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, unavailable, "broke off the training"},
		{"lost while sending", func(_ http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		}, unavailable, "broke off the training"},
		{"closed at once", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unavailable, "broke off the training"},
		{"garbage", answer("\x00\x01\x02"), unavailable, "not its JSON"},
		{"a number", answer("5"), unavailable, "not its JSON"},
		{"empty line", answer(""), unavailable, "not its JSON"},
		{"null", answer("null"), unavailable, "neither progress nor model"},
		{"other line", answer(`{"status":"ok"}`), unavailable, "neither progress nor model"},
		{"empty model", answer(`{"model":""}`), unavailable, "neither progress nor model"},
		{"too much", answer(progress, `{"model":"`+strings.Repeat("x", 5000)+`"}`), unavailable, "more than 4096 bytes"},
		{"a model for nothing", func(w http.ResponseWriter, r *http.Request) {
			r.Body.Read(make([]byte, 1))
			fmt.Fprintln(w, `{"model":"tree"}`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, unavailable, "before it had all rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 400_000 // 9.6 MB, more than the buffers between the two sides
			url := serve(t, c.worker)
			client := testClient(t, url, func(c *Config) { c.MaxAnswer = 4096 })
			got, err := client.Train(t.Context(), header(n), giveRows(n), nil)
			checkError(t, err, c.kind, url, c.want)
			if got != (Model{}) {
				t.Errorf("got model %+v beside the error, want none", got)
			}
		})
	}
}

// TestTrainProgressForever: a worker that goes on and on is given up.
func TestTrainProgressForever(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-tick.C:
				fmt.Fprintln(w, `{"progress":0.5}`)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				tick.Stop()
				return
			}
		}
	})
	c := testClient(t, url, func(c *Config) { c.Timeout, c.Silence = 300*time.Millisecond, 10*time.Second })
	_, err := c.Train(t.Context(), header(10), giveRows(10), nil)
	checkError(t, err, decision.KindUnavailable, url, "did not finish the training within 300ms")
}

// TestTrainSilence: neither a worker that takes no rows nor one that says
// nothing holds a training.
func TestTrainSilence(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"takes no rows": func(_ http.ResponseWriter, r *http.Request) { r.Body.Read(make([]byte, 1)); <-r.Context().Done() },
		"no status":     func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() },
		"no line":       func(w http.ResponseWriter, r *http.Request) { answer(`{"progress":0}`)(w, r); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 1_000_000
			url := serve(t, h)
			c := testClient(t, url, func(c *Config) { c.Silence = 300 * time.Millisecond })
			_, err := c.Train(t.Context(), header(n), giveRows(n), nil)
			checkError(t, err, decision.KindUnavailable, url, "was silent for 300ms")
		})
	}
}

// TestTrainCancel: when the context ends, the worker sees its connection closed.
func TestTrainCancel(t *testing.T) {
	gone := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(`{"progress":0.5}`)(w, r)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := testClient(t, url).Train(ctx, header(10), giveRows(10), func(float64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the worker still has its connection")
	}
}

func TestTrainRowsFail(t *testing.T) {
	url := serve(t, answer(`{"model":"tree"}`))
	broken := errors.New("history is broken")
	for _, c := range []struct {
		name string
		rows func(*RowWriter) error
		want string
	}{
		{"own error", func(w *RowWriter) error { return errors.Join(giveRows(5)(w), broken) }, broken.Error()},
		{"too few", giveRows(9), "got 9 rows, want the 10 announced"},
		{"too many", giveRows(11), "got more rows than the 10 announced"},
		{"wrong width", func(w *RowWriter) error { return w.Write(true, 1, make([]float64, 3)) }, "row 0: got 3 values, want 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := testClient(t, url).Train(t.Context(), header(10), c.rows, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || got != (Model{}) {
				t.Errorf("Train() = %+v, %v, want error %q", got, err, c.want)
			}
			if decision.KindOf(err) != decision.KindInternal {
				t.Errorf("kind %v, want the defect to be ours", decision.KindOf(err))
			}
		})
	}
}

func TestTrainHeaderIsNotJSON(t *testing.T) {
	h := header(1)
	h.Params.LearningRate = math.NaN()
	_, err := testClient(t, closedURL()).Train(t.Context(), h, giveRows(1), nil)
	if decision.KindOf(err) != decision.KindInternal || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("got error %v, want one about NaN", err)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		"", "\n", "{\"progress\":0.5}\n{\"model\":\"tree\"}\n", "{\"progress\":1e999}\n", "{\"error\":{}}\n", "[[[[", "{\"model\":5}\n",
		"{\"error\":{\"code\":\"X\",\"message\":\"\x00\"}}\n", "{\"progress\":null}\n",
	} {
		f.Add([]byte(s))
	}
	c, err := New(Config{Timeout: 1, Silence: 1, HealthTimeout: 1, MaxAnswer: 1000})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 0.0
		model, err := c.readAnswer(bytes.NewReader(data), func(p float64) {
			if !(p > last && p <= 1) {
				t.Errorf("progress %v after %v", p, last)
			}
			last = p
		})
		if (err == nil) != (model.Text != "") || len(model.Text) > 3000 {
			t.Errorf("readAnswer() = %+v, %v", model, err)
		}
	})
}

func TestRowWriterAllocatesNothing(t *testing.T) {
	w := newRowWriter(io.Discard, Header{Columns: make([]Column, 19), Rows: math.MaxInt})
	values := make([]float64, 19)
	if got := testing.AllocsPerRun(1000, func() { w.Write(true, 1, values) }); got != 0 {
		t.Errorf("Write allocates %v times, want 0", got)
	}
}

func BenchmarkRowWriter(b *testing.B) {
	w := newRowWriter(io.Discard, Header{Columns: make([]Column, 19), Rows: math.MaxInt})
	values := make([]float64, 19)
	b.ReportAllocs()
	b.SetBytes(8 + 8*19)
	for b.Loop() {
		if err := w.Write(true, 1, values); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHeaderJSONHasNoOtherFields(t *testing.T) {
	b, err := header(1).preamble()
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b[4:], &fields); err != nil || len(fields) != 4 {
		t.Errorf("header %s: %d fields, %v, want 4", b[4:], len(fields), err)
	}
}
