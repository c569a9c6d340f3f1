package cluster

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Transport carries connections between nodes: it accepts those of the others
// and dials them. Raft's protocol on it is neither authenticated nor encrypted.
type Transport interface {
	net.Listener
	Dial(address string, timeout time.Duration) (net.Conn, error)
}

// ListenTCP returns a plain Transport, for loopback and for trusted networks.
func ListenTCP(address string) (Transport, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return tcp{l}, nil
}

type tcp struct{ net.Listener }

func (tcp) Dial(address string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", address, timeout)
}

// streams adapts a Transport to Raft. It gives the address that the peers know,
// and closes what it accepted when it is closed.
type streams struct {
	Transport
	advertise string // empty: the listener's own address

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func (s *streams) Addr() net.Addr {
	if s.advertise == "" {
		return s.Transport.Addr()
	}
	return address(s.advertise)
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func (s *streams) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return s.Transport.Dial(string(to), timeout)
}

func (s *streams) Accept() (net.Conn, error) {
	c, err := s.Transport.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	s.open[c] = struct{}{}
	return &accepted{Conn: c, streams: s}, nil
}

func (s *streams) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	return s.Transport.Close()
}

type accepted struct {
	net.Conn
	streams *streams
}

func (a *accepted) Close() error {
	a.streams.mu.Lock()
	delete(a.streams.open, a.Conn)
	a.streams.mu.Unlock()
	return a.Conn.Close()
}

const (
	// pooledConns are kept to each peer: one is busy with entries, one with a
	// snapshot, one is for votes. Heartbeats come on top.
	pooledConns = 3
	// rpcTimeout bounds one message; Raft stretches it for snapshots by size.
	rpcTimeout = 10 * time.Second
)

// transport is Raft's network transport with an eye on what the leader says is
// committed: the leader's own number, before it is cut to what has arrived here,
// tells a restarted node how far it has to catch up.
type transport struct {
	*raft.NetworkTransport
	rpcs      chan raft.RPC
	committed atomic.Uint64 // by the first leader heard; 0: none yet
	stop      chan struct{}
	once      sync.Once
	done      sync.WaitGroup
}

func newTransport(s *streams, logger hclog.Logger) *transport {
	t := &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: s, MaxPool: pooledConns, Timeout: rpcTimeout, Logger: logger,
			// Pipelined appends wedge a follower for good after a passing error of
			// its log store (hashicorp/raft#612). One at a time cannot.
			MaxRPCsInFlight: 1,
		}),
		rpcs: make(chan raft.RPC),
		stop: make(chan struct{}),
	}
	t.done.Go(t.forward)
	return t
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.rpcs }

func (t *transport) forward() {
	from := t.NetworkTransport.Consumer()
	for {
		select {
		case rpc := <-from:
			if a, ok := rpc.Command.(*raft.AppendEntriesRequest); ok && a.LeaderCommitIndex > 0 {
				t.committed.CompareAndSwap(0, a.LeaderCommitIndex)
			}
			select {
			case t.rpcs <- rpc:
			case <-t.stop:
				return
			}
		case <-t.stop:
			return
		}
	}
}

// Close implements raft.WithClose; Raft calls it when it has stopped.
func (t *transport) Close() error {
	var err error
	t.once.Do(func() {
		close(t.stop)
		err = t.NetworkTransport.Close()
		t.CloseStreams()
		t.done.Wait()
	})
	return err
}
