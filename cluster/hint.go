package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// commitHints passes on to this node's Raft what the leader says is committed
// when it answers a write or a read. Raft's own messages tell it with the next
// entries, or when nothing follows, after commitTimeout; a proposer on a follower
// would wait for that each time.
//
// What Raft is given is a message that the leader could have sent just then: no
// entries, an entry of its own term as the one before them, and that entry's index
// as committed. Raft takes it only if its log has that entry, and so everything
// before it as the leader has it.
type commitHints struct {
	rpcs chan<- raft.RPC
	stop <-chan struct{}
	wake chan struct{} // holds one

	mu   sync.Mutex
	hint commitHint // the newest that Raft has not taken
}

type commitHint struct {
	leader, address string
	term, index     uint64 // an entry of this term is committed; 0: no hint
}

// tell notes a hint.
func (c *commitHints) tell(h commitHint) {
	c.mu.Lock()
	if h.term > c.hint.term || h.term == c.hint.term && h.index > c.hint.index {
		c.hint = h
	}
	c.mu.Unlock()
	c.signal()
}

func (c *commitHints) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// arrived is told of entries on their way to Raft: a hint may have been ahead of
// them.
func (c *commitHints) arrived(a *raft.AppendEntriesRequest) {
	if len(a.Entries) == 0 {
		return
	}
	c.mu.Lock()
	due := c.hint.index > a.LeaderCommitIndex && c.hint.index <= a.Entries[len(a.Entries)-1].Index
	c.mu.Unlock()
	if due {
		c.signal()
	}
}

// run gives hints to Raft until stop.
func (c *commitHints) run() {
	for {
		select {
		case <-c.wake:
		case <-c.stop:
			return
		}
		c.mu.Lock()
		h := c.hint
		c.mu.Unlock()
		if h.index > 0 && c.give(h) {
			c.mu.Lock()
			if c.hint == h {
				c.hint = commitHint{}
			}
			c.mu.Unlock()
		}
	}
}

// give says whether Raft has taken the hint.
func (c *commitHints) give(h commitHint) bool {
	answer := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(h.leader), Addr: []byte(h.address)},
		Term:      h.term, PrevLogEntry: h.index, PrevLogTerm: h.term, LeaderCommitIndex: h.index,
	}}
	select {
	case c.rpcs <- rpc:
	case <-c.stop:
		return false
	}
	select {
	case a := <-answer:
		r, ok := a.Response.(*raft.AppendEntriesResponse)
		return a.Error != nil || !ok || r.Success || r.Term > h.term
	case <-c.stop:
		return false
	}
}
