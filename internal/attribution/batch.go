package attribution

import (
	"fmt"
	"slices"
)

// Stream gives events in the order of their visitors, ascending by bytes; those of one
// visitor in any order. ok is false at the end.
type Stream[E any] interface {
	Next() (visitor string, event E, ok bool, err error)
}

// Batch counts what two streams say as of a time. It holds the events of one visitor
// at a time; memory and errors of the streams apart, its cost is n·log n of each. A
// stream that fails or is out of order fails it.
func Batch(rules Rules, now int64, exposures Stream[Exposure], rewards Stream[Reward]) (*Table, error) {
	t := NewTable(rules)
	var w workspace
	e, r := group[Exposure]{stream: exposures, name: "exposures"}, group[Reward]{stream: rewards, name: "rewards"}
	if err := e.next(); err != nil {
		return nil, err
	}
	if err := r.next(); err != nil {
		return nil, err
	}
	for !e.done {
		for !r.done && r.visitor < e.visitor { // rewards of who was shown nothing
			if err := r.next(); err != nil {
				return nil, err
			}
		}
		var gains []Reward
		if !r.done && r.visitor == e.visitor {
			gains = r.events
		}
		w.count(t, e.events, gains, now)
		if err := e.next(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// group reads the events of one visitor after the other.
type group[E any] struct {
	stream  Stream[E]
	name    string
	visitor string
	events  []E
	done    bool

	following string // the visitor of ahead
	ahead     E
	started   bool
	last      bool // nothing is ahead
}

func (g *group[E]) next() error {
	if !g.started {
		g.started = true
		if err := g.read(); err != nil {
			return err
		}
	}
	if g.last {
		g.done = true
		return nil
	}
	g.visitor, g.events = g.following, g.events[:0]
	for !g.last && g.following == g.visitor {
		g.events = append(g.events, g.ahead)
		if err := g.read(); err != nil {
			return err
		}
	}
	return nil
}

func (g *group[E]) read() error {
	visitor, event, ok, err := g.stream.Next()
	if err != nil {
		return fmt.Errorf("attribution: %s: %w", g.name, err)
	}
	if !ok {
		g.last = true
		return nil
	}
	if visitor < g.following {
		return fmt.Errorf("attribution: %s: visitor %.60q comes after %.60q; sort by the bytes of the ids", g.name, visitor, g.following)
	}
	g.following, g.ahead = visitor, event
	return nil
}

// workspace is what counting one visitor after the other uses again.
type workspace struct {
	hits    []uint32
	amounts []Amount
	seen    map[uint64]bool
}

// count counts one visitor.
func (w *workspace) count(t *Table, exposures []Exposure, rewards []Reward, now int64) {
	exposures = unique(w, exposures, func(e *Exposure) uint64 { return e.Key })
	rewards = unique(w, rewards, func(r *Reward) uint64 { return r.Key })
	slices.SortFunc(exposures, func(a, b Exposure) int { return a.compare(&b) })
	slices.SortFunc(rewards, func(a, b Reward) int { return a.compare(&b) })
	w.credit(&t.rules, exposures, rewards)
	var totals [2]total
	for i := range exposures {
		e := &exposures[i]
		if w.hits[i] == 0 && now-e.At < t.rules.Window {
			t.immature++
			continue
		}
		t.give(e, t.rules.value(w.hits[i], w.amounts[i]))
		s := &totals[side(e.Holdout)]
		s.counted++
		s.hits += uint64(w.hits[i])
		s.amount += w.amounts[i]
	}
	for i := range totals {
		if s := &totals[i]; s.counted > 0 {
			t.visitors[i].give(s.value(&t.rules))
		}
	}
}

// credit fills hits and amounts by exposure; both kinds of events ascend.
func (w *workspace) credit(rules *Rules, exposures []Exposure, rewards []Reward) {
	w.hits = append(w.hits[:0], make([]uint32, len(exposures))...)
	w.amounts = append(w.amounts[:0], make([]Amount, len(exposures))...)
	first, after := 0, 0 // exposures from at−window on, exposures after at
	for i := range rewards {
		at := rewards[i].At
		for after < len(exposures) && exposures[after].At <= at {
			after++
		}
		for first < after && at-exposures[first].At > rules.Window {
			first++
		}
		if first == after {
			continue
		}
		to := after - 1
		if rules.First {
			to = first
		}
		w.hits[to]++
		w.amounts[to] += rewards[i].Value
	}
}

// few events are compared with each other, more are looked up.
const few = 16

// unique drops, in place, events whose key came before.
func unique[E any](w *workspace, events []E, key func(*E) uint64) []E {
	kept := events[:0]
	if len(events) <= few {
		for i := range events {
			k := key(&events[i])
			if k == 0 || !slices.ContainsFunc(kept, func(e E) bool { return key(&e) == k }) {
				kept = append(kept, events[i])
			}
		}
		return kept
	}
	if w.seen == nil {
		w.seen = make(map[uint64]bool)
	}
	clear(w.seen)
	for i := range events {
		k := key(&events[i])
		if k != 0 && w.seen[k] {
			continue
		}
		w.seen[k] = true
		kept = append(kept, events[i])
	}
	return kept
}
