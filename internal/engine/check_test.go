package engine

import (
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestMajority(t *testing.T) {
	for _, c := range []struct {
		reports []report
		want    string
	}{
		{nil, ""},
		{[]report{{"a", "x"}}, "x"},
		{[]report{{"a", "x"}, {"b", "y"}}, "x"},
		{[]report{{"a", "x"}, {"b", "y"}, {"c", "y"}}, "y"},
		{[]report{{"a", "x"}, {"b", "y"}, {"c", "z"}}, "x"},
	} {
		if got := majority(c.reports); got != c.want {
			t.Errorf("majority(%v) = %q, want %q", c.reports, got, c.want)
		}
	}
}

// Reports that come one after the other, as a node judges them.
func TestANodeThatDiffersIsOutOfService(t *testing.T) {
	n := fresh(t)
	c := n.checker
	own := n.config.Cluster.NodeID
	c.begin(100)
	c.judge(100, report{"b", "right"})
	c.judge(100, report{own, "right"})
	if err := n.Ready(); err != nil || c.checks.Load() != 1 {
		t.Errorf("as the other node: Ready() = %v after %d checks, want 1", err, c.checks.Load())
	}
	c.judge(100, report{"c", "wrong"})
	if err := n.Ready(); err != nil {
		t.Errorf("another node differs: Ready() = %v", err)
	}
	c.judge(90, report{"b", "of long ago"})
	c.judge(110, report{"b", "of a mark that this node has not seen"})

	c.begin(200)
	c.judge(200, report{own, "wrong"})
	if err := n.Ready(); err != nil {
		t.Errorf("alone with its digest: Ready() = %v", err)
	}
	c.judge(200, report{"b", "right"})
	if err := n.Ready(); err != nil {
		t.Errorf("one against one, reported first: Ready() = %v", err)
	}
	c.judge(200, report{"c", "right"})
	wantError(t, "Ready() against most nodes", n.Ready(), decision.KindUnavailable, "")
	if !n.Stats().Diverged {
		t.Error("the figures do not tell")
	}

	c.begin(300)
	c.judge(300, report{"b", "right"})
	wantError(t, "Ready() before the next comparison is made", n.Ready(), decision.KindUnavailable, "")
	c.judge(300, report{own, "right"})
	if err := n.Ready(); err != nil {
		t.Errorf("equal again: Ready() = %v", err)
	}
}

// Equal state has equal digests, and anything that differs changes them.
func TestDigestCoversEverything(t *testing.T) {
	n := fresh(t)
	last := n.digest()
	for what, change := range map[string]func(){
		"a model":       func() { n.model("m", decision.OnlineLearner) },
		"an outcome":    func() { n.record(mixed(1)...) },
		"a key":         func() { _, _, _ = n.CreateKey(n.ctx, n.w(), "k", "viewer", 0) },
		"another model": func() { n.model("m2", decision.Scorecard) },
	} {
		again := n.digest()
		if again.sum() != last.sum() {
			t.Fatalf("nothing changed, but the digest did: %+v and %+v", last, again)
		}
		change()
		if last = n.digest(); last.sum() == again.sum() {
			t.Errorf("%s did not change the digest", what)
		}
	}
}
