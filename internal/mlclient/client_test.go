package mlclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "tok-5ecret"

// testClient asks url, with time limits for tests.
func testClient(t *testing.T, url string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := DefaultConfig(url, token)
	cfg.Timeout, cfg.Silence = 20*time.Second, 10*time.Second
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve starts a fake worker. The context of its requests ends with the test,
// too: with unread rows the server does not notice that the client left.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	ended, end := context.WithCancel(context.Background())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(ended, cancel)()
		h(w, r.WithContext(ctx))
	}))
	t.Cleanup(s.Close)
	t.Cleanup(end)
	return s.URL
}

// checkError wants a kind, words that are in the message, and neither the token
// nor the URL in any part of the error.
func checkError(t *testing.T, err error, kind decision.Kind, url, words string) {
	t.Helper()
	var e *decision.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Msg, words) {
		t.Fatalf("got error %v, want kind %v with %q", err, kind, words)
	}
	if text := err.Error(); strings.Contains(text, token) || (url != "" && strings.Contains(text, url)) {
		t.Errorf("error %q holds the token or the URL", text)
	}
	if kind == decision.KindUnavailable && !strings.Contains(e.Msg, "ML_WORKER_") {
		t.Errorf("message %q does not name the variable", e.Msg)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // part of the error; empty: it is good
	}{
		{"default", func(*Config) {}, ""},
		{"no worker", func(c *Config) { c.URL = "" }, ""},
		{"path", func(c *Config) { c.URL = "https://ml.internal/worker/" }, ""},
		{"no scheme", func(c *Config) { c.URL = "hunter2:8000" }, "ML_WORKER_URL"},
		{"other scheme", func(c *Config) { c.URL = "ftp://hunter2" }, "ML_WORKER_URL"},
		{"no host", func(c *Config) { c.URL = "http:///hunter2" }, "ML_WORKER_URL"},
		{"not a URL", func(c *Config) { c.URL = "http://hunter2\x7f" }, "ML_WORKER_URL"},
		{"password", func(c *Config) { c.URL = "http://user:hunter2@host" }, "no user and password"},
		{"query", func(c *Config) { c.URL = "http://host?key=hunter2" }, "no query"},
		{"token", func(c *Config) { c.Token = "hunter2\r\nX: y" }, "ML_WORKER_TOKEN"},
		{"timeout", func(c *Config) { c.Timeout = 0 }, "timeout: got 0s"},
		{"silence", func(c *Config) { c.Silence = -1 }, "silence"},
		{"health", func(c *Config) { c.HealthTimeout = 0 }, "healthTimeout"},
		{"answer", func(c *Config) { c.MaxAnswer = 0 }, "maxAnswer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig("http://127.0.0.1:8000", token)
			c.change(&cfg)
			_, err := New(cfg)
			if c.want == "" {
				if err != nil {
					t.Fatalf("got error %v, want none", err)
				}
				return
			}
			checkError(t, err, decision.KindBadRequest, "", c.want)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q holds a secret", err)
			}
		})
	}
}

func TestNotConfigured(t *testing.T) {
	c := testClient(t, "")
	if c.Configured() {
		t.Error("Configured() = true without a URL")
	}
	_, err := c.Health(t.Context())
	checkError(t, err, decision.KindUnavailable, "", "ML_WORKER_URL is not set")
	_, err = c.Train(t.Context(), header(1), nil, nil)
	checkError(t, err, decision.KindUnavailable, "", "ML_WORKER_URL is not set")
}

// closedURL is an address at which nobody listens.
func closedURL() string {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	return s.URL
}

func TestUnreachable(t *testing.T) {
	url := closedURL()
	c := testClient(t, url)
	_, err := c.Health(t.Context())
	checkError(t, err, decision.KindUnavailable, url, "ML_WORKER_URL cannot be reached")
	_, err = c.Train(t.Context(), header(1000), giveRows(1000), nil)
	checkError(t, err, decision.KindUnavailable, url, "ML_WORKER_URL cannot be reached")
}

func TestHealth(t *testing.T) {
	const good = `{"status":"ok","capabilities":["lightgbm"],"protocol":1,"versions":{"lightgbm":"4.7.0"},"limits":{"maxRows":5,"maxBytes":6}}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"good", 200, good, ""},
		{"loading", 200, strings.Replace(good, `"ok"`, `"loading\u0007"`, 1), `its status is "loading "`},
		{"incapable", 200, strings.Replace(good, `["lightgbm"]`, `[]`, 1), "does not offer lightgbm"},
		{"newer", 200, strings.Replace(good, `"protocol":1`, `"protocol":2`, 1), "speaks protocol 2, want 1"},
		{"not JSON", 200, "<html>", "not its JSON"},
		{"endless", 200, strings.Repeat(" ", 2*maxHealthAnswer) + good, "not its JSON"},
		{"down", 503, good, "status 503"},
		{"moved", 302, good, "status 302"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/health" || r.Header.Get("Authorization") != "" {
					t.Errorf("got %s %s with Authorization %q, want GET /health without", r.Method, r.URL.Path, r.Header.Get("Authorization"))
				}
				if c.status == 302 {
					w.Header().Set("Location", "/elsewhere")
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			got, err := testClient(t, url).Health(t.Context())
			if c.want != "" {
				checkError(t, err, decision.KindUnavailable, url, c.want)
				return
			}
			if err != nil || got.Versions["lightgbm"] != "4.7.0" || got.Limits.MaxRows != 5 || got.Limits.MaxBytes != 6 {
				t.Errorf("Health() = %+v, %v", got, err)
			}
		})
	}
}

func TestHealthIsBoundedInTime(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := testClient(t, url, func(c *Config) { c.HealthTimeout = 50 * time.Millisecond })
	_, err := c.Health(t.Context())
	checkError(t, err, decision.KindUnavailable, url, "did not answer within 50ms")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Health(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Health() of an ended context: %v, want context.Canceled", err)
	}
}
