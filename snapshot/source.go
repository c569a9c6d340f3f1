package snapshot

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"sync"
)

// Source reads one snapshot. Its methods may be called from several goroutines.
type Source struct {
	fs       FS
	dir      string
	manifest Manifest
	files    map[string]*FileInfo
	release  func() // tells the store; nil: none
	once     sync.Once
}

func newSource(fsys FS, dir string, m Manifest) *Source {
	s := &Source{fs: fsys, dir: dir, manifest: m, files: make(map[string]*FileInfo, len(m.Files))}
	for i := range m.Files {
		s.files[m.Files[i].Name] = &m.Files[i]
	}
	return s
}

// OpenDir opens the snapshot in a directory, outside of any store.
func OpenDir(dir string) (*Source, error) {
	m, err := readManifest(OS{}, dir)
	if err != nil {
		return nil, err
	}
	return newSource(OS{}, dir, m), nil
}

// Manifest says what the snapshot holds; it is the source's to keep.
func (s *Source) Manifest() *Manifest { return &s.manifest }

// Section opens a named file. Its last Read fails when the size or the checksum
// is not the manifest's, so what was read counts only after io.EOF. A name that
// is not there is fs.ErrNotExist.
func (s *Source) Section(name string) (io.ReadCloser, error) {
	info, ok := s.files[name]
	if !ok {
		return nil, fmt.Errorf("snapshot %s: section %q: %w", s.dir, name, fs.ErrNotExist)
	}
	return s.open(info)
}

// Dir returns the path of a named directory, false when the snapshot has none
// of this name. What is in it must not be changed: link or copy it elsewhere.
func (s *Source) Dir(name string) (string, bool) {
	for _, d := range s.manifest.Dirs {
		if d == name {
			return filepath.Join(s.dir, name), true
		}
	}
	return "", false
}

// Close releases the snapshot; the store may then remove it.
func (s *Source) Close() error {
	s.once.Do(func() {
		if s.release != nil {
			s.release()
		}
	})
	return nil
}

// Verify reads every file and checks its size and checksum; a file that the
// manifest does not list is an error too. All files at fault are named.
func (s *Source) Verify() error {
	var errs []error
	for i := range s.manifest.Files {
		if err := s.verifyFile(&s.manifest.Files[i]); err != nil {
			errs = append(errs, err)
		}
	}
	for _, d := range s.manifest.Dirs {
		if err := s.verifyListed(d); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Source) verifyFile(info *FileInfo) error {
	r, err := s.open(info)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// verifyListed checks that a directory holds nothing but what is listed.
func (s *Source) verifyListed(rel string) error {
	entries, err := s.fs.ReadDir(filepath.Join(s.dir, rel))
	if err != nil {
		return damaged(filepath.Join(s.dir, rel), "cannot be read: %v", err)
	}
	for _, e := range entries {
		name := path.Join(rel, e.Name())
		if e.IsDir() {
			if err := s.verifyListed(name); err != nil {
				return err
			}
			continue
		}
		if s.files[name] == nil {
			return damaged(filepath.Join(s.dir, name), "is not in the manifest")
		}
	}
	return nil
}

func (s *Source) open(info *FileInfo) (*checkedFile, error) {
	name := filepath.Join(s.dir, filepath.FromSlash(info.Name))
	f, err := s.fs.Open(name)
	if err != nil {
		return nil, damaged(name, "cannot be opened: %v", err)
	}
	return &checkedFile{name: name, file: f, buf: bufio.NewReaderSize(f, bufferSize), info: info}, nil
}

// checkedFile turns the end of a file that is not what was written into an
// error.
type checkedFile struct {
	name string
	file File
	buf  *bufio.Reader
	info *FileInfo
	size int64
	crc  uint32
}

func (f *checkedFile) Read(p []byte) (int, error) {
	n, err := f.buf.Read(p)
	f.size += int64(n)
	f.crc = crc32.Update(f.crc, castagnoli, p[:n])
	switch {
	case f.size > f.info.Size:
		return 0, damaged(f.name, "has more than %d bytes", f.info.Size)
	case err == io.EOF && f.size != f.info.Size:
		return n, damaged(f.name, "has %d bytes, want %d", f.size, f.info.Size)
	case err == io.EOF && f.crc != f.info.CRC32C:
		return n, damaged(f.name, "checksum is %08x, want %08x", f.crc, f.info.CRC32C)
	case err != nil && err != io.EOF:
		return n, damaged(f.name, "cannot be read: %v", err)
	}
	return n, err
}

func (f *checkedFile) Close() error { return f.file.Close() }

// Verify checks the snapshot in a directory: its manifest, and every file's
// size and checksum. The error says which file and what to do.
func Verify(dir string) error {
	src, err := OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(src.Verify(), src.Close())
}

// Inspect returns the manifest of the snapshot in a directory. The files are
// not read.
func Inspect(dir string) (*Manifest, error) {
	m, err := readManifest(OS{}, dir)
	if err != nil {
		return nil, err
	}
	return &m, nil
}
