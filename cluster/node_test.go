package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/snapshot"
)

func TestAloneFromEmpty(t *testing.T) {
	start := time.Now()
	n := open(t, testConfig(t), &counter{})
	ready(t, n)
	took := time.Since(start)
	t.Logf("ready after %v", took)
	if took > time.Second {
		t.Errorf("got ready after %v, want well below a second", took)
	}
	propose(t, n, "a", "b")
	r := propose(t, n, "a")
	if r.Value != 2 || r.Index != n.AppliedIndex() {
		t.Errorf("got %+v, want value 2 at the applied index %d", r, n.AppliedIndex())
	}
	must(t, n.Barrier(t.Context()))
	if at := n.AppliedIndex(); at != r.Index {
		t.Errorf("got applied index %d after a barrier, want %d: it appends nothing", at, r.Index)
	}
	s := n.Status()
	if s.Role != "leader" || s.LeaderID != "n1" || len(s.Members) != 1 || !s.Members[0].Leader || s.Commands != 3 || n.Stale() {
		t.Errorf("got status %+v, want a leader alone with 3 commands", s)
	}
	if err := n.TransferLeadership(t.Context(), ""); decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("got %v, want unavailable: there is nobody to hand over to", err)
	}
}

func TestRestart(t *testing.T) {
	tests := map[string]struct {
		snapshots bool
		stop      func(t *testing.T, n *Node, cfg *Config)
	}{
		"from the log":                        {false, func(t *testing.T, n *Node, _ *Config) { shut(t, n) }},
		"from a snapshot and the log":         {true, func(t *testing.T, n *Node, _ *Config) { shut(t, n) }},
		"killed, from the log":                {false, kill},
		"killed, from a snapshot and the log": {true, kill},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			before := &counter{}
			n := open(t, cfg, before)
			ready(t, n)
			propose(t, n, "a", "b", "a")
			if test.snapshots {
				must(t, n.Snapshot(t.Context()))
			}
			last := propose(t, n, "c", "a")
			want := before.digest()
			test.stop(t, n, &cfg)

			after := &counter{}
			n = open(t, cfg, after)
			ready(t, n)
			if got := after.digest(); got != want {
				t.Errorf("got state %s, want %s", got, want)
			}
			if after.restores != 1 {
				t.Errorf("got %d restores, want 1", after.restores)
			}
			if at := n.AppliedIndex(); at < last.Index {
				t.Errorf("got applied index %d when ready, want at least %d", at, last.Index)
			}
			propose(t, n, "a")
			shut(t, n)
			replayed := &counter{}
			_, err := Replay(cfg.DataDir, replayed)
			must(t, err)
			if got, want := replayed.digest(), after.digest(); got != want {
				t.Errorf("got state %s by replay, want %s", got, want)
			}
		})
	}
}

// kill leaves the node behind as a dead process would: what is on the disk is
// all there is. The copy is made while the node runs and is what a restart sees.
func kill(t *testing.T, n *Node, cfg *Config) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(to, os.DirFS(cfg.DataDir)))
	cfg.DataDir = to
}

func TestSnapshotsAreTakenWhenDue(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"by entries": func(c *Config) { c.SnapshotEntries, c.TrailingEntries = 5, 10 },
		"by bytes":   func(c *Config) { c.SnapshotBytes = 200 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			change(&cfg)
			m := &counter{}
			n := open(t, cfg, m)
			ready(t, n)
			for i := range 40 {
				propose(t, n, fmt.Sprintf("key %d", i%7))
			}
			eventually(t, "a snapshot", func() bool { return n.Status().SnapshotIndex > 0 })
			want := m.digest()
			shut(t, n)
			m = &counter{}
			ready(t, open(t, cfg, m))
			if got := m.digest(); got != want {
				t.Errorf("got state %s, want %s", got, want)
			}
		})
	}
}

// The log reaches back to the older snapshot, and is cut before it.
func TestCompactionKeepsTheOlderSnapshot(t *testing.T) {
	cfg := testConfig(t)
	cfg.SnapshotEntries, cfg.TrailingEntries = 1, 2
	n := open(t, cfg, &counter{})
	ready(t, n)
	var at []uint64
	for i := range 3 {
		if err := n.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			propose(t, n, fmt.Sprint(i))
		}
		must(t, n.Snapshot(t.Context()))
		must(t, n.Snapshot(t.Context())) // nothing new: does nothing
		infos, err := n.snaps.store.List()
		must(t, err)
		at = at[:0]
		for _, info := range infos {
			at = append(at, info.Index)
		}
	}
	first, err := n.logs.FirstIndex()
	must(t, err)
	if len(at) != 2 || first > at[1]+1 || first == 1 {
		t.Errorf("got a log from %d and snapshots at %v, want the log cut, and from the older snapshot on", first, at)
	}
	shut(t, n)
	if _, err := Replay(cfg.DataDir, &counter{}); err == nil || !strings.Contains(err.Error(), "the log begins with entry") {
		t.Errorf("got %v from Replay, want it to refuse a log without its beginning", err)
	}
}

func TestGroupCommitOnARealLog(t *testing.T) {
	const proposals = 200
	hold := make(chan struct{})
	var once sync.Once
	cfg := testConfig(t)
	cfg.faults = func(l raft.LogStore) raft.LogStore {
		return &faultStore{LogStore: l, before: func(logs []*raft.Log) error {
			if strings.Contains(string(logs[0].Data), "hold") {
				once.Do(func() { <-hold })
			}
			return nil
		}}
	}
	n := open(t, cfg, &counter{async: true})
	ready(t, n)
	var wg sync.WaitGroup
	wg.Go(func() { propose(t, n, "hold") })
	eventually(t, "the first entry", func() bool { return n.Status().Entries == 1 })
	for range proposals {
		wg.Go(func() { propose(t, n, "k") })
	}
	eventually(t, "all pending", func() bool { return n.Status().Pending == proposals+1 })
	close(hold)
	wg.Wait()
	s := n.Status()
	if s.Commands != proposals+1 || s.Entries > 20 {
		t.Errorf("got %d entries for %d commands, want a few for %d", s.Entries, s.Commands, proposals+1)
	}
}

// faultStore lets a test look at, delay or fail what is appended.
type faultStore struct {
	raft.LogStore
	before func([]*raft.Log) error
}

func (s *faultStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

func (s *faultStore) StoreLogs(logs []*raft.Log) error {
	if err := s.before(logs); err != nil {
		return err
	}
	return s.LogStore.StoreLogs(logs)
}

// A proposal returns when readers see its effects, not before.
func TestProposeWaitsForVisibility(t *testing.T) {
	m := &counter{async: true, held: make(chan struct{})}
	n := open(t, testConfig(t), m)
	ready(t, n)
	at := n.AppliedIndex()
	done := make(chan error, 1)
	go func() {
		_, err := n.Propose(context.Background(), []byte("a"))
		done <- err
	}()
	eventually(t, "the entry applied", func() bool { return strings.Contains(m.digest(), `"a":1`) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := n.WaitApplied(ctx, at+1); decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("got %v while the effects are held, want unavailable", err)
	}
	if got := n.AppliedIndex(); got != at {
		t.Errorf("got applied index %d while the effects are held, want %d", got, at)
	}
	if len(n.seen.waiters) > 1 {
		t.Errorf("got %d waiters, want the one of the proposal", len(n.seen.waiters))
	}
	close(m.held)
	must(t, <-done)
	must(t, n.WaitApplied(t.Context(), at+1))
}

func TestOpenRefuses(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg, &counter{})
	ready(t, n)
	propose(t, n, "a")

	wantRefusal := func(t *testing.T, cfg Config, want string) {
		t.Helper()
		n, err := Open(cfg, &counter{}, testLog(t))
		if err == nil {
			shut(t, n)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	t.Run("a directory in use", func(t *testing.T) { wantRefusal(t, cfg, "is in use by another process") })
	_, err := Replay(cfg.DataDir, &counter{})
	if err == nil || !strings.Contains(err.Error(), "is in use by another process") {
		t.Errorf("got %v from Replay, want it to refuse a directory in use", err)
	}
	shut(t, n)

	t.Run("another node id", func(t *testing.T) {
		cfg := cfg
		cfg.NodeID = "n2"
		wantRefusal(t, cfg, `belongs to node "n1", got node id "n2"`)
	})
	damage := map[string]struct {
		do   func(dir string) error
		want string
	}{
		"a damaged identity": {func(d string) error { return os.WriteFile(filepath.Join(d, identityName), []byte("{"), 0o600) }, identityName + " is damaged"},
		"a later format": {func(d string) error {
			return os.WriteFile(filepath.Join(d, identityName), []byte(`{"format":2,"node_id":"n1"}`), 0o600)
		}, "format is 2, this build reads format 1"},
		"a log without an identity": {func(d string) error { return os.Remove(filepath.Join(d, identityName)) }, "has a log but no node.json"},
		"a damaged high-water mark": {func(d string) error {
			return os.WriteFile(filepath.Join(d, highWaterName), []byte("1 9 00000000\n"), 0o600)
		}, "high-water is damaged"},
		"no high-water mark": {func(d string) error { return os.Remove(filepath.Join(d, highWaterName)) }, "high-water cannot be read"},
		"no log":             {func(d string) error { return os.Remove(filepath.Join(d, logName)) }, "committed entries are lost"},
		"a log that is none": {func(d string) error { return os.WriteFile(filepath.Join(d, logName), make([]byte, 9000), 0o600) }, "cannot be opened"},
	}
	for name, test := range damage {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			kill(t, nil, &cfg)
			must(t, test.do(cfg.DataDir))
			wantRefusal(t, cfg, test.want)
		})
	}
}

// flipLog changes one bit of a record's data, as a bad disk would.
func flipLog(t *testing.T, dir, text string) {
	t.Helper()
	path := filepath.Join(dir, logName)
	b, err := os.ReadFile(path)
	must(t, err)
	found := false
	for i := 0; i+len(text) <= len(b); i++ {
		if string(b[i:i+len(text)]) == text {
			b[i] ^= 4
			found = true
		}
	}
	if !found {
		t.Fatalf("got no %q in the log", text)
	}
	must(t, os.WriteFile(path, b, 0o600))
}

func TestFlippedBitInTheLog(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg, &counter{})
	ready(t, n)
	at := propose(t, n, "a", "the damaged command", "b").Index - 1
	shut(t, n)
	flipLog(t, cfg.DataDir, "the damaged command")
	want := fmt.Sprintf("entry %d: checksum is", at)
	if _, err := Open(cfg, &counter{}, testLog(t)); !errors.Is(err, errDamagedLog) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want damage that says %q", err, want)
	}
	if _, err := Replay(cfg.DataDir, &counter{}); !errors.Is(err, errDamagedLog) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v from Replay, want damage that says %q", err, want)
	}
}

// twoSnapshots stops a node with two snapshots and a log after them, and returns
// its state.
func twoSnapshots(t *testing.T, cfg Config) string {
	t.Helper()
	m := &counter{}
	n := open(t, cfg, m)
	ready(t, n)
	for i := range 3 {
		for range 10 {
			propose(t, n, fmt.Sprint(i))
		}
		if i < 2 {
			must(t, n.Snapshot(t.Context()))
		}
	}
	shut(t, n)
	return m.digest()
}

// damageSnapshot flips a bit in the nth newest snapshot.
func damageSnapshot(t *testing.T, dir string, nth int) {
	t.Helper()
	store, err := snapshot.Open(filepath.Join(dir, snapshotsName), snapshot.Options{})
	must(t, err)
	infos, err := store.List()
	must(t, err)
	path := filepath.Join(infos[nth-1].Path, "history", "rows")
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

func TestDamagedSnapshotIsMadeUpFor(t *testing.T) {
	for name, damaged := range map[string][]int{"the newest": {1}, "both": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			want := twoSnapshots(t, cfg)
			for _, nth := range damaged {
				damageSnapshot(t, cfg.DataDir, nth)
			}
			m := &counter{}
			n := open(t, cfg, m)
			ready(t, n)
			if got := m.digest(); got != want {
				t.Errorf("got state %s, want %s", got, want)
			}
			aside, err := filepath.Glob(filepath.Join(cfg.DataDir, snapshotsName, "*.damaged"))
			if err != nil || len(aside) != len(damaged) {
				t.Errorf("got %v set aside, %v, want %d", aside, err, len(damaged))
			}
		})
	}
}

func TestDamagedSnapshotIsNotRolledBack(t *testing.T) {
	cfg := testConfig(t)
	twoSnapshots(t, cfg)
	damageSnapshot(t, cfg.DataDir, 1)
	// A gap behind the older snapshot: what the damaged one held is nowhere else.
	logs, err := openLog(cfg.DataDir, false)
	must(t, err)
	last, err := logs.LastIndex()
	must(t, err)
	must(t, logs.BoltStore.DeleteRange(1, last-5))
	must(t, logs.Close())
	_, err = Open(cfg, &counter{}, testLog(t))
	for _, want := range []string{"is missing", filepath.Join("history", "rows"), "checksum is"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	// The log gone altogether: contiguous, but short of the high-water mark.
	must(t, os.Remove(filepath.Join(cfg.DataDir, logName)))
	if _, err = Open(cfg, &counter{}, testLog(t)); err == nil || !strings.Contains(err.Error(), "committed entries are lost") {
		t.Errorf("got %v, want it to miss committed entries", err)
	}
	if aside, _ := filepath.Glob(filepath.Join(cfg.DataDir, snapshotsName, "*.damaged")); len(aside) > 0 {
		t.Errorf("got %v set aside by a start that was refused, want nothing touched", aside)
	}
}

// What cannot be applied stops the node, with the reason, and nothing is applied
// after it.
func TestUnknownVersionStopsTheNode(t *testing.T) {
	m := &counter{}
	n := open(t, testConfig(t), m)
	ready(t, n)
	propose(t, n, "a")
	want := m.digest()
	if err := n.raft.Apply([]byte{9, 0}, 0).Error(); err != nil {
		t.Fatal(err)
	}
	<-n.Failed()
	if err := n.Err(); err == nil || !strings.Contains(err.Error(), "entry has version 9, this build reads versions 1 and 2") {
		t.Errorf("got %v, want the version", err)
	}
	if err := n.Ready(); err == nil {
		t.Error("got ready after a failure")
	}
	if _, err := n.Propose(t.Context(), []byte("b")); decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if got := m.digest(); got != want {
		t.Errorf("got state %s, want %s", got, want)
	}
}

type brokenMachine struct {
	counter
	results []any
}

func (b *brokenMachine) Apply(*Entry) Applied { return Applied{Results: b.results} }

func TestMachineThatMiscounts(t *testing.T) {
	n := open(t, testConfig(t), &brokenMachine{results: make([]any, 2)})
	ready(t, n)
	if _, err := n.Propose(t.Context(), []byte("a")); decision.KindOf(err) != decision.KindIndeterminate {
		t.Errorf("got %v, want indeterminate", err)
	}
	if err := n.Err(); err == nil || !strings.Contains(err.Error(), "2 results for 1 commands") {
		t.Errorf("got %v, want the counts", err)
	}
}

func TestStableValuesAreChecked(t *testing.T) {
	logs, err := openLog(t.TempDir(), false)
	must(t, err)
	defer logs.Close()
	if _, err := logs.GetUint64([]byte("term")); err == nil || err.Error() != "not found" {
		t.Errorf("got %v, want Raft's not found", err)
	}
	must(t, logs.SetUint64([]byte("term"), 5))
	if v, err := logs.GetUint64([]byte("term")); v != 5 || err != nil {
		t.Errorf("got %d, %v, want 5", v, err)
	}
	must(t, logs.BoltStore.Set([]byte("term"), []byte("\x00\x00\x00\x00\x00\x00\x00\x06abcd")))
	if _, err := logs.GetUint64([]byte("term")); !errors.Is(err, errDamagedLog) {
		t.Errorf("got %v, want damage", err)
	}
}

func TestFollowerRefusesADamagedRecord(t *testing.T) {
	logs, err := openLog(t.TempDir(), false)
	must(t, err)
	defer logs.Close()
	l := &raft.Log{Index: 1, Term: 1, Data: []byte("abc")}
	must(t, logs.StoreLog(l))
	sent := *l
	sent.Index, sent.Data = 2, []byte("abd")
	if err := logs.StoreLog(&sent); err == nil || !strings.Contains(err.Error(), "entry 2: checksum is") {
		t.Errorf("got %v, want the record refused", err)
	}
	if err := logs.GetLog(2, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("got %v, want nothing stored", err)
	}
}

// Damage found while the node runs stops it, and what is handed on fails its
// checksum wherever it goes.
func TestDamageFoundWhileRunning(t *testing.T) {
	logs, err := openLog(t.TempDir(), false)
	must(t, err)
	defer logs.Close()
	var failed error
	logs.onFail = func(err error) { failed = err }
	l := &raft.Log{Index: 1, Term: 1, Data: []byte("abc")}
	must(t, logs.StoreLog(l))
	l.Data = []byte("abd")
	must(t, logs.BoltStore.StoreLog(l))
	var got raft.Log
	must(t, logs.GetLog(1, &got))
	if !errors.Is(failed, errDamagedLog) {
		t.Errorf("got %v reported, want damage", failed)
	}
	if err := checkRecord(&got); err == nil {
		t.Error("got a record that passes its checksum")
	}
	failed = nil
	logs.writeFailed(syscall.ENOSPC)
	if failed != nil {
		t.Errorf("got %v reported for a full disk, want it to pass", failed)
	}
	logs.writeFailed(&fs.PathError{Op: "fdatasync", Err: syscall.EIO})
	if !errors.Is(failed, syscall.EIO) {
		t.Errorf("got %v reported, want the I/O error", failed)
	}
}

func TestInterruptedFounding(t *testing.T) {
	cfg := testConfig(t)
	must(t, os.MkdirAll(cfg.DataDir, 0o700))
	_, err := bindIdentity(cfg.DataDir, cfg.NodeID, clusterID{})
	must(t, err)
	logs, err := openLog(cfg.DataDir, false)
	must(t, err)
	must(t, logs.SetUint64([]byte("CurrentTerm"), 1)) // and then the power failed
	must(t, logs.Close())
	n := open(t, cfg, &counter{})
	ready(t, n)
	propose(t, n, "a")
}

func TestWriteDurablyLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	h := &highWater{path: filepath.Join(dir, highWaterName)}
	for _, i := range []uint64{5, 3, 9} {
		must(t, h.raise(i))
	}
	h, err := openHighWater(dir)
	must(t, err)
	if got, want := h.get(), uint64(9); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if _, err := os.Stat(h.path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no temporary file", err)
	}
}
