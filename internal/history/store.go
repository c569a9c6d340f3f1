package history

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Store is the history of all tenants of a node.
type Store struct {
	dir  string
	opts Options
	lock io.Closer

	image  atomic.Pointer[image]
	batch  Batch // the open one, reused
	images int   // how many were made, for their names
	closed atomic.Bool
	stop   chan struct{} // closed by Close

	failOnce sync.Once
	failed   chan struct{} // closed after failure is set
	failure  error

	retiring sync.WaitGroup
}

const (
	livePrefix = "live-"
	lockName   = "LOCK"
)

// Open makes an empty store in dir. A database that a former process left there
// is removed: without the log it proves nothing. Restore brings a snapshot back.
func Open(dir string, opts Options) (*Store, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if opts.fs == nil {
		opts.fs = vfs.Default
	}
	s := &Store{dir: dir, opts: opts, stop: make(chan struct{}), failed: make(chan struct{})}
	if err := opts.fs.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	lock, err := opts.fs.Lock(opts.fs.PathJoin(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("history: %s is in use by another process: %w", dir, err)
	}
	s.lock = lock
	if err := s.start(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("history: %w", err)
	}
	return s, nil
}

func (s *Store) start() error {
	names, err := s.opts.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, livePrefix) {
			if err := s.opts.fs.RemoveAll(s.opts.fs.PathJoin(s.dir, name)); err != nil {
				return err
			}
		}
	}
	im := newImage(s.opts.Limits)
	if err := s.openDatabase(im, ""); err != nil {
		return err
	}
	s.install(im)
	return nil
}

// install makes im the live image and retires the one before it, which closes
// when its last reader is done.
func (s *Store) install(im *image) {
	im.sweep.start()
	old := s.image.Swap(im)
	if old == nil {
		return
	}
	s.retiring.Go(func() {
		if err := s.discard(old); err != nil {
			s.opts.Logger.Error().Err(err).Msg("history: the replaced database did not close cleanly")
		}
	})
}

func (s *Store) discard(im *image) error {
	err := im.retire()
	if rmErr := s.opts.fs.RemoveAll(im.dir); err == nil {
		err = rmErr
	}
	return err
}

// Close ends running scans with an error, waits for readers and captures, and
// closes the database. Nothing needs to be saved: snapshots and the log have it.
func (s *Store) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	close(s.stop)
	err := s.image.Load().retire()
	s.retiring.Wait()
	if lockErr := s.lock.Close(); err == nil {
		err = lockErr
	}
	if err != nil {
		return fmt.Errorf("history: closing: %w", err)
	}
	return nil
}

// fail notes the first storage error. From then on every commit is refused: the
// node must stop and come back from a snapshot and the log.
func (s *Store) fail(err error) error {
	s.failOnce.Do(func() {
		s.failure = &decision.Error{Kind: decision.KindInternal, Op: "history", Msg: "the history's storage failed", Err: err}
		close(s.failed)
		s.opts.Logger.Error().Err(err).Msg("history: storage failed, no further entry is accepted")
	})
	return s.failure
}

// Failed is closed when the storage has failed; Err then tells why.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err returns the storage error that ended the store's work, nil while it works.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}

// Limits returns the limits in force.
func (s *Store) Limits() Limits { return *s.image.Load().limits.Load() }

// Applied returns the index of the last committed entry.
func (s *Store) Applied() uint64 { return s.image.Load().applied.Load() }

// Count returns how many interactions of a tenant are kept.
func (s *Store) Count(tenant uint32) int64 {
	if t := s.image.Load().tenant(tenant); t != nil {
		return t.rows.Load()
	}
	return 0
}
