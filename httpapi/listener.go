package httpapi

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// limitListener bounds the open connections, all together and per remote
// address (an IPv6 /64 counts as one: that is what one host is given). What is
// beyond a bound gets one answer and is closed.
type limitListener struct {
	net.Listener
	most, mostPerIP int
	plain           bool // no TLS below, so a refusal can be told
	metrics         *metrics

	mu    sync.Mutex
	open  int
	perIP map[netip.Addr]int
}

func newLimitListener(ln net.Listener, cfg *Config, plain bool, m *metrics) *limitListener {
	return &limitListener{
		Listener: ln, most: cfg.MaxConns, mostPerIP: cfg.MaxConnsPerIP, plain: plain, metrics: m,
		perIP: make(map[netip.Addr]int),
	}
}

// Accept returns the next connection within the bounds.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		ip := hostOf(c.RemoteAddr())
		switch l.admit(ip) {
		case "":
			return &limitConn{Conn: c, listener: l, ip: ip}, nil
		case rejectConns:
			l.refuse(c, rejectConns, decision.KindUnavailable, fmt.Sprintf("%d connections are open, the most this node takes", l.most))
		default:
			l.refuse(c, rejectPerIP, decision.KindRateLimited, fmt.Sprintf("%d connections are open from this address, the most one may have", l.mostPerIP))
		}
	}
}

// admit counts a connection in and returns "", or the bound that it breaks.
func (l *limitListener) admit(ip netip.Addr) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open >= l.most:
		return rejectConns
	case ip.IsValid() && l.perIP[ip] >= l.mostPerIP:
		return rejectPerIP
	}
	l.open++
	if ip.IsValid() {
		l.perIP[ip]++
	}
	return ""
}

func (l *limitListener) release(ip netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if n := l.perIP[ip]; n > 1 {
		l.perIP[ip] = n - 1
	} else {
		delete(l.perIP, ip)
	}
}

// refuse answers without having read anything; the write goes into an empty
// socket buffer and cannot block the accept loop for long.
func (l *limitListener) refuse(c net.Conn, reason string, kind decision.Kind, msg string) {
	l.metrics.reject(reason)
	if l.plain {
		body := appendError(nil, &decision.Error{Kind: kind, Msg: msg}, requestIDs.next(), "")
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d Refused\r\nServer: %s\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			answerOf(kind).status, serverName, len(body), body)
	}
	_ = c.Close()
}

// hostOf returns the address that counts as one host.
func hostOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, ok := netip.AddrFromSlice(t.IP)
	if !ok {
		return netip.Addr{}
	}
	ip = ip.Unmap()
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// limitConn gives its place back when it is closed, and keeps deadlines lazily.
type limitConn struct {
	net.Conn
	listener *limitListener
	ip       netip.Addr
	once     sync.Once

	read, write deadline
}

// Close closes the connection.
func (c *limitConn) Close() error {
	c.once.Do(func() { c.listener.release(c.ip) })
	return c.Conn.Close()
}

// deadline is a deadline that was asked for and the one that the connection has.
// The server asks for three with every request, and most are replaced before
// anything could wait for them; setting one costs a timer. So one is set only
// when the connection is about to read or write, and when it is off by more
// than deadlineSlack. One goroutine at a time reads a connection, or writes it,
// and sets the deadline of what it is about to do.
type deadline struct{ asked, set time.Time }

// deadlineSlack is how much early a deadline may end a read or a write: little
// beside the shortest time-out that makes sense over a network.
const deadlineSlack = 100 * time.Millisecond

// due reports whether the connection's deadline must be set before it is used.
func (d *deadline) due() bool {
	if d.asked.IsZero() || d.set.IsZero() {
		return d.asked != d.set
	}
	off := d.asked.Sub(d.set)
	return off < 0 || off > deadlineSlack
}

// SetReadDeadline keeps the deadline for the next Read.
func (c *limitConn) SetReadDeadline(t time.Time) error { c.read.asked = t; return nil }

// SetWriteDeadline keeps the deadline for the next Write.
func (c *limitConn) SetWriteDeadline(t time.Time) error { c.write.asked = t; return nil }

// SetDeadline keeps both.
func (c *limitConn) SetDeadline(t time.Time) error {
	c.read.asked, c.write.asked = t, t
	return nil
}

// Read reads before the deadline.
func (c *limitConn) Read(p []byte) (int, error) {
	if c.read.due() {
		if err := c.Conn.SetReadDeadline(c.read.asked); err != nil {
			return 0, err
		}
		c.read.set = c.read.asked
	}
	return c.Conn.Read(p)
}

// Write writes before the deadline.
func (c *limitConn) Write(p []byte) (int, error) {
	if c.write.due() {
		if err := c.Conn.SetWriteDeadline(c.write.asked); err != nil {
			return 0, err
		}
		c.write.set = c.write.asked
	}
	return c.Conn.Write(p)
}
