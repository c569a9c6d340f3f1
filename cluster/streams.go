package cluster

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// streams is the port as Raft uses it. It knows the connections that Raft
// dialled, by node: when a heartbeat or a vote to a node fails, all of them are
// ended, since after a cut network they would stay silent for as long as Raft or
// TCP has patience with them.
type streams struct {
	*port
	patience time.Duration // with the answer to a quick message

	mu      sync.Mutex
	dialled map[string]map[*raftConn]struct{}
}

// Accept implements raft.StreamLayer.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case c := <-s.raft:
		return c, nil
	case <-s.stop:
		return nil, net.ErrClosed
	}
}

// quickMark ends the address of a connection for messages that need no disk, or
// almost none: heartbeats and votes. They have connections of their own.
const quickMark = "#quick"

// target is an address that names the node to find there. Raft's pool of
// connections goes by it, so a connection is never used for another node.
func target(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + address
}

// Dial implements raft.StreamLayer, for what target gave.
func (s *streams) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, address, ok := strings.Cut(string(to), "@")
	if !ok {
		return nil, fmt.Errorf("dial %q: got no node id, want id@host:port", to)
	}
	address, quick := strings.CutSuffix(address, quickMark)
	if quick {
		timeout = min(timeout, s.patience)
	}
	c, _, err := s.dial(connRaft, id, address, timeout)
	if err != nil {
		return nil, err
	}
	r := &raftConn{Conn: c, streams: s, id: id, quick: quick}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialled[id] == nil {
		s.dialled[id] = make(map[*raftConn]struct{})
	}
	s.dialled[id][r] = struct{}{}
	return r, nil
}

// drop ends the connections to a node, but for one that carries a snapshot: that
// has a time-out by its size, and would have to begin again.
func (s *streams) drop(id raft.ServerID) {
	s.mu.Lock()
	var stale []*raftConn
	for c := range s.dialled[string(id)] {
		if !c.long {
			stale = append(stale, c)
		}
	}
	s.mu.Unlock()
	for _, c := range stale {
		c.Close()
	}
}

// raftConn is a connection that Raft dialled.
type raftConn struct {
	net.Conn
	streams *streams
	id      string
	quick   bool
	long    bool // it carries a snapshot; under streams.mu
}

// SetDeadline sees what Raft is about to send: a snapshot has more time than
// anything else, and a quick message gets less than Raft gives it.
func (c *raftConn) SetDeadline(t time.Time) error {
	left := time.Until(t)
	long := !t.IsZero() && left > rpcTimeout
	if c.quick && left > c.streams.patience {
		t = time.Now().Add(c.streams.patience)
	}
	c.streams.mu.Lock()
	c.long = long
	c.streams.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *raftConn) Close() error {
	s := c.streams
	s.mu.Lock()
	delete(s.dialled[c.id], c)
	s.mu.Unlock()
	return c.Conn.Close()
}
