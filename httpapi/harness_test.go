package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/jsontext"
)

// fakeGate is an engine without a log: enough for what the server itself asks.
type fakeGate struct {
	applied atomic.Uint64
	stale   atomic.Bool
	barrier error
	ready   error
	caught  atomic.Bool // Barrier was called: the tenant "late" is known
}

// The keys of the fake gate are "<role>@<tenant>", the operator's is "operator";
// those of the tenant "late" are made by the log's entry 7.
func (g *fakeGate) Authenticate(raw []byte) (engine.Principal, bool) {
	if string(raw) == "operator" {
		return engine.Principal{Role: decision.RoleOperator}, true
	}
	name, tenant, _ := strings.Cut(string(raw), "@")
	role, ok := decision.ParseRole(name)
	ok = ok && tenant != "" && (tenant != "late" || g.applied.Load() >= 7)
	return engine.Principal{TenantID: tenant, KeyID: name, Role: role}, ok
}

func (g *fakeGate) TenantExists(id string) bool {
	return id == "t1" || id == "t2" || id == "late" && g.caught.Load()
}

func (g *fakeGate) Ready() error { return g.ready }

func (g *fakeGate) Stale() bool { return g.stale.Load() }

func (g *fakeGate) AppliedIndex() uint64 { return g.applied.Load() }

func (g *fakeGate) Barrier(context.Context) error {
	if g.barrier == nil {
		g.caught.Store(true)
	}
	return g.barrier
}

func (g *fakeGate) WaitApplied(ctx context.Context, index uint64) error {
	for g.applied.Load() < index {
		if err := ctx.Err(); err != nil {
			return err
		}
		runtime.Gosched()
	}
	return nil
}

// testRoutes exercise the server without the engine.
func testRoutes(s *Server) []*route {
	echo := func(rq *request) error {
		rq.out = jsontext.AppendText(append(rq.out, `{"ok":true`...), "tenant", rq.tenant())
		rq.out = jsontext.AppendText(rq.out, "id", rq.params[0])
		rq.out = append(jsontext.AppendText(rq.out, "body", string(rq.body)), '}')
		return nil
	}
	wrote := func(rq *request) error {
		rq.wrote(engine.Receipt{Index: 42})
		w := rq.write()
		return rq.reply(fasthttp.StatusCreated, map[string]any{"key": w.IdempotencyKey, "fingerprint": fmt.Sprint(w.Fingerprint)})
	}
	strict := func(rq *request) error { return rq.noFields() }
	return []*route{
		{method: get, path: "/public", access: public, handle: echo},
		{method: get, path: "/healthz", access: public, idle: true, handle: s.healthz},
		{method: get, path: "/readyz", access: public, idle: true, handle: s.readyz},
		{method: get, path: "/metrics", access: public, idle: true, handle: s.exposition},
		{method: get, path: "/items", access: viewer, class: ClassRead, strong: true, handle: echo},
		{method: get, path: "/items/{id}", access: viewer, class: ClassRead, handle: echo},
		{method: post, path: "/items", access: editor, class: ClassWrite, write: true, handle: wrote},
		{method: post, path: "/echo", access: viewer, class: ClassScore, handle: echo},
		{method: post, path: "/strict", access: viewer, class: ClassScore, handle: strict},
		{method: post, path: "/import", access: admin, class: ClassWrite, maxBody: 4 << 20, handle: func(rq *request) error {
			return rq.reply(200, map[string]int{"length": len(rq.body)})
		}},
		{method: post, path: "/panic", access: viewer, class: ClassWrite, handle: func(*request) error { panic("boom") }},
		{method: get, path: "/fault", access: viewer, class: ClassRead, handle: func(*request) error { return errors.New("secret cause") }},
		{method: get, path: "/admin", access: admin, class: ClassAdmin, handle: echo},
		{method: get, path: "/operator", access: operator, class: ClassAdmin, tenantless: true, handle: echo},
	}
}

// testServer serves routes on a free port until the test ends.
type testServer struct {
	*Server
	t    testing.TB
	addr string
	gate *fakeGate
	done chan error
}

func startServer(t testing.TB, change func(*Config), routes func(*Server) []*route) *testServer {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Addr = "127.0.0.1:0"
	cfg.MaxBody = 64 << 10
	if change != nil {
		change(&cfg)
	}
	g := &fakeGate{}
	s, err := newServer(cfg, g, zerolog.Nop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.mount(routes(s)); err != nil {
		t.Fatal(err)
	}
	ts := &testServer{Server: s, t: t, gate: g}
	ts.start()
	return ts
}

func (ts *testServer) start() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		ts.t.Fatal(err)
	}
	ts.addr, ts.done = ln.Addr().String(), make(chan error, 1)
	go func() { ts.done <- ts.Serve(ln) }()
	ts.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := ts.Shutdown(ctx); err != nil {
			ts.t.Errorf("shutdown: %v", err)
		}
		if err := <-ts.done; err != nil {
			ts.t.Errorf("serve: %v", err)
		}
	})
}

// reply is an answer as a client got it.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// code and message are of the error envelope.
func (r *reply) failure(t testing.TB) (e struct {
	Code, Message, RequestID, Reason string
	Status                           int
	Details                          []decision.Detail
}) {
	t.Helper()
	var env struct{ Error json.RawMessage }
	if err := json.Unmarshal(r.body, &env); err != nil || json.Unmarshal(env.Error, &e) != nil {
		t.Fatalf("got %q, want an error envelope", r.body)
	}
	if e.Status != r.status || e.Code == "" || e.Message == "" || e.RequestID == "" || e.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("incomplete envelope %s for status %d", r.body, r.status)
	}
	return e
}

// do sends a request; headers are "Name: value".
func (ts *testServer) do(method, path, key, body string, headers ...string) *reply {
	ts.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, "http://"+ts.addr+path, r)
	if err != nil {
		ts.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", mediaJSON)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		ts.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		ts.t.Fatal(err)
	}
	return &reply{resp.StatusCode, resp.Header, b}
}

// raw sends bytes on a connection of its own and returns everything that comes
// back until the server closes it.
func (ts *testServer) raw(request string) string {
	ts.t.Helper()
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		ts.t.Fatal(err)
	}
	b, _ := io.ReadAll(c)
	return string(b)
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("the condition did not come true within 5s")
		}
		time.Sleep(time.Millisecond)
	}
}

// wire is a connection that a test speaks HTTP on by hand.
type wire struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (ts *testServer) dial() *wire {
	ts.t.Helper()
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	ts.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return &wire{c, ts.t, bufio.NewReader(c)}
}

// wantLine reads up to a line that starts so.
func (w *wire) wantLine(prefix string) {
	w.t.Helper()
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("got %v, want a line with %q", err, prefix)
		}
		if strings.HasPrefix(line, prefix) {
			return
		}
	}
}
