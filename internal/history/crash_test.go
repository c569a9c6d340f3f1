package history

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The crash tests run on a file system that forgets what was not synced.

const crashRows = 3

func crashEntry(i int) entry {
	e := entry{at: int64(i)}
	for j := range crashRows {
		e.ops = append(e.ops, record(1, fmt.Sprint("c", (i+j)%9), "loan", decision.Positive, int64(i)))
	}
	e.ops = append(e.ops, op{kind: "put", tenant: 1, model: "m", version: uint64(i % 4), state: fmt.Sprint(i)})
	return e
}

func crashOptions(fs vfs.FS) Options {
	o := testOptions()
	o.Limits.MaxRows = 64
	o.fs = fs
	return o
}

// snapshotOn applies entries 1 to n to a store on fs, with a snapshot after the
// entry at, and returns the encoded capture and the digest at the end.
func snapshotOn(t *testing.T, s *Store, at, n int) (capture []byte, end string) {
	t.Helper()
	var c *Capture
	for i := 1; i <= n; i++ {
		apply(t, s, uint64(i), crashEntry(i))
		if i != at {
			continue
		}
		var err error
		if c, err = s.Capture(); err != nil {
			t.Fatal(err)
		}
	}
	defer c.Release()
	var out bytes.Buffer
	if err := errors.Join(c.Checkpoint("/snapshot"), c.Encode(&out)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), digest(t, s)
}

// comeBack opens a store on fs, restores the snapshot, replays and compares.
func comeBack(t *testing.T, fs vfs.FS, capture []byte, at, n int, want string) {
	t.Helper()
	s, err := Open("/data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Restore("/snapshot", bytes.NewReader(capture)); err != nil {
		t.Fatal(err)
	}
	if rows := scanAll(t, s, 1, 0, 1<<40); int64(len(rows)) != s.Count(1) || rows[len(rows)-1].ID.Index != uint64(at) {
		t.Fatalf("restored %d rows to entry %d, want %d to %d", len(rows), rows[len(rows)-1].ID.Index, s.Count(1), at)
	}
	for i := at + 1; i <= n; i++ {
		apply(t, s, uint64(i), crashEntry(i))
	}
	if got := digest(t, s); got != want {
		t.Errorf("digest after the replay = %s, want %s", got, want)
	}
	if rows := scanAll(t, s, 1, 0, 1<<40); int64(len(rows)) != s.Count(1) {
		t.Errorf("%d rows after the replay, want %d", len(rows), s.Count(1))
	}
	if got, err := s.State(1, "m", uint64(n%4)); err != nil || string(got) != fmt.Sprint(n) {
		t.Errorf("State() = %q, %v, want %d", got, err, n)
	}
}

// TestCrashLosesOnlyWhatTheLogHas crashes at any time after a checkpoint.
func TestCrashLosesOnlyWhatTheLogHas(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := Open("/data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	capture, end := snapshotOn(t, s, 40, 60)
	for seed := range uint64(8) {
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed) * 14, RNG: rand.New(rand.NewPCG(seed, 1))})
		comeBack(t, crashed, capture, 40, 60, end)
	}
}

// TestRestoreInterrupted crashes at the first, second, … write of a restore; the
// same restore then works.
func TestRestoreInterrupted(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := Open("/data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	capture, end := snapshotOn(t, s, 40, 60)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	points := 0
	for crashed := crashIn(t, fs, capture, points); crashed != nil; crashed = crashIn(t, fs, capture, points) {
		comeBack(t, crashed, capture, 40, 60, end)
		points += 2
	}
	if points < 20 {
		t.Errorf("the restore wrote %d times: it was not interrupted at all", points)
	}
}

// crashIn restores and returns the disk as a crash before the write after n
// others would leave it, nil when there are not so many.
func crashIn(t *testing.T, fs *vfs.MemFS, capture []byte, n int) (crashed *vfs.MemFS) {
	t.Helper()
	disk := fs.CrashClone(vfs.CrashCloneCfg{})
	var armed atomic.Bool
	var writes atomic.Int64
	spy := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == int64(n+1) {
			crashed = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(n), 2))})
		}
		return nil
	})
	s, err := Open("/data", crashOptions(errorfs.Wrap(disk, spy)))
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	if err := s.Restore("/snapshot", bytes.NewReader(capture)); err != nil {
		t.Fatal(err)
	}
	s.retiring.Wait()
	armed.Store(false)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return crashed
}

var errInjected = errors.New("injected")

// TestRestoreCopiesWhereItCannotLink: checkpoints may be on another device.
func TestRestoreCopiesWhereItCannotLink(t *testing.T) {
	fs := vfs.NewMem()
	links := 0
	s, err := Open("/data", crashOptions(errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLink {
			links++
			return errInjected
		}
		return nil
	}))))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	capture, end := snapshotOn(t, s, 20, 20)
	if err := s.Restore("/snapshot", bytes.NewReader(capture)); err != nil || digest(t, s) != end || links < 2 {
		t.Errorf("Restore() = %v after %d refused links", err, links)
	}
}

func TestRestoreNeedsTheCapturesCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open("/data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	capture, end := snapshotOn(t, s, 20, 20)
	for name, restore := range map[string]func() error{
		"no checkpoint":      func() error { return s.Restore("", bytes.NewReader(capture)) },
		"missing checkpoint": func() error { return s.Restore("/nowhere", bytes.NewReader(capture)) },
		"damaged capture":    func() error { return s.Restore("/snapshot", bytes.NewReader(capture[:50])) },
	} {
		if err := restore(); err == nil {
			t.Errorf("%s: Restore() = nil, want an error", name)
		}
		if got := digest(t, s); got != end {
			t.Errorf("%s: the store changed", name)
		}
	}
	if err := s.Restore("", nil); err != nil || s.Count(1) != 0 || s.Applied() != 0 {
		t.Errorf("Restore() of nothing = %v, %d rows", err, s.Count(1))
	}
	if err := s.Restore("/snapshot", bytes.NewReader(capture)); err != nil || digest(t, s) != end {
		t.Errorf("Restore() = %v, or another digest", err)
	}
	s.retiring.Wait()
	names, err := fs.List("/data")
	if err != nil || len(names) != 2 {
		t.Errorf("the folder holds %v, want the lock and one database", names)
	}
}

// TestStorageFailureIsFinal: after a failed flush the store accepts nothing, and
// a checkpoint does not hang.
func TestStorageFailureIsFinal(t *testing.T) {
	broken := make(chan struct{})
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		select {
		case <-broken:
			if op.Kind == errorfs.OpFileWrite {
				return errInjected
			}
		default:
		}
		return nil
	}))
	s, err := Open("/data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, 1, crashEntry(1))
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	close(broken)
	if err := c.Checkpoint("/snapshot"); !errors.Is(err, errInjected) {
		t.Errorf("Checkpoint() = %v, want the injected error", err)
	}
	c.Release()
	<-s.Failed()
	if err := s.Begin(2, 2).Commit(); !errors.Is(err, errInjected) {
		t.Errorf("Commit() = %v, want the injected error", err)
	}
	if _, err := s.Capture(); !errors.Is(err, errInjected) {
		t.Errorf("Capture() = %v, want the injected error", err)
	}
	if _, ok := s.Summary(1, "c1", "loan"); !ok {
		t.Error("Summary() = nothing: scores must go on")
	}
}
