// Package client is a Go client of the engine's public HTTP API, version 1.
//
// A Client is safe for concurrent use and keeps its connections. Every method
// takes a context, which bounds the whole call, retries included. What the
// server refuses comes back as *Error.
//
// A call is repeated only where that cannot do anything twice: when the server
// said 503 with Retry-After, or 504 INDETERMINATE, and the call either changes
// nothing (reads and scores) or carries an idempotency key (see
// [IdempotencyKey]). Everything else is the caller's decision.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says which engine to talk to, and as whom.
type Config struct {
	URL string // such as http://127.0.0.1:8080
	Key string // API key or the operator's key
	// Tenant selects the tenant of a call with the operator's key; the server
	// ignores it for a tenant's own key.
	Tenant string
	// MaxRetries bounds how often a call is repeated.
	MaxRetries int
	// MaxRetryWait bounds one wait before a repetition, whatever the server
	// asks for.
	MaxRetryWait time.Duration
	// HTTP makes the requests; nil is a client of its own with kept connections
	// and without redirects.
	HTTP *http.Client
}

// DefaultConfig is the configuration for an engine at url.
func DefaultConfig(url, key string) Config {
	return Config{URL: url, Key: key, MaxRetries: 3, MaxRetryWait: 5 * time.Second}
}

// Client calls one engine.
type Client struct {
	cfg  Config
	base string
	http *http.Client
}

// idleConnections is how many connections are kept open: what a load generator
// uses at once, where the default of net/http is two.
const idleConnections = 512

// New makes a client. It opens no connection.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("client: url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("client: url: got %q, want one like http://127.0.0.1:8080", cfg.URL)
	}
	c := &Client{cfg: cfg, base: u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"), http: cfg.HTTP}
	if c.http == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConns = idleConnections
		transport.MaxIdleConnsPerHost = idleConnections
		c.http = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request in the making.
type call struct {
	method string
	path   string
	query  url.Values
	body   any // nil: none

	safe           bool // changes nothing
	keyed          bool // the body carries idempotency keys
	idempotencyKey string
	minIndex       uint64
	appliedIndex   *uint64
}

// Option is something a single call adds.
type Option func(*call)

// IdempotencyKey makes a write safe to repeat: the same key and body are applied
// once and get the first answer. crypto/rand.Text makes a good key.
func IdempotencyKey(key string) Option { return func(c *call) { c.idempotencyKey = key } }

// MinIndex makes a read wait until the node has applied the log up to index, so
// that it sees the write that returned that index.
func MinIndex(index uint64) Option { return func(c *call) { c.minIndex = index } }

// AppliedIndex stores in dst the log index the answer names: for a write the
// index at which it was applied.
func AppliedIndex(dst *uint64) Option { return func(c *call) { c.appliedIndex = dst } }

// do makes the call and decodes the answer into out, when that is not nil; a
// *[]byte takes it as it is.
func (c *Client) do(ctx context.Context, r call, opts []Option, out any) error {
	for _, opt := range opts {
		opt(&r)
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
		}
	}
	repeatable := r.safe || r.keyed || r.idempotencyKey != ""
	for attempt := 0; ; attempt++ {
		answer, failure, err := c.once(ctx, &r, body)
		if err != nil {
			return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
		}
		if failure == nil {
			return decode(&r, answer, out)
		}
		if !repeatable || attempt >= c.cfg.MaxRetries || !failure.temporary() {
			return failure
		}
		if err := pause(ctx, c.wait(failure, attempt)); err != nil {
			return failure
		}
	}
}

func decode(r *call, answer []byte, out any) error {
	if out == nil || len(answer) == 0 {
		return nil
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = answer
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("client: %s %s: answer: %w", r.method, r.path, err)
	}
	return nil
}

// download makes the call once and copies the answer to w as it comes.
func (c *Client) download(ctx context.Context, r call, opts []Option, w io.Writer) error {
	for _, opt := range opts {
		opt(&r)
	}
	req, err := c.request(ctx, &r, nil)
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
		}
		return readError(&r, resp, answer)
	}
	if r.appliedIndex != nil {
		*r.appliedIndex, _ = strconv.ParseUint(resp.Header.Get("X-Applied-Index"), 10, 64)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// once sends the request. Exactly one of answer, failure and err is set; a
// success without a body has an empty answer.
func (c *Client) once(ctx context.Context, r *call, body []byte) (answer []byte, failure *Error, err error) {
	req, err := c.request(ctx, r, body)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	// Reading to the end is what lets the connection be used again.
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, err
	}
	if len(answer) > maxAnswer {
		return nil, nil, fmt.Errorf("answer of more than %d bytes", maxAnswer)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, readError(r, resp, answer), nil
	}
	if r.appliedIndex != nil {
		*r.appliedIndex, _ = strconv.ParseUint(resp.Header.Get("X-Applied-Index"), 10, 64) // absent is 0
	}
	return answer, nil, nil
}

// maxAnswer bounds an answer in memory: an import's size limit of the server.
const maxAnswer = 64 << 20

func (c *Client) request(ctx context.Context, r *call, body []byte) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	}
	if c.cfg.Tenant != "" {
		req.Header.Set("X-Tenant-Id", c.cfg.Tenant)
	}
	if r.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	if r.minIndex > 0 {
		req.Header.Set("X-Min-Index", strconv.FormatUint(r.minIndex, 10))
	}
	return req, nil
}

// firstBackoff is the wait before the first repetition when the server does not
// say how long; it doubles each time.
const firstBackoff = 100 * time.Millisecond

func (c *Client) wait(failure *Error, attempt int) time.Duration {
	d := failure.RetryAfter
	if d == 0 {
		d = time.Duration(float64(firstBackoff) * math.Exp2(float64(min(attempt, 16))))
	}
	return min(d, c.cfg.MaxRetryWait)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Ready is nil when the node is ready to serve: restored, caught up, and aware
// of a leader.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodGet, path: "/readyz", safe: true}, nil, nil)
}
