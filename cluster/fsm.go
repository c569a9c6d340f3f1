package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/snapshot"
)

// stateSection is the snapshot section with what this package itself must not
// forget:
//
//	version  1 byte   1
//	at       8 bytes  little endian, the time of the last entry, Unix ms
const (
	stateSection = "cluster"
	stateVersion = 1
	stateSize    = 9
)

// fsm adapts a Machine to Raft. Its methods run on Raft's apply goroutine, but
// for Restore at start, which runs before there is one.
type fsm struct {
	machine Machine
	visible *visibility
	fail    func(error)  // stops the node
	failed  func() error // why the node was stopped; nil: it was not

	at    atomic.Int64 // the time of the last entry
	index uint64       // the last entry seen

	// What was applied since the last snapshot, for deciding on the next.
	entries, bytes atomic.Uint64
	due            func(entries, bytes uint64) // told after every entry
}

// response is what Raft hands to the proposer of an entry.
type response struct {
	results []any
	err     error
}

// Apply implements raft.FSM. What cannot be applied stops the node: going on
// would make its state differ from the others'.
func (f *fsm) Apply(l *raft.Log) any {
	if err := f.failed(); err != nil {
		return response{err: err}
	}
	results, done, err := f.apply(l)
	if err != nil {
		err = fmt.Errorf("apply entry %d: %w", l.Index, err)
		f.fail(err)
		return response{err: err}
	}
	f.visible.applied(l.Index, done)
	f.due(f.entries.Add(1), f.bytes.Add(uint64(len(l.Data))))
	return response{results: results}
}

func (f *fsm) apply(l *raft.Log) ([]any, <-chan struct{}, error) {
	if err := checkRecord(l); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errDamagedLog, err)
	}
	e, err := decodeEnvelope(string(l.Data))
	if err != nil {
		return nil, nil, err
	}
	e.Index, e.Term = l.Index, l.Term
	// A new leader's clock may be behind the last one's; the same comparison on
	// every node keeps time from running backwards.
	e.At = max(e.At, f.at.Load())
	f.at.Store(e.At)
	f.index = l.Index
	if len(e.Commands) == 0 {
		return nil, nil, nil
	}
	a := f.machine.Apply(e)
	if a.Results != nil && len(a.Results) != len(e.Commands) {
		return nil, nil, fmt.Errorf("machine gave %d results for %d commands", len(a.Results), len(e.Commands))
	}
	return a.Results, a.Done, nil
}

// StoreConfiguration implements raft.ConfigurationStore: a change of membership
// counts as an entry that was applied.
func (f *fsm) StoreConfiguration(index uint64, _ raft.Configuration) {
	if f.failed() != nil {
		return
	}
	f.index = index
	f.visible.applied(index, nil)
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failed(); err != nil {
		return nil, err
	}
	c, err := f.machine.Capture(f.index)
	if err != nil {
		return nil, fmt.Errorf("capture at %d: %w", f.index, err)
	}
	return &capture{
		Capture: c, at: f.at.Load(),
		entries: f.entries.Load(), bytes: f.bytes.Load(), fsm: f,
	}, nil
}

// Restore implements raft.FSM. The reader is a snapshot.Stream in Raft's
// wrapping, and what is restored is the directory behind it.
func (f *fsm) Restore(rc io.ReadCloser) error {
	if w, ok := rc.(raft.ReadCloserWrapper); ok {
		rc = w.WrappedReadCloser()
	}
	stream, ok := rc.(*snapshot.Stream)
	if !ok {
		return fmt.Errorf("restore from %T, want a snapshot", rc)
	}
	if err := f.restore(stream.Source()); err != nil {
		err = fmt.Errorf("restore the snapshot at %d: %w", stream.Source().Manifest().Index, err)
		f.fail(err) // the machine may be neither the old nor the new one
		return err
	}
	return nil
}

func (f *fsm) restore(src *snapshot.Source) error {
	at, err := readState(src)
	if err != nil {
		return err
	}
	f.visible.drain()
	if err := f.machine.Restore(src); err != nil {
		return err
	}
	f.at.Store(at)
	f.index = src.Manifest().Index
	f.entries.Store(0)
	f.bytes.Store(0)
	f.visible.set(f.index)
	return nil
}

func readState(src *snapshot.Source) (at int64, err error) {
	r, err := src.Section(stateSection)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err := io.ReadAll(io.LimitReader(r, stateSize+1))
	if err != nil {
		return 0, err
	}
	if len(b) != stateSize || b[0] != stateVersion {
		return 0, decision.Errorf(decision.KindInternal, "section %s: got %d bytes %x, want %d of version %d", stateSection, len(b), b, stateSize, stateVersion)
	}
	return int64(binary.LittleEndian.Uint64(b[1:])), nil
}

// capture writes a Capture of the machine, and the state of this package.
type capture struct {
	Capture
	at             int64
	entries, bytes uint64 // applied since the snapshot before, at the capture
	fsm            *fsm
}

// Persist implements raft.FSMSnapshot. Raft closes the sink.
func (c *capture) Persist(sink raft.SnapshotSink) error {
	s, ok := sink.(*snapshotSink)
	if !ok {
		return fmt.Errorf("persist to %T, want our own sink", sink)
	}
	w, err := s.writer()
	if err != nil {
		return err
	}
	sec := w.Section(stateSection)
	if _, err := sec.Write(binary.LittleEndian.AppendUint64([]byte{stateVersion}, uint64(c.at))); err != nil {
		return err
	}
	if err := sec.Close(); err != nil {
		return err
	}
	if err := c.Capture.Persist(w); err != nil {
		return err
	}
	s.committed = func() { // what came in meanwhile goes on counting
		c.fsm.entries.Add(-c.entries)
		c.fsm.bytes.Add(-c.bytes)
	}
	return nil
}
