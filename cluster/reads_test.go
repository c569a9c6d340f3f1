package cluster

import (
	"testing"
)

// A leader is confirmed by a quorum that is in its term now, and by nothing that
// was said before.
func TestConfirmTerm(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	old := c.nodes[lead]
	term := old.raft.CurrentTerm()
	must(t, old.confirmTerm(t.Context(), term))
	if err := old.confirmTerm(t.Context(), term-1); err == nil {
		t.Error("a term that is over was confirmed")
	}
	// Somebody else leads: what the old leader asks now is answered with the new term.
	must(t, old.TransferLeadership(t.Context(), ""))
	next := c.leader(t)
	if err := old.confirmTerm(t.Context(), term); err == nil {
		t.Error("the term of the leader before was confirmed")
	}
	// One other node is a quorum with the leader; the leader alone is none.
	lead = next
	term = c.nodes[lead].raft.CurrentTerm()
	c.stop(t, (lead+1)%3)
	must(t, c.nodes[lead].confirmTerm(t.Context(), term))
	c.stop(t, (lead+2)%3)
	if err := c.nodes[lead].confirmTerm(t.Context(), term); err == nil {
		t.Error("a leader without a quorum was confirmed")
	}
}
