package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Bounds of the node port.
const (
	// handshakeTimeout bounds everything before a connection is known.
	handshakeTimeout = 3 * time.Second
	// maxStrangers are the connections in the handshake; one more ends the
	// oldest of them, so that idle strangers keep nobody out.
	maxStrangers = 64
	// maxConns are the connections after it; a peer needs about six.
	maxConns = 512
)

// port is the node port: one listener for Raft's streams and the node protocol,
// and the dialler of both. See handshake.go for how connections begin.
type port struct {
	layer     Transport
	advertise string // empty: the listener's own address
	self      *self
	tls       *tlsSource // nil: plain
	log       zerolog.Logger
	verdict   func(id string, i incarnation) refusal
	unwanted  func(*RefusedError)           // told when a peer does not want this node any more
	serve     func(c net.Conn, peer string) // the node protocol
	muted     atomic.Bool                   // no new connections to others

	raft chan net.Conn
	stop chan struct{}
	work sync.WaitGroup

	mu        sync.Mutex
	strangers []net.Conn // in the handshake, the oldest first
	conns     map[net.Conn]struct{}
	closed    bool
}

// self is what this node says about itself in a handshake.
type self struct {
	id          string
	incarnation incarnation
	cluster     atomic.Pointer[clusterID]
}

func (s *self) clusterID() clusterID {
	if p := s.cluster.Load(); p != nil {
		return *p
	}
	return clusterID{}
}

func newPort(layer Transport, advertise string, who *self, source *tlsSource, log zerolog.Logger) *port {
	return &port{
		layer: layer, advertise: advertise, self: who, tls: source, log: log,
		verdict:  func(string, incarnation) refusal { return welcome },
		unwanted: func(*RefusedError) {},
		serve:    func(c net.Conn, _ string) { c.Close() },
		raft:     make(chan net.Conn),
		stop:     make(chan struct{}),
		conns:    make(map[net.Conn]struct{}),
	}
}

// start accepts connections until Close. The functions of the port must be set.
func (p *port) start() { p.work.Go(p.accept) }

// acceptPause is how long a failing listener, such as one out of file
// descriptors, is left alone.
const acceptPause = 50 * time.Millisecond

func (p *port) accept() {
	for {
		c, err := p.layer.Accept()
		if err != nil {
			select {
			case <-p.stop:
				return
			case <-time.After(acceptPause):
				p.log.Warn().Err(err).Msg("node port: accept")
				continue
			}
		}
		if p.admitStranger(c) {
			p.work.Go(func() { p.receive(c) })
		}
	}
}

func (p *port) admitStranger(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.conns) >= maxConns {
		c.Close()
		return false
	}
	if len(p.strangers) >= maxStrangers {
		p.strangers[0].Close()
		p.strangers = slices.Delete(p.strangers, 0, 1)
	}
	p.strangers = append(p.strangers, c)
	return true
}

// settle turns a stranger into a known connection, or forgets it.
func (p *port) settle(c net.Conn, known bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.strangers, c); i >= 0 {
		p.strangers = slices.Delete(p.strangers, i, i+1)
	} else {
		known = false // it was pushed out
	}
	if known && !p.closed && len(p.conns) < maxConns {
		p.conns[c] = struct{}{}
		return true
	}
	c.Close()
	return false
}

func (p *port) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// receive handles a connection from its first byte on.
func (p *port) receive(raw net.Conn) {
	c, h, err := p.greet(raw)
	if !p.settle(raw, err == nil) {
		if err != nil {
			p.log.Debug().Err(err).Stringer("from", raw.RemoteAddr()).Msg("node port: connection refused")
		}
		return
	}
	known := &knownConn{Conn: c, raw: raw, port: p}
	if h.kind == connNode {
		p.serve(known, h.from)
		known.Close()
		return
	}
	select {
	case p.raft <- known:
	case <-p.stop:
		known.Close()
	}
}

// greet reads the hello of a stranger and answers it.
func (p *port) greet(c net.Conn) (net.Conn, hello, error) {
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, hello{}, err
	}
	var secured *tls.Conn
	if p.tls != nil {
		secured = tls.Server(c, p.tls.config(x509.ExtKeyUsageClientAuth))
		if err := secured.Handshake(); err != nil {
			return nil, hello{}, fmt.Errorf("TLS: %w", err)
		}
		c = secured
	}
	h, version, err := readHello(c)
	if err != nil {
		return nil, h, err
	}
	why := p.judge(h, version, secured)
	if err := p.send(c, byte(why), h.from); err != nil {
		return nil, h, err
	}
	if why != welcome {
		return nil, h, fmt.Errorf("node %q: %s", h.from, why)
	}
	return c, h, c.SetDeadline(time.Time{})
}

func (p *port) judge(h hello, version byte, secured *tls.Conn) refusal {
	mine := p.self.clusterID()
	switch {
	case version != helloVersion:
		return wrongVersion
	case h.kind != connRaft && h.kind != connNode:
		return wrongKind
	case h.to != "" && h.to != p.self.id, h.from == p.self.id, h.from == "":
		return wrongNode
	case mine.known() && h.cluster.known() && mine != h.cluster:
		return wrongCluster
	case secured != nil && !namesNode(secured.ConnectionState(), h.from):
		return wrongCert
	}
	return p.verdict(h.from, h.incarnation)
}

func (p *port) send(c net.Conn, kind byte, to string) error {
	h := hello{kind: kind, cluster: p.self.clusterID(), incarnation: p.self.incarnation, from: p.self.id, to: to}
	if _, err := c.Write(h.encode()); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// dial connects to a node; an empty id takes whoever answers. What it returns
// has passed the handshake on both sides.
func (p *port) dial(kind byte, id, address string, timeout time.Duration) (net.Conn, hello, error) {
	if p.muted.Load() {
		return nil, hello{}, errMuted
	}
	timeout = min(timeout, handshakeTimeout)
	select {
	case <-p.stop:
		return nil, hello{}, net.ErrClosed
	default:
	}
	c, err := p.layer.Dial(address, timeout)
	if err != nil {
		return nil, hello{}, err
	}
	conn, h, err := p.introduce(c, kind, id, address, timeout)
	if err != nil {
		c.Close()
		var refused *RefusedError
		if errors.As(err, &refused) && (refused.why == wasRemoved || refused.why == wrongData) && refused.detail == "" {
			p.unwanted(refused)
		}
		return nil, h, err
	}
	return conn, h, nil
}

// introduce is the dialler's half of the handshake.
func (p *port) introduce(c net.Conn, kind byte, id, address string, timeout time.Duration) (net.Conn, hello, error) {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, hello{}, err
	}
	var secured *tls.Conn
	if p.tls != nil {
		secured = tls.Client(c, p.tls.config(x509.ExtKeyUsageServerAuth))
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, hello{}, fmt.Errorf("node at %s: TLS: %w", address, err)
		}
		c = secured
	}
	if err := p.send(c, kind, id); err != nil {
		return nil, hello{}, err
	}
	h, version, err := readHello(c)
	if err != nil {
		return nil, h, fmt.Errorf("node at %s: %w", address, err)
	}
	if err := p.judgeAnswer(h, version, id, address, secured); err != nil {
		return nil, h, err
	}
	return c, h, c.SetDeadline(time.Time{})
}

// judgeAnswer checks who answered. The detail of a refusal says that it is this
// node's own judgement.
func (p *port) judgeAnswer(h hello, version byte, id, address string, secured *tls.Conn) error {
	refuse := func(why refusal, format string, args ...any) error {
		return &RefusedError{Peer: h.from, Address: address, why: why, detail: fmt.Sprintf(format, args...)}
	}
	mine := p.self.clusterID()
	switch {
	case version != helloVersion:
		return refuse(wrongVersion, "it answers in version %d, this build speaks version %d", version, helloVersion)
	case secured != nil && !namesNode(secured.ConnectionState(), h.from):
		return refuse(wrongCert, "it names %s", certNames(secured.ConnectionState()))
	case id != "" && h.from != id:
		return refuse(wrongNode, "got node %q, want node %q", h.from, id)
	case h.from == p.self.id:
		return refuse(wrongNode, "it has this node's own id %q", h.from)
	case mine.known() && h.cluster.known() && mine != h.cluster:
		return refuse(wrongCluster, "got cluster %x, want cluster %x", h.cluster, mine)
	case h.kind != byte(welcome):
		return &RefusedError{Peer: h.from, Address: address, why: refusal(h.kind)}
	}
	if why := p.verdict(h.from, h.incarnation); why != welcome {
		return refuse(why, "as this node knows")
	}
	return nil
}

// certNames lists what a peer's certificate is for, for messages.
func certNames(cs tls.ConnectionState) string {
	var names []string
	if len(cs.PeerCertificates) > 0 {
		for _, u := range cs.PeerCertificates[0].URIs {
			names = append(names, u.String())
		}
		names = append(names, cs.PeerCertificates[0].DNSNames...)
	}
	return strings.Join(names, ", ")
}

// Addr returns the address that the peers know.
func (p *port) Addr() net.Addr {
	if p.advertise == "" {
		return p.layer.Addr()
	}
	return address(p.advertise)
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// Close ends the listener and every connection that was accepted.
func (p *port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.stop)
	for _, c := range p.strangers {
		c.Close()
	}
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	err := p.layer.Close()
	p.work.Wait()
	return err
}

// knownConn is an accepted connection after its handshake.
type knownConn struct {
	net.Conn
	raw  net.Conn
	port *port
}

func (k *knownConn) Close() error {
	k.port.forget(k.raw)
	return k.Conn.Close()
}
