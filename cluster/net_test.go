package cluster

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// fabric is a network that a test can cut: what is cut neither connects nor
// passes a byte, and nobody is told, as when a cable is pulled.
type fabric struct {
	mu    sync.Mutex
	cut   map[[2]string]bool // from the dialling node to the other
	names map[string]string  // address to node
	conns map[*wireConn]struct{}
}

func newFabric() *fabric {
	return &fabric{cut: make(map[[2]string]bool), names: make(map[string]string), conns: make(map[*wireConn]struct{})}
}

// listen opens a node's transport.
func (f *fabric) listen(t testing.TB, id, address string) Transport {
	t.Helper()
	l, err := ListenTCP(address)
	must(t, err)
	f.mu.Lock()
	f.names[address] = id
	f.mu.Unlock()
	return &wireTransport{Transport: l, fabric: f, id: id}
}

// set cuts or mends both directions between two nodes.
func (f *fabric) set(a, b string, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[[2]string{a, b}], f.cut[[2]string{b, a}] = cut, cut
	if !cut {
		return
	}
	for c := range f.conns {
		if c.from == a && c.to == b || c.from == b && c.to == a {
			c.sever()
		}
	}
}

// isolate cuts or mends a node from all others.
func (f *fabric) isolate(id string, others []Peer, cut bool) {
	for _, p := range others {
		if p.ID != id {
			f.set(id, p.ID, cut)
		}
	}
}

type wireTransport struct {
	Transport
	fabric *fabric
	id     string
}

func (w *wireTransport) Dial(address string, timeout time.Duration) (net.Conn, error) {
	f := w.fabric
	f.mu.Lock()
	to := f.names[address]
	cut := f.cut[[2]string{w.id, to}]
	f.mu.Unlock()
	if cut {
		return nil, errors.New("injected: no route")
	}
	c, err := w.Transport.Dial(address, timeout)
	if err != nil {
		return nil, err
	}
	wc := &wireConn{Conn: c, fabric: f, from: w.id, to: to, dead: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[wc] = struct{}{}
	return wc, nil
}

// wireConn is the dialling end of a connection. Severed, it swallows what is
// written and gives nothing to read until a deadline.
type wireConn struct {
	net.Conn
	fabric   *fabric
	from, to string

	mu      sync.Mutex
	severed bool
	until   time.Time // the read deadline
	dead    chan struct{}
}

func (c *wireConn) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.severed {
		c.severed = true
		c.Conn.SetReadDeadline(time.Now()) // wakes a reader
	}
}

func (c *wireConn) state() (severed bool, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.severed, c.until
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	severed, until := c.state()
	if !severed {
		return n, err
	}
	var timeout <-chan time.Time
	if !until.IsZero() {
		timeout = time.After(time.Until(until))
	}
	select {
	case <-timeout:
		return 0, errors.New("injected: read timed out")
	case <-c.dead:
		return 0, net.ErrClosed
	}
}

func (c *wireConn) Write(b []byte) (int, error) {
	if severed, _ := c.state(); severed {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *wireConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	if c.severed {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *wireConn) Close() error {
	c.fabric.mu.Lock()
	_, open := c.fabric.conns[c]
	delete(c.fabric.conns, c)
	c.fabric.mu.Unlock()
	if open {
		close(c.dead)
	}
	return c.Conn.Close()
}
