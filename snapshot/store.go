package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tmpSuffix     = ".tmp"
	damagedSuffix = ".damaged"

	// DefaultRetain is how many snapshots stay: the newest, and the one before
	// it in case the newest turns out damaged.
	DefaultRetain = 2
)

// Options configure a Store; the zero value is usable.
type Options struct {
	Retain int // snapshots that stay after a commit; 0: DefaultRetain
	FS     FS  // nil: OS
}

// Store is a directory of snapshots. Its methods may be called from several
// goroutines.
type Store struct {
	fs     FS
	dir    string
	retain int

	mu    sync.Mutex
	inUse map[string]int // open sources by snapshot id; these are not removed
}

// Open opens the store in dir, makes the directory when it is missing, and
// removes what a crash left half-written.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{fs: o.FS, dir: dir, retain: o.Retain, inUse: make(map[string]int)}
	if s.fs == nil {
		s.fs = OS{}
	}
	if s.retain == 0 {
		s.retain = DefaultRetain
	}
	if s.retain < 1 {
		return nil, fmt.Errorf("snapshot store: retain is %d, want at least 1", s.retain)
	}
	if err := s.fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("snapshot store: %w", err)
	}
	if err := syncDir(s.fs, filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("snapshot store: %w", err)
	}
	if err := s.removeLeftovers(); err != nil {
		return nil, fmt.Errorf("snapshot store: remove leftovers: %w", err)
	}
	return s, nil
}

// Dir returns the directory of the store.
func (s *Store) Dir() string { return s.dir }

func (s *Store) removeLeftovers() error {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), tmpSuffix)
		if !ok {
			continue
		}
		if _, ok := parseID(name); !ok {
			continue
		}
		if err := s.fs.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Info is one snapshot of a store.
type Info struct {
	ID       string
	Path     string
	Term     uint64 // as the directory's name says
	Index    uint64 // as the directory's name says
	Manifest Manifest
	Err      error // why the manifest cannot be used; the files are not read
}

// List returns the snapshots, the newest first. Only their manifests are read.
func (s *Store) List() ([]Info, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(ids))
	for _, id := range ids {
		info := Info{ID: id.name, Path: filepath.Join(s.dir, id.name), Term: id.term, Index: id.index}
		info.Manifest, info.Err = openManifest(s.fs, info.Path, id)
		infos = append(infos, info)
	}
	return infos, nil
}

// openManifest reads a manifest and holds it against the directory's name.
func openManifest(fsys FS, dir string, id snapshotID) (Manifest, error) {
	m, err := readManifest(fsys, dir)
	if err == nil && (m.Term != id.term || m.Index != id.index) {
		err = damaged(dir, "the manifest is of term %d and index %d", m.Term, m.Index)
	}
	return m, err
}

// ids returns the ids of all snapshots, the newest first.
func (s *Store) ids() ([]snapshotID, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var ids []snapshotID
	for _, e := range entries {
		if id, ok := parseID(e.Name()); ok && e.IsDir() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b snapshotID) int { return b.compare(a) })
	return ids, nil
}

// Open opens a snapshot for reading; it is not removed before the source is
// closed. Its files are checked as they are read, not before: see Verify.
func (s *Store) Open(id string) (*Source, error) {
	parsed, ok := parseID(id)
	if !ok {
		return nil, fmt.Errorf("snapshot id is %q, want <term>-<index>-<ms>", id)
	}
	s.mu.Lock()
	s.inUse[id]++
	s.mu.Unlock()
	dir := filepath.Join(s.dir, id)
	m, err := openManifest(s.fs, dir, parsed)
	if err != nil {
		s.release(id)
		return nil, err
	}
	src := newSource(s.fs, dir, m)
	src.release = func() { s.release(id) }
	return src, nil
}

func (s *Store) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse[id]--; s.inUse[id] == 0 {
		delete(s.inUse, id)
	}
}

// Verify reads every file of a snapshot and checks its size and checksum.
func (s *Store) Verify(id string) error {
	src, err := s.Open(id)
	if err != nil {
		return err
	}
	return errors.Join(src.Verify(), src.Close())
}

// Quarantine sets a damaged snapshot aside under another name, where it is not
// listed, for the operator to look at and to remove. It returns the new path.
func (s *Store) Quarantine(id string) (string, error) {
	from := filepath.Join(s.dir, id)
	to := from + damagedSuffix
	if err := s.fs.Rename(from, to); err != nil {
		return "", fmt.Errorf("set snapshot aside: %w", err)
	}
	return to, syncDir(s.fs, s.dir)
}

// reap removes the snapshots beyond the newest retain ones. Each is renamed
// first, durably, so that a crash never leaves half of one under a good name.
func (s *Store) reap() error {
	ids, err := s.ids()
	if err != nil {
		return err
	}
	for _, id := range ids[min(s.retain, len(ids)):] {
		if err := s.remove(id.name); err != nil {
			return fmt.Errorf("remove snapshot %s: %w", id.name, err)
		}
	}
	return nil
}

func (s *Store) remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse[id] > 0 {
		return nil // the next commit tries again
	}
	path := filepath.Join(s.dir, id)
	if err := s.fs.Rename(path, path+tmpSuffix); err != nil {
		return err
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return err
	}
	return s.fs.RemoveAll(path + tmpSuffix)
}

// snapshotID is a parsed directory name.
type snapshotID struct {
	name        string
	term, index uint64
	ms          uint64
}

func (a snapshotID) compare(b snapshotID) int {
	return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.index, b.index), cmp.Compare(a.ms, b.ms))
}

func parseID(name string) (snapshotID, bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return snapshotID{}, false
	}
	var n [3]uint64
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 64)
		if err != nil || strconv.FormatUint(v, 10) != p {
			return snapshotID{}, false
		}
		n[i] = v
	}
	return snapshotID{name: name, term: n[0], index: n[1], ms: n[2]}, true
}

// newID returns an id that no snapshot has, finished or not.
func (s *Store) newID(m Meta) (string, int64, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return "", 0, fmt.Errorf("list snapshots: %w", err)
	}
	taken := make(map[string]bool, len(entries))
	for _, e := range entries {
		taken[strings.TrimSuffix(strings.TrimSuffix(e.Name(), tmpSuffix), damagedSuffix)] = true
	}
	for ms := time.Now().UnixMilli(); ; ms++ {
		if id := fmt.Sprintf("%d-%d-%d", m.Term, m.Index, ms); !taken[id] {
			return id, ms, nil
		}
	}
}
