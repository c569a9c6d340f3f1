package cluster

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Transport carries the connections of the node port: it accepts those of the
// others and dials them. TLS, where configured, runs on top of it.
type Transport interface {
	net.Listener
	Dial(address string, timeout time.Duration) (net.Conn, error)
}

// ListenTCP returns a Transport over TCP.
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

const (
	// pooledConns are kept to each peer: one is busy with entries, one with a
	// snapshot, one is for votes. Heartbeats come on top.
	pooledConns = 3
	// rpcTimeout bounds one message; Raft stretches it for snapshots by size.
	rpcTimeout = 10 * time.Second
	// minPatience is the least that a heartbeat or a vote waits for its answer.
	minPatience = time.Second
)

// errMuted is what a node whose log store hangs says to itself.
var errMuted = errors.New("this node's log store hangs: it speaks to nobody until it goes on")

// transport is Raft's network transport with five additions:
//
//   - It dials nodes by id and not by address alone, and ends the connections to
//     a node that is not heard: see streams.
//   - It notes what the leader says is committed: the leader's own number, before
//     it is cut to what has arrived here, tells a restarted node how far it has
//     to catch up.
//   - It can be muted, so that a leader that cannot write loses its office.
//   - It keeps Raft's back-off from a peer short: see AppendEntries.
//   - It is closed only when no heartbeat is being handled: see heartbeat.
type transport struct {
	*raft.NetworkTransport
	port      *port
	streams   *streams
	rpcs      chan raft.RPC
	hints     commitHints
	committed atomic.Uint64 // by the first leader heard; 0: none yet
	muted     atomic.Bool

	// leads says whether this node still leads in a term and has id as a peer.
	// It is nil until Raft runs.
	leads atomic.Pointer[func(id string, term uint64) bool]

	mu      sync.Mutex
	reached map[raft.ServerID]chan struct{} // closed at the next heartbeat's success
	rejects map[raft.ServerID]time.Duration // the last wait after a refusal

	beating sync.RWMutex // held by who handles a heartbeat
	stop    chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

func newTransport(p *port, patience time.Duration, logger hclog.Logger) *transport {
	s := &streams{port: p, patience: patience, dialled: make(map[string]map[*raftConn]struct{})}
	t := &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: s, MaxPool: pooledConns, Timeout: rpcTimeout, Logger: logger,
			// Pipelined appends wedge a follower for good after a passing error of
			// its log store (hashicorp/raft#612). One at a time cannot.
			MaxRPCsInFlight: 1,
		}),
		port:    p,
		streams: s,
		rpcs:    make(chan raft.RPC),
		reached: make(map[raft.ServerID]chan struct{}),
		rejects: make(map[raft.ServerID]time.Duration),
		stop:    make(chan struct{}),
	}
	t.hints = commitHints{rpcs: t.rpcs, stop: t.stop, wake: make(chan struct{}, 1)}
	t.done.Go(t.forward)
	t.done.Go(t.hints.run)
	return t
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.rpcs }

// SetHeartbeatHandler implements raft.Transport.
func (t *transport) SetHeartbeatHandler(handle func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) { t.heartbeat(rpc, handle) })
}

// heartbeat has Raft handle a heartbeat, which it does on the goroutine of the
// connection, beside its own: also while it shuts down. One of a new term is then
// written into a store that is being closed, and Raft panics. So Close waits, and
// nothing is handled after it.
func (t *transport) heartbeat(rpc raft.RPC, handle func(raft.RPC)) {
	t.beating.RLock()
	defer t.beating.RUnlock()
	select {
	case <-t.stop:
		rpc.Respond(nil, raft.ErrTransportShutdown)
	default:
		handle(rpc)
	}
}

func (t *transport) forward() {
	from := t.NetworkTransport.Consumer()
	for {
		select {
		case rpc := <-from:
			a, entries := rpc.Command.(*raft.AppendEntriesRequest)
			if entries && a.LeaderCommitIndex > 0 {
				t.committed.CompareAndSwap(0, a.LeaderCommitIndex)
			}
			select {
			case t.rpcs <- rpc:
			case <-t.stop:
				return
			}
			if entries {
				t.hints.arrived(a)
			}
		case <-t.stop:
			return
		}
	}
}

// rejectPause is the longest wait before entries are sent again to a follower
// that answers but cannot store them, such as one with a full disk. Raft's own
// grows to ten seconds.
const rejectPause = 2 * time.Second

// AppendEntries implements raft.Transport.
//
// Raft waits longer after every failed append, up to ten seconds, and does not
// cut the wait short when the peer's heartbeats come through again. So an append
// that fails is held back here until they do, and Raft counts one failure for an
// absence of any length. An answer that refuses the entries is given back as one
// that may be repeated at once, after a wait of our own.
func (t *transport) AppendEntries(id raft.ServerID, at raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if t.muted.Load() {
		return errMuted
	}
	if len(args.Entries) == 0 && args.PrevLogEntry == 0 && args.LeaderCommitIndex == 0 { // a heartbeat
		err := t.quick(id, at, func(to raft.ServerAddress) error { return t.NetworkTransport.AppendEntries(id, to, args, resp) })
		if err == nil {
			t.touch(id)
		}
		return err
	}
	err := t.NetworkTransport.AppendEntries(id, target(id, at), args, resp)
	switch {
	case err != nil:
		t.hold(id, args.Term, t.next(id), 0)
	case !resp.Success && resp.Term == args.Term && !resp.NoRetryBackoff:
		t.hold(id, args.Term, nil, t.rejected(id))
		resp.NoRetryBackoff = true
	case resp.Success:
		t.accepted(id)
	}
	return err
}

// quick sends a message that is answered at once by whoever lives.
func (t *transport) quick(id raft.ServerID, at raft.ServerAddress, send func(to raft.ServerAddress) error) error {
	if t.muted.Load() {
		return errMuted
	}
	err := send(target(id, at) + quickMark)
	if err != nil {
		t.streams.drop(id)
	}
	return err
}

// rejected counts a refusal of entries, and says how long to wait after it.
func (t *transport) rejected(id raft.ServerID) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rejects[id] = max(min(2*t.rejects[id], rejectPause), holdPoll)
	return t.rejects[id]
}

func (t *transport) accepted(id raft.ServerID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rejects, id)
}

// touch wakes what waits for a peer.
func (t *transport) touch(id raft.ServerID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.reached[id]; ok {
		close(c)
		delete(t.reached, id)
	}
}

// next returns a channel that is closed when the next heartbeat to the peer
// succeeds.
func (t *transport) next(id raft.ServerID) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.reached[id]
	if !ok {
		c = make(chan struct{})
		t.reached[id] = c
	}
	return c
}

// holdPoll is how often a held append looks whether it is still wanted.
const holdPoll = 50 * time.Millisecond

// hold waits for the peer, for the longest time given (zero: none), or until the
// append is no longer this node's business.
func (t *transport) hold(id raft.ServerID, term uint64, reached <-chan struct{}, longest time.Duration) {
	tick := time.NewTicker(holdPoll)
	defer tick.Stop()
	start := time.Now()
	for {
		leads := t.leads.Load()
		if leads == nil || !(*leads)(string(id), term) {
			return
		}
		select {
		case <-reached:
			return
		case <-t.stop:
			return
		case <-tick.C:
			if longest > 0 && time.Since(start) >= longest {
				return
			}
		}
	}
}

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// RequestVote implements raft.Transport.
func (t *transport) RequestVote(id raft.ServerID, at raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.quick(id, at, func(to raft.ServerAddress) error { return t.NetworkTransport.RequestVote(id, to, args, resp) })
}

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, at raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.quick(id, at, func(to raft.ServerAddress) error { return t.NetworkTransport.RequestPreVote(id, to, args, resp) })
}

// InstallSnapshot implements raft.Transport.
func (t *transport) InstallSnapshot(id raft.ServerID, at raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.muted.Load() {
		return errMuted
	}
	err := t.NetworkTransport.InstallSnapshot(id, target(id, at), args, resp, data)
	if err != nil {
		t.hold(id, args.Term, t.next(id), 0)
	}
	return err
}

// TimeoutNow implements raft.Transport. Until it is answered, or fails, Raft takes
// no writes.
func (t *transport) TimeoutNow(id raft.ServerID, at raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.quick(id, at, func(to raft.ServerAddress) error { return t.NetworkTransport.TimeoutNow(id, to, args, resp) })
}

// mute has the node speak to nobody, or go on.
func (t *transport) mute(on bool) {
	t.muted.Store(on)
	t.port.muted.Store(on)
}

// Close implements raft.WithClose; Raft calls it when it has stopped.
func (t *transport) Close() error {
	var err error
	t.once.Do(func() {
		t.beating.Lock()
		close(t.stop)
		t.beating.Unlock()
		err = t.NetworkTransport.Close()
		err = errors.Join(err, t.port.Close())
		t.CloseStreams()
		t.done.Wait()
	})
	return err
}
