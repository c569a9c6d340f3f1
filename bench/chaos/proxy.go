package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy stands between the node ports of a cluster. Every node is told the
// proxy's addresses for the others, so all their traffic passes here and can be
// held, slowed, or cut off, each direction of each pair by itself. It needs no
// privileges.
type Proxy struct {
	// caller tells which node a connection comes from; empty: none of them, and
	// the connection is refused.
	caller func(from net.Addr) string

	mu        sync.Mutex
	links     map[[2]string]*link
	conns     map[*pipe]struct{}
	listeners []net.Listener
	closed    bool
	work      sync.WaitGroup
}

// NewProxy returns a proxy without listeners.
func NewProxy(caller func(from net.Addr) string) *Proxy {
	return &Proxy{caller: caller, links: map[[2]string]*link{}, conns: map[*pipe]struct{}{}}
}

// Listen opens an address for the node with this id, which listens on target.
func (p *Proxy) Listen(id, target string) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("chaos: %w", err)
	}
	p.mu.Lock()
	p.listeners = append(p.listeners, ln)
	p.mu.Unlock()
	p.work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(c, id, target) })
		}
	})
	return ln.Addr().String(), nil
}

// link returns the link from one node to another.
func (p *Proxy) link(from, to string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]string{from, to}
	l := p.links[key]
	if l == nil {
		l = &link{}
		p.links[key] = l
	}
	return l
}

// pipe is one connection through the proxy: two ends and who they are.
type pipe struct {
	from, to string
	near     net.Conn // of the node that dialled
	ended    chan struct{}

	mu     sync.Mutex
	far    net.Conn // nil until the other is reached
	closed bool
}

// reached notes the connection to the other node; false: the pipe has ended.
func (c *pipe) reached(far net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = far.Close()
		return false
	}
	c.far = far
	return true
}

// end closes both ends; with reset the nodes see a connection reset.
func (c *pipe) end(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	close(c.ended)
	for _, conn := range []net.Conn{c.near, c.far} {
		if conn == nil {
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

func (p *Proxy) serve(near net.Conn, to, target string) {
	c := &pipe{from: p.caller(near.RemoteAddr()), to: to, near: near, ended: make(chan struct{})}
	if c.from == "" || !p.enter(c) {
		_ = near.Close()
		return
	}
	defer p.leave(c)
	there, back := p.link(c.from, to), p.link(to, c.from)
	// A connection over a cut link is made when the link is mended, as a
	// handshake that is sent again until it gets through.
	if !there.pass(0, c.ended) || !back.pass(0, c.ended) {
		return
	}
	far, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		c.end(true)
		return
	}
	if !c.reached(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { c.pump(far, near, there) })
	both.Go(func() { c.pump(near, far, back) })
	both.Wait()
}

const dialTimeout = 2 * time.Second

// pieceBytes is how much goes over a link at a time.
const pieceBytes = 64 << 10

func (c *pipe) pump(dst io.Writer, src io.Reader, l *link) {
	defer c.end(false)
	buf := make([]byte, pieceBytes)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if !l.pass(n, c.ended) {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) enter(c *pipe) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) leave(c *pipe) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	c.end(false)
}

// Cut holds everything that from sends to to.
func (p *Proxy) Cut(from, to string) { p.link(from, to).setCut(true) }

// Slow delays everything that from sends to to, and bounds its rate; perSec 0:
// no bound.
func (p *Proxy) Slow(from, to string, delay time.Duration, perSec int) {
	p.link(from, to).setSpeed(delay, perSec)
}

// Reset ends the connections between two nodes with a reset.
func (p *Proxy) Reset(a, b string) {
	p.mu.Lock()
	var list []*pipe
	for c := range p.conns {
		if c.from == a && c.to == b || c.from == b && c.to == a {
			list = append(list, c)
		}
	}
	p.mu.Unlock()
	for _, c := range list {
		c.end(true)
	}
}

// Heal mends every link. What waited arrives now.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.setCut(false)
		l.setSpeed(0, 0)
	}
}

// Close ends all connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	var errs []error
	for _, ln := range p.listeners {
		errs = append(errs, ln.Close())
	}
	list := make([]*pipe, 0, len(p.conns))
	for c := range p.conns {
		list = append(list, c)
	}
	p.mu.Unlock()
	for _, c := range list {
		c.end(true)
	}
	p.work.Wait()
	return errors.Join(errs...)
}
