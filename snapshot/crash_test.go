package snapshot

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const storeDir = "/data/snapshots"

// fill writes the content that all tests here expect of a snapshot of index.
func fill(fsys FS, w *Writer, index uint64) error {
	sec := w.Section("models")
	fmt.Fprintf(sec, "models at %d", index)
	if err := sec.Close(); err != nil {
		return err
	}
	dir, err := w.Dir("history")
	if err != nil {
		return err
	}
	if err := fsys.MkdirAll(filepath.Join(dir, "deep")); err != nil {
		return err
	}
	for _, name := range []string{"000001.sst", "deep/000002.sst"} {
		f, err := fsys.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(f, "rows of %s at %d", name, index); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func write(fsys FS, s *Store, index uint64) error {
	w, err := s.Create(Meta{Term: 1, Index: index, Configuration: []byte(`{"servers":[]}`)})
	if err != nil {
		return err
	}
	if err := fill(fsys, w, index); err != nil {
		return errors.Join(err, w.Cancel())
	}
	return w.Commit()
}

// receive installs what the stream of another store holds.
func receive(s *Store, stream []byte, index uint64) error {
	r, err := s.Receive(Meta{Term: 1, Index: index})
	if err != nil {
		return err
	}
	if _, err := r.Write(stream); err != nil {
		return errors.Join(err, r.Cancel())
	}
	return r.Commit()
}

// streamOf returns the stream of a snapshot of index.
func streamOf(t testing.TB, index uint64) []byte {
	t.Helper()
	fsys := newMemFS()
	s := mustOpen(t, fsys)
	must(t, write(fsys, s, index))
	b, size := readStream(t, s)
	if int64(len(b)) != size {
		t.Fatalf("got a stream of %d bytes, Size says %d", len(b), size)
	}
	return b
}

func readStream(t testing.TB, s *Store) ([]byte, int64) {
	t.Helper()
	infos, err := s.List()
	must(t, err)
	src, err := s.Open(infos[0].ID)
	must(t, err)
	stream, err := src.Stream()
	must(t, err)
	b, err := io.ReadAll(stream)
	must(t, err)
	must(t, stream.Close())
	return b, stream.Size()
}

func mustOpen(t testing.TB, fsys FS) *Store {
	t.Helper()
	s, err := Open(storeDir, Options{FS: fsys})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkSet fails unless every listed snapshot is whole, nothing temporary is
// left, and the set is one of those allowed.
func checkSet(t *testing.T, fsys FS, at string, allowed ...[]uint64) {
	t.Helper()
	s := mustOpen(t, fsys)
	infos, err := s.List()
	must(t, err)
	var got []uint64
	for _, info := range infos {
		got = append(got, info.Index)
		if err := s.Verify(info.ID); err != nil {
			t.Errorf("%s: snapshot %s: %v", at, info.ID, err)
		}
		checkContent(t, s, info)
	}
	if !slices.ContainsFunc(allowed, func(want []uint64) bool { return slices.Equal(got, want) }) {
		t.Errorf("%s: got snapshots %v, want one of %v", at, got, allowed)
	}
	entries, err := fsys.ReadDir(storeDir)
	must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), tmpSuffix) {
			t.Errorf("%s: %s is left over", at, e.Name())
		}
	}
}

func checkContent(t *testing.T, s *Store, info Info) {
	t.Helper()
	src, err := s.Open(info.ID)
	if err != nil {
		t.Error(err)
		return
	}
	defer src.Close()
	r, err := src.Section("models")
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if got, want := string(b), fmt.Sprintf("models at %d", info.Index); err != nil || got != want {
		t.Errorf("got section %q, %v, want %q", got, err, want)
	}
}

// Every step of writing or receiving the third snapshot is made the last one
// before a crash that loses all, half or none of what was not synced.
func TestCrashAtEveryStep(t *testing.T) {
	stream := streamOf(t, 30)
	actions := map[string]func(FS, *Store) error{
		"write":   func(fsys FS, s *Store) error { return write(fsys, s, 30) },
		"receive": func(_ FS, s *Store) error { return receive(s, stream, 30) },
	}
	for name, act := range actions {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for failAt, done := 1, false; !done; failAt++ {
				for _, unsynced := range []int{0, 50, 100} {
					done = crashAt(t, failAt, unsynced, act)
				}
				steps = failAt
			}
			if steps < 20 {
				t.Errorf("got %d steps, want the walk to cover the whole commit", steps)
			}
		})
	}
}

func crashAt(t *testing.T, failAt, unsynced int, act func(FS, *Store) error) (done bool) {
	t.Helper()
	mem := newMemFS()
	faulty := &faultFS{FS: mem}
	s := mustOpen(t, faulty)
	must(t, syncDir(mem, "/"))
	must(t, write(faulty, s, 10))
	must(t, write(faulty, s, 20))
	faulty.step, faulty.failAt, faulty.crash = 0, failAt, true
	err := act(faulty, s)
	at := fmt.Sprintf("crash at step %d (%s), %d%% of the unsynced kept", failAt, faulty.last, unsynced)
	if faulty.last != "" && err == nil {
		t.Errorf("%s: got no error", at)
	}
	cfg := crashConfig(unsynced, uint64(failAt))
	allowed := [][]uint64{{30, 20}, {30, 20, 10}}
	if err != nil {
		allowed = append(allowed, []uint64{20, 10})
	}
	checkSet(t, memFS{mem.CrashClone(cfg)}, at, allowed...)
	return faulty.last == ""
}

// One failing step, after which the file system works again, must not leave a
// bad snapshot behind either.
func TestFaultAtEveryStep(t *testing.T) {
	for failAt := 1; ; failAt++ {
		mem := newMemFS()
		faulty := &faultFS{FS: mem}
		s := mustOpen(t, faulty)
		must(t, write(faulty, s, 10))
		must(t, write(faulty, s, 20))
		faulty.step, faulty.failAt = 0, failAt
		err := write(faulty, s, 30)
		if faulty.last == "" {
			return
		}
		at := fmt.Sprintf("fault at step %d (%s)", failAt, faulty.last)
		if !errors.Is(err, errInjected) {
			t.Errorf("%s: got error %v, want the injected one", at, err)
		}
		if got, want := errors.Is(err, ErrSync), strings.HasPrefix(faulty.last, "sync"); got != want {
			t.Errorf("%s: got ErrSync %v, want %v", at, got, want)
		}
		checkSet(t, mem, at, []uint64{20, 10}, []uint64{30, 20, 10}, []uint64{30, 20})
		must(t, write(mem, mustOpen(t, mem), 40))
	}
}

func crashConfig(unsynced int, seed uint64) (cfg crashCloneCfg) {
	cfg.UnsyncedDataPercent = unsynced
	if unsynced > 0 {
		cfg.RNG = rand.New(rand.NewPCG(seed, 1))
	}
	return cfg
}
