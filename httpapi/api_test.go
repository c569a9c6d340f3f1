package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/engine"
)

const operatorKey = "operator-key-of-the-tests"

// api is a server in front of a real engine. Every request that goes through do
// is held against the description: the answer always, the request when it was
// answered with success.
type api struct {
	*testServer
	spec  *openapi3.T
	table []*route
	// Keys of two tenants.
	admin, editor, viewer, stranger string
	tenants                         *int // counts requests, to spread them; nil: they are not
}

func startAPI(t testing.TB, change ...func(*engine.Config)) *api {
	t.Helper()
	eng := openEngine(t, change...)
	cfg := DefaultConfig()
	cfg.Addr = "127.0.0.1:0"
	cfg.MaxLine = 4 << 10
	s, err := New(cfg, eng, zerolog.Nop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	a := &api{testServer: &testServer{Server: s, t: t}, spec: loadSpec(t), table: slices.Concat(s.apiRoutes(), s.optimizationRoutes(), s.warehouseRoutes(), s.systemRoutes(&document{}))}
	a.start()
	for _, tenant := range []string{"acme", "other"} {
		a.must(201, post, "/api/v1/tenants", operatorKey, fmt.Sprintf(`{"id":%q,"name":%q}`, tenant, tenant))
	}
	a.admin = a.newKey("acme", "admin")
	a.editor = a.newKey("acme", "editor")
	a.viewer = a.newKey("acme", "viewer")
	a.stranger = a.newKey("other", "admin")
	return a
}

func openEngine(t testing.TB, change ...func(*engine.Config)) *engine.Engine {
	t.Helper()
	cfg := engine.DefaultConfig(t.TempDir())
	cfg.Cluster.NodeID = "n1"
	cfg.OperatorKey = operatorKey
	for _, f := range change {
		f(&cfg)
	}
	eng, err := engine.Open(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := eng.Close(ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	waitFor(t, func() bool { return eng.Ready() == nil })
	return eng
}

func (a *api) newKey(tenant, role string) string {
	r := a.must(201, post, "/api/v1/api-keys", operatorKey, fmt.Sprintf(`{"name":"%s of %s","role":%q}`, role, tenant, role), "X-Tenant-Id: "+tenant)
	var k struct{ Key string }
	r.into(a.t, &k)
	return k.Key
}

func (r *reply) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

// must sends a request and wants a status.
func (a *api) must(status int, method, path, key, body string, headers ...string) *reply {
	a.t.Helper()
	r := a.do(method, path, key, body, headers...)
	if r.status != status {
		a.t.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, r.status, r.body, status)
	}
	return r
}

// do sends a request and holds it against the description.
func (a *api) do(method, path, key, body string, headers ...string) *reply {
	a.t.Helper()
	r := a.testServer.do(method, path, key, body, headers...)
	a.conforms(method, path, body, headers, r)
	return r
}

// match finds the route of a path by itself, not by the router under test.
func (a *api) match(method, path string) (*route, map[string]string) {
	for _, exact := range []bool{true, false} {
		for _, rt := range a.table {
			if rt.method != method {
				continue
			}
			want, got := strings.Split(rt.path, "/"), strings.Split(path, "/")
			params := map[string]string{}
			ok := len(want) == len(got) && (!exact || rt.path == path)
			for i := 0; ok && i < len(want); i++ {
				if strings.HasPrefix(want[i], "{") && got[i] != "" {
					params[strings.Trim(want[i], "{}")] = got[i]
				} else {
					ok = want[i] == got[i]
				}
			}
			if ok {
				return rt, params
			}
		}
	}
	return nil, nil
}

func (a *api) conforms(method, path, body string, headers []string, r *reply) {
	a.t.Helper()
	bare, _, _ := strings.Cut(path, "?")
	rt, params := a.match(method, bare)
	if rt == nil {
		return
	}
	item := a.spec.Paths.Value(rt.path)
	req, err := http.NewRequest(method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaJSON)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if body == "" {
		req.Body = http.NoBody
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true}
	in := &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, Options: options,
		Route: newRoute(a.spec, rt.path, item, method),
	}
	ctx := context.Background()
	ndjson := strings.Contains(req.Header.Get("Content-Type"), "ndjson")
	if r.status < 300 && !ndjson {
		if err := openapi3filter.ValidateRequest(ctx, in); err != nil {
			a.t.Errorf("%s %s %s: the description refuses this request: %v", method, path, body, err)
		}
	}
	if strings.HasPrefix(rt.path, "/openapi") || rt.path == "/docs" || ndjson {
		return
	}
	if err := checkAnswer(in, r); err != nil {
		a.t.Errorf("%s %s: the description refuses this answer with %d %s: %v", method, path, r.status, r.body, err)
	}
}

// checkAnswer holds an answer against the description.
func checkAnswer(in *openapi3filter.RequestValidationInput, r *reply) error {
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: r.status, Header: r.header, Options: in.Options,
		Body: io.NopCloser(bytes.NewReader(r.body)),
	})
}

// create makes a model and returns its id.
func (a *api) create(body string) string {
	a.t.Helper()
	var m struct{ ID string }
	a.must(201, post, "/api/v1/algorithm-models", a.editor, body).into(a.t, &m)
	return m.ID
}

const (
	scorecardBody = `{"key":%q,"name":"Card","modelType":"scorecard","config":{"rules":[{"id":"r1","field":"income","operator":"gt","value":50000,"points":40}]}}`
	banditBody    = `{"key":%q,"name":"Bandit","modelType":"thompson_bandit"}`
	logisticBody  = `{"key":%q,"name":"Logistic","modelType":"logistic_regression","modelState":{"weights":{"credit_score":0.005,"income":0.00002,"age":0.01},"bias":-3.5}}`
)

// outcomes records n outcomes with both labels.
func (a *api) outcomes(n int) {
	a.t.Helper()
	var b strings.Builder
	for i := range n {
		outcome := "click"
		if i%3 == 0 {
			outcome = "dismiss"
		}
		fmt.Fprintf(&b, `,{"customerId":"c%d","offerId":"o%d","categoryId":"cards","channelId":"web","outcome":%q,"attributes":{"income":%d,"age":%d,"tags":["a","b"]},"direction":"inbound"}`,
			i%7, i%3, outcome, 1000*(i%50), 20+i%40)
	}
	r := a.must(200, post, "/api/v1/respond/bulk", a.viewer, `{"outcomes":[`+b.String()[1:]+`]}`)
	if want := fmt.Sprintf(`{"processed":%d,"succeeded":%d,"failed":0,"duplicates":0,"errors":[]}`, n, n); strings.TrimSpace(string(r.body)) != want {
		a.t.Fatalf("got %s, want %s", r.body, want)
	}
}
