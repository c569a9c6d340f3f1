package decisionlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Format is that of complete files.
type Format string

// The formats.
const (
	NDJSON  Format = "ndjson"
	Parquet Format = "parquet"
)

// Valid reports whether it is a format.
func (f Format) Valid() bool { return f == NDJSON || f == Parquet }

// Options are how a log is kept.
type Options struct {
	Dir        string        // made when there is something to write
	Node       string        // its name is in the files'
	FileBytes  int64         // of lines, from which on a file is complete
	FileAge    time.Duration // from which on it is
	TotalBytes int64         // of all files of all tenants
	QueueBytes int           // that may wait to be written
	Flush      time.Duration // how long they wait
	Log        zerolog.Logger
}

// DefaultOptions are the defaults for a directory.
func DefaultOptions(dir, node string) Options {
	return Options{
		Dir: dir, Node: node, FileBytes: 64 << 20, FileAge: time.Hour, TotalBytes: 10 << 30,
		QueueBytes: 8 << 20, Flush: 250 * time.Millisecond, Log: zerolog.Nop(),
	}
}

// Validate names every problem of the options.
func (o *Options) Validate() error {
	var errs []error
	if o.Dir == "" || o.Node == "" {
		errs = append(errs, errors.New("decisionlog: Dir and Node are needed"))
	}
	if o.FileBytes < 1 || o.TotalBytes < 2*o.FileBytes {
		errs = append(errs, fmt.Errorf("decisionlog: TotalBytes must be at least twice FileBytes, got %d and %d", o.TotalBytes, o.FileBytes))
	}
	if o.FileAge <= 0 || o.Flush <= 0 {
		errs = append(errs, fmt.Errorf("decisionlog: FileAge and Flush must be above 0, got %v and %v", o.FileAge, o.Flush))
	}
	if o.QueueBytes < MaxRecord {
		errs = append(errs, fmt.Errorf("decisionlog: QueueBytes must be at least %d, got %d", MaxRecord, o.QueueBytes))
	}
	return errors.Join(errs...)
}

// MaxRecord bounds one record, in bytes: about 1 000 candidates with features.
const MaxRecord = 1 << 20

// Stats are a log's figures since it was opened, but for what is on disk.
type Stats struct {
	Records      uint64 // written
	Dropped      uint64 // for want of room in the queue, or too large
	Lost         uint64 // that could not be written
	DeletedFiles uint64 // for the bound on all
	Files        int    // on disk
	Bytes        int64  // on disk
}

// Log takes records from any goroutine and writes them by its own.
type Log struct {
	options Options

	mu      sync.Mutex
	queue   []byte // records: a tenant's length, a format's first letter, the record's length, tenant, record
	closed  bool
	dropped uint64

	urgent chan struct{} // the queue is half full
	stop   chan struct{}
	done   chan struct{}
	files  *files
}

// Open opens a log, and completes what a crash left open.
func Open(options Options) (*Log, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	l := &Log{options: options, urgent: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	l.files = newFiles(&l.options)
	if err := l.files.recover(); err != nil {
		return nil, fmt.Errorf("decisionlog: %w", err)
	}
	go l.run()
	return l, nil
}

// entryHeader is what stands before a record in the queue.
const entryHeader = 1 + 1 + 4

// Append takes a record, a whole line, for a tenant (whose name is a directory's)
// and reports whether there was room for it. It copies the record, never waits and
// in the steady state allocates nothing.
func (l *Log) Append(tenant string, format Format, record []byte) bool {
	size := entryHeader + len(tenant) + len(record)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(record) > MaxRecord || len(tenant) > 255 || len(l.queue)+size > l.options.QueueBytes {
		l.dropped++
		return false
	}
	before := len(l.queue)
	l.queue = append(l.queue, byte(len(tenant)), format[0])
	l.queue = binary.LittleEndian.AppendUint32(l.queue, uint32(len(record)))
	l.queue = append(append(l.queue, tenant...), record...)
	if half := l.options.QueueBytes / 2; before < half && len(l.queue) >= half {
		select {
		case l.urgent <- struct{}{}:
		default:
		}
	}
	return true
}

// run writes until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	tick := time.NewTicker(l.options.Flush)
	defer tick.Stop()
	var spare []byte
	for open := true; open; {
		select {
		case <-tick.C:
		case <-l.urgent:
		case <-l.stop:
			open = false
		}
		l.mu.Lock()
		full := l.queue
		l.queue = spare[:0]
		l.mu.Unlock()
		l.write(full)
		l.files.turn(time.Now())
		spare = full
	}
	l.files.close()
}

// write writes what was queued, the records of one file together where they stand
// beside each other.
func (l *Log) write(queue []byte) {
	for len(queue) > 0 {
		tenant, format, size := int(queue[0]), queue[1], int(binary.LittleEndian.Uint32(queue[2:]))
		record := entryHeader + tenant
		f := NDJSON
		if format == Parquet[0] {
			f = Parquet
		}
		l.files.write(string(queue[entryHeader:record]), f, queue[record:record+size])
		queue = queue[record+size:]
	}
	l.files.flush()
}

// Close writes what is queued and completes the files.
func (l *Log) Close() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if !closed {
		close(l.stop)
	}
	<-l.done
}

// DropTenant deletes the files of a tenant that were begun before a time, later.
func (l *Log) DropTenant(tenant string, before decision.Time) { l.files.drop(tenant, before) }

// Stats returns the present figures.
func (l *Log) Stats() Stats {
	s := l.files.stats()
	l.mu.Lock()
	s.Dropped = l.dropped
	l.mu.Unlock()
	return s
}

// Node returns the node's name.
func (l *Log) Node() string { return l.options.Node }
