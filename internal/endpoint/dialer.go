package endpoint

import (
	"context"
	"errors"
	"net"
)

// Dialer makes connections by the rules of this package, for protocols other than
// HTTP. It is safe for concurrent use.
type Dialer struct {
	guard  *guard
	dialer net.Dialer
	plain  bool
}

// NewDialer returns a dialer. Its error names every entry of the options that is
// not valid.
func NewDialer(o Options) (*Dialer, error) {
	g, err := o.guard()
	if err != nil {
		return nil, err
	}
	return &Dialer{guard: g, dialer: net.Dialer{Timeout: dialTimeout, Resolver: o.Resolver}, plain: o.AllowHTTP}, nil
}

// DialContext connects to a host and port over TCP. Every address that the name has
// is judged between resolving and connecting.
func (d *Dialer) DialContext(ctx context.Context, _, hostPort string) (net.Conn, error) {
	return d.guard.dial(ctx, d.dialer, "tcp", hostPort)
}

// Plain tells whether connections without TLS are permitted.
func (d *Dialer) Plain() bool { return d.plain }

// Refused tells whether an error is the refusal of an address.
func Refused(err error) bool { return errors.Is(err, errAddress) }
