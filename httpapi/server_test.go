package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// fakeGate is an engine without a log: enough for what the server itself asks.
type fakeGate struct {
	applied atomic.Uint64
	stale   atomic.Bool
	barrier error
	ready   error
}

// The keys of the fake gate are "<role>@<tenant>", the operator's is "operator".
func (g *fakeGate) Authenticate(raw []byte) (engine.Principal, bool) {
	if string(raw) == "operator" {
		return engine.Principal{Role: decision.RoleOperator}, true
	}
	name, tenant, _ := strings.Cut(string(raw), "@")
	role, ok := decision.ParseRole(name)
	return engine.Principal{TenantID: tenant, KeyID: name, Role: role}, ok && tenant != ""
}
func (g *fakeGate) TenantExists(id string) bool   { return id == "t1" || id == "t2" }
func (g *fakeGate) Ready() error                  { return g.ready }
func (g *fakeGate) Stale() bool                   { return g.stale.Load() }
func (g *fakeGate) AppliedIndex() uint64          { return g.applied.Load() }
func (g *fakeGate) Barrier(context.Context) error { return g.barrier }
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
		rq.out = appendText(append(rq.out, `{"ok":true`...), "tenant", rq.tenant())
		rq.out = appendText(rq.out, "id", rq.params[0])
		rq.out = append(appendText(rq.out, "body", string(rq.body)), '}')
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

func TestRouteTable(t *testing.T) {
	ok := func(*request) error { return nil }
	for _, tc := range []struct {
		name string
		rt   route
		want string
	}{
		{"no role", route{method: get, path: "/a", class: ClassRead, handle: ok}, "declares no role"},
		{"no handler", route{method: get, path: "/a", class: ClassRead, access: viewer}, "no handler"},
		{"no class", route{method: get, path: "/a", access: viewer, handle: ok}, "no class"},
		{"unknown class", route{method: get, path: "/a", access: viewer, class: "x", handle: ok}, "unknown class"},
	} {
		m, err := newMetrics(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if err := bindRoutes([]*route{&tc.rt}, m); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", tc.name, err, tc.want)
		}
	}
	m, _ := newMetrics(prometheus.NewRegistry())
	twice := func() *route { return &route{method: get, path: "/a", class: ClassRead, access: viewer, handle: ok} }
	if err := bindRoutes([]*route{twice(), twice()}, m); err == nil {
		t.Error("a route that is there twice was accepted")
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"defaults", func(*Config) {}, ""},
		{"address", func(c *Config) { c.Addr = "nonsense" }, "want host:port"},
		{"not loopback", func(c *Config) { c.Addr = "0.0.0.0:80" }, "not loopback"},
		{"every interface", func(c *Config) { c.Addr = ":80" }, "not loopback"},
		{"insecure", func(c *Config) { c.Addr, c.Insecure = "0.0.0.0:80", true }, ""},
		{"half of TLS", func(c *Config) { c.CertFile = "cert.pem" }, "needs both"},
		{"admin", func(c *Config) { c.AdminAddr = "10.0.0.1:6060" }, "admin"},
		{"time-out", func(c *Config) { c.ReadTimeout = 0 }, "read time-out"},
		{"body", func(c *Config) { c.MaxBody = 0 }, "body bytes"},
		{"rate", func(c *Config) { c.RateLimits = map[Class]RateLimit{ClassRead: {0, time.Second}} }, "rate limit"},
		{"rate class", func(c *Config) { c.RateLimits = map[Class]RateLimit{"x": {1, time.Second}} }, "rate limit"},
	} {
		cfg := DefaultConfig()
		tc.change(&cfg)
		err := cfg.Validate()
		if (tc.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestRefusesToListenInTheOpen(t *testing.T) {
	s, err := newServer(DefaultConfig(), &fakeGate{}, zerolog.Nop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Skip(err)
	}
	if err := s.Serve(ln); err == nil || !strings.Contains(err.Error(), "not loopback") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestAuthorise(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	for _, tc := range []struct {
		name, method, path, key string
		headers                 []string
		want                    int
		tenant                  string
	}{
		{"public", get, "/public", "", nil, 200, ""},
		{"no key", get, "/items", "", nil, 401, ""},
		{"unknown key", get, "/items", "nobody", nil, 401, ""},
		{"other scheme", get, "/items", "", []string{"Authorization: Basic dmlld2VyQHQx"}, 401, ""},
		{"bearer", get, "/items", "viewer@t1", nil, 200, "t1"},
		{"scheme in lower case", get, "/items", "", []string{"Authorization: bearer viewer@t1"}, 200, "t1"},
		{"own header", get, "/items", "", []string{"X-API-Key: viewer@t1"}, 200, "t1"},
		{"role too low", post, "/items", "viewer@t1", nil, 403, ""},
		{"role enough", get, "/admin", "admin@t1", nil, 200, "t1"},
		{"operator's route", get, "/operator", "admin@t1", nil, 403, ""},
		{"tenant header of a tenant's key", get, "/items", "viewer@t1", []string{"X-Tenant-Id: t2"}, 200, "t1"},
		{"operator without tenant", get, "/items", "operator", nil, 400, ""},
		{"operator with tenant", get, "/items", "operator", []string{"X-Tenant-Id: t2"}, 200, "t2"},
		{"operator with unknown tenant", get, "/items", "operator", []string{"X-Tenant-Id: t9"}, 404, ""},
		{"operator's own route", get, "/operator", "operator", nil, 200, ""},
	} {
		r := ts.do(tc.method, tc.path, tc.key, "", tc.headers...)
		if r.status != tc.want {
			t.Errorf("%s: got %d %s, want %d", tc.name, r.status, r.body, tc.want)
			continue
		}
		if r.status != 200 {
			r.failure(t)
		} else if want := fmt.Sprintf(`"tenant":%q`, tc.tenant); !strings.Contains(string(r.body), want) {
			t.Errorf("%s: got %s, want %s", tc.name, r.body, want)
		}
		if got := r.header.Get("WWW-Authenticate"); (got != "") != (tc.want == 401) {
			t.Errorf("%s: got WWW-Authenticate %q", tc.name, got)
		}
	}
}

func TestEnvelopes(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	big := strings.Repeat("x", 80<<10)
	for _, tc := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
		code                     string
	}{
		{"no route", get, "/nothing", "", nil, 404, "NOT_FOUND"},
		{"no route under a parameter", get, "/items/a/b", "", nil, 404, "NOT_FOUND"},
		{"trailing slash", get, "/items/", "", nil, 404, "NOT_FOUND"},
		{"case", get, "/Items", "", nil, 404, "NOT_FOUND"},
		{"method", put, "/items", "{}", nil, 405, "METHOD_NOT_ALLOWED"},
		{"options", "OPTIONS", "/items", "", nil, 405, "METHOD_NOT_ALLOWED"},
		{"own method", "FROBNICATE", "/items", "", nil, 405, "METHOD_NOT_ALLOWED"},
		{"media type", post, "/items", "{}", []string{"Content-Type: text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"compressed", post, "/strict", "{}", []string{"Content-Encoding: gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"media type with parameter", post, "/strict", "{}", []string{"Content-Type: Application/JSON; charset=utf-8"}, 200, ""},
		{"no body, no type", post, "/strict", "", nil, 200, ""},
		{"too large", post, "/echo", big, nil, 413, "PAYLOAD_TOO_LARGE"},
		{"not JSON", post, "/strict", "{", nil, 400, "BAD_REQUEST"},
		{"unknown field", post, "/strict", `{"a":1}`, nil, 200, ""},
		{"unknown field, strict", post, "/strict?strict=true", `{"a":1}`, nil, 400, "BAD_REQUEST"},
		{"unknown field, prefer", post, "/strict", `{"a":1}`, []string{"Prefer: handling=strict"}, 400, "BAD_REQUEST"},
		{"bad flag", post, "/strict?strict=maybe", `{}`, nil, 400, "BAD_REQUEST"},
		{"internal", get, "/fault", "", nil, 500, "INTERNAL"},
		{"idempotency key", post, "/items", "{}", []string{"Idempotency-Key: a b"}, 400, "BAD_REQUEST"},
		{"long idempotency key", post, "/items", "{}", []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, 400, "BAD_REQUEST"},
		{"min index", get, "/items", "", []string{"X-Min-Index: one"}, 400, "BAD_REQUEST"},
		{"consistency", get, "/items?consistency=perfect", "", nil, 400, "BAD_REQUEST"},
		{"strong", get, "/items?consistency=strong", "", nil, 200, ""},
	} {
		r := ts.do(tc.method, tc.path, "admin@t1", tc.body, tc.headers...)
		if r.status != tc.want {
			t.Errorf("%s: got %d %s, want %d", tc.name, r.status, r.body, tc.want)
			continue
		}
		if r.header.Get("Server") != serverName || r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: got headers %v", tc.name, r.header)
		}
		if tc.code == "" {
			continue
		}
		e := r.failure(t)
		if e.Code != tc.code || strings.Contains(e.Message, "secret") {
			t.Errorf("%s: got %s, want code %s", tc.name, r.body, tc.code)
		}
		if (r.header.Get("Allow") != "") != (tc.want == 405) {
			t.Errorf("%s: got Allow %q", tc.name, r.header.Get("Allow"))
		}
	}
	if r := ts.do(put, "/items", "admin@t1", "{}"); r.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("got Allow %q, want GET, HEAD, POST", r.header.Get("Allow"))
	}
	if r := ts.do("HEAD", "/items", "viewer@t1", ""); r.status != 200 || len(r.body) != 0 {
		t.Errorf("HEAD: got %d %q", r.status, r.body)
	}
}

func TestRequestID(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	for _, tc := range []struct {
		id   string
		kept bool
	}{
		{"abc-1.2_Z", true}, {strings.Repeat("a", 128), true}, {strings.Repeat("a", 129), false}, {"a b", false}, {"é", false}, {"a\"b", false},
	} {
		for _, path := range []string{"/public", "/nothing"} {
			if got := ts.do(get, path, "", "", "X-Request-Id: "+tc.id).header.Get("X-Request-Id"); (got == tc.id) != tc.kept || got == "" {
				t.Errorf("%s %q: got %q, kept %v", path, tc.id, got, tc.kept)
			}
		}
	}
	if a, b := ts.do(get, "/public", "", "").header.Get("X-Request-Id"), ts.do(get, "/public", "", "").header.Get("X-Request-Id"); a == b {
		t.Errorf("two requests got the id %q", a)
	}
}

func TestIndexes(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MinIndexWait = 30 * time.Millisecond }, testRoutes)
	if r := ts.do(post, "/items", "editor@t1", "{}"); r.status != 201 || r.header.Get("X-Applied-Index") != "42" {
		t.Errorf("write: got %d, index %q", r.status, r.header.Get("X-Applied-Index"))
	}
	ts.gate.applied.Store(7)
	if r := ts.do(get, "/items", "viewer@t1", "", "X-Min-Index: 7"); r.status != 200 || r.header.Get("X-Applied-Index") != "" {
		t.Errorf("read at the index: got %d, %v", r.status, r.header)
	}
	r := ts.do(get, "/items", "viewer@t1", "", "X-Min-Index: 8")
	if r.status != 503 || r.header.Get("Retry-After") == "" || r.failure(t).Code != "UNAVAILABLE" {
		t.Errorf("read before the index: got %d %s", r.status, r.body)
	}
	ts.gate.stale.Store(true)
	if r := ts.do(get, "/items", "viewer@t1", ""); r.header.Get("X-Stale") != "true" || r.header.Get("X-Applied-Index") != "7" {
		t.Errorf("stale read: got %v", r.header)
	}
	ts.gate.barrier = errors.New("no leader")
	if r := ts.do(get, "/items?consistency=strong", "viewer@t1", ""); r.status != 503 {
		t.Errorf("strong read without a leader: got %d", r.status)
	}
}

func TestFingerprint(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	sum := func(path, body, key string) string {
		return string(ts.do(post, path, "editor@t1", body, "Idempotency-Key: "+key).body)
	}
	a := sum("/items", `{"a":1}`, "k")
	if b := sum("/items", `{"a":1}`, "k"); a != b {
		t.Errorf("the same request: got %s and %s", a, b)
	}
	if b := sum("/items", `{"a":2}`, "k"); a == b {
		t.Errorf("another body has the same fingerprint %s", a)
	}
	if b := sum("/items?force=true", `{"a":1}`, "k"); a == b {
		t.Errorf("another query has the same fingerprint %s", a)
	}
}

func TestRateLimit(t *testing.T) {
	ts := startServer(t, func(c *Config) {
		c.RateLimits = map[Class]RateLimit{ClassRead: {Requests: 2, Window: time.Minute}}
	}, testRoutes)
	var mu sync.Mutex
	now := time.Unix(1_700_000_000, 0)
	ts.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	for i, want := range []string{`"read";r=1;t=60`, `"read";r=0;t=60`} {
		r := ts.do(get, "/items", "viewer@t1", "")
		if r.status != 200 || r.header.Get("RateLimit") != want || r.header.Get("RateLimit-Policy") != `"read";q=2;w=60` {
			t.Errorf("request %d: got %d, %q, %q", i, r.status, r.header.Get("RateLimit"), r.header.Get("RateLimit-Policy"))
		}
	}
	r := ts.do(get, "/items", "viewer@t1", "")
	if r.status != 429 || r.header.Get("Retry-After") != "60" || r.failure(t).Code != "RATE_LIMITED" {
		t.Errorf("got %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
	if r := ts.do(get, "/items", "viewer@t2", ""); r.status != 200 {
		t.Errorf("another tenant: got %d", r.status)
	}
	if r := ts.do(post, "/echo", "viewer@t1", "{}"); r.status != 200 {
		t.Errorf("another class: got %d", r.status)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if r := ts.do(get, "/items", "viewer@t1", ""); r.status != 200 {
		t.Errorf("after the window: got %d", r.status)
	}
}

func TestPanic(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	for range 3 {
		r := ts.do(post, "/panic", "viewer@t1", "{}", "X-Request-Id: p-1")
		if e := r.failure(t); r.status != 500 || e.RequestID != "p-1" || strings.Contains(e.Message, "boom") {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	if r := ts.do(get, "/items", "viewer@t1", ""); r.status != 200 {
		t.Errorf("after the panics: got %d", r.status)
	}
	if b := ts.do(get, "/metrics", "", "").body; !bytes.Contains(b, []byte("praetor_http_panics_total 3")) {
		t.Error("the panics are not counted")
	}
}

// Two readers of one byte stream must not see different requests in it.
func TestSmuggling(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	const head = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nContent-Type: application/json\r\n"
	const second = "GET /admin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin@t1\r\n\r\n"
	for _, tc := range []struct{ name, request string }{
		{"both", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
		{"both, other order", head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + second},
		{"both, other case", head + "content-length: 4\r\ntransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n" + second},
		{"two lengths", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + second},
		{"two equal lengths", head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + second},
		{"two codings", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + second},
		{"other coding", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + second},
		{"space before the colon", head + "Content-Length : 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second},
		{"length list", head + "Content-Length: 2, 2\r\n\r\n{}" + second},
		{"negative length", head + "Content-Length: -2\r\n\r\n{}" + second},
	} {
		got := ts.raw(tc.request)
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: got %q, want one 400", tc.name, got)
		}
	}
	// What is not read of one request is not taken for the next one.
	got := ts.raw("GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(len(second)) + "\r\n\r\n" + second +
		"GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if strings.Count(got, "HTTP/1.1 ") != 2 || !strings.Contains(got, "HTTP/1.1 200") || strings.Contains(got, "t1") {
		t.Errorf("body of a refused GET: got %q", got)
	}
}

func TestTargets(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	for _, tc := range []struct {
		target string
		want   int
	}{
		{"/items/../admin", 400}, {"/items/..", 400}, {"/items/.", 400}, {"//items", 400}, {"/items//", 400}, {"/items//x", 400},
		{"/items/%2e%2e/admin", 400}, {"/items/.%2E", 400}, {"/items/a%2fb", 400}, {"/items/a%2Fb", 400}, {"/items/a%5cb", 400},
		{"/items/a%00", 400}, {"/items/a%0a", 400}, {"/items/a%", 400}, {"/items/a%zz", 400}, {"/items/a\\b", 400}, {"/items/\xff", 400},
		{"/items/a#b", 400}, {"http://x/admin", 400}, {"*", 400},
		{"/items/a..b", 200}, {"/items/a%20b", 200}, {"/items/%c3%a9", 200},
	} {
		got := ts.raw("GET " + tc.target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", tc.want)) {
			t.Errorf("%q: got %.120q, want %d", tc.target, got, tc.want)
		}
	}
	if b := ts.do(get, "/items/a%20b", "viewer@t1", "").body; !bytes.Contains(b, []byte(`"id":"a b"`)) {
		t.Errorf("got %s, want the parameter decoded", b)
	}
}

func TestHeaderTooLarge(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MaxHeaderBytes = 2048 }, testRoutes)
	got := ts.raw("GET /public HTTP/1.1\r\nHost: x\r\nX-Filler: " + strings.Repeat("f", 8192) + "\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") || !strings.Contains(got, "HEADER_TOO_LARGE") {
		t.Errorf("got %.200q, want 431 in our envelope", got)
	}
}

func TestSlowRequests(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond }, testRoutes)
	const head = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nContent-Type: application/json\r\n"
	for name, request := range map[string]string{
		"header":             "GET /public HTTP/1.1\r\nHost: x\r\n",
		"body":               head + "Content-Length: 10\r\n\r\n{",
		"body beyond 8 KiB":  head + "Content-Length: 20000\r\n\r\n" + strings.Repeat(" ", 9000),
		"chunked":            head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"body of an unknown": strings.Replace(head, "viewer@t1", "nobody", 1) + "Content-Length: 20000\r\n\r\n" + strings.Repeat(" ", 9000),
	} {
		got := ts.raw(request)
		want := "HTTP/1.1 408 "
		if strings.HasPrefix(name, "body of") {
			want = "HTTP/1.1 401 "
		}
		if !strings.HasPrefix(got, want) || !strings.Contains(got, `"requestId"`) {
			t.Errorf("%s: got %q, want %s in our envelope", name, got, want)
		}
	}
}

// Announced lengths must not cost memory, whatever the route permits.
func TestAnnouncedBodies(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MaxConnsPerIP = 1000 }, testRoutes)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 200
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin@t1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			4<<20, strings.Repeat(" ", firstRead+1))
		conns[i] = c
	}
	waitFor(t, func() bool {
		return strings.Contains(string(ts.do(get, "/metrics", "", "").body), fmt.Sprintf("praetor_http_in_flight_requests %d", n+1))
	})
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > n*96<<10 {
		t.Errorf("%d connections that announced 4 MiB each hold %d KiB, want under 96 KiB each", n, got>>10)
	}
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

func TestBodies(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	body := strings.Repeat("x", 60<<10)
	for range 2 { // the connection is usable again after each
		if r := ts.do(post, "/echo", "viewer@t1", body); r.status != 200 || !strings.Contains(string(r.body), body) {
			t.Fatalf("got %d and %d bytes", r.status, len(r.body))
		}
		if r := ts.do(post, "/import", "admin@t1", strings.Repeat(" ", 2<<20)); r.status != 200 || !strings.Contains(string(r.body), fmt.Sprint(2<<20)) {
			t.Fatalf("the route's own bound: got %d %s", r.status, r.body)
		}
		if r := ts.do(post, "/echo", "viewer@t1", strings.Repeat("x", 300<<10)); r.status != 413 {
			t.Fatalf("got %d, want 413", r.status)
		}
	}
	const head = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer@t1\r\nContent-Type: application/json\r\nConnection: close\r\n"
	if got := ts.raw(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"); !strings.Contains(got, `"body":"abcde"`) {
		t.Errorf("chunked: got %q", got)
	}
	chunks := strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 40)
	if got := ts.raw(head + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("chunked and too large: got %.100q", got)
	}
	if got := ts.raw(head + "Content-Length: 99999999999\r\n\r\n" + strings.Repeat(" ", firstRead)); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("a huge announcement: got %.100q", got)
	}
	if got := ts.raw(head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"); !strings.Contains(got, `"body":"{}"`) {
		t.Errorf("100-continue: got %q", got)
	}
}

func TestConnectionLimits(t *testing.T) {
	for _, tc := range []struct {
		name         string
		conns, perIP int
		status, code string
	}{
		{"all", 2, 10, "503", "UNAVAILABLE"},
		{"per IP", 10, 2, "429", "RATE_LIMITED"},
	} {
		ts := startServer(t, func(c *Config) { c.MaxConns, c.MaxConnsPerIP = tc.conns, tc.perIP }, testRoutes)
		var held []net.Conn
		for range 2 {
			c, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "GET /public HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		c, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		got, _ := io.ReadAll(c)
		c.Close()
		if !strings.HasPrefix(string(got), "HTTP/1.1 "+tc.status) || !strings.Contains(string(got), tc.code) {
			t.Errorf("%s: got %q, want %s", tc.name, got, tc.status)
		}
		for _, c := range held {
			c.Close()
		}
		waitFor(t, func() bool {
			got := ts.raw("GET /public HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			return strings.HasPrefix(got, "HTTP/1.1 200 ")
		})
	}
}

func TestShutdownFinishesRequests(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	ts := startServer(t, nil, func(s *Server) []*route {
		return append(testRoutes(s), &route{method: get, path: "/slow", access: public, handle: func(rq *request) error {
			close(started)
			<-finish
			return rq.reply(200, "done")
		}})
	})
	answers := make(chan *reply, 1)
	go func() { answers <- ts.do(get, "/slow", "", "") }()
	<-started
	ts.Drain()
	if r := ts.do(get, "/readyz", "", ""); r.status != 503 {
		t.Errorf("readyz while draining: got %d", r.status)
	}
	if r := ts.do(get, "/healthz", "", ""); r.status != 200 {
		t.Errorf("healthz while draining: got %d", r.status)
	}
	http.DefaultClient.CloseIdleConnections()
	stopped := make(chan error, 1)
	go func() { stopped <- ts.Shutdown(context.Background()) }()
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", ts.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("shutdown returned %v before the request had ended", err)
	default:
	}
	close(finish)
	if r := <-answers; r.status != 200 {
		t.Errorf("the request in flight: got %d", r.status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	ts := startServer(t, nil, func(*Server) []*route {
		return []*route{{method: get, path: "/slow", access: public, handle: func(rq *request) error {
			close(started)
			<-rq.ctx.Done() // Shutdown cancels what it will not wait for
			close(finish)
			return nil
		}}}
	})
	go func() {
		resp, err := http.Get("http://" + ts.addr + "/slow")
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	<-finish
}

func TestMetrics(t *testing.T) {
	ts := startServer(t, nil, testRoutes)
	ts.do(get, "/items", "viewer@t1", "")
	ts.do(get, "/items", "", "")
	ts.do(get, "/items/x", "viewer@t1", "")
	got := string(ts.do(get, "/metrics", "", "").body)
	for _, want := range []string{
		`praetor_http_requests_total{class="2xx",method="GET",route="/items"} 1`,
		`praetor_http_requests_total{class="4xx",method="GET",route="/items"} 1`,
		`praetor_http_requests_total{class="2xx",method="GET",route="/items/{id}"} 1`,
		`praetor_http_request_duration_seconds_count{method="GET",route="/items"} 2`,
		`praetor_http_rejected_total{reason="unauthorized"} 1`,
		`praetor_http_in_flight_requests 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(got, "t1") {
		t.Error("a tenant is in the metrics")
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
