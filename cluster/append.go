package cluster

import (
	"context"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// now implements appender.
func (n *Node) now() int64 { return max(time.Now().UnixMilli(), n.fsm.at.Load()) }

// open implements appender.
func (n *Node) open() bool { return !n.Stale() && n.stalls.Load() == 0 }

// append implements appender: here when this node leads, else through the leader.
func (n *Node) append(entry []byte, finished finish) {
	term := n.raft.CurrentTerm()
	id, address := n.Leader()
	if id == "" || n.raft.CurrentTerm() != term {
		finished(0, nil, again(nil, "no leader is known; nothing was written, try again"))
		return
	}
	seq, err := n.waiting.add(term, finished)
	if err != nil {
		finished(0, nil, err)
		return
	}
	stampOrigin(entry, term, n.waiting.run, seq)
	switch {
	case id == n.cfg.NodeID:
		n.appendLocal(entry, seq)
	case n.links == nil:
		n.waiting.refuse(seq, again(nil, "node %s leads, and this node has no port to reach it", id))
	default:
		n.appendRemote(id, address, entry, term, seq)
	}
}

// appendLocal appends to this node's own log. The apply answers; what is left to
// say here is when it never will.
func (n *Node) appendLocal(entry []byte, seq uint64) {
	future := n.raft.Apply(entry, n.cfg.WriteTimeout)
	go func() {
		if err := future.Error(); err != nil {
			n.notAppended(seq, n.classify(err))
		}
	}()
}

// appendRemote sends an entry to the leader.
func (n *Node) appendRemote(id, address string, entry []byte, term, seq uint64) {
	conn, err := n.links.to(id, address)
	if err != nil {
		n.waiting.refuse(seq, again(err, "the leader %s at %s cannot be reached; nothing was written", id, address))
		return
	}
	_, err = conn.start(opPropose, n.cfg.WriteTimeout, entry, func(reply []byte, err error) {
		if err != nil {
			n.notAppended(seq, err)
			return
		}
		r := wire.NewReader(string(reply))
		if index := r.Uvarint(); r.Close() == nil {
			n.hint(term, index)
		}
	})
	switch {
	case overloaded(err):
		n.waiting.refuse(seq, err)
	case err != nil:
		n.waiting.refuse(seq, again(err, "the leader %s at %s cannot be reached; nothing was written", id, address))
	}
}

// notAppended notes why an entry of this node was not appended, if it is known that it
// was not; otherwise the log will tell.
func (n *Node) notAppended(seq uint64, err error) {
	switch decision.KindOf(err) {
	case decision.KindUnavailable, decision.KindBadRequest:
		n.waiting.refuse(seq, err)
	default:
		n.waiting.doubt(seq, err)
	}
}

// sync appends an entry without commands and waits for it.
func (n *Node) sync(ctx context.Context) (index uint64, err error) {
	index, _, err = n.appendAndWait(ctx, appendEnvelope(nil, header{at: n.now()}))
	return index, err
}

// appendAndWait appends one entry, past the front.
func (n *Node) appendAndWait(ctx context.Context, entry []byte) (uint64, []any, error) {
	type outcome struct {
		index   uint64
		results []any
		err     error
	}
	done := make(chan outcome, 1)
	n.append(entry, func(index uint64, results []any, err error) { done <- outcome{index, results, err} })
	select {
	case o := <-done:
		return o.index, o.results, o.err
	case <-ctx.Done():
		return 0, nil, indeterminate(ctx.Err(), "the request ended before the log was reached")
	case <-n.stop:
		return 0, nil, indeterminate(errStopped, "the node stopped before the log was reached")
	}
}
