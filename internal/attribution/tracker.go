package attribution

import (
	"container/heap"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/wire"
)

// Tracker keeps the journeys of all visitors of one optimization in memory, and
// their table. Its times only move on: an event or a call with an earlier time is
// taken as of the latest. It belongs to one goroutine.
type Tracker struct {
	rules    Rules
	table    *Table
	visitors map[string]*Journey
	due      ripening
	now      int64
	closed   int64 // events before it are too late
	events   int   // remembered
}

// NewTracker returns a tracker that has seen nothing.
func NewTracker(rules Rules) *Tracker {
	return &Tracker{rules: rules, table: NewTable(rules), visitors: make(map[string]*Journey), closed: math.MinInt64}
}

// Expose records that a visitor was shown something. It keeps a copy of visitor when
// that is new.
func (t *Tracker) Expose(visitor string, e Exposure, now int64) Outcome {
	t.Advance(now)
	if e.At < t.closed {
		return TooLate
	}
	j := t.journey(visitor)
	outcome := j.Expose(t.table, e, t.now)
	if outcome != Recorded {
		return outcome
	}
	t.events++
	if t.now-e.At < t.rules.Window {
		heap.Push(&t.due, ripe{e.At + t.rules.Window, j})
	}
	return outcome
}

// Reward records that a visitor brought something, before or after what it will be
// credited to.
func (t *Tracker) Reward(visitor string, r Reward, now int64) Outcome {
	t.Advance(now)
	if r.At < t.closed {
		return TooLate
	}
	outcome := t.journey(visitor).Reward(t.table, r, t.now)
	if outcome == Recorded {
		t.events++
	}
	return outcome
}

func (t *Tracker) journey(visitor string) *Journey {
	j := t.visitors[visitor]
	if j == nil {
		j = new(Journey)
		t.visitors[strings.Clone(visitor)] = j
	}
	return j
}

// Advance moves the time on: exposures become mature.
func (t *Tracker) Advance(now int64) {
	t.now = max(t.now, now)
	for len(t.due) > 0 && t.due[0].at <= t.now {
		heap.Pop(&t.due).(ripe).journey.Mature(t.table, t.now)
	}
}

// Table returns what was counted up to now. It changes with the tracker.
func (t *Tracker) Table(now int64) *Table {
	t.Advance(now)
	return t.table
}

// Visitors returns how many visitors are remembered.
func (t *Tracker) Visitors() int { return len(t.visitors) }

// Events returns how many exposures and rewards are remembered.
func (t *Tracker) Events() int { return t.events }

// EventsOf returns how many of them are a visitor's.
func (t *Tracker) EventsOf(visitor string) int {
	if j := t.visitors[visitor]; j != nil {
		return j.events()
	}
	return 0
}

// Forget refuses events before a time from now on, and drops what they could have
// changed. It keeps what is younger than the window, whatever it is asked for.
func (t *Tracker) Forget(before int64) {
	t.closed = max(t.closed, min(before, t.now-t.rules.Window))
	t.events = 0
	for visitor, j := range t.visitors {
		if j.Forget(t.table, t.closed); j.Empty() {
			delete(t.visitors, visitor)
		}
		t.events += j.events()
	}
}

// Append appends the binary form, which is canonical: two times, the table, the
// journeys by visitor.
func (t *Tracker) Append(b []byte) []byte {
	b = wire.AppendVarint(b, t.now)
	b = wire.AppendVarint(b, t.closed)
	b = t.table.Append(b)
	b = wire.AppendUvarint(b, uint64(len(t.visitors)))
	for _, visitor := range slices.Sorted(maps.Keys(t.visitors)) {
		b = wire.AppendString(b, visitor)
		b = t.visitors[visitor].Append(b)
	}
	return b
}

// Digest returns a hash of everything that Append writes. It does not depend on the
// order of the visitors, so that they need not be sorted.
func (t *Tracker) Digest() uint64 {
	b := t.table.Append(wire.AppendVarint(wire.AppendVarint(nil, t.now), t.closed))
	sum := keyOf(b)
	for visitor, j := range t.visitors {
		b = j.Append(wire.AppendString(b[:0], visitor))
		sum += keyOf(b)
	}
	return sum
}

// DecodeTracker reads what Append wrote. It keeps nothing of s.
func DecodeTracker(rules Rules, s string) (*Tracker, error) {
	r := wire.NewReader(s)
	t := &Tracker{rules: rules, now: r.Varint(), closed: r.Varint()}
	t.table = readTable(&r, rules)
	n := r.Count(10)
	t.visitors = make(map[string]*Journey, n)
	for range n {
		visitor := strings.Clone(r.String())
		j := readJourney(&r)
		t.visitors[visitor] = j
		t.events += j.events()
		for i := range j.touches {
			if x := &j.touches[i]; i >= j.mature {
				t.due = append(t.due, ripe{x.At + rules.Window, j})
			}
		}
		if r.Err() != nil {
			break
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	if string(t.Append(make([]byte, 0, len(s)))) != s {
		r.Fail("not canonical")
	}
	heap.Init(&t.due)
	return t, r.Err()
}

// ripe is when an exposure of a journey will be mature.
type ripe struct {
	at      int64
	journey *Journey
}

// ripening is a heap of them, the earliest first.
type ripening []ripe

func (r ripening) Len() int           { return len(r) }
func (r ripening) Less(i, j int) bool { return r[i].at < r[j].at }
func (r ripening) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ripening) Push(x any)        { *r = append(*r, x.(ripe)) }
func (r *ripening) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
