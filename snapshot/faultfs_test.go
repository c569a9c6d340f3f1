package snapshot

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var errInjected = errors.New("injected")

type crashCloneCfg = vfs.CrashCloneCfg

// memFS keeps what was synced apart from what was not, so that a crash can be
// played: see vfs.MemFS.CrashClone.
type memFS struct{ *vfs.MemFS }

func newMemFS() memFS { return memFS{vfs.NewCrashableMem()} }

func (m memFS) Create(name string) (File, error) {
	if _, err := m.Stat(name); err == nil {
		return nil, fs.ErrExist
	}
	return m.MemFS.Create(name, vfs.WriteCategoryUnspecified)
}
func (m memFS) Open(name string) (File, error) { return m.MemFS.Open(name) }
func (m memFS) MkdirAll(name string) error     { return m.MemFS.MkdirAll(name, dirMode) }
func (m memFS) Rename(from, to string) error   { return m.MemFS.Rename(from, to) }
func (m memFS) RemoveAll(name string) error    { return m.MemFS.RemoveAll(name) }
func (m memFS) SyncDir(name string) error {
	d, err := m.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (m memFS) ReadDir(name string) ([]fs.DirEntry, error) {
	names, err := m.List(name)
	if err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for _, n := range names {
		info, err := m.Stat(filepath.Join(name, n))
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

// faultFS fails the step with the number failAt, and when crash is set every
// step after it, as if the process were gone.
type faultFS struct {
	FS
	failAt int // 0: never
	crash  bool
	step   int
	last   string // the operation that failed
}

func (f *faultFS) fault(op string) error {
	f.step++
	if f.failAt > 0 && (f.step == f.failAt || f.crash && f.step > f.failAt) {
		if f.last == "" {
			f.last = op
		}
		return errInjected
	}
	return nil
}

func (f *faultFS) Create(name string) (File, error) {
	if err := f.fault("create " + name); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name)
	return &faultFile{File: file, fs: f, name: name}, err
}

func (f *faultFS) Open(name string) (File, error) {
	if err := f.fault("open " + name); err != nil {
		return nil, err
	}
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

func (f *faultFS) MkdirAll(name string) error {
	if err := f.fault("mkdir " + name); err != nil {
		return err
	}
	return f.FS.MkdirAll(name)
}

func (f *faultFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.fault("readdir " + name); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(name)
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.fault("rename " + from); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faultFS) RemoveAll(name string) error {
	if err := f.fault("remove " + name); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.fault("sync directory " + name); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

type faultFile struct {
	File
	fs   *faultFS
	name string
}

// Write fails after half of the bytes: a short write leaves a torn file.
func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.fault("write " + f.name); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultFile) Read(p []byte) (int, error) {
	if err := f.fs.fault("read " + f.name); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultFile) Sync() error {
	if err := f.fs.fault("sync " + f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Close() error {
	if err := f.fs.fault("close " + f.name); err != nil {
		return err
	}
	return f.File.Close()
}
