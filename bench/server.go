package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/bench/nodes"
	"github.com/praetor-engine/praetor/internal/app"
	"github.com/praetor-engine/praetor/internal/client"
)

// The commands that the running program must have for its children.
const (
	EngineCommand = "engine"
	BareCommand   = "bare"
)

// hello is what a child tells when it serves.
type hello struct {
	URL string `json:"url"`
	Key string `json:"key,omitempty"`
}

// ServeEngine is a child's part: a node that serves until in ends.
func ServeEngine(ctx context.Context, config app.Config, in io.Reader, out io.Writer) error {
	level, err := zerolog.ParseLevel(config.LogLevel)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	ctx, cancel := untilEOF(ctx, in)
	defer cancel()
	a, err := app.Start(ctx, config, zerolog.New(os.Stderr).Level(level).With().Timestamp().Logger())
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(hello{URL: a.URL(), Key: a.DevKey}); err != nil {
		return errors.Join(err, a.Close(ctx))
	}
	failure := a.Wait(ctx)
	closing, cancelClosing := context.WithTimeout(context.Background(), config.ShutdownTimeout)
	defer cancelClosing()
	return errors.Join(failure, a.Close(closing))
}

// Engine is a node in a process of its own, with the demo tenant's key.
type Engine struct {
	*nodes.Process
	*client.Client
	Addr, Key, Data string
	admin           string // address of the profiler, unless empty
}

// StartEngine starts a node with the flags, on a free port, and waits until it
// is ready. Key is the one to use, empty for the one that the node makes.
func (o *Options) StartEngine(ctx context.Context, data, key string, flags ...string) (*Engine, error) {
	e := &Engine{Data: data, Key: key}
	command := append([]string{o.Self, EngineCommand, "--dev", "--listen=127.0.0.1:0", "--log-level=error", "--data=" + data}, flags...)
	if o.Profile != "" {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		e.admin = addr
		command = append(command, "--admin-listen="+addr)
	}
	var h hello
	p, err := startProcess(ctx, command, nil, &h)
	if err != nil {
		return nil, err
	}
	e.Process, e.Addr = p, strings.TrimPrefix(h.URL, "http://")
	if e.Key == "" {
		e.Key = h.Key
	}
	if e.Client, err = client.New(client.DefaultConfig(h.URL, e.Key)); err == nil {
		err = e.awaitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, e.Kill())
	}
	return e, nil
}

// readyInterval is how often a node is asked whether it is ready.
const readyInterval = 10 * time.Millisecond

func (e *Engine) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := e.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(readyInterval):
		case <-ctx.Done():
			return fmt.Errorf("bench: the node is not ready: %w", err)
		}
	}
}

// freeAddr returns an address on loopback that nobody listens on.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// Metric returns the value of a series without labels from the node's /metrics.
func (e *Engine) Metric(ctx context.Context, name string) (float64, error) {
	body, err := fetch(ctx, "http://"+e.Addr+"/metrics")
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	for s := bufio.NewScanner(body); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("bench: the node has no metric %s", name)
}

// Recorded returns how many interactions the node has for the key's tenant.
func (e *Engine) Recorded(ctx context.Context) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Addr+"/api/v1/interaction-history?limit=1", nil)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+e.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	var page struct {
		Pagination struct {
			Total *int64 `json:"total"`
		} `json:"pagination"`
	}
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
		return 0, fmt.Errorf("bench: interaction-history: %w", err)
	}
	if res.StatusCode != http.StatusOK || page.Pagination.Total == nil {
		return 0, fmt.Errorf("bench: interaction-history: got status %d, want 200 with a total", res.StatusCode)
	}
	return *page.Pagination.Total, nil
}

func fetch(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("bench: %s: got status %d, want 200", url, res.StatusCode)
	}
	return res.Body, nil
}

// saveProfile writes one of the node's profiles to a file of the profile
// directory.
func (o *Options) saveProfile(ctx context.Context, e *Engine, profile, name string, query url.Values) (err error) {
	body, err := fetch(ctx, "http://"+e.admin+"/debug/pprof/"+profile+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := os.MkdirAll(o.Profile, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	f, err := os.Create(filepath.Join(o.Profile, name+"."+profile+".pprof"))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, body)
	return err
}

// BareAnswer is the constant that a bare server gives for everything.
type BareAnswer struct {
	Server      string `json:"server"`
	ContentType string `json:"contentType"`
	RequestID   string `json:"requestId"`
	// AppliedIndex is of an answer to a write; empty: none.
	AppliedIndex string `json:"appliedIndex,omitempty"`
	Body         string `json:"body"`
}

// ServeBare is a child's part: fasthttp and nothing else, with the answer that
// in begins with, until in ends.
func ServeBare(ctx context.Context, in io.Reader, out io.Writer) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("bench: the constant answer: %w", err)
	}
	var a BareAnswer
	if err := json.Unmarshal(line, &a); err != nil {
		return fmt.Errorf("bench: the constant answer: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	ctx, cancel := untilEOF(ctx, r)
	defer cancel()
	server := bareServer(&a)
	if err := json.NewEncoder(out).Encode(hello{URL: "http://" + ln.Addr().String()}); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = server.Shutdown() })
	return server.Serve(ln)
}

func bareServer(a *BareAnswer) *fasthttp.Server {
	name, contentType, id, body := []byte("X-Request-Id"), a.ContentType, []byte(a.RequestID), []byte(a.Body)
	indexName, index := []byte("X-Applied-Index"), []byte(a.AppliedIndex)
	return &fasthttp.Server{
		Name: a.Server, NoDefaultContentType: true, CloseOnShutdown: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Response.Header.SetContentType(contentType)
			ctx.Response.Header.SetCanonical(name, id)
			if len(index) > 0 {
				ctx.Response.Header.SetCanonical(indexName, index)
			}
			ctx.Response.SetBody(body)
		},
	}
}

// startBare starts a bare server.
func (o *Options) startBare(ctx context.Context, a *BareAnswer) (*nodes.Process, string, error) {
	var h hello
	p, err := startProcess(ctx, []string{o.Self, BareCommand}, a, &h)
	return p, strings.TrimPrefix(h.URL, "http://"), err
}
