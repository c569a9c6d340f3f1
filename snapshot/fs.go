package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// File is an open file of an FS.
type File interface {
	io.Reader
	io.Writer
	io.Closer
	// Sync returns once what was written is on the disk.
	Sync() error
}

// FS is what the store needs of a file system. Tests put one below it that
// fails, or that forgets what was not synced.
type FS interface {
	// Create makes a new file for writing.
	Create(name string) (File, error)
	// Open opens an existing file for reading and for Sync.
	Open(name string) (File, error)
	// MkdirAll makes a directory and its missing parents.
	MkdirAll(name string) error
	// ReadDir lists a directory in the order of names.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Rename moves a directory within its parent.
	Rename(from, to string) error
	// RemoveAll removes a directory with everything below it.
	RemoveAll(name string) error
	// SyncDir returns once the directory's entries are on the disk.
	SyncDir(name string) error
}

// ErrSync is wrapped by every error of a failed fsync. What the kernel held back
// may be lost whatever a second fsync says, so nothing here calls it twice; the
// caller should stop.
var ErrSync = errors.New("fsync failed")

// OS is the operating system's file system.
type OS struct{}

const (
	fileMode = 0o600 // state is nobody else's to read
	dirMode  = 0o700
)

// Create implements FS. An existing file is an error: nothing is overwritten.
func (OS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return os.Open(name) }

// MkdirAll implements FS.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, dirMode) }

// ReadDir implements FS.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// RemoveAll implements FS.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// SyncDir implements FS.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func syncFile(f File, name string) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSync, name, err)
	}
	return nil
}

func syncDir(fsys FS, name string) error {
	if err := fsys.SyncDir(name); err != nil {
		return fmt.Errorf("%w: directory %s: %w", ErrSync, name, err)
	}
	return nil
}
