package history

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// openDatabase opens a new database for im, made of a checkpoint unless that is
// empty.
func (s *Store) openDatabase(im *image, checkpoint string) error {
	fs := s.opts.fs
	s.images++
	im.dir = fs.PathJoin(s.dir, fmt.Sprintf("%s%06d", livePrefix, s.images))
	err := fs.RemoveAll(im.dir) // what a restore that failed before may have left
	if err == nil {
		err = fs.MkdirAll(im.dir, 0o755)
	}
	if err == nil && checkpoint != "" {
		err = linkCheckpoint(fs, checkpoint, im.dir)
	}
	if err == nil {
		im.db, err = pebble.Open(im.dir, s.databaseOptions(checkpoint != ""))
	}
	if err != nil {
		return errors.Join(err, fs.RemoveAll(im.dir))
	}
	im.sweep = newSweeper(s, im)
	return nil
}

// linkCheckpoint brings a checkpoint's files into dir. Tables are never written
// again, so they are linked (or copied, where linking cannot be); the database
// appends to some of the others, so they are copied.
func linkCheckpoint(fs vfs.FS, checkpoint, dir string) error {
	names, err := fs.List(checkpoint)
	if err != nil {
		return err
	}
	for _, name := range names {
		bring := vfs.Copy
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob") {
			bring = vfs.LinkOrCopy
		}
		if err := bring(fs, fs.PathJoin(checkpoint, name), fs.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("bringing back %s: %w", fs.PathJoin(checkpoint, name), err)
		}
	}
	return nil
}

func (s *Store) databaseOptions(mustExist bool) *pebble.Options {
	opts := &pebble.Options{
		FS:                 s.opts.fs,
		DisableWAL:         true,
		ErrorIfNotExists:   mustExist,
		FormatMajorVersion: pebble.FormatNewest,
		CacheSize:          s.opts.CacheBytes,
		MemTableSize:       uint64(s.opts.MemTableBytes),
		// One memtable is written, two wait: a burst is not stopped by one flush.
		MemTableStopWritesThreshold: 4,
		// Rows arrive in key order and cost level 0 little; the customers' keys do
		// not, and are small. Stop writes late.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 64,
		LBaseMaxBytes:         256 << 20,
		CompactionConcurrencyRange: func() (lower, upper int) {
			return 1, max(1, runtime.GOMAXPROCS(0)/2)
		},
		Logger:        databaseLogger{s, s.opts.Logger},
		EventListener: &pebble.EventListener{BackgroundError: s.backgroundError, DataCorruption: s.dataCorruption},
	}
	for i := range opts.Levels {
		level := &opts.Levels[i]
		level.BlockSize = 32 << 10
		level.IndexBlockSize = 256 << 10
		// 10 bits a key: 1 % of lookups read a block in vain.
		level.FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

func (s *Store) backgroundError(err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) {
		return // by a drop of what it was compacting; it is tried again
	}
	_ = s.fail(fmt.Errorf("in the background: %w", err))
}

func (s *Store) dataCorruption(info pebble.DataCorruptionInfo) {
	_ = s.fail(fmt.Errorf("corrupt file: %v", info))
}

// databaseLogger passes on what the database has to say.
type databaseLogger struct {
	store *Store
	log   zerolog.Logger
}

func (l databaseLogger) Infof(format string, args ...any) {
	l.log.Trace().Msgf("history: "+format, args...)
}
func (l databaseLogger) Errorf(format string, args ...any) {
	l.log.Error().Msgf("history: "+format, args...)
}

// Fatalf must not return: the database's memory no longer agrees with its files.
// The process ends, and its next start begins from a snapshot and the log.
func (l databaseLogger) Fatalf(format string, args ...any) {
	panic(l.store.fail(fmt.Errorf(format, args...)))
}
