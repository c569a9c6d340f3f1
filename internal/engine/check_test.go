package engine

import (
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestCommonest(t *testing.T) {
	for _, c := range []struct {
		reports []report
		want    string
		most    int
	}{
		{nil, "", 0},
		{[]report{{"a", "x"}}, "x", 1},
		{[]report{{"a", "x"}, {"b", "y"}}, "x", 1},
		{[]report{{"a", "x"}, {"b", "y"}, {"c", "y"}}, "y", 2},
	} {
		if got, most := commonest(c.reports); got != c.want || most != c.most {
			t.Errorf("commonest(%v) = %q, %d, want %q, %d", c.reports, got, most, c.want, c.most)
		}
	}
}

// Reports that come one after the other, as a node of three judges them.
func TestANodeThatDiffersIsOutOfService(t *testing.T) {
	n := fresh(t)
	c := n.checker
	own := n.config.Cluster.NodeID
	in := func(what string) {
		t.Helper()
		if err := n.Ready(); err != nil {
			t.Errorf("%s: Ready() = %v", what, err)
		}
	}
	c.begin(100, 3)
	c.judge(100, report{own, "right"})
	c.judge(100, report{"b", "right"})
	in("as another node")
	if got := c.checks.Load(); got != 1 {
		t.Errorf("%d digests were the same, want 1", got)
	}
	c.judge(100, report{"c", "wrong"})
	in("the third differs")
	c.judge(90, report{"b", "of long ago"})
	c.judge(110, report{"b", "of a mark that this node has not seen"})

	c.begin(150, 3)
	c.judge(150, report{"c", "wrong"})
	c.judge(150, report{own, "right"})
	in("one against one of three")
	c.judge(150, report{"b", "right"})
	in("with most of three")

	c.begin(200, 3)
	c.judge(200, report{own, "wrong"})
	in("alone with its digest")
	c.judge(200, report{"b", "right"})
	in("one against one of three")
	c.judge(200, report{"c", "right"})
	wantError(t, "Ready() against most nodes", n.Ready(), decision.KindUnavailable, "")
	if !n.Stats().Diverged {
		t.Error("the figures do not tell")
	}

	c.begin(300, 3)
	c.judge(300, report{"b", "right"})
	wantError(t, "Ready() before the next comparison is made", n.Ready(), decision.KindUnavailable, "")
	c.judge(300, report{own, "right"})
	in("equal again")

	c.begin(400, 2)
	c.judge(400, report{own, "x"})
	c.judge(400, report{"b", "y"})
	in("two nodes that differ: nobody can tell")
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
