package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Options are the server's configuration of outbound calls. The zero value
// permits https to public addresses.
type Options struct {
	// AllowHTTP permits calls without TLS.
	AllowHTTP bool
	// Allow lists what may be called although it is not public: prefixes such as
	// 10.1.0.0/16 and addresses, which permit whatever they contain, and host
	// names, which may be in a private network or on this machine.
	Allow []string
	// Own are the addresses that the engine listens on. They are never called. An
	// unspecified address stands for all of this machine's.
	Own []netip.AddrPort
	// RootCAs judge the endpoints' certificates; nil takes the system's.
	RootCAs *x509.CertPool
	// MaxBody bounds an answer's body in bytes; 0 is DefaultMaxBody.
	MaxBody int64
	// Resolver resolves names; nil is the system's.
	Resolver *net.Resolver
}

// DefaultMaxBody bounds an answer's body.
const DefaultMaxBody = 1 << 20

const (
	maxHeaderBytes   = 16 << 10
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	idleTimeout      = 90 * time.Second
	maxConnsPerHost  = 64
	maxIdlePerHost   = 16
	maxIdle          = 256
)

// guard compiles the rules; its error names every entry at fault under "allow".
func (o *Options) guard() (*guard, error) {
	var p decision.Problems
	g := &guard{hosts: make(map[string]bool), local: net.InterfaceAddrs}
	for i, text := range o.Allow {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			g.prefixes = append(g.prefixes, prefix.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			a = a.Unmap()
			g.prefixes = append(g.prefixes, netip.PrefixFrom(a, a.BitLen()))
		} else if text == "" || strings.ContainsAny(text, "/:*@ %") {
			p.Addf(fmt.Sprintf("allow[%d]", i), "got %q, want a prefix such as 10.1.0.0/16, an address or a host name", text)
		} else {
			g.hosts[strings.ToLower(strings.TrimSuffix(text, "."))] = true
		}
	}
	g.own = append(g.own, o.Own...)
	return g, p.Err()
}

// NewTransport returns an HTTP transport that connects by the rules of this
// package. It bounds headers, not bodies or time: Client does.
func NewTransport(o Options) (*http.Transport, error) {
	g, err := o.guard()
	if err != nil {
		return nil, err
	}
	return o.transport(g), nil
}

func (o *Options) transport(g *guard) *http.Transport {
	dialer := net.Dialer{Timeout: dialTimeout, Resolver: o.Resolver}
	t := &http.Transport{
		Proxy:                  nil, // the environment's would be called in place of the address that was checked
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a bound on the body is one on what is decompressed too
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxConnsPerHost:        maxConnsPerHost,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxIdleConns:           maxIdle,
		IdleConnTimeout:        idleTimeout,
	}
	t.DialContext = func(ctx context.Context, network, hostPort string) (net.Conn, error) {
		return g.dial(ctx, dialer, network, hostPort)
	}
	return t
}
