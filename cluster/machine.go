package cluster

import "github.com/praetor-engine/praetor/snapshot"

// Machine is what the log drives. It must be deterministic: equal entries in
// equal order give equal state and equal results on every node.
//
// Apply, Capture and Restore are never called concurrently with each other.
type Machine interface {
	// Apply applies one entry. It runs on the apply goroutine, in the order of
	// the log; while it blocks nothing else is applied, which is how a machine
	// with too much in flight pushes back. The entry and its commands are the
	// machine's to keep; the commands share one piece of memory, so clone what
	// outlives the rest. After a crash an entry after the last snapshot is
	// applied again. A panic ends the process.
	Apply(e *Entry) Applied
	// Capture marks the state after the entry with this index, which is the last
	// one applied. It runs on the apply goroutine and must be quick: the work
	// belongs into Persist.
	Capture(index uint64) (Capture, error)
	// Restore replaces the whole state with the one in src, which is valid until
	// Restore returns; a nil src means the empty state. All effects are visible
	// to readers when it returns.
	Restore(src *snapshot.Source) error
}

// Entry is one entry of the log: commands that were proposed together.
type Entry struct {
	Index uint64
	Term  uint64
	// At is the time of the proposal in Unix milliseconds, stamped by the
	// proposer; it never decreases along the log.
	At int64
	// Seed was drawn by the proposer; it is the entry's only randomness.
	Seed     uint64
	Commands []string // at least one
}

// Applied is the outcome of an entry.
type Applied struct {
	Results []any // one for each command, given to its proposer; nil: none
	// Done is closed once all effects are visible to readers; nil: they are.
	Done <-chan struct{}
}

// Capture is a marked state on its way to a snapshot.
type Capture interface {
	// Persist writes the state. It runs beside Apply. Section names beginning
	// with "cluster" are taken.
	Persist(w *snapshot.Writer) error
	// Release is called once, after Persist or instead of it.
	Release()
}
