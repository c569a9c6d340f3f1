package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/external"
)

// Client makes outbound calls by the rules of this package. It is safe for
// concurrent use and reuses connections.
type Client struct {
	guard     *guard
	http      *http.Client
	allowHTTP bool
	maxBody   int64
}

// NewClient returns a client; Close it in the end. Its error names every entry of
// the options that is not valid.
func NewClient(o Options) (*Client, error) {
	g, err := o.guard()
	if err != nil {
		return nil, err
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	return &Client{
		guard: g, allowHTTP: o.AllowHTTP, maxBody: o.MaxBody,
		http: &http.Client{
			Transport:     o.transport(g),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes idle connections; those of calls under way close after them.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one call.
type Request struct {
	Method  string
	URL     string
	Header  http.Header
	Body    []byte
	Timeout time.Duration // of the whole call, its answer's body included; must be positive
	// IgnoreBody leaves the answer's body alone: however long it is, at most the bound
	// of it is read, and none kept.
	IgnoreBody bool
}

// Response is what the endpoint answered, redirects and errors included.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK reports whether the call succeeded.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

// The reasons why a call has no answer, in decision.Error.Reason.
const (
	ReasonURL         = "endpoint_url"         // not a URL that may be called
	ReasonAddress     = "endpoint_address"     // its address may not be called
	ReasonTimeout     = "endpoint_timeout"     // no whole answer in time
	ReasonUnreachable = "endpoint_unreachable" // no connection, or one that broke
	ReasonTooLarge    = "endpoint_too_large"   // a body over the bound
	ReasonStatus      = "endpoint_status"      // a status other than 2xx
	ReasonAnswer      = "endpoint_answer"      // a body that cannot be used
	ReasonOpen        = "endpoint_circuit"     // not called, after failures
	ReasonCancelled   = "endpoint_cancelled"   // the caller gave up
)

// failure makes an error with a message that may be shown to a client; the cause
// is for the log.
func failure(reason, msg string, cause error) *decision.Error {
	return &decision.Error{Kind: decision.KindUnavailable, Op: "endpoint.Do", Reason: reason, Msg: msg, Err: cause}
}

// Do makes one call and reads the whole answer. Its error is a decision.Error
// with one of the reasons above.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	u, err := external.ParseURL(r.URL)
	if err == nil {
		err = c.CheckURL(u)
	}
	if err != nil {
		return nil, failure(ReasonURL, "the endpoint's URL may not be called", err)
	}
	call, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(call, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, failure(ReasonURL, "the endpoint's URL may not be called", err)
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, classify(ctx, call, err)
	}
	defer res.Body.Close()
	if r.IgnoreBody {
		_, _ = io.CopyN(io.Discard, res.Body, c.maxBody) // for the connection to be used again
		return &Response{Status: res.StatusCode, Header: res.Header}, nil
	}
	if res.ContentLength > c.maxBody {
		return nil, c.tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBody+1))
	if err != nil {
		return nil, classify(ctx, call, err)
	}
	if int64(len(body)) > c.maxBody {
		return nil, c.tooLarge()
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

func (c *Client) tooLarge() error {
	return failure(ReasonTooLarge, fmt.Sprintf("the endpoint answered more than %d bytes", c.maxBody), nil)
}

// classify tells the caller's own end, the time-out and the refused address from
// the rest.
func classify(ctx, call context.Context, err error) error {
	var timeout net.Error
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return failure(ReasonCancelled, "the call was given up", err)
	case call.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return failure(ReasonTimeout, "the endpoint did not answer in time", err)
	case errors.Is(err, errAddress):
		return failure(ReasonAddress, "the endpoint's address may not be called", err)
	}
	return failure(ReasonUnreachable, "the endpoint could not be reached", err)
}

// What stands for the address of a name before it is resolved.
var (
	anyPublic = netip.AddrFrom4([4]byte{1, 1, 1, 1})
	loopback  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
)

// CheckURL says whether a URL may be called as far as its text tells: its scheme,
// its port, and its host where that is an address or this machine's name. What a
// name resolves to is judged with every connection.
func (c *Client) CheckURL(u *url.URL) error {
	if u.Scheme != "https" && !c.allowHTTP {
		return errors.New("want the scheme https; this server permits no other")
	}
	host := u.Hostname()
	port := uint64(443)
	if u.Scheme == "http" {
		port = 80
	}
	if text := u.Port(); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return errors.New("want a port from 1 to 65535")
		}
	}
	listed := c.guard.lists(host)
	a, err := netip.ParseAddr(host)
	if err != nil {
		a = anyPublic
		if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
			a = loopback
		}
	}
	network := "tcp4"
	if a.Is6() {
		network = "tcp6"
	}
	if c.guard.check(network, netip.AddrPortFrom(a, uint16(port)), listed) != nil {
		return errors.New("want a public host, at port 443 or one from 1024 on, or one that this server lists")
	}
	return nil
}
