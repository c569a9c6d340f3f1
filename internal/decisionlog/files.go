package decisionlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The endings of files.
const (
	endOpen = ".open"
	endTemp = ".tmp"
)

// files are the log's files. The writing goroutine owns the growing ones; what is
// complete is completed by a goroutine of its own, as making a Parquet file of
// lines takes longer than the queue would last.
type files struct {
	options *Options
	growing map[stream]*growing
	number  int // of the next file

	mu       sync.Mutex
	complete []completeFile // oldest first
	bytes    int64          // of complete files
	open     int64          // of growing ones
	dropping []dropping
	figures  Stats
	warned   time.Time

	finishing sync.WaitGroup
	finisher  sync.Mutex // one at a time
}

// dropping is a tenant whose files are to be deleted.
type dropping struct {
	tenant string
	before string // in the form of the files' names
}

type stream struct {
	tenant string
	format Format
}

type growing struct {
	file    *os.File
	path    string
	since   time.Time
	buffer  []byte
	records uint64 // in the buffer
	bytes   int64
}

type completeFile struct {
	path  string
	bytes int64
}

func newFiles(options *Options) *files {
	return &files{options: options, growing: map[stream]*growing{}}
}

// write adds a record to its stream's file.
func (f *files) write(tenant string, format Format, record []byte) {
	key := stream{tenant, format}
	g := f.growing[key]
	if g == nil {
		g = &growing{}
		f.growing[key] = g
	}
	g.buffer = append(g.buffer, record...)
	g.records++
}

// flush writes the buffers. A file that cannot be written is left as it is, and
// the next record has a new one.
func (f *files) flush() {
	for key, g := range f.growing {
		if len(g.buffer) == 0 {
			continue
		}
		err := f.flushOne(key, g)
		f.mu.Lock()
		if err != nil {
			f.figures.Lost += g.records
			f.warn(err)
		} else {
			f.figures.Records += g.records
			f.open += int64(len(g.buffer))
		}
		f.mu.Unlock()
		g.buffer, g.records = g.buffer[:0], 0
		if err != nil {
			f.finish(key, g)
		}
	}
	f.shed()
}

func (f *files) flushOne(key stream, g *growing) error {
	if g.file == nil {
		if err := f.create(key, g); err != nil {
			return err
		}
	}
	n, err := g.file.Write(g.buffer)
	if err != nil {
		// A torn record goes, so that the file ends with a whole one.
		return errors.Join(err, g.file.Truncate(g.bytes))
	}
	g.bytes += int64(n)
	return nil
}

func (f *files) create(key stream, g *growing) error {
	dir := filepath.Join(f.options.Dir, key.tenant)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	now := time.Now().UTC()
	f.number++
	g.path = filepath.Join(dir, fmt.Sprintf("decisions-%s-%s-%06d.%s%s",
		url.PathEscape(f.options.Node), now.Format(nameTime)+"Z", f.number, key.format, endOpen))
	file, err := os.OpenFile(g.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	g.file, g.since, g.bytes = file, now, 0
	return nil
}

// warnInterval is how often a failing disk is written about.
const warnInterval = time.Minute

// warn is called with the lock.
func (f *files) warn(err error) {
	if time.Since(f.warned) < warnInterval {
		return
	}
	f.warned = time.Now()
	f.options.Log.Warn().Err(err).Uint64("lost", f.figures.Lost).Msg("decisions cannot be logged")
}

// turn completes the files that are large or old enough, and deletes tenants.
func (f *files) turn(now time.Time) {
	for key, g := range f.growing {
		if g.file != nil && (g.bytes >= f.options.FileBytes || now.Sub(g.since) >= f.options.FileAge) {
			f.finish(key, g)
		}
	}
	f.mu.Lock()
	all := f.dropping
	f.dropping = nil
	f.mu.Unlock()
	for _, d := range all {
		f.dropNow(d)
	}
}

// finish hands a stream's file over to be completed.
func (f *files) finish(key stream, g *growing) {
	delete(f.growing, key)
	if g.file == nil {
		return
	}
	f.finishing.Go(func() {
		f.finisher.Lock()
		defer f.finisher.Unlock()
		err := errors.Join(g.file.Sync(), g.file.Close())
		switch {
		case g.bytes == 0: // the disk took nothing of it
			err = errors.Join(err, os.Remove(g.path))
		case err == nil:
			err = f.completeOne(g.path)
		}
		f.mu.Lock()
		f.open -= g.bytes
		if err != nil {
			f.warn(err)
		}
		f.mu.Unlock()
		f.shed()
	})
}

// completeOne makes a complete file of one that grew.
func (f *files) completeOne(path string) error {
	done := strings.TrimSuffix(path, endOpen)
	if strings.HasSuffix(done, "."+string(Parquet)) {
		if err := convert(path, done); err != nil {
			return fmt.Errorf("make a Parquet file of %s: %w", filepath.Base(path), err)
		}
	} else if err := os.Rename(path, done); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(done)); err != nil {
		return err
	}
	info, err := os.Stat(done)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.complete = append(f.complete, completeFile{done, info.Size()})
	f.bytes += info.Size()
	f.mu.Unlock()
	return nil
}

// nameTime is how a file's name has the time when it was begun, in UTC.
const nameTime = "20060102T150405.000"

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// shed deletes the oldest complete files while all together are too large.
func (f *files) shed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.complete) > 0 && f.bytes+f.open > f.options.TotalBytes {
		oldest := f.complete[0]
		if err := os.Remove(oldest.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.warn(err)
			return
		}
		f.complete = f.complete[1:]
		f.bytes -= oldest.bytes
		f.figures.DeletedFiles++
	}
}

// drop notes that a tenant's files are to be deleted. Files begun later are those
// of a tenant that was made under the same name: a node that starts again repeats
// what it knows of the past.
func (f *files) drop(tenant string, before decision.Time) {
	f.mu.Lock()
	f.dropping = append(f.dropping, dropping{tenant, time.UnixMilli(int64(before)).UTC().Format(nameTime)})
	f.mu.Unlock()
}

func (f *files) dropNow(d dropping) {
	for _, format := range []Format{NDJSON, Parquet} {
		if g := f.growing[stream{d.tenant, format}]; g != nil {
			f.finish(stream{d.tenant, format}, g)
		}
	}
	f.finishing.Wait()
	dir := filepath.Join(f.options.Dir, d.tenant)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complete = slices.DeleteFunc(f.complete, func(c completeFile) bool {
		if filepath.Dir(c.path) != dir || order(c.path)[:len(nameTime)] > d.before {
			return false
		}
		if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.warn(err)
			return false
		}
		f.bytes -= c.bytes
		return true
	})
	_ = os.Remove(dir) // goes when it is empty
}

// close completes every file.
func (f *files) close() {
	f.turn(time.Now())
	for key, g := range f.growing {
		f.finish(key, g)
	}
	f.finishing.Wait()
}

func (f *files) stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.figures
	s.Files, s.Bytes = len(f.complete), f.bytes+f.open
	if f.open > 0 {
		s.Files++
	}
	return s
}

// recover lists the complete files and completes those that were left open, these
// later: making Parquet files takes its time, and the node is to start.
func (f *files) recover() error {
	open, err := f.list()
	if err != nil {
		return err
	}
	f.sort()
	f.finishing.Go(func() {
		f.finisher.Lock()
		defer f.finisher.Unlock()
		for _, path := range open {
			if err := f.recoverOne(path); err != nil {
				f.options.Log.Warn().Err(err).Str("file", path).Msg("a file of decisions that was left open cannot be completed; it stays as it is")
			}
		}
		f.sort()
	})
	return nil
}

// sort brings the complete files into the order of their making.
func (f *files) sort() {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortFunc(f.complete, func(a, b completeFile) int { return cmp.Compare(order(a.path), order(b.path)) })
}

// order is what a file's name is sorted by: its time, then its number.
func order(path string) string {
	name := filepath.Base(path)
	if end := strings.LastIndex(name, "Z-"); end >= len(nameTime) {
		return name[end-len(nameTime):]
	}
	return strings.Repeat("9", len(nameTime)) + name // not one of ours: the last
}

// list finds the files, removes what was never completed, and returns those that
// are open. The directory need not be there.
func (f *files) list() (open []string, err error) {
	err = filepath.WalkDir(f.options.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		switch ending := filepath.Ext(path); {
		case ending == endTemp:
			return os.Remove(path)
		case ending == endOpen:
			open = append(open, path)
		case Format(strings.TrimPrefix(ending, ".")).Valid():
			info, err := d.Info()
			if err != nil {
				return err
			}
			f.complete = append(f.complete, completeFile{path, info.Size()})
			f.bytes += info.Size()
		}
		return nil
	})
	return open, err
}

// recoverOne completes a file that was left open; an empty one goes.
func (f *files) recoverOne(path string) error {
	whole, err := cutTorn(path)
	if err != nil {
		return err
	}
	if whole == 0 {
		return os.Remove(path)
	}
	return f.completeOne(path)
}

// cutTorn cuts an incomplete last line off a file and returns what is left.
func cutTorn(path string) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 64<<10)
	for size = end; size > 0; {
		n := min(int64(len(block)), size)
		if _, err := file.ReadAt(block[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			size = size - n + int64(i) + 1
			break
		}
		size -= n
	}
	if size == end {
		return size, nil
	}
	return size, errors.Join(file.Truncate(size), file.Sync())
}
