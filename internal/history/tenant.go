package history

import (
	"sync"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/decision"
)

// tenant is one life of a tenant, from its first entry to its end.
type tenant struct {
	ordinal, space uint32

	shards [shardCount]atomic.Pointer[shard] // made when first needed
	offers offers

	segments []segment // the apply goroutine's alone
	// floor is the last id that retention dropped; nothing up to it is shown.
	floor atomic.Pointer[decision.InteractionID]
	rows  atomic.Int64 // from the floor on

	totals

	statesMu sync.RWMutex
	states   map[string][]stateRef // by model, in order of being put

	frozen atomic.Int32 // captures that share the offers' ids
}

func newTenant(ordinal, space uint32) *tenant {
	t := &tenant{ordinal: ordinal, space: space, states: make(map[string][]stateRef)}
	t.offers.ids.frozen = &t.frozen
	t.floor.Store(&decision.InteractionID{})
	return t
}

// segment is a run of rows in log order that is dropped as a whole.
type segment struct {
	first, last    decision.InteractionID
	rows           int64
	opened, newest int64 // times of the first and the last entry, Unix milliseconds
}

// segmentRows is how many rows a full segment has. A smaller MaxRows makes
// smaller ones, so that a drop is never much of the whole.
const segmentRows = 4096

// retentionSteps is into how many segments a limit is divided at least: what is
// kept stays within a sixty-fourth of the limit.
const retentionSteps = 64

func (l *Limits) segmentFull(s *segment, at int64) bool {
	return s.rows >= min(max(l.MaxRows/retentionSteps, 1), segmentRows) ||
		at-s.opened > l.MaxAge.Milliseconds()/retentionSteps
}

// addRow counts a row into the last segment or a new one.
func (t *tenant) addRow(id decision.InteractionID, at int64, limits *Limits) {
	n := len(t.segments)
	if n == 0 || limits.segmentFull(&t.segments[n-1], at) {
		t.segments = append(t.segments, segment{first: id, opened: at})
		n++
	}
	s := &t.segments[n-1]
	s.last, s.newest = id, at
	s.rows++
	t.rows.Add(1)
}

// retain drops the segments that are over the limits at a time and calls drop
// with each. It reads nothing from disk.
func (t *tenant) retain(at int64, limits *Limits, drop func(*segment)) {
	for len(t.segments) > 0 {
		s := &t.segments[0]
		tooMany := t.rows.Load() > limits.MaxRows && len(t.segments) > 1
		tooOld := s.newest < at-limits.MaxAge.Milliseconds()
		if !tooMany && !tooOld {
			return
		}
		floor := s.last
		t.segments = t.segments[1:]
		t.floor.Store(&floor)
		t.rows.Add(-s.rows)
		t.droppedRows.Add(s.rows)
		drop(s)
	}
}

// visible reports whether an id is above the floor and applied.
func (t *tenant) visible(id decision.InteractionID, applied uint64) bool {
	return t.floor.Load().Less(id) && id.Index <= applied
}
