package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Times and bounds of a link.
const (
	// pingInterval and linkTimeout find out that a peer is gone without a word.
	pingInterval = 500 * time.Millisecond
	linkTimeout  = 2 * time.Second
	// dialTimeout is short: without a connection nothing has been sent, and
	// another try costs nothing.
	dialTimeout = time.Second
	// slowestLink is the rate, in bytes a second, that large frames are given
	// time for.
	slowestLink = 4 << 20
	// maxCalls bounds the requests on their way to one peer.
	maxCalls = 1024
)

// errBroken is wrapped when a connection ended before the answer came.
var errBroken = errors.New("connection to the node ended")

// links are the connections of this node's requests, one to each peer.
type links struct {
	dial func(id, address string) (net.Conn, hello, error)

	mu     sync.Mutex
	peers  map[string]*peerLink // by id@address
	closed bool
	work   sync.WaitGroup
}

type peerLink struct {
	id, address string
	mu          sync.Mutex // held while dialling
	conn        *link
}

func newLinks(dial func(id, address string) (net.Conn, hello, error)) *links {
	return &links{dial: dial, peers: make(map[string]*peerLink)}
}

// to returns the connection to a node, dialling when there is none. On an error
// nothing was sent.
func (l *links) to(id, address string) (*link, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errStopped
	}
	key := id + "@" + address
	p := l.peers[key]
	if p == nil {
		p = &peerLink{id: id, address: address}
		l.peers[key] = p
	}
	l.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil && p.conn.alive() {
		return p.conn, nil
	}
	c, h, err := l.dial(id, address)
	if err != nil {
		return nil, fmt.Errorf("connect to node %s at %s: %w", id, address, err)
	}
	conn := newLink(c, h)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return nil, errStopped
	}
	p.conn = conn
	l.work.Go(conn.read)
	l.work.Go(conn.ping)
	return conn, nil
}

// close ends all connections; what waits for an answer is told so.
func (l *links) close() {
	l.mu.Lock()
	l.closed = true
	peers := l.peers
	l.peers = nil
	l.mu.Unlock()
	for _, p := range peers {
		p.mu.Lock()
		if p.conn != nil {
			p.conn.fail(errStopped)
		}
		p.mu.Unlock()
	}
	l.work.Wait()
}

// ask sends a request and waits for the answer. Whatever goes wrong on the way is
// worth another try where the operation may be repeated.
func (l *links) ask(ctx context.Context, id, address string, op byte, payload []byte) ([]byte, error) {
	conn, err := l.to(id, address)
	if err != nil {
		return nil, again(err, "node %s at %s cannot be reached", id, address)
	}
	type answer struct {
		payload []byte
		err     error
	}
	got := make(chan answer, 1)
	call, err := conn.start(op, timeLeft(ctx), payload, func(b []byte, err error) { got <- answer{b, err} })
	if err != nil {
		return nil, again(err, "node %s at %s cannot be reached", id, address)
	}
	select {
	case a := <-got:
		if errors.Is(a.err, errBroken) {
			return nil, again(a.err, "node %s at %s did not answer", id, address)
		}
		return a.payload, a.err
	case <-ctx.Done():
		conn.forget(call)
		return nil, unavailable("", ctx.Err(), "node %s at %s has not answered in time", id, address)
	}
}

// timeLeft is how long the other side may take, at most a minute.
func timeLeft(ctx context.Context) time.Duration {
	const longest = time.Minute
	if d, ok := ctx.Deadline(); ok {
		return min(max(time.Until(d), time.Millisecond), longest)
	}
	return longest
}

// link is one connection, with many requests on their way at a time.
type link struct {
	conn  net.Conn
	hello hello // of the peer

	wmu sync.Mutex
	w   *bufio.Writer

	mu    sync.Mutex
	calls map[uint64]func([]byte, error)
	last  uint64
	until time.Time // when silence ends the connection
	err   error
	gone  chan struct{}
}

func newLink(c net.Conn, h hello) *link {
	return &link{
		conn: c, hello: h, w: bufio.NewWriter(c),
		calls: make(map[uint64]func([]byte, error)), until: time.Now().Add(linkTimeout),
		gone: make(chan struct{}),
	}
}

func (l *link) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err == nil
}

// start sends a request. On an error it was certainly not sent; otherwise done
// is called once, with errBroken in the chain when the connection ends first.
func (l *link) start(op byte, timeout time.Duration, payload []byte, done func([]byte, error)) (id uint64, err error) {
	l.mu.Lock()
	switch {
	case l.err != nil:
		l.mu.Unlock()
		return 0, l.err
	case len(l.calls) >= maxCalls:
		l.mu.Unlock()
		return 0, unavailable(ReasonOverloaded, nil, "%d requests to node %s are under way, at most %d are allowed", maxCalls, l.hello.from, maxCalls)
	}
	l.last++
	id = l.last
	l.calls[id] = done
	l.mu.Unlock()
	if err := l.write(frame{id: id, op: op, timeout: uint32(timeout.Milliseconds()), payload: payload}); err != nil {
		l.fail(err)
	}
	return id, nil
}

func (l *link) write(f frame) error {
	patience := linkTimeout + time.Duration(len(f.payload))*time.Second/slowestLink
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if patience > linkTimeout+time.Second { // pings wait behind it
		l.heard(patience)
	}
	return writeFrame(l.w, f)
}

func writeFrame(w *bufio.Writer, f frame) error {
	var head [frameHead]byte
	f.encodeHead(&head)
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	if _, err := w.Write(f.payload); err != nil {
		return err
	}
	return w.Flush()
}

// heard puts off the end of the connection by silence.
func (l *link) heard(patience time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(patience); until.After(l.until) {
		l.until = until
		l.conn.SetReadDeadline(until)
	}
}

// read hands answers to who waits for them.
func (l *link) read() {
	r := bufio.NewReader(l.conn)
	small := func(_ byte, size int) error {
		if size > maxSmallFrame {
			return fmt.Errorf("frame: got an answer of %d bytes, want at most %d", size, maxSmallFrame)
		}
		return nil
	}
	for {
		l.heard(linkTimeout)
		f, err := readFrame(r, small)
		if err != nil {
			l.fail(err)
			return
		}
		done := l.forget(f.id)
		switch {
		case done == nil: // nobody waits any more
		case f.op == replyDone:
			done(f.payload, nil)
		default:
			done(nil, decodeFailure(l.hello.from, f.payload))
		}
	}
}

// forget takes a request off the list; its answer is dropped.
func (l *link) forget(id uint64) func([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := l.calls[id]
	delete(l.calls, id)
	return done
}

// ping keeps the connection known to be alive.
func (l *link) ping() {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.start(opPing, linkTimeout, nil, func([]byte, error) {})
		case <-l.gone:
			return
		}
	}
}

// fail ends the connection.
func (l *link) fail(why error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = fmt.Errorf("%w: %w", errBroken, why)
	calls := l.calls
	l.calls = make(map[uint64]func([]byte, error))
	close(l.gone)
	l.mu.Unlock()
	l.conn.Close()
	for _, done := range calls {
		done(nil, l.err)
	}
}

// overloaded says whether an error is the other side's refusal to take more.
func overloaded(err error) bool {
	var e *decision.Error
	return errors.As(err, &e) && e.Kind == decision.KindUnavailable && e.Reason == ReasonOverloaded
}
