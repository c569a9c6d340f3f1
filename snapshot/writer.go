package snapshot

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
)

// Writer writes one snapshot: sections one after another, directories at any
// time, then Commit or Cancel. It is for one goroutine. The first error stays:
// every later call returns it and Commit refuses, so a caller may check Commit
// alone.
type Writer struct {
	st   *staging
	open *section // not closed yet; nil: none
	dirs []string
}

// Create starts a snapshot of the state that m describes.
func (s *Store) Create(m Meta) (*Writer, error) {
	st, err := s.stage(m)
	if err != nil {
		return nil, err
	}
	return &Writer{st: st}, nil
}

// ID returns the name that the snapshot has once it is committed.
func (w *Writer) ID() string { return w.st.id }

// Section starts a named file. It must be closed before the next section
// starts and before Commit. A name that is not valid or taken fails the
// section's Write and Close, and Commit.
func (w *Writer) Section(name string) io.WriteCloser {
	sec := &section{w: w, name: name}
	switch {
	case w.st.err != nil:
		return sec
	case w.open != nil:
		w.st.fail(fmt.Errorf("section %q: section %q is still open", name, w.open.name))
		return sec
	}
	if err := w.claim(name); err != nil {
		w.st.fail(fmt.Errorf("section: %w", err))
		return sec
	}
	f, err := newFileWriter(w.st.store.fs, filepath.Join(w.st.tmp, name))
	if err != nil {
		w.st.fail(fmt.Errorf("section %q: %w", name, err))
		return sec
	}
	sec.file, w.open = f, sec
	return sec
}

// claim checks that a name is valid and new.
func (w *Writer) claim(name string) error {
	if err := validName(name); err != nil {
		return err
	}
	for _, d := range w.dirs {
		if d == name {
			return fmt.Errorf("name %q is taken by a directory", name)
		}
	}
	for i := range w.st.meta.Files {
		if w.st.meta.Files[i].Name == name {
			return fmt.Errorf("name %q is taken by a section", name)
		}
	}
	return nil
}

// Dir returns a path that does not exist yet, for the caller to create as a
// directory and to fill with regular files before Commit. Hard links to files
// that no longer change are welcome.
func (w *Writer) Dir(name string) (string, error) {
	if w.st.err != nil {
		return "", w.st.err
	}
	if w.open != nil && w.open.name == name {
		return "", w.st.fail(fmt.Errorf("directory: name %q is taken by a section", name))
	}
	if err := w.claim(name); err != nil {
		return "", w.st.fail(fmt.Errorf("directory: %w", err))
	}
	w.dirs = append(w.dirs, name)
	return filepath.Join(w.st.tmp, name), nil
}

// Commit makes the snapshot durable and visible, and removes the ones beyond
// those to retain. After an error that wraps ErrSync the caller should stop.
func (w *Writer) Commit() error {
	if w.open != nil {
		w.st.fail(fmt.Errorf("section %q is still open", w.open.name))
		w.st.fail(w.open.file.discard())
		w.open = nil
	}
	for _, name := range w.dirs {
		if w.st.err != nil {
			break
		}
		w.st.meta.Dirs = append(w.st.meta.Dirs, name)
		if err := w.seal(name, 1); err != nil {
			w.st.fail(fmt.Errorf("directory %q: %w", name, err))
		}
	}
	var manifest []byte
	if w.st.err == nil {
		err := w.st.meta.validate()
		if err == nil {
			manifest, err = w.st.meta.encode()
		}
		if err != nil {
			w.st.fail(err)
		}
	}
	return w.st.commit(manifest)
}

// Cancel gives the snapshot up and removes what was written. After Commit it
// does nothing.
func (w *Writer) Cancel() error {
	var err error
	if w.open != nil {
		err = w.open.file.discard()
		w.open = nil
	}
	return errors.Join(err, w.st.cancel())
}

// seal lists, checksums and syncs the files below a directory that the caller
// filled, then the directory itself.
func (w *Writer) seal(rel string, depth int) error {
	fsys, dir := w.st.store.fs, filepath.Join(w.st.tmp, rel)
	if depth >= maxDepth {
		return fmt.Errorf("%s is %d levels deep, want less than %d", rel, depth, maxDepth)
	}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(rel, e.Name())
		switch {
		case e.IsDir():
			err = w.seal(name, depth+1)
		case e.Type().IsRegular():
			err = w.sealFile(name)
		default:
			err = fmt.Errorf("%s is neither a file nor a directory: %v", name, e.Type())
		}
		if err != nil {
			return err
		}
	}
	return syncDir(fsys, dir)
}

func (w *Writer) sealFile(name string) (err error) {
	if len(w.st.meta.Files) >= maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	f, err := w.st.store.fs.Open(filepath.Join(w.st.tmp, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, crc, err := checksum(f)
	if err != nil {
		return err
	}
	w.st.meta.Files = append(w.st.meta.Files, FileInfo{Name: name, Size: size, CRC32C: crc})
	return syncFile(f, name)
}

// section is an open file of a Writer.
type section struct {
	w    *Writer
	name string
	file *fileWriter // nil: could not be opened, or is closed
}

func (s *section) Write(p []byte) (int, error) {
	if s.w.st.err != nil {
		return 0, s.w.st.err
	}
	if s.file == nil {
		return 0, s.w.st.fail(fmt.Errorf("section %q: write after close", s.name))
	}
	n, err := s.file.Write(p)
	if err != nil {
		return n, s.w.st.fail(fmt.Errorf("section %q: %w", s.name, err))
	}
	return n, nil
}

func (s *section) Close() error {
	if s.file == nil {
		return s.w.st.err
	}
	f := s.file
	s.file = nil
	if s.w.open != s {
		return s.w.st.err // the writer was committed or cancelled meanwhile
	}
	s.w.open = nil
	if s.w.st.err != nil {
		return errors.Join(s.w.st.err, f.discard())
	}
	if err := f.finish(); err != nil {
		return s.w.st.fail(fmt.Errorf("section %q: %w", s.name, err))
	}
	s.w.st.meta.Files = append(s.w.st.meta.Files, FileInfo{Name: s.name, Size: f.size, CRC32C: f.crc})
	return nil
}
