package cluster

import (
	"context"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

// A question reaches every other member; what one refuses, and one that is down,
// is told apart.
func TestAsk(t *testing.T) {
	t.Parallel()
	c := newTrio(t, func(i int, cfg *Config) {
		cfg.Answer = func(_ context.Context, question []byte) ([]byte, error) {
			if string(question) == cfg.NodeID {
				return nil, decision.Errorf(decision.KindNotFound, "not about me")
			}
			return append([]byte(cfg.NodeID+" heard "), question...), nil
		}
	})
	c.start(t, 0, 1, 2)
	c.leader(t)
	for _, n := range c.nodes {
		ready(t, n)
	}
	asker, down := c.nodes[0], c.cfgs[2].NodeID
	for _, a := range asker.Ask(t.Context(), []byte("hello")) {
		if got, want := string(a.Reply), a.ID+" heard hello"; a.Err != nil || got != want {
			t.Errorf("got %q, %v of node %s, want %q", got, a.Err, a.ID, want)
		}
	}
	c.stop(t, 2)
	answers := asker.Ask(t.Context(), []byte(c.cfgs[1].NodeID))
	if len(answers) != 2 {
		t.Fatalf("got %d answers, want those of the 2 others", len(answers))
	}
	for _, a := range answers {
		want := decision.KindNotFound
		if a.ID == down {
			want = decision.KindUnavailable
		}
		if got := decision.KindOf(a.Err); got != want {
			t.Errorf("node %s: got %v, want %v", a.ID, a.Err, want)
		}
	}
}
