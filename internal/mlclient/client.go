package mlclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

const (
	protocol         = 1
	contentType      = "application/x-praetor-train"
	capability       = "lightgbm"
	dialTimeout      = 3 * time.Second
	maxHealthAnswer  = 64 << 10
	maxRefusalAnswer = 64 << 10
)

// Config says which worker to ask and how long to bear with it.
type Config struct {
	URL   string // ML_WORKER_URL, such as http://127.0.0.1:8000; empty: there is no worker
	Token string // ML_WORKER_TOKEN; empty: none is sent

	Timeout       time.Duration // of a whole training
	Silence       time.Duration // longest time in which neither side gets on
	HealthTimeout time.Duration
	MaxAnswer     int64 // bytes of a training's answer, the model's text included
}

// DefaultConfig is the configuration for a worker at url. The worker repeats
// its progress every five seconds and lets a training wait for its turn for
// thirty; two minutes of silence are neither.
func DefaultConfig(url, token string) Config {
	return Config{
		URL:           url,
		Token:         token,
		Timeout:       time.Hour,
		Silence:       2 * time.Minute,
		HealthTimeout: 3 * time.Second,
		MaxAnswer:     256 << 20,
	}
}

// Validate names every problem, without the URL or the token in it.
func (c Config) Validate() error {
	var p decision.Problems
	if c.URL != "" {
		if problem := checkURL(c.URL); problem != "" {
			p.Addf("ML_WORKER_URL", "%s", problem)
		}
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.Addf("ML_WORKER_TOKEN", "want printable ASCII characters without spaces")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"timeout", c.Timeout}, {"silence", c.Silence}, {"healthTimeout", c.HealthTimeout}} {
		if d.value <= 0 {
			p.Addf(d.name, "got %v, want more than 0", d.value)
		}
	}
	if c.MaxAnswer <= 0 {
		p.Addf("maxAnswer", "got %d bytes, want more than 0", c.MaxAnswer)
	}
	return p.Err()
}

// checkURL does not use the error of url.Parse, which holds the URL.
func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return "want a URL like http://127.0.0.1:8000"
	case u.User != nil:
		return "want no user and password in it; ML_WORKER_TOKEN is for that"
	case u.RawQuery != "" || u.Fragment != "":
		return "want no query and no fragment in it"
	}
	return ""
}

// Client asks one worker. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base string
	http *http.Client
}

// New makes a client. It opens no connection; without a URL every call answers
// that there is no worker.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Client{
		cfg:  cfg,
		base: strings.TrimRight(cfg.URL, "/"),
		http: &http.Client{
			Transport: &http.Transport{ // no proxy: the worker is a neighbour
				DialContext:        (&net.Dialer{Timeout: dialTimeout}).DialContext,
				DisableKeepAlives:  true, // the worker answers one request a connection
				DisableCompression: true,
				// See Train: the worker answers 100 at once, or refuses.
				ExpectContinueTimeout: time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Configured tells whether there is a URL to ask.
func (c *Client) Configured() bool { return c.base != "" }

// Health is what a worker says of itself.
type Health struct {
	Status       string            `json:"status"`
	Capabilities []string          `json:"capabilities"`
	Protocol     int               `json:"protocol"`
	Versions     map[string]string `json:"versions"`
	Limits       struct {
		MaxRows  int64 `json:"maxRows"`
		MaxBytes int64 `json:"maxBytes"`
	} `json:"limits"`
}

// Health asks whether the worker is there and able to train. Its error is of
// KindUnavailable, or ctx's own when that has ended.
func (c *Client) Health(ctx context.Context) (Health, error) {
	const op = "mlclient.Health"
	var h Health
	if !c.Configured() {
		return h, notConfigured(op)
	}
	within, cancel := context.WithTimeout(ctx, c.cfg.HealthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(within, http.MethodGet, c.base+"/health", nil)
	if err != nil {
		return h, unavailable(op, "is not a URL that can be asked", withoutURL(err))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return h, c.healthError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthAnswer))
	if err != nil {
		return h, c.healthError(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return h, unavailable(op, fmt.Sprintf("answered its health check with status %d, want 200", resp.StatusCode), nil)
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return h, unavailable(op, "answered its health check with something that is not its JSON", err)
	}
	switch {
	case h.Status != "ok":
		return h, unavailable(op, fmt.Sprintf("says its status is %q, want %q", clean(h.Status), "ok"), nil)
	case !slices.Contains(h.Capabilities, capability):
		return h, unavailable(op, "does not offer "+capability, nil)
	case h.Protocol != protocol:
		return h, unavailable(op, fmt.Sprintf("speaks protocol %d, want %d", h.Protocol, protocol), nil)
	}
	return h, nil
}

func (c *Client) healthError(ctx context.Context, err error) error {
	const op = "mlclient.Health"
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return unavailable(op, fmt.Sprintf("did not answer within %v", c.cfg.HealthTimeout), withoutURL(err))
	}
	return unavailable(op, "cannot be reached", withoutURL(err))
}
