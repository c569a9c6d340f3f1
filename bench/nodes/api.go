package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Request is one request to a node.
type Request struct {
	Method, Path   string
	Key, Tenant    string // Key empty: the operator's
	IdempotencyKey string
	Body           any // nil: none
}

// Answer is what a node answered. A status that is not 2xx has the fields of the
// error envelope.
type Answer struct {
	Status       int
	Body         []byte
	AppliedIndex uint64
	Stale        bool
	RetryAfter   string

	Code, Reason, Message string
}

// OK says whether the request was carried out.
func (a *Answer) OK() bool { return a.Status/100 == 2 }

// String names the answer in one line.
func (a *Answer) String() string {
	return fmt.Sprintf("%d %s %s: %.200s", a.Status, a.Code, a.Reason, a.Message)
}

// Decode reads the body of an answer that is OK.
func (a *Answer) Decode(v any) error {
	if !a.OK() {
		return fmt.Errorf("nodes: got %s, want 2xx", a)
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("nodes: answer: %w", err)
	}
	return nil
}

// maxIdle is how many connections to a node are kept.
const maxIdle = 512

// transport has no proxy and keeps many connections; nothing of it is global but
// its pool.
var transport = &http.Transport{
	DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	MaxIdleConnsPerHost: maxIdle,
	IdleConnTimeout:     5 * time.Second,
	DisableCompression:  true,
}

var caller = &http.Client{Transport: transport}

// Do sends the request to the node. NotSent tells whether an error came before
// anything was sent.
func (n *Node) Do(ctx context.Context, r Request) (Answer, error) {
	var body io.Reader
	if r.Body != nil {
		b, err := json.Marshal(r.Body)
		if err != nil {
			return Answer{}, fmt.Errorf("nodes: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://"+n.Addr+r.Path, body)
	if err != nil {
		return Answer{}, fmt.Errorf("nodes: %w", err)
	}
	h := req.Header
	if r.Key == "" {
		r.Key = OperatorKey
	}
	h.Set("Authorization", "Bearer "+r.Key)
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if r.Tenant != "" {
		h.Set("X-Tenant-Id", r.Tenant)
	}
	if r.IdempotencyKey != "" {
		h.Set("Idempotency-Key", r.IdempotencyKey)
	}
	res, err := caller.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("nodes: %s: %w", n.ID(), err)
	}
	defer func() { _ = res.Body.Close() }()
	a := Answer{Status: res.StatusCode, Stale: res.Header.Get("X-Stale") == "true", RetryAfter: res.Header.Get("Retry-After")}
	a.AppliedIndex, _ = strconv.ParseUint(res.Header.Get("X-Applied-Index"), 10, 64) // absent is 0
	if a.Body, err = io.ReadAll(res.Body); err != nil {
		return Answer{}, fmt.Errorf("nodes: %s: answer: %w", n.ID(), err)
	}
	if !a.OK() {
		a.readError()
	}
	return a, nil
}

func (a *Answer) readError() {
	var envelope struct {
		Error struct{ Code, Reason, Message string }
	}
	if json.Unmarshal(a.Body, &envelope) == nil {
		a.Code, a.Reason, a.Message = envelope.Error.Code, envelope.Error.Reason, envelope.Error.Message
	}
}

// NotSent says that a request failed before any of it was sent: nobody listened.
func NotSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// probeTimeout bounds the questions about a node's state.
const probeTimeout = time.Second

// Ready returns nil when the node is ready.
func (n *Node) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a, err := n.Do(ctx, Request{Method: http.MethodGet, Path: "/readyz"})
	if err == nil && !a.OK() {
		err = fmt.Errorf("nodes: %s: %s", n.ID(), &a)
	}
	return err
}

// Status is a node's view of its cluster.
type Status struct {
	Leader       string `json:"leader"`
	Term         uint64 `json:"term"`
	AppliedIndex uint64 `json:"appliedIndex"`
}

// Status asks the node for its view of the cluster.
func (n *Node) Status(ctx context.Context) (s Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a, err := n.Do(ctx, Request{Method: http.MethodGet, Path: "/api/v1/cluster"})
	if err == nil {
		err = a.Decode(&s)
	}
	return s, err
}

// CreateTenant makes a tenant with an admin's key, which it returns.
func (n *Node) CreateTenant(ctx context.Context, id string) (key string, err error) {
	a, err := n.Do(ctx, Request{Method: http.MethodPost, Path: "/api/v1/tenants", Body: map[string]string{"id": id, "name": id}})
	if err != nil {
		return "", err
	}
	if !a.OK() && a.Status != http.StatusConflict {
		return "", fmt.Errorf("nodes: create tenant %s: %s", id, &a)
	}
	a, err = n.Do(ctx, Request{
		Method: http.MethodPost, Path: "/api/v1/api-keys", Tenant: id,
		Body: map[string]string{"name": "admin-" + strconv.FormatInt(time.Now().UnixNano(), 36), "role": "admin"},
	})
	if err != nil {
		return "", err
	}
	var k struct{ Key string }
	err = a.Decode(&k)
	return k.Key, err
}
