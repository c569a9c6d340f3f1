package bench

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// serve starts a server of this process and returns its address.
func serve(t testing.TB, handler fasthttp.RequestHandler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: handler, CloseOnShutdown: true}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func TestConn(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		if got := string(ctx.Request.Header.Peek("Authorization")); got != "Bearer k" {
			ctx.SetStatusCode(401)
		}
		_, _ = ctx.Write(ctx.PostBody())
	})
	c, err := Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, want := range []string{"", "short", strings.Repeat("long ", 10_000), "short again"} {
		status, body, err := c.Do(PrepareRequest("/echo", "k", []byte(want)))
		if err != nil {
			t.Fatal(err)
		}
		if status != 200 || string(body) != want {
			t.Errorf("got status %d and %d bytes, want 200 and %d", status, len(body), len(want))
		}
	}
	if status, _, err := c.Do(PrepareRequest("/echo", "other", nil)); status != 401 || err != nil {
		t.Errorf("got status %d, %v, want 401", status, err)
	}
}

func TestParseHead(t *testing.T) {
	for _, c := range []struct {
		head           string
		status, length int
		ok             bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 200, 12, true},
		{"HTTP/1.1 503 Busy\r\nA: b\r\nContent-Length: 0\r\nC: d\r\n\r\n", 503, 0, true},
		{"HTTP/1.1 204 No Content\r\n\r\n", 204, 0, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", 0, 0, false},
		{"HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n", 0, 0, false},
		{"SMTP\r\n\r\n", 0, 0, false},
	} {
		status, length, err := parseHead([]byte(c.head))
		if (err == nil) != c.ok || c.ok && (status != c.status || length != c.length) {
			t.Errorf("parseHead(%q) = %d, %d, %v, want %d, %d, ok %v", c.head, status, length, err, c.status, c.length, c.ok)
		}
	}
}

func TestClosedCountsUnits(t *testing.T) {
	var served atomic.Int64
	l := Load{
		Addr: serve(t, func(ctx *fasthttp.RequestCtx) {
			served.Add(1)
			ctx.SetBodyString(`{"processed":3,"succeeded":3,"failed":0,"duplicates":0}`)
		}),
		Requests: [][]byte{PrepareRequest("/", "k", nil)}, Conns: 3, Units: bulkUnits,
	}
	run, err := l.Closed(context.Background(), 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if run.Requests != served.Load() || run.Units != 3*run.Requests || run.Latency.TotalCount() != run.Requests || run.Requests < 3 {
		t.Errorf("got %d requests, %d units, %d latencies, want %d, 3 each, all", run.Requests, run.Units, run.Latency.TotalCount(), served.Load())
	}
}

func TestFailuresEndARun(t *testing.T) {
	l := Load{
		Addr:     serve(t, func(ctx *fasthttp.RequestCtx) { ctx.Error("no", 503) }),
		Requests: [][]byte{PrepareRequest("/", "k", nil)}, Conns: 2, Units: oneUnit,
	}
	if _, err := l.Closed(context.Background(), time.Minute); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v, want an error with the status", err)
	}
}

// One answer that hangs must show in all requests that were due meanwhile.
func TestOpenSeesWhoWaited(t *testing.T) {
	const rate, hang = 500, 100 * time.Millisecond
	var served atomic.Int64
	l := Load{
		Addr: serve(t, func(*fasthttp.RequestCtx) {
			if served.Add(1) == 1 {
				time.Sleep(hang) // what the test is about
			}
		}),
		Requests: [][]byte{PrepareRequest("/", "k", nil)}, Conns: 1, Units: oneUnit,
	}
	run, err := l.Open(context.Background(), rate, 2*hang)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(rate * 2 * hang.Seconds()); run.Requests != want {
		t.Errorf("got %d requests, want all %d that were due", run.Requests, want)
	}
	// A quarter of the requests was due in the first half of the hang.
	if got := time.Duration(run.Latency.ValueAtQuantile(76)) * time.Microsecond; got < hang/2 {
		t.Errorf("got a 76th percentile of %v, want at least %v", got, hang/2)
	}
}
