package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
	"github.com/praetor-engine/praetor/snapshot"
)

// stateSection is the snapshot section with what this package itself must not
// forget:
//
//	version  1 byte   2
//	at       8 bytes  little endian, the time of the last entry, Unix ms
//	roster   see appendRoster; not in version 1
const (
	stateSection    = "cluster"
	stateVersion    = 2
	oldStateVersion = 1
	maxStateSize    = 16 << 20
)

// fsm adapts a Machine to Raft. Its methods run on Raft's apply goroutine, but
// for Restore at start, which runs before there is one.
type fsm struct {
	machine Machine
	level   byte // of this build
	visible *visibility
	waiting *waiting     // told of every entry; nil: nobody waits
	removed func(string) // told of members that were removed; nil: nobody asks
	fail    func(error)  // stops the node
	failed  func() error // why the node was stopped; nil: it was not

	roster roster
	at     atomic.Int64  // the time of the last entry
	term   atomic.Uint64 // of the last entry
	index  uint64        // the last entry seen

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
	e, a, err := f.apply(l)
	if err != nil {
		err = fmt.Errorf("apply entry %d: %w", l.Index, err)
		f.fail(err)
		return response{err: err}
	}
	f.term.Store(l.Term)
	f.visible.applied(l.Index, a.Done)
	if f.waiting != nil {
		f.waiting.applied(e, e.void(), a.Results)
	}
	f.due(f.entries.Add(1), f.bytes.Add(uint64(len(l.Data))))
	return response{results: a.Results}
}

func (f *fsm) apply(l *raft.Log) (*envelope, Applied, error) {
	var a Applied
	if err := checkRecord(l); err != nil {
		return nil, a, fmt.Errorf("%w: %w", errDamagedLog, err)
	}
	e, err := decodeEnvelope(string(l.Data))
	if err != nil {
		return nil, a, err
	}
	if e.level > f.level {
		return nil, a, decision.Errorf(decision.KindInternal, "entry needs level %d, this build has level %d; start a build of the newer level", e.level, f.level)
	}
	e.Index, e.Term = l.Index, l.Term
	f.index = l.Index
	if e.void() {
		return e, a, nil
	}
	// A new leader's clock may be behind the last one's; the same comparison on
	// every node keeps time from running backwards.
	e.At = max(e.At, f.at.Load())
	f.at.Store(e.At)
	switch {
	case e.kind == kindRecord:
		a.Results, err = f.record(e.Commands)
	case len(e.Commands) > 0:
		a = f.machine.Apply(&e.Entry)
		if a.Results != nil && len(a.Results) != len(e.Commands) {
			err = fmt.Errorf("machine gave %d results for %d commands", len(a.Results), len(e.Commands))
		}
	}
	return e, a, err
}

// void says that the entry entered the log in another term than the one it was
// sent for: its proposer has given it up.
func (e *envelope) void() bool { return e.term != 0 && e.term != e.Term }

// record applies a record of this package. Its result is an error or nil.
func (f *fsm) record(commands []string) ([]any, error) {
	results := make([]any, len(commands))
	for i, c := range commands {
		id, inc, err := decodeRecord(c)
		if err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		if err := f.roster.announce(id, inc); err != nil {
			results[i] = err
		}
	}
	return results, nil
}

// StoreConfiguration implements raft.ConfigurationStore: a change of membership
// counts as an entry that was applied.
func (f *fsm) StoreConfiguration(index uint64, c raft.Configuration) {
	if f.failed() != nil {
		return
	}
	f.index = index
	gone := f.roster.configure(c)
	f.visible.applied(index, nil)
	for _, id := range gone {
		if f.removed != nil {
			f.removed(id)
		}
	}
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
		Capture: c, at: f.at.Load(), roster: f.roster.all(),
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
	at, roster, err := readState(src)
	if err != nil {
		return err
	}
	f.visible.drain()
	if err := f.machine.Restore(src); err != nil {
		return err
	}
	f.at.Store(at)
	f.roster.entries.Store(&roster)
	f.index = src.Manifest().Index
	f.entries.Store(0)
	f.bytes.Store(0)
	f.visible.set(f.index)
	if f.waiting != nil {
		f.waiting.restored()
	}
	return nil
}

func readState(src *snapshot.Source) (at int64, roster map[string]rosterEntry, err error) {
	r, err := src.Section(stateSection)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err := io.ReadAll(io.LimitReader(r, maxStateSize+1))
	if err != nil {
		return 0, nil, err
	}
	return decodeState(string(b))
}

func encodeState(at int64, roster map[string]rosterEntry) []byte {
	b := wire.AppendUint64([]byte{stateVersion}, uint64(at))
	return appendRoster(b, roster)
}

func decodeState(s string) (at int64, roster map[string]rosterEntry, err error) {
	r := wire.NewReader(s)
	v := r.Byte()
	at = int64(r.Uint64())
	switch {
	case v == stateVersion:
		roster = readRoster(&r)
	case v != oldStateVersion:
		return 0, nil, decision.Errorf(decision.KindInternal, "section %s: version is %d, this build reads versions %d and %d; start a build that knows it", stateSection, v, oldStateVersion, stateVersion)
	}
	if err := r.Close(); err != nil {
		return 0, nil, fmt.Errorf("section %s: %w", stateSection, err)
	}
	return at, roster, nil
}

// capture writes a Capture of the machine, and the state of this package.
type capture struct {
	Capture
	at             int64
	roster         map[string]rosterEntry
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
	if _, err := sec.Write(encodeState(c.at, c.roster)); err != nil {
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
