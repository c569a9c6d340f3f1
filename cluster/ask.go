package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Answer is what one member said to a question.
type Answer struct {
	ID    string // of the member
	Reply []byte
	Err   error // the member's own, or KindUnavailable when it cannot be reached
}

// askTimeout is how long Ask waits for those who do not answer.
const askTimeout = time.Second

// Ask puts a question to every other member, all at once, and returns what each
// says. It is for what only one node knows, and no part of the log.
func (n *Node) Ask(ctx context.Context, question []byte) []Answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var answers []Answer
	for _, m := range n.Status().Members {
		if m.ID != n.cfg.NodeID {
			answers = append(answers, Answer{ID: m.ID})
		}
	}
	var wg sync.WaitGroup
	for i := range answers {
		a := &answers[i]
		m, ok := n.server(a.ID)
		if !ok || n.links == nil {
			a.Err = unavailable("", nil, "node %s cannot be reached", a.ID)
			continue
		}
		wg.Go(func() { a.Reply, a.Err = n.links.ask(ctx, a.ID, string(m.Address), opAsk, question) })
	}
	wg.Wait()
	return answers
}

// answer has the owner answer a member.
func (n *Node) answer(ctx context.Context, question []byte, peer string) ([]byte, error) {
	switch {
	case !n.knows(peer):
		return nil, decision.Errorf(decision.KindForbidden, "node %s is not a member of the cluster", peer)
	case n.cfg.Answer == nil:
		return nil, decision.Errorf(decision.KindBadRequest, "node %s answers no questions", n.cfg.NodeID)
	}
	return n.cfg.Answer(ctx, question)
}
