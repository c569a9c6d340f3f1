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
	mark := readMark{term: r.Uvarint(), index: r.Uvarint()}
	if err := r.Close(); err != nil {
		return err
	}
	if n.AppliedIndex() < mark.index {
		n.hint(mark.term, mark.index)
	}
	return n.WaitApplied(ctx, mark.index)
}

// hint passes on to Raft that an entry of the leader's term is committed.
func (n *Node) hint(term, index uint64) {
	if id, address := n.Leader(); n.net != nil && id != "" && id != n.cfg.NodeID && n.raft.CurrentTerm() == term {
		n.net.hints.tell(commitHint{leader: id, address: address, term: term, index: index})
	}
}

// readMark is what a linearizable read must wait for: a committed entry and its
// term, which is the leader's. On the wire they are uvarints, the term first.
type readMark struct{ term, index uint64 }

// readMarks gives out indexes that a linearizable read must wait for. Everybody
// who asks while the leader asks its quorum shares the next round.
type readMarks struct {
	verify func() (readMark, error) // one round; may block for as long as the disk

	mu      sync.Mutex
	next    *markRound
	running bool
}

type markRound struct {
	done chan struct{}
	mark readMark
	err  error
}

func (m *readMarks) get(ctx context.Context) (readMark, error) {
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
		return round.mark, round.err
	case <-ctx.Done():
		return readMark{}, unavailable("", ctx.Err(), "the leader did not hear from a quorum in time")
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
		round.mark, round.err = m.verify()
		close(round.done)
	}
}

// verifyMark is a round on the leader: what was committed when it began, once a
// quorum has confirmed that this node still leads. Raft only knows what earlier
// terms committed when an entry of its own term is; before that, one is appended.
func (n *Node) verifyMark() (readMark, error) {
	term := n.raft.CurrentTerm()
	if !n.IsLeader() {
		return readMark{}, n.classify(raft.ErrNotLeader)
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.WriteTimeout)
	defer cancel()
	if n.fsm.term.Load() < term {
		index, err := n.sync(ctx)
		return readMark{term, index}, err
	}
	index := n.raft.CommitIndex()
	if err := n.confirmTerm(ctx, term); err != nil {
		return readMark{}, err
	}
	return readMark{term, index}, nil
}

// confirmTerm makes sure that no other leader had been elected when it was
// called: a quorum that is in this leader's term, asked now, has not voted in a
// later one. Raft's own check does not do: it takes any answer to a heartbeat, and
// to a leader that was stopped for a while an answer from before the stop is still
// in its buffers.
func (n *Node) confirmTerm(ctx context.Context, term uint64) error {
	confirmed, voters := 0, 0
	answers := make(chan bool)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if string(s.ID) == n.cfg.NodeID {
			confirmed++
			continue
		}
		go func() {
			its, err := n.termOf(ctx, s)
			select {
			case answers <- err == nil && its == term:
			case <-ctx.Done():
			}
		}()
	}
	for asked := voters - confirmed; 2*confirmed <= voters; asked-- {
		if asked == 0 {
			return again(nil, "a quorum does not confirm that this node leads; try again")
		}
		select {
		case ok := <-answers:
			if ok {
				confirmed++
			}
		case <-ctx.Done():
			return again(ctx.Err(), "a quorum has not confirmed in time that this node leads; try again")
		}
	}
	return nil
}

func (n *Node) termOf(ctx context.Context, s raft.Server) (uint64, error) {
	b, err := n.links.ask(ctx, string(s.ID), string(s.Address), opTerm, nil)
	if err != nil {
		return 0, err
	}
	r := wire.NewReader(string(b))
	term := r.Uvarint()
	return term, r.Close()
}
