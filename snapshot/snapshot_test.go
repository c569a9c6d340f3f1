package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoundTripOnDisk(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "snapshots"), Options{})
	must(t, err)
	must(t, write(OS{}, s, 7))
	infos, err := s.List()
	must(t, err)
	if len(infos) != 1 || infos[0].Err != nil || infos[0].Index != 7 || infos[0].Term != 1 {
		t.Fatalf("got %+v, want one snapshot of term 1 and index 7", infos)
	}
	must(t, Verify(infos[0].Path))
	m, err := Inspect(infos[0].Path)
	must(t, err)
	if got, want := len(m.Files), 3; got != want {
		t.Errorf("got %d files, want %d", got, want)
	}
	if got, want := strings.Join(strings.Fields(string(m.Configuration)), ""), `{"servers":[]}`; got != want {
		t.Errorf("got configuration %s, want %s", got, want)
	}
	src, err := s.Open(infos[0].ID)
	must(t, err)
	defer src.Close()
	dir, ok := src.Dir("history")
	if !ok {
		t.Fatal("got no directory history")
	}
	b, err := os.ReadFile(filepath.Join(dir, "deep", "000002.sst"))
	must(t, err)
	if got, want := string(b), "rows of deep/000002.sst at 7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := src.Section("absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v for an absent section, want fs.ErrNotExist", err)
	}
	if _, ok := src.Dir("absent"); ok {
		t.Error("got a directory that is not there")
	}
}

func TestWriterRefuses(t *testing.T) {
	tests := map[string]func(w *Writer) error{
		"name with separator":  func(w *Writer) error { return w.Section("a/b").Close() },
		"name dot dot":         func(w *Writer) error { return w.Section("..").Close() },
		"empty name":           func(w *Writer) error { return w.Section("").Close() },
		"name of the manifest": func(w *Writer) error { return w.Section("manifest").Close() },
		"name taken": func(w *Writer) error {
			w.Section("a").Close()
			return w.Section("a").Close()
		},
		"section name for a directory": func(w *Writer) error {
			w.Section("a").Close()
			_, err := w.Dir("a")
			return err
		},
		"directory name with separator": func(w *Writer) error { _, err := w.Dir("../x"); return err },
		"two sections at once": func(w *Writer) error {
			w.Section("a")
			return w.Section("b").Close()
		},
		"write after close": func(w *Writer) error {
			sec := w.Section("a")
			sec.Close()
			_, err := sec.Write([]byte("x"))
			return err
		},
		"symbolic link": func(w *Writer) error {
			dir, err := w.Dir("d")
			if err != nil {
				return nil
			}
			return errors.Join(os.Mkdir(dir, 0o700), os.Symlink("/etc/passwd", filepath.Join(dir, "x")), w.Commit())
		},
		"directory that was not made": func(w *Writer) error { w.Dir("d"); return w.Commit() },
		"section left open":           func(w *Writer) error { w.Section("a"); return w.Commit() },
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Open(filepath.Join(t.TempDir(), "snapshots"), Options{})
			must(t, err)
			w, err := s.Create(Meta{Term: 1, Index: 1})
			must(t, err)
			if err := act(w); err == nil {
				t.Error("got no error")
			}
			if err := w.Commit(); err == nil {
				t.Error("got no error from Commit")
			}
			must(t, w.Cancel())
			checkDirEmpty(t, s)
		})
	}
}

func checkDirEmpty(t *testing.T, s *Store) {
	t.Helper()
	entries, err := os.ReadDir(s.Dir())
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("got %v in the store, want nothing", entries)
	}
}

func TestRetentionKeepsWhatIsInUse(t *testing.T) {
	fsys := newMemFS()
	s := mustOpen(t, fsys)
	must(t, write(fsys, s, 1))
	infos, _ := s.List()
	src, err := s.Open(infos[0].ID)
	must(t, err)
	for i := uint64(2); i <= 4; i++ {
		must(t, write(fsys, s, i))
	}
	must(t, src.Verify())
	infos, _ = s.List()
	if got, want := len(infos), 3; got != want {
		t.Errorf("got %d snapshots, want %d: two retained, one in use", got, want)
	}
	must(t, src.Close())
	must(t, src.Close()) // closing twice releases once
	must(t, write(fsys, s, 5))
	checkSet(t, fsys, "after close", []uint64{5, 4})
}

func TestVerifyNamesTheDamagedFile(t *testing.T) {
	tests := map[string]struct {
		damage func(dir string) error
		want   string
	}{
		"flipped bit in a section":   {func(d string) error { return flip(filepath.Join(d, "models"), 3) }, "models: checksum is"},
		"flipped bit in a directory": {func(d string) error { return flip(filepath.Join(d, "history/000001.sst"), 3) }, "000001.sst: checksum is"},
		"flipped bit in the manifest": {
			func(d string) error { return flip(filepath.Join(d, manifestName), 20) }, "MANIFEST: ends with"},
		"truncated file": {func(d string) error { return os.Truncate(filepath.Join(d, "models"), 3) }, "models: has 3 bytes, want 11"},
		"longer file":    {func(d string) error { return os.Truncate(filepath.Join(d, "models"), 300) }, "models: has more than 11 bytes"},
		"missing file":   {func(d string) error { return os.Remove(filepath.Join(d, "models")) }, "models: cannot be opened"},
		"missing manifest": {
			func(d string) error { return os.Remove(filepath.Join(d, manifestName)) }, "MANIFEST: cannot be opened"},
		"unlisted file": {
			func(d string) error { return os.WriteFile(filepath.Join(d, "history/x"), nil, 0o600) }, "history/x: is not in the manifest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Open(filepath.Join(t.TempDir(), "snapshots"), Options{})
			must(t, err)
			must(t, write(OS{}, s, 7))
			infos, err := s.List()
			must(t, err)
			must(t, test.damage(infos[0].Path))
			for _, err := range []error{Verify(infos[0].Path), s.Verify(infos[0].ID)} {
				if !errors.Is(err, ErrDamaged) || !strings.Contains(fmt.Sprint(err), test.want) {
					t.Errorf("got error %v, want damage that says %q", err, test.want)
				}
			}
			path, err := s.Quarantine(infos[0].ID)
			must(t, err)
			if infos, _ = s.List(); len(infos) != 0 {
				t.Errorf("got %d snapshots after %s was set aside, want none", len(infos), path)
			}
		})
	}
}

func flip(name string, at int) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[at] ^= 0x10
	return os.WriteFile(name, b, 0o600)
}

func TestStreamInPieces(t *testing.T) {
	stream := streamOf(t, 9)
	for _, size := range []int{1, 7, 4096} {
		fsys := newMemFS()
		s := mustOpen(t, fsys)
		r, err := s.Receive(Meta{Term: 1, Index: 9})
		must(t, err)
		for p := range chunks(stream, size) {
			if n, err := r.Write(p); n != len(p) || err != nil {
				t.Fatalf("got %d, %v, want %d bytes taken", n, err, len(p))
			}
		}
		must(t, r.Commit())
		checkSet(t, fsys, fmt.Sprintf("pieces of %d", size), []uint64{9})
	}
}

func chunks(b []byte, size int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// No single flipped bit and no truncation gets through.
func TestStreamDetectsDamage(t *testing.T) {
	stream := streamOf(t, 9)
	s := mustOpen(t, newMemFS())
	for i := range stream {
		bad := bytes.Clone(stream)
		bad[i] ^= 1 << (i % 8)
		if err := receive(s, bad, 9); err == nil {
			t.Fatalf("bit flipped in byte %d: got no error", i)
		}
		if err := receive(s, stream[:i], 9); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut after byte %d: got error %v, want damage", i, err)
		}
	}
	if err := receive(s, append(bytes.Clone(stream), 0), 9); !errors.Is(err, ErrDamaged) {
		t.Errorf("trailing byte: got error %v, want damage", err)
	}
	if err := receive(s, stream, 10); !errors.Is(err, ErrDamaged) {
		t.Errorf("other index: got error %v, want damage", err)
	}
	checkSet(t, s.fs, "after all refusals", nil)
}

func TestStreamOfDamagedSnapshotFails(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "snapshots"), Options{})
	must(t, err)
	must(t, write(OS{}, s, 7))
	infos, err := s.List()
	must(t, err)
	must(t, flip(filepath.Join(infos[0].Path, "models"), 0))
	src, err := s.Open(infos[0].ID)
	must(t, err)
	stream, err := src.Stream()
	must(t, err)
	defer stream.Close()
	if _, err := io.Copy(io.Discard, stream); !errors.Is(err, ErrDamaged) {
		t.Errorf("got error %v, want damage", err)
	}
}

func TestManifestRefuses(t *testing.T) {
	base := func() Manifest {
		return Manifest{Format: Format, Dirs: []string{"d"}, Files: []FileInfo{{Name: "a"}, {Name: "d/x", Size: 3}}}
	}
	tests := map[string]func(*Manifest){
		"file outside":          func(m *Manifest) { m.Files[1].Name = "../x" },
		"absolute":              func(m *Manifest) { m.Files[1].Name = "/x" },
		"dot dot below":         func(m *Manifest) { m.Files[1].Name = "d/../../x" },
		"no such directory":     func(m *Manifest) { m.Files[1].Name = "e/x" },
		"directory as file":     func(m *Manifest) { m.Files[0].Name = "d" },
		"twice":                 func(m *Manifest) { m.Files[0].Name = "d/x" },
		"file and directory":    func(m *Manifest) { m.Files = append(m.Files, FileInfo{Name: "d/x/y"}) },
		"negative size":         func(m *Manifest) { m.Files[1].Size = -1 },
		"sizes over the bounds": func(m *Manifest) { m.Files[0].Size, m.Files[1].Size = 1<<62, 1<<62 },
		"too deep":              func(m *Manifest) { m.Files[1].Name = "d/" + strings.Repeat("x/", maxDepth) + "x" },
		"other format":          func(m *Manifest) { m.Format = Format + 1 },
		"backslash":             func(m *Manifest) { m.Files[1].Name = `d/..\x` },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			m := base()
			change(&m)
			b, err := m.encode()
			must(t, err)
			if _, err := decodeManifest("MANIFEST", b); err == nil {
				t.Error("got no error")
			}
		})
	}
	m := base()
	b, err := m.encode()
	must(t, err)
	if _, err := decodeManifest("MANIFEST", b); err != nil {
		t.Errorf("unchanged: got error %v, want none", err)
	}
}

func FuzzManifest(f *testing.F) {
	m := Manifest{Format: Format, Meta: Meta{Term: 1, Index: 2}, Dirs: []string{"d"}, Files: []FileInfo{{Name: "d/x", Size: 3}}}
	b, err := m.encode()
	must(f, err)
	f.Add(b[:len(b)-trailerSize])
	f.Add([]byte(`{"format":1,"files":[{"name":"../x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		sealed := fmt.Appendf(bytes.Clone(body), "crc32c %08x\n", crcOf(body))
		for _, b := range [][]byte{body, sealed} {
			m, err := decodeManifest("MANIFEST", b)
			if err != nil {
				continue
			}
			for _, file := range m.Files {
				if !filepath.IsLocal(file.Name) {
					t.Errorf("got accepted name %q, want only local ones", file.Name)
				}
			}
		}
	})
}

func FuzzReceiver(f *testing.F) {
	stream := streamOf(f, 9)
	f.Add(stream, 3)
	f.Add(stream[:40], 100)
	f.Add([]byte(streamMagic+"\x01\xff\xff\xff\x00{}"), 1)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		s := mustOpen(t, newMemFS())
		r, err := s.Receive(Meta{Term: 1, Index: 9})
		must(t, err)
		for p := range chunks(b, max(size, 1)) {
			if _, err := r.Write(p); err != nil {
				break
			}
		}
		if err := r.Commit(); err == nil {
			checkSet(t, s.fs, "accepted", []uint64{9})
		}
	})
}

func crcOf(b []byte) uint32 {
	_, crc, _ := checksum(bytes.NewReader(b))
	return crc
}

func BenchmarkWriteAndVerify(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "snapshots"), Options{})
	must(b, err)
	block := bytes.Repeat([]byte("praetor "), 8<<10)
	const size = 64 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	index := uint64(0)
	for b.Loop() {
		index++
		w, err := s.Create(Meta{Term: 1, Index: index})
		must(b, err)
		sec := w.Section("models")
		for range size / len(block) {
			sec.Write(block)
		}
		must(b, sec.Close())
		must(b, w.Commit())
		must(b, s.Verify(strings.TrimSuffix(filepath.Base(w.st.tmp), tmpSuffix)))
	}
}
