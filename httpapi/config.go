package httpapi

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config says how the server listens and what it permits.
type Config struct {
	Addr string // host:port of the API
	// AdminAddr is host:port of the profiler, which must be on loopback; empty
	// is off.
	AdminAddr string
	// CertFile and KeyFile are PEM files; both or neither. Without them the
	// server refuses to listen on anything but loopback unless Insecure is set.
	CertFile, KeyFile string
	Insecure          bool

	ReadTimeout  time.Duration // for a whole request, headers and body
	WriteTimeout time.Duration // for a whole answer; a streamed one: for each line
	IdleTimeout  time.Duration // between the requests of a connection

	MaxConns       int // open connections
	MaxConnsPerIP  int
	MaxHeaderBytes int
	MaxBody        int // bytes of a request body, where the route has no bound of its own
	MaxLine        int // bytes of one line of NDJSON
	// MaxEventStreams bounds the streams of events that are open, of all tenants; one
	// tenant may have a quarter of them.
	MaxEventStreams int

	// MinIndexWait is how long a read waits for its X-Min-Index.
	MinIndexWait time.Duration
	// RateLimits bounds the requests of one tenant by class (see Classes); a
	// class that is not in it is not limited.
	RateLimits map[Class]RateLimit
}

// DefaultConfig returns the defaults: loopback, no rate limits.
func DefaultConfig() Config {
	return Config{
		Addr:           "127.0.0.1:8080",
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   30 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxConns:       4096,
		MaxConnsPerIP:  1024,
		MaxHeaderBytes: 16 << 10,
		MaxBody:        1 << 20,
		MaxLine:        1 << 20,
		MinIndexWait:   5 * time.Second,

		MaxEventStreams: 256,
	}
}

// Validate names everything that is wrong with the configuration.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		bad("address %q: want host:port: %w", c.Addr, err)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		bad("TLS needs both a certificate and a key file, got %q and %q", c.CertFile, c.KeyFile)
	}
	if c.CertFile == "" && !c.Insecure && !loopback(c.Addr) {
		bad("address %q is not loopback: set a TLS certificate and key, or allow insecure listening", c.Addr)
	}
	if c.AdminAddr != "" && !loopback(c.AdminAddr) {
		bad("admin address %q is not loopback", c.AdminAddr)
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"read time-out", c.ReadTimeout}, {"write time-out", c.WriteTimeout}, {"idle time-out", c.IdleTimeout}, {"min-index wait", c.MinIndexWait}} {
		if d.v <= 0 {
			bad("%s: want more than 0, got %v", d.name, d.v)
		}
	}
	for _, n := range []struct {
		name  string
		v     int
		least int
	}{
		{"connections", c.MaxConns, 1}, {"connections per IP", c.MaxConnsPerIP, 1}, {"header bytes", c.MaxHeaderBytes, 1024},
		{"body bytes", c.MaxBody, 1024}, {"line bytes", c.MaxLine, 1024}, {"event streams", c.MaxEventStreams, 1},
	} {
		if n.v < n.least {
			bad("limit of %s: want at least %d, got %d", n.name, n.least, n.v)
		}
	}
	for class, l := range c.RateLimits {
		if err := l.validate(); err != nil || !class.valid() {
			bad("rate limit of class %q: want a class of %v with %v", class, Classes, err)
		}
	}
	return errors.Join(errs...)
}

// loopback reports whether the host of addr can only be reached from this
// machine.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
