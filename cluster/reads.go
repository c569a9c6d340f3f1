package cluster

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/wire"
)

// Barrier returns once everything that was acknowledged before, on any node, is
// visible on this one. It appends nothing: the leader makes sure that it still
// leads, and tells what is committed. KindUnavailable: there is no quorum, or no
// time.
func (n *Node) Barrier(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.WriteTimeout)
	defer cancel()
	b, err := n.onLeader(ctx, opReadMark, nil)
	if err != nil {
		return err
	}
	r := wire.NewReader(string(b))
	index := r.Uvarint()
	if err := r.Close(); err != nil {
		return err
	}
	return n.WaitApplied(ctx, index)
}

// readMarks gives out indexes that a linearizable read must wait for. Everybody
// who asks while the leader asks its quorum shares the next round.
type readMarks struct {
	verify func() (uint64, error) // one round; may block for as long as the disk

	mu      sync.Mutex
	next    *markRound
	running bool
}

type markRound struct {
	done  chan struct{}
	index uint64
	err   error
}

func (m *readMarks) get(ctx context.Context) (uint64, error) {
	m.mu.Lock()
	if m.next == nil {
		m.next = &markRound{done: make(chan struct{})}
	}
	round := m.next
	if !m.running {
		m.running = true
		go m.run()
	}
	m.mu.Unlock()
	select {
	case <-round.done:
		return round.index, round.err
	case <-ctx.Done():
		return 0, unavailable("", ctx.Err(), "the leader did not hear from a quorum in time")
	}
}

func (m *readMarks) run() {
	for {
		m.mu.Lock()
		round := m.next
		if m.next = nil; round == nil {
			m.running = false
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		round.index, round.err = m.verify()
		close(round.done)
	}
}

// verifyMark is a round on the leader: what was committed when it began, once a
// quorum has confirmed that this node still leads. Raft only knows what earlier
// terms committed when an entry of its own term is; before that, one is appended.
func (n *Node) verifyMark() (uint64, error) {
	if !n.IsLeader() {
		return 0, n.classify(raft.ErrNotLeader)
	}
	if n.fsm.term.Load() < n.raft.CurrentTerm() {
		ctx, cancel := context.WithTimeout(context.Background(), n.cfg.WriteTimeout)
		defer cancel()
		return n.sync(ctx)
	}
	index := n.raft.CommitIndex()
	if err := n.await(context.Background(), "verify the leadership", func() raft.Future { return n.raft.VerifyLeader() }); err != nil {
		return 0, again(err, "the leadership is not certain; try again")
	}
	return index, nil
}
