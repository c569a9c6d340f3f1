package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/praetor-engine/praetor/actors"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
	"github.com/praetor-engine/praetor/snapshot"
)

// everything gives a node one model of each type, keys, outcome types, versions
// and interactions.
func (n *node) everything() {
	n.t.Helper()
	for _, kind := range []decision.ModelType{
		decision.Scorecard, decision.Bayesian, decision.LogisticRegression, decision.ThompsonBandit, decision.EpsilonGreedy, decision.OnlineLearner,
	} {
		n.model(string(kind), kind)
	}
	n.model("auto", decision.Bayesian, "learningConfig", `{"autoLearn":true}`, "config", `{"binEdges":{"x":[0.5]}}`)
	n.record(mixed(200)...)
	list, err := n.Models("t1", Page{Limit: 100})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, m := range list.Items {
		n.train(m.ID)
	}
	for i := range 20 {
		o := mixed(i + 1)
		o[0].IdempotencyKey, o[0].Fingerprint = fmt.Sprint("key", i), uint64(i)
		n.record(o...)
	}
	if _, _, err := n.CreateKey(n.ctx, n.w(), "k", "viewer", 0); err != nil {
		n.t.Fatal(err)
	}
}

// change changes something of every model, so that what came after a snapshot is
// not nothing.
func (n *node) change() {
	n.t.Helper()
	list, err := n.Models("t1", Page{Limit: 100})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, m := range list.Items {
		n.record(mixed(30)...)
		if m.ModelType != decision.Scorecard && len(m.Key)%2 == 0 {
			if _, _, err := n.ResetLearning(n.ctx, n.w(), m.ID); err != nil {
				n.t.Fatal(err)
			}
		} else {
			n.train(m.ID)
		}
		n.record(mixed(10)...)
	}
}

func (n *node) snapshot() {
	n.t.Helper()
	if err := n.TakeSnapshot(n.ctx); err != nil {
		n.t.Fatalf("TakeSnapshot() = %v", err)
	}
}

// encoded is the whole registry with the answers, as a snapshot has them.
func (n *node) encoded() string {
	n.t.Helper()
	n.machine.mu.RLock()
	defer n.machine.mu.RUnlock()
	c := n.machine.catalogue.Capture()
	registry, err := c.Registry()
	if err != nil {
		n.t.Fatal(err)
	}
	return string(registry) + string(c.AppendAnswers(nil))
}

// The state after a restart, from the log alone, from a snapshot and the log
// after it, or from several snapshots, is the one before; and a replay of the
// whole log gives it again.
func TestRestart(t *testing.T) {
	n := fresh(t)
	n.everything()
	same := func(what string) {
		t.Helper()
		want, registry, summaries := n.digest(), n.encoded(), fmt.Sprint(must(n.Summaries("t1", "c3")))
		n = n.restart(t)
		wantEqual(t, what, n.digest(), want)
		if got := n.encoded(); got != registry {
			t.Errorf("%s: registry\n%s, want\n%s", what, got, registry)
		}
		if got := fmt.Sprint(must(n.Summaries("t1", "c3"))); got != summaries {
			t.Errorf("%s: summaries %s, want %s", what, got, summaries)
		}
		if got, want := n.count(), n.digest().Interactions["t1"]; got != want {
			t.Errorf("%s: %d interactions, want %d", what, got, want)
		}
	}
	same("from the log alone")
	n.snapshot()
	same("from a snapshot")
	n.change()
	same("from a snapshot and the log after it")
	n.snapshot()
	n.change()
	n.snapshot()
	n.change()
	same("from the newest of several snapshots")
	want := n.digest()
	n.stop()
	got, err := Replay(context.Background(), n.dir, testLog(t))
	if err != nil {
		t.Fatalf("Replay() = %v", err)
	}
	wantEqual(t, "replay", got, want)
	dirs, err := filepath.Glob(filepath.Join(n.dir, "snapshots", "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("snapshots: %v, %v", dirs, err)
	}
	for _, dir := range dirs {
		if info, err := os.Stat(filepath.Join(dir, "MANIFEST")); err == nil && !info.IsDir() {
			if err := snapshot.Verify(dir); err != nil {
				t.Errorf("Verify(%s) = %v", dir, err)
			}
		}
	}
	if info, err := os.Stat(n.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %v, %v, want 0700: the pepper is in it", info.Mode(), err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Snapshots under load, and then a crash: the directory as it lies there, opened
// again, has every acknowledged outcome once and equals a replay of its log.
func TestCrashUnderLoadWithSnapshots(t *testing.T) {
	n := fresh(t, func(c *Config) { c.Cluster.SnapshotEntries = 64; c.Cluster.TrailingEntries = 16384 })
	n.everything()
	before := n.count()
	const clients, requests, size = 4, 50, 5
	var acknowledged atomic.Int64
	var clicking sync.WaitGroup
	for c := range clients {
		clicking.Go(func() {
			for i := range requests {
				all := mixed(size)
				for j := range all {
					all[j].IdempotencyKey, all[j].Fingerprint = fmt.Sprintf("%d-%d-%d", c, i, j), 1
				}
				if _, _, err := n.Respond(n.ctx, n.w(), now(), all, nil); err != nil {
					t.Errorf("Respond() = %v", err)
					return
				}
				acknowledged.Add(size)
			}
		})
	}
	done := make(chan struct{})
	go func() { clicking.Wait(); close(done) }()
	snapshots := 0
	for running := true; running; snapshots++ {
		select {
		case <-done:
			running = false
		default:
		}
		n.snapshot()
	}
	t.Logf("%d snapshots while %d outcomes came", snapshots, acknowledged.Load())
	n.record(mixed(50)...) // after the newest snapshot
	live := n.digest()
	crashed := copyTree(t, n.dir)

	replayed, err := Replay(context.Background(), crashed, testLog(t))
	if err != nil {
		t.Fatalf("Replay() = %v", err)
	}
	wantEqual(t, "replay", replayed, live)
	n = start(t, crashed)
	wantEqual(t, "after the crash", n.digest(), live)
	if got, want := n.count(), before+acknowledged.Load()+50; got != want {
		t.Errorf("%d interactions after the crash, want the %d acknowledged ones", got, want)
	}
	// What was acknowledged before the crash is a duplicate after it.
	o := mixed(1)[0]
	o.IdempotencyKey, o.Fingerprint = "0-0-0", 1
	if r := n.record(o)[0]; !r.Duplicate {
		t.Error("an outcome from before the crash is not known by its key")
	}
}

// A model that cannot go on is out of service alone; the fault is the same after
// a restart, from the log and from a snapshot, and a reset lifts it.
func TestAFaultStaysWithItsModel(t *testing.T) {
	n := fresh(t)
	m, other := n.model("m", decision.OnlineLearner), n.model("other", decision.OnlineLearner)
	n.record(mixed(60)...)
	b, err := command.Encode(headerOf(n.w(), command.KindInstallTraining), command.InstallTraining{
		ID: m.ID, Revision: 1, State: []byte{0xff, 0xff}, Metrics: []byte("{}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.node.Propose(n.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	if s := n.Stats(); s.FaultedModels != 1 || s.Faults != 1 {
		t.Errorf("Stats() = %d faulted, %d faults, want 1 and 1", s.FaultedModels, s.Faults)
	}
	faulted := func(n *node) {
		t.Helper()
		_, err := n.tryScore(m.ID, "", number("x", 1))
		wantError(t, "score of a faulted model", err, decision.KindInternal, "")
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("log index %d", r.Index)) {
			t.Errorf("score = %v, want it to name log index %d", err, r.Index)
		}
		_, err = n.ModelDetail(n.ctx, "t1", m.ID, true)
		wantError(t, "state of a faulted model", err, decision.KindInternal, "")
		if got := n.digest().Models[m.ID]; got != fmt.Sprintf("fault@%d", r.Index) {
			t.Errorf("digest = %s, want the fault", got)
		}
	}
	faulted(n)
	before := n.state(other.ID)
	n.record(outcome("click", "c", "o"))
	if n.state(other.ID) == before {
		t.Error("the other model does not learn any more")
	}
	n = n.restart(t)
	faulted(n)
	n.snapshot()
	n = n.restart(t)
	faulted(n)
	if s := n.Stats(); s.FaultedModels != 1 {
		t.Errorf("FaultedModels = %d after a restart, want 1", s.FaultedModels)
	}
	// A new configuration on the faulted model counts once the fault is lifted.
	if _, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "config", `{"normalize":false}`)); err != nil {
		t.Fatal(err)
	}
	faulted(n)
	if _, _, err := n.ResetLearning(n.ctx, n.w(), m.ID); err != nil {
		t.Fatal(err)
	}
	if got := n.score(m.ID, "", number("x", 1)); got != 0.5 {
		t.Errorf("score after a reset = %v, want 0.5", got)
	}
	n.record(outcome("click", "c", "o"))
	if got := n.state(m.ID); strings.Contains(got, "normalizer") {
		t.Errorf("state = %s, want one of the new configuration", got)
	}
	if s := n.Stats(); s.FaultedModels != 0 {
		t.Errorf("FaultedModels = %d after a reset, want 0", s.FaultedModels)
	}
	want := n.digest()
	n = n.restart(t)
	wantEqual(t, "after it all", n.digest(), want)
	// The version before the fault can be had back, with its configuration.
	if _, _, err := n.UpdateModel(n.ctx, n.w(), m.ID, with(t, catalogue.ModelFields{}, "config", `{}`, "modelState", "{}")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.RestoreVersion(n.ctx, n.w(), m.ID, 1); err != nil {
		t.Errorf("RestoreVersion() = %v", err)
	}
	if s := n.Stats(); s.FaultedModels != 0 {
		t.Errorf("FaultedModels = %d after a restore, want 0", s.FaultedModels)
	}
}

func headerOf(w Write, kind command.Kind) *command.Header { return w.header(kind) }

// Close under load: every request ends, with its result or with an error that
// tells the truth, and what was acknowledged is there afterwards.
func TestCloseUnderLoad(t *testing.T) {
	n := fresh(t)
	m := n.model("m", decision.OnlineLearner)
	n.record(mixed(60)...)
	const clients = 8
	var acknowledged, unknown atomic.Int64
	var working sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(clients)
	for range clients {
		working.Go(func() {
			first := sync.OnceFunc(begun.Done)
			for {
				_, _, err := n.Respond(n.ctx, n.w(), now(), mixed(3), nil)
				_, _ = n.tryScore(m.ID, "", number("x", 1))
				_, _ = n.Interactions(n.ctx, "t1", HistoryFilter{}, Page{Limit: 5})
				_, _ = n.Summaries("t1", "c1")
				_, _ = n.Models("t1", Page{Limit: 5})
				_ = n.Stats()
				first()
				switch decision.KindOf(err) {
				case decision.KindUnavailable:
					return
				case decision.KindIndeterminate:
					unknown.Add(3)
					return
				}
				if err != nil {
					t.Errorf("Respond() = %v, want it unavailable or indeterminate", err)
					return
				}
				acknowledged.Add(3)
			}
		})
	}
	working.Go(func() {
		for {
			_, _, err := n.Train(n.ctx, n.w(), m.ID)
			var e *decision.Error
			if errors.As(err, &e) && (e.Kind == decision.KindUnavailable || e.Reason == "cancelled" || e.Kind == decision.KindIndeterminate) {
				return
			}
			if err != nil {
				t.Errorf("Train() = %v, want it unavailable or cancelled", err)
				return
			}
		}
	})
	begun.Wait()
	n.stop()
	working.Wait()
	if _, err := n.tryScore(m.ID, "", number("x", 1)); err != nil {
		t.Errorf("score after Close() = %v, want the last state's", err)
	}
	n = start(t, n.dir)
	got := n.count()
	if low := 60 + acknowledged.Load(); got < low || got > low+unknown.Load() {
		t.Errorf("%d interactions, want the %d acknowledged and at most %d unknown ones", got, low, unknown.Load())
	}
}

func TestTwoNodesOnOneDirectory(t *testing.T) {
	n := fresh(t)
	n.record(mixed(10)...)
	if e, err := Open(testConfig(n.dir), testLog(t)); err == nil {
		_ = e.Close(n.ctx)
		t.Fatal("a second node on the same directory opened")
	} else if !strings.Contains(err.Error(), "in use") && !strings.Contains(err.Error(), "lock") {
		t.Errorf("Open() = %v, want it to say that the directory is in use", err)
	}
	n.record(mixed(10)...)
	n = n.restart(t)
	if got := n.count(); got != 20 {
		t.Errorf("%d interactions, want 20", got)
	}
	n.stop()
	config := testConfig(n.dir)
	config.Cluster.NodeID = "other"
	if e, err := Open(config, testLog(t)); err == nil {
		_ = e.Close(n.ctx)
		t.Error("another node opened the directory")
	}
}

func FuzzReadModels(f *testing.F) {
	b := appendModel([]byte{modelsVersion, 2}, "m", actors.Captured{State: []byte("state")})
	b = appendModel(b, "n", actors.Captured{Fault: &actors.Fault{Index: 7, Reason: "why"}})
	f.Add(string(b))
	f.Add("\x01\xff\xff\xff\xff\x0f")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		births, err := readModels(s)
		if err != nil {
			return
		}
		// What can be read can be written, and then reads the same.
		b := wire.AppendUvarint([]byte{modelsVersion}, uint64(len(births)))
		for id, birth := range births {
			b = appendModel(b, id, actors.Captured{State: birth.State, Fault: birth.Fault})
		}
		again, err := readModels(string(b))
		if err != nil || len(again) != len(births) {
			t.Fatalf("%d models read back as %d: %v", len(births), len(again), err)
		}
	})
}
