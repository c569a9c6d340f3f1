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
	"github.com/praetor-engine/praetor/internal/wire"
)

const (
	// idleTimeout ends a connection whose peer does not even ping.
	idleTimeout = 10 * time.Second
	// replyTimeout is how long a peer may take to read an answer.
	replyTimeout = 5 * time.Second
	// maxRequests bounds the requests of one connection that are worked on,
	// beside its entries.
	maxRequests = 64
	// maxForwards bounds the entries of one connection that wait for Raft.
	maxForwards = 64
)

// session is a connection of the node protocol that a peer opened.
type session struct {
	n    *Node
	conn net.Conn
	peer string

	wmu sync.Mutex
	w   *bufio.Writer

	ctx      context.Context // ends with the session
	forwards chan frame
	slots    chan struct{}
	work     sync.WaitGroup
}

// serve works for one connection until it ends.
func (n *Node) serve(c net.Conn, peer string) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{
		n: n, conn: c, peer: peer, w: bufio.NewWriter(c), ctx: ctx,
		forwards: make(chan frame, maxForwards), slots: make(chan struct{}, maxRequests),
	}
	s.work.Go(s.appendForwards)
	err := s.read()
	cancel()
	close(s.forwards)
	c.Close()
	s.work.Wait()
	n.log.Debug().Err(err).Str("peer", peer).Msg("connection of a peer ended")
}

func (s *session) read() error {
	r := bufio.NewReader(s.conn)
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			return err
		}
		f, err := readFrame(r, s.admit)
		if err != nil {
			return err
		}
		switch f.op {
		case opPing:
			s.reply(f.id, nil, nil)
		case opPropose:
			select {
			case s.forwards <- f:
			default:
				s.reply(f.id, nil, unavailable(ReasonOverloaded, nil, "the leader has %d entries of node %s waiting, at most %d are allowed; try again later", maxForwards, s.peer, maxForwards))
			}
		default:
			s.request(f)
		}
	}
}

// admit bounds a frame before it is read: large ones are entries, and come from
// members only.
func (s *session) admit(op byte, size int) error {
	if size <= maxSmallFrame {
		return nil
	}
	if op != opPropose || !s.n.knows(s.peer) {
		return fmt.Errorf("frame: got %d bytes for operation %d from node %s, want at most %d", size, op, s.peer, maxSmallFrame)
	}
	return s.conn.SetReadDeadline(time.Now().Add(idleTimeout + time.Duration(size)*time.Second/slowestLink))
}

// request works on a request beside the others.
func (s *session) request(f frame) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.reply(f.id, nil, unavailable(ReasonOverloaded, nil, "%d requests of node %s are being worked on, at most %d are allowed", maxRequests, s.peer, maxRequests))
		return
	}
	s.work.Go(func() {
		defer func() { <-s.slots }()
		ctx, cancel := context.WithTimeout(s.ctx, time.Duration(f.timeout)*time.Millisecond)
		defer cancel()
		payload, err := s.n.handle(ctx, f.op, f.payload, s.peer)
		s.reply(f.id, payload, err)
	})
}

func (s *session) reply(id uint64, payload []byte, err error) {
	f := frame{id: id, op: replyDone, payload: payload}
	if err != nil {
		f.op, f.payload = replyFailed, encodeFailure(err)
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.conn.SetWriteDeadline(time.Now().Add(replyTimeout)) != nil || writeFrame(s.w, f) != nil {
		s.conn.Close()
	}
}

// appendForwards hands a peer's entries to Raft in the order they came. While
// Raft writes it waits, and that is how the log pushes back.
func (s *session) appendForwards() {
	for f := range s.forwards {
		s.n.appendForward(s.ctx, s.peer, f, func(index uint64, err error) { s.reply(f.id, wire.AppendUvarint(nil, index), err) })
	}
}

// appendForward appends an entry that another node proposed. answer is called
// once: with its index when it is committed, with KindUnavailable when it never
// entered the log.
func (n *Node) appendForward(ctx context.Context, peer string, f frame, answer func(uint64, error)) {
	reply := func(err error) { answer(0, err) }
	h, err := checkEnvelope(string(f.payload))
	size := int64(len(f.payload))
	switch term := n.raft.CurrentTerm(); {
	case err != nil:
		reply(decision.Errorf(decision.KindBadRequest, "entry of node %s: %v", peer, err))
		return
	case ctx.Err() != nil:
		return // nobody hears the answer, and nothing was written
	case !n.knows(peer):
		reply(again(nil, "node %s is not a member of the cluster", peer))
		return
	case n.stalls.Load() > 0:
		reply(again(nil, "the log store of node %s hangs", n.cfg.NodeID))
		return
	case !n.IsLeader() || h.term != term:
		reply(again(nil, "node %s does not lead in term %d", n.cfg.NodeID, h.term))
		return
	case h.level > n.cfg.Level:
		reply(unavailable(ReasonLevel, nil, "the write needs level %d, the leader's build has level %d; upgrade all nodes first", h.level, n.cfg.Level))
		return
	case n.forwarded.Load()+size > int64(n.cfg.MaxPendingBytes):
		reply(unavailable(ReasonOverloaded, nil, "the leader has %d bytes of other nodes' writes pending, at most %d are allowed; try again later", n.forwarded.Load(), n.cfg.MaxPendingBytes))
		return
	}
	n.forwarded.Add(size)
	stampTime(f.payload, n.now())
	future := n.raft.Apply(f.payload, min(n.cfg.WriteTimeout, max(time.Duration(f.timeout)*time.Millisecond, time.Millisecond)))
	go func() {
		err := future.Error()
		n.forwarded.Add(-size)
		if err == nil {
			answer(future.Index(), nil)
			return
		}
		reply(n.classify(err))
	}()
}

// handle works on any other request, whoever it comes from.
func (n *Node) handle(ctx context.Context, op byte, payload []byte, peer string) ([]byte, error) {
	switch op {
	case opStatus:
		return n.peerStatus().encode(), nil
	case opTerm:
		return wire.AppendUvarint(nil, n.raft.CurrentTerm()), nil
	case opReadMark:
		mark, err := n.marks.get(ctx)
		return wire.AppendUvarint(wire.AppendUvarint(nil, mark.term), mark.index), err
	case opAsk:
		return n.answer(ctx, payload, peer)
	case opJoin:
		j, err := decodeJoin(payload)
		if err != nil {
			return nil, decision.Errorf(decision.KindBadRequest, "join: %v", err)
		}
		// Who joins, or has moved, knows some member, which need not be the leader.
		if !n.IsLeader() && j.peer.ID == peer {
			return n.onLeader(ctx, op, payload)
		}
		return nil, n.leadJoin(ctx, j)
	case opRemove:
		return nil, n.leadRemove(ctx, string(payload))
	case opTransfer:
		return nil, n.leadTransfer(ctx, string(payload))
	}
	return nil, decision.Errorf(decision.KindBadRequest, "got operation %d, which this build does not know; upgrade node %s", op, n.cfg.NodeID)
}

// onLeader has the leader work on a request that may be repeated, wherever it
// is. A leader that is not known, or is none any more, is waited for.
func (n *Node) onLeader(ctx context.Context, op byte, payload []byte) ([]byte, error) {
	var waited time.Time
	for {
		reply, err := n.onceOnLeader(ctx, op, payload)
		if err == nil || !errors.Is(err, errAgain) {
			return reply, err
		}
		if waited.IsZero() {
			waited = time.Now()
		}
		if time.Since(waited) > n.cfg.LeaderWait {
			return nil, err
		}
		select {
		case <-n.leaderChanged():
		case <-time.After(retryPause):
		case <-ctx.Done():
			return nil, err
		case <-n.stop:
			return nil, err
		case <-n.failed:
			return nil, err
		}
	}
}

func (n *Node) onceOnLeader(ctx context.Context, op byte, payload []byte) ([]byte, error) {
	switch id, address := n.Leader(); {
	case id == "":
		return nil, again(nil, "no leader is known; nothing was done, try again")
	case id == n.cfg.NodeID:
		return n.handle(ctx, op, payload, n.cfg.NodeID)
	case n.links == nil:
		return nil, again(nil, "this node has no port to reach node %s", id)
	default:
		return n.links.ask(ctx, id, address, op, payload)
	}
}
