package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/praetor-engine/praetor/internal/client"
)

func TestMain(m *testing.M) {
	// What the HTTP server keeps for the life of a process, or for ten seconds.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// limit bounds every wait of these tests.
const limit = 60 * time.Second

// defaults are the settings of a serve without flags, in a directory of the
// test's own that does not exist yet.
func defaults(t *testing.T) Config {
	t.Helper()
	var line struct{ Config }
	parser, err := kong.New(&line, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	line.Listen, line.Data = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	return line.Config
}

func start(t *testing.T, c Config) *App {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	a, err := Start(ctx, c, zerolog.Nop())
	if err != nil {
		t.Fatalf("Start() = %v", err)
	}
	t.Cleanup(func() { stop(t, a) })
	if err := a.WaitReady(ctx); err != nil {
		t.Fatalf("WaitReady() = %v", err)
	}
	return a
}

func stop(t *testing.T, a *App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func newClient(t *testing.T, url, key, tenant string) *client.Client {
	t.Helper()
	config := client.DefaultConfig(url, key)
	config.Tenant, config.MaxRetries = tenant, 0
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// get returns the status of a GET.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	r, err := (&http.Client{Transport: transport, Timeout: limit}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestServes(t *testing.T) {
	config := defaults(t)
	config.Dev = true
	a := start(t, config)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		if status, body := get(t, a.URL()+path); status != http.StatusOK {
			t.Errorf("GET %s = %d %s, want 200", path, status, body)
		}
	}
	if _, body := get(t, a.URL()+"/metrics"); !strings.Contains(body, "praetor_") || !strings.Contains(body, "go_goroutines") {
		t.Error("/metrics lacks the engine's series, or the process's")
	}
	if status, _ := get(t, a.URL()+"/api/v1/algorithm-models"); status != http.StatusUnauthorized {
		t.Errorf("a request without a key gets %d, want 401", status)
	}
	m, err := newClient(t, a.URL(), a.DevKey, "").CreateModel(t.Context(), client.NewModel{Key: "m", Name: "m", ModelType: "epsilon_greedy"})
	if err != nil {
		t.Fatalf("CreateModel() with the dev key = %v", err)
	}
	first := a.DevKey
	stop(t, a)
	if err := a.Close(t.Context()); err != nil {
		t.Errorf("Close() again = %v", err)
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(a.URL(), "http://"), time.Second); err == nil {
		t.Error("a closed node still listens")
	}
	// The same data again: another key beside the first, which still opens.
	a = start(t, config)
	if a.DevKey == first {
		t.Error("the dev key is the former one, want a fresh one")
	}
	for _, key := range []string{first, a.DevKey} {
		if _, err := newClient(t, a.URL(), key, "").Model(t.Context(), m.ID); err != nil {
			t.Errorf("Model() after a restart = %v", err)
		}
	}
}

// What is refused is refused before the data directory is touched.
func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"port in use":            {func(c *Config) { c.Listen = taken.Addr().String() }, "address already in use"},
		"dev everywhere":         {func(c *Config) { c.Dev, c.Listen = true, "0.0.0.0:0" }, "loopback"},
		"dev on no host":         {func(c *Config) { c.Dev, c.Listen = true, ":0" }, "loopback"},
		"dev on IPv6 everywhere": {func(c *Config) { c.Dev, c.Listen = true, "[::]:0" }, "loopback"},
		"dev insecure":           {func(c *Config) { c.Dev, c.Insecure, c.Listen = true, true, "0.0.0.0:0" }, "loopback"},
		"everywhere without TLS": {func(c *Config) { c.Listen = "0.0.0.0:0" }, "TLS"},
		"no address":             {func(c *Config) { c.Listen = "nowhere" }, "nowhere"},
		"short operator key":     {func(c *Config) { c.OperatorKey = "short" }, "16 characters"},
		"operator key twice":     {func(c *Config) { c.OperatorKey, c.OperatorKeyFile = "0123456789abcdef", file("x") }, "not both"},
		"no operator key file":   {func(c *Config) { c.OperatorKeyFile = "/does/not/exist" }, "operator's key"},
		"short key in the file":  {func(c *Config) { c.OperatorKeyFile = file("short\n") }, "16 characters"},
		"empty key file":         {func(c *Config) { c.OperatorKeyFile = file("\n") }, "operator"},
		"peers":                  {func(c *Config) { c.Peers = []string{"n1"} }, "id=host:port"},
		"certificate":            {func(c *Config) { c.TLSCert, c.TLSKey = "/does/not/exist", "/does/not/exist" }, "exist"},
		"limits":                 {func(c *Config) { c.MaxHistoryRows = 0 }, "MaxHistoryRows"},
		"trailing entries":       {func(c *Config) { c.TrailingEntries = 1 }, "trailing"},
		"rate limit":             {func(c *Config) { c.RateLimits = map[string]string{"score": "many"} }, "5000/10s"},
		"rate limit's class":     {func(c *Config) { c.RateLimits = map[string]string{"all": "1/1s"} }, "class"},
		"ML worker":              {func(c *Config) { c.MLWorkerURL = "ftp://x" }, "ML_WORKER_URL"},
		"node id":                {func(c *Config) { c.NodeID = "a/b" }, "node_id"},
	} {
		config := defaults(t)
		c.change(&config)
		a, err := Start(t.Context(), config, zerolog.Nop())
		if err == nil {
			stop(t, a)
			t.Errorf("%s: the node started", name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Start() = %v, want %q", name, err, c.want)
		}
		if _, err := os.Stat(config.Data); !os.IsNotExist(err) {
			t.Errorf("%s: the data directory was made", name)
		}
	}
}

func TestOperatorKeyFile(t *testing.T) {
	config := defaults(t)
	const key = "an-operator-key-in-a-file"
	config.OperatorKeyFile = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(config.OperatorKeyFile, []byte("  "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, config)
	if _, err := newClient(t, a.URL(), key, "").CreateTenant(t.Context(), "acme", "Acme"); err != nil {
		t.Errorf("CreateTenant() with the operator's key = %v", err)
	}
	if _, err := newClient(t, a.URL(), "operator", "").CreateTenant(t.Context(), "evil", "Evil"); err == nil {
		t.Error("CreateTenant() with another key succeeded")
	}
	if a.DevKey != "" {
		t.Error("a node without --dev has a dev key")
	}
}

// A second node on the same data, or on the same port, is refused, and the first
// one does not notice.
func TestASecondNode(t *testing.T) {
	config := defaults(t)
	config.Dev = true
	a := start(t, config)
	c := newClient(t, a.URL(), a.DevKey, "")
	record := func() {
		t.Helper()
		if _, err := c.Respond(t.Context(), client.Outcome{CustomerID: "c", Outcome: "click"}); err != nil {
			t.Fatalf("Respond() = %v", err)
		}
	}
	record()
	second := config
	if b, err := Start(t.Context(), second, zerolog.Nop()); err == nil {
		stop(t, b)
		t.Fatal("a second node on the same data started")
	}
	second.Data = filepath.Join(t.TempDir(), "other")
	second.Listen = strings.TrimPrefix(a.URL(), "http://")
	if b, err := Start(t.Context(), second, zerolog.Nop()); err == nil {
		stop(t, b)
		t.Fatal("a second node on the same port started")
	}
	record()
	stop(t, a)
	a = start(t, config)
	if got := a.Engine().Stats().Interactions; got != 2 {
		t.Errorf("%d interactions, want 2", got)
	}
}

func TestWait(t *testing.T) {
	config := defaults(t)
	a := start(t, config)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Wait(ctx) }()
	select {
	case err := <-ended:
		t.Fatalf("Wait() = %v while the node serves", err)
	default:
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Wait() = %v after its context ended, want nil", err)
	}
}
