package snapshot

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
)

// staging is a snapshot under its temporary name. Its first error stays, so
// that whatever follows a failure cannot commit.
type staging struct {
	store *Store
	id    string
	tmp   string // the temporary directory
	meta  Manifest
	err   error
	over  bool // committed or cancelled
}

func (s *Store) stage(m Meta) (*staging, error) {
	id, ms, err := s.newID(m)
	if err != nil {
		return nil, err
	}
	tmp := filepath.Join(s.dir, id+tmpSuffix)
	if err := s.fs.MkdirAll(tmp); err != nil {
		return nil, fmt.Errorf("create snapshot %s: %w", id, err)
	}
	return &staging{store: s, id: id, tmp: tmp, meta: Manifest{
		Format: Format, CreatedMS: ms, Meta: m, Dirs: []string{}, Files: []FileInfo{},
	}}, nil
}

// fail keeps the first error and returns it.
func (s *staging) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// commit writes the manifest, makes everything durable, and gives the snapshot
// its name. The order is the point: nothing gets the name before every byte
// below it is on the disk.
func (s *staging) commit(manifest []byte) error {
	if s.over {
		return s.fail(errors.New("snapshot was committed or cancelled before"))
	}
	if s.err == nil {
		s.fail(s.publish(manifest))
	}
	if s.err != nil {
		return fmt.Errorf("commit snapshot %s: %w", s.id, errors.Join(s.err, s.cancel()))
	}
	s.over = true
	if err := s.store.reap(); err != nil {
		return fmt.Errorf("snapshot %s is committed, but an older one stays: %w", s.id, err)
	}
	return nil
}

func (s *staging) publish(manifest []byte) error {
	fsys := s.store.fs
	f, err := newFileWriter(fsys, filepath.Join(s.tmp, manifestName))
	if err != nil {
		return err
	}
	if _, err := f.Write(manifest); err != nil {
		return errors.Join(err, f.discard())
	}
	if err := f.finish(); err != nil {
		return err
	}
	if err := syncDir(fsys, s.tmp); err != nil {
		return err
	}
	if err := fsys.Rename(s.tmp, filepath.Join(s.store.dir, s.id)); err != nil {
		return err
	}
	return syncDir(fsys, s.store.dir)
}

// cancel removes the temporary directory. After the rename there is none left,
// and RemoveAll has nothing to do.
func (s *staging) cancel() error {
	if s.over {
		return nil
	}
	s.over = true
	s.fail(errors.New("snapshot was cancelled"))
	if err := s.store.fs.RemoveAll(s.tmp); err != nil {
		return fmt.Errorf("remove %s: %w", s.tmp, err)
	}
	return nil
}

// bufferSize balances system calls against memory; a snapshot has one buffer.
const bufferSize = 256 << 10

// fileWriter writes one file and counts and checksums its bytes.
type fileWriter struct {
	name string
	file File
	buf  *bufio.Writer
	size int64
	crc  uint32
}

func newFileWriter(fsys FS, name string) (*fileWriter, error) {
	f, err := fsys.Create(name)
	if err != nil {
		return nil, err
	}
	return &fileWriter{name: name, file: f, buf: bufio.NewWriterSize(f, bufferSize)}, nil
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.buf.Write(p)
	w.size += int64(n)
	w.crc = crc32.Update(w.crc, castagnoli, p[:n])
	return n, err
}

// finish makes the file durable and closes it.
func (w *fileWriter) finish() error {
	err := w.buf.Flush()
	if err == nil {
		err = syncFile(w.file, w.name)
	}
	return errors.Join(err, w.file.Close())
}

// discard closes the file, whatever is in it.
func (w *fileWriter) discard() error { return w.file.Close() }

// checksum reads all of r.
func checksum(r io.Reader) (size int64, crc uint32, err error) {
	buf := make([]byte, bufferSize)
	for {
		n, err := r.Read(buf)
		size += int64(n)
		crc = crc32.Update(crc, castagnoli, buf[:n])
		if err == io.EOF {
			return size, crc, nil
		}
		if err != nil {
			return size, crc, err
		}
	}
}
