package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
)

// writers propose distinct keys on a node until stopped, and keep what became of
// each.
type writers struct {
	mu       sync.Mutex
	acked    []string
	refused  []string // certainly not written
	unknown  []string
	problems []string

	stop atomic.Bool
	wg   sync.WaitGroup
}

func (w *writers) start(t testing.TB, n *Node, name string, count int) {
	t.Helper()
	t.Cleanup(w.end)
	for i := range count {
		w.wg.Go(func() {
			for k := 0; !w.stop.Load(); k++ {
				key := fmt.Sprintf("%s/%d/%d", name, i, k)
				r, err := n.Propose(context.Background(), []byte(key))
				w.note(key, r, err)
			}
		})
	}
}

func (w *writers) note(key string, r Result, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.acked = append(w.acked, key)
		if r.Value != 1 {
			w.problems = append(w.problems, fmt.Sprintf("%s: got value %v, want 1", key, r.Value))
		}
	case decision.KindOf(err) == decision.KindUnavailable:
		w.refused = append(w.refused, key)
	case decision.KindOf(err) == decision.KindIndeterminate:
		w.unknown = append(w.unknown, key)
	default:
		w.problems = append(w.problems, fmt.Sprintf("%s: %v", key, err))
	}
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// more waits until so many more writes are acknowledged.
func (w *writers) more(t testing.TB, n int) {
	t.Helper()
	from := w.count()
	eventually(t, "more acknowledged writes", func() bool { return w.count() >= from+n })
}

func (w *writers) end() {
	w.stop.Store(true)
	w.wg.Wait()
}

// check holds the promises against a machine: what was acknowledged is there
// once, what was refused is not, what is unknown is there once or not at all.
func (w *writers) check(t testing.TB, m *counter) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range w.acked {
		if got := m.state.Counts[k]; got != 1 {
			t.Errorf("acknowledged %s: got it %d times, want once", k, got)
		}
	}
	for _, k := range w.refused {
		if got := m.state.Counts[k]; got != 0 {
			t.Errorf("refused %s: got it %d times, want never", k, got)
		}
	}
	for _, k := range w.unknown {
		if got := m.state.Counts[k]; got > 1 {
			t.Errorf("unknown %s: got it %d times, want at most once", k, got)
		}
	}
	for _, p := range w.problems {
		t.Error(p)
	}
	t.Logf("%d acknowledged, %d refused, %d unknown", len(w.acked), len(w.refused), len(w.unknown))
}

// quiesce brings all running nodes to one index and compares them.
func (c *trio) quiesce(t testing.TB) {
	t.Helper()
	n := c.nodes[c.leader(t)]
	c.agree(t, propose(t, n, "the last").Index)
}

func TestWritesAnywhere(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	c.leader(t)
	var w writers
	for i, n := range c.nodes {
		w.start(t, n, fmt.Sprint(i), 4)
	}
	w.more(t, 300)
	w.end()
	c.quiesce(t)
	w.check(t, c.machines[0])
	if len(w.refused)+len(w.unknown) > 0 {
		t.Errorf("got %d writes refused and %d unknown without a fault, want none", len(w.refused), len(w.unknown))
	}
}

// A write that a follower acknowledged is visible on it at once, and at any node
// after a barrier.
func TestReadsSeeWrites(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	follower, other := (lead+1)%3, (lead+2)%3
	for i := range 50 {
		r := propose(t, c.nodes[follower], "k")
		if at := c.nodes[follower].AppliedIndex(); at < r.Index {
			t.Errorf("got applied index %d after a write at %d", at, r.Index)
		}
		for _, n := range []int{other, lead} {
			must(t, c.nodes[n].Barrier(t.Context()))
			if at := c.nodes[n].AppliedIndex(); at < r.Index {
				t.Errorf("round %d, node %d: got applied index %d after a barrier, want at least %d", i, n+1, at, r.Index)
			}
		}
	}
	before := c.nodes[lead].raft.LastIndex()
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if err := c.nodes[i%3].Barrier(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if after := c.nodes[lead].raft.LastIndex(); after != before {
		t.Errorf("got %d entries for barriers, want none", after-before)
	}
}

// die ends a node as a crash would: it is heard no more, and nothing of it is
// closed in order.
func die(n *Node) {
	n.net.Close()
	n.links.close()
	n.raft.Shutdown()
}

// The leader dies under load, again and again: every acknowledged write is there
// once, refused ones are not, and the log settles most of the rest.
func TestLeaderDiesWhileFollowersForward(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	var w writers
	for i, n := range c.nodes {
		if i != c.leader(t) {
			w.start(t, n, fmt.Sprint(i), 6)
		}
	}
	for range 3 {
		lead := c.leader(t)
		w.more(t, 50)
		die(c.nodes[lead])
		dead := c.nodes[lead]
		c.nodes[lead] = nil
		next := c.leader(t)
		w.more(t, 50)
		if next == lead {
			t.Fatal("got the dead node as the leader")
		}
		shut(t, dead)
		c.start(t, lead)
		ready(t, c.nodes[lead])
		// The one with writers must not die itself: its callers are the test.
		for i, n := range c.nodes {
			if i == lead {
				must(t, transfer(n, c.cfgs[lead].NodeID))
			}
		}
	}
	w.end()
	c.quiesce(t)
	w.check(t, c.machines[0])
	if len(w.acked) < 10*len(w.unknown) {
		t.Errorf("got %d unknown for %d acknowledged, want nearly all settled by the log", len(w.unknown), len(w.acked))
	}
}

// transfer repeats a hand-over until it is done.
func transfer(n *Node, to string) error {
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := n.TransferLeadership(ctx, to)
		cancel()
		if id, _ := n.Leader(); err == nil && id == to || time.Now().After(deadline) {
			return err
		}
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	f := newFabric()
	c := newTrio(t, func(i int, cfg *Config) { cfg.WriteTimeout = 500 * time.Millisecond })
	peers := c.cfgs[0].Peers
	for i := range c.cfgs {
		c.cfgs[i].Transport = f.listen(t, c.cfgs[i].NodeID, c.cfgs[i].Listen)
	}
	c.start(t, 0, 1, 2)
	c.leader(t)
	var w writers
	for i, n := range c.nodes {
		w.start(t, n, fmt.Sprint(i), 4)
	}
	w.more(t, 100)
	for round := range 2 {
		lead := c.leader(t)
		victim := lead // the leader alone, or a follower alone
		if round%2 == 1 {
			victim = (lead + 1) % 3
		}
		f.isolate(peers[victim].ID, peers, true)
		start := time.Now()
		_, err := c.nodes[victim].Propose(t.Context(), []byte("cut off"))
		if k := decision.KindOf(err); err == nil || k != decision.KindUnavailable && k != decision.KindIndeterminate {
			t.Errorf("got %v from the minority, want unavailable or indeterminate", err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("got an answer after %v, want it bounded", took)
		}
		eventually(t, "the minority without a leader", c.nodes[victim].Stale)
		if err := c.nodes[victim].Barrier(t.Context()); decision.KindOf(err) != decision.KindUnavailable {
			t.Errorf("got %v for a strong read in the minority, want unavailable", err)
		}
		w.more(t, 30)
		f.isolate(peers[victim].ID, peers, false)
		eventually(t, "the leader back", func() bool { return !c.nodes[victim].Stale() })
		w.more(t, 30)
	}
	w.end()
	c.quiesce(t)
	w.check(t, c.machines[0])
}

// An entry that enters the log in another term than the one it names is void on
// all nodes, and its proposer is told to send it again.
func TestEntryOfAnotherTermIsVoid(t *testing.T) {
	m := &counter{}
	n := open(t, testConfig(t), m)
	ready(t, n)
	want := m.digest()
	told := make(chan error, 1)
	seq, err := n.waiting.add(n.raft.CurrentTerm(), func(_ uint64, _ []any, err error) { told <- err })
	must(t, err)
	entry := appendEnvelope(nil, header{at: 1 << 50, term: n.raft.CurrentTerm() + 1, run: n.waiting.run, seq: seq}, []byte("void"))
	future := n.raft.Apply(entry, 0)
	must(t, future.Error())
	if err := <-told; !errors.Is(err, errAgain) || decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("got %v, want unavailable and another try", err)
	}
	must(t, n.WaitApplied(t.Context(), future.Index()))
	if got := m.digest(); got != want {
		t.Errorf("got state %s, want %s", got, want)
	}
}

// What a node waits for is settled by the first entry of a later term.
func TestLaterTermSettles(t *testing.T) {
	w := newWaiting(time.Hour, func(uint64) error { return nil })
	fates := make(map[string]chan error)
	add := func(name string, term uint64) uint64 {
		c := make(chan error, 1)
		fates[name] = c
		seq, err := w.add(term, func(_ uint64, _ []any, err error) { c <- err })
		must(t, err)
		return seq
	}
	lost, kept, next := add("lost", 3), add("kept", 3), add("next", 4)
	_ = lost
	w.doubt(lost, nil)
	entry := func(term, seq uint64) *envelope {
		return &envelope{Entry{Term: term, Index: seq}, header{term: term, run: w.run, seq: seq}}
	}
	w.applied(entry(3, kept), false, nil)
	w.applied(entry(4, next), false, nil)
	for name, want := range map[string]error{"lost": errAgain, "kept": nil, "next": nil} {
		if got := <-fates[name]; !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if _, err := w.add(3, nil); !errors.Is(err, errAgain) {
		t.Errorf("got %v for a term that is over, want another try", err)
	}
}

// The leader pushes back on a follower, and says so.
func TestLeaderOverloaded(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	follower := c.nodes[(lead+1)%3]
	propose(t, follower, "a")
	c.nodes[lead].forwarded.Add(int64(c.cfgs[lead].MaxPendingBytes))
	_, err := follower.Propose(t.Context(), []byte("b"))
	var e *decision.Error
	if !errors.As(err, &e) || e.Kind != decision.KindUnavailable || e.Reason != ReasonOverloaded {
		t.Errorf("got %v, want unavailable, overloaded", err)
	}
	c.nodes[lead].forwarded.Add(-int64(c.cfgs[lead].MaxPendingBytes))
	propose(t, follower, "c")
	c.quiesce(t)
	if got := c.machines[0].digest(); strings.Contains(got, `"b"`) {
		t.Errorf("got state %s, want nothing of what was refused", got)
	}
}

// The time in the log is the leader's, whoever proposes.
func TestFollowersClockDoesNotMatter(t *testing.T) {
	t.Parallel()
	c := newTrio(t, nil)
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	n := c.nodes[(lead+1)%3]
	entry := appendEnvelope(nil, header{at: 1 << 60}, []byte("from the future"))
	index, _, err := n.appendAndWait(t.Context(), entry)
	must(t, err)
	c.agree(t, index)
	if got, now := n.fsm.at.Load(), time.Now().UnixMilli(); got > now {
		t.Errorf("got time %d in the log, want at most %d", got, now)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	c := newTrio(t, func(i int, cfg *Config) {
		cfg.Level = uint8(2 + i)
		cfg.LevelOf = func(b []byte) uint8 {
			if strings.HasPrefix(string(b), "new") {
				return 3
			}
			return 2
		}
	})
	c.start(t, 0, 1, 2)
	c.leader(t)
	for _, n := range c.nodes {
		if got, err := n.MinLevel(t.Context()); err != nil || got != 2 {
			t.Errorf("got level %d, %v, want 2", got, err)
		}
	}
	propose(t, c.nodes[2], "old")
	// With the leader too old for it, a command goes nowhere.
	must(t, transfer(c.nodes[1], "n1"))
	_, err := c.nodes[2].Propose(t.Context(), []byte("new"))
	var e *decision.Error
	if !errors.As(err, &e) || e.Kind != decision.KindUnavailable || e.Reason != ReasonLevel {
		t.Errorf("got %v, want unavailable, level", err)
	}
	// Nobody asked the other nodes: the one that is too old stops, and the others go on.
	must(t, transfer(c.nodes[1], "n3"))
	propose(t, c.nodes[2], "new")
	select {
	case <-c.nodes[0].Failed():
	case <-time.After(patience):
		t.Fatal("got no failure of a node whose build is too old")
	}
	if err := c.nodes[0].Err(); !strings.Contains(err.Error(), "entry needs level 3, this build has level 2") {
		t.Errorf("got %v, want both levels", err)
	}
	propose(t, c.nodes[1], "new again")
	if _, err := c.nodes[1].MinLevel(t.Context()); decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("got %v with a node down, want unavailable", err)
	}
}

func TestPeers(t *testing.T) {
	t.Parallel()
	c := newTrio(t, func(i int, cfg *Config) {
		cfg.Version = fmt.Sprintf("v%d", i+1)
		cfg.Detail = func() []byte { return []byte(cfg.NodeID) }
	})
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	c.quiesce(t)
	for _, n := range c.nodes {
		ready(t, n)
	}
	down := (lead + 1) % 3
	check := func(n *Node, alive int) {
		t.Helper()
		start := time.Now()
		peers := n.Peers(t.Context())
		if took := time.Since(start); took > 2*peersTimeout {
			t.Errorf("got the peers after %v, want about %v at most", took, peersTimeout)
		}
		if len(peers) != 3 {
			t.Fatalf("got %d peers, want 3", len(peers))
		}
		for i, p := range peers {
			want := c.cfgs[i].NodeID
			switch {
			case p.ID != want:
				t.Errorf("got peer %q, want %q", p.ID, want)
			case i == down && alive == 2:
				if p.Err == nil {
					t.Errorf("got %+v from a node that is down", p)
				}
			case p.Err != nil || !p.Ready || p.AppliedIndex == 0 || p.Version != fmt.Sprintf("v%d", i+1) || string(p.Detail) != want || (p.Role == "leader") != (i == lead):
				t.Errorf("got %+v, want a ready peer", p)
			}
		}
	}
	for _, n := range c.nodes {
		check(n, 3)
	}
	c.stop(t, down)
	check(c.nodes[lead], 2)
	check(c.nodes[(lead+2)%3], 2)
}

// hang is a log store that does not come back until released.
type hang struct {
	on   atomic.Bool
	gate chan struct{}
}

func (h *hang) wrap(l raft.LogStore) raft.LogStore {
	return &faultStore{LogStore: l, before: func([]*raft.Log) error {
		if h.on.Load() {
			<-h.gate
		}
		return nil
	}}
}

// A leader whose log store hangs without an error loses its office, and comes
// back when the disk does.
func TestLogStoreHangsAndComesBack(t *testing.T) {
	t.Parallel()
	var hangs [3]hang
	c := newTrio(t, func(i int, cfg *Config) {
		hangs[i].gate = make(chan struct{})
		cfg.faults = hangs[i].wrap
		cfg.StallTimeout = time.Second
	})
	c.start(t, 0, 1, 2)
	lead := c.leader(t)
	var w writers
	for i, n := range c.nodes {
		if i != lead {
			w.start(t, n, fmt.Sprint(i), 4)
		}
	}
	w.more(t, 50)
	hangs[lead].on.Store(true)
	start := time.Now()
	eventually(t, "another leader", func() bool {
		id, _ := c.nodes[(lead+1)%3].Leader()
		return id != "" && id != c.cfgs[lead].NodeID
	})
	t.Logf("another leader after %v", time.Since(start))
	w.more(t, 50)
	if err := c.nodes[lead].Ready(); err == nil {
		t.Error("got ready with a log store that hangs")
	}
	hangs[lead].on.Store(false)
	close(hangs[lead].gate)
	ready(t, c.nodes[lead])
	w.more(t, 20)
	w.end()
	c.quiesce(t)
	w.check(t, c.machines[lead])
}

// A log store that never comes back is a failure that names it; closing does not
// wait for ever.
func TestLogStoreHangsForGood(t *testing.T) {
	t.Parallel()
	h := hang{gate: make(chan struct{})}
	cfg := testConfig(t)
	cfg.faults, cfg.StallTimeout = h.wrap, 200*time.Millisecond
	n, err := Open(cfg, &counter{}, testLog(t))
	must(t, err)
	ready(t, n)
	h.on.Store(true)
	_, err = n.Propose(t.Context(), []byte("a"))
	if got, want := decision.KindOf(err), decision.KindIndeterminate; got != want {
		t.Errorf("got %v, want %v", err, want)
	}
	<-n.Failed()
	if !strings.Contains(n.Err().Error(), "hangs: append has not returned for") {
		t.Errorf("got %v, want the log store named", n.Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Close(ctx); err == nil || !strings.Contains(err.Error(), "only the end of the process") {
		t.Errorf("got %v from Close, want it to say what is left", err)
	}
	close(h.gate) // the background work ends now
}
