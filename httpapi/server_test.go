package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
)

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

// A node that lags behind does not deny keys and tenants that were just made at
// another one.
func TestLatecomers(t *testing.T) {
	ts := startServer(t, func(c *Config) { c.MinIndexWait = 300 * time.Millisecond }, testRoutes)
	ts.gate.applied.Store(6)
	for _, tc := range []struct {
		name, index string
		want        int
	}{
		{"no index", "", 401}, {"not an index", "seven", 401}, {"an index that was applied", "6", 401}, {"an index that does not come", "7", 401},
	} {
		if r := ts.do(get, "/items", "viewer@late", "", "X-Min-Index: "+tc.index); r.status != tc.want {
			t.Errorf("a new key with %s: got %d %s, want %d", tc.name, r.status, r.body, tc.want)
		}
	}
	time.AfterFunc(time.Millisecond, func() { ts.gate.applied.Store(7) })
	if r := ts.do(get, "/items", "viewer@late", "", "X-Min-Index: 7"); r.status != 200 {
		t.Errorf("a new key with its index: got %d %s, want 200", r.status, r.body)
	}
	ts.gate.barrier = decision.Errorf(decision.KindUnavailable, "no leader is known")
	if r := ts.do(get, "/items", "operator", "", "X-Tenant-Id: late"); r.status != 503 {
		t.Errorf("a new tenant on a node that cannot catch up: got %d %s, want 503", r.status, r.body)
	}
	ts.gate.barrier = nil
	if r := ts.do(get, "/items", "operator", "", "X-Tenant-Id: late"); r.status != 200 {
		t.Errorf("a new tenant: got %d %s, want 200", r.status, r.body)
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
	if r := ts.do("HEAD", "/echo", "admin@t1", ""); r.status != 405 || r.header.Get("Allow") != "POST" {
		t.Errorf("HEAD of a route without GET: got %d and Allow %q, want 405 and POST", r.status, r.header.Get("Allow"))
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
