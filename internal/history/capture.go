package history

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Capture is the memory of a store as it was after one entry: a consistent cut,
// made without copying what it holds. What is written later copies the pages it
// touches, until the capture is released.
//
// Checkpoint and Encode may be called on any goroutine while entries go on being
// applied, in either order, before Release.
type Capture struct {
	store *Store
	image *image

	applied     uint64
	clock, aged int64
	nextSpace   uint32
	limits      Limits
	gone        [4]int64
	tenants     []tenantCapture // by ordinal
	jobs        []job
	release     sync.Once
}

type tenantCapture struct {
	t        *tenant
	floor    decision.InteractionID
	rows     int64
	counters [4]int64
	segments []segment
	states   map[string][]stateRef
	offers   frozenPages[string]
	shards   []shardCapture
}

type shardCapture struct {
	shard                   *shard
	customers               frozenPages[customer]
	rows                    frozenPages[row]
	keys                    frozenPages[unit]
	oldest                  uint32
	customerCount, rowCount int64
}

// Capture takes a consistent cut. It is called on the apply goroutine, between
// entries, and takes about a millisecond per million customers. It must be
// released.
func (s *Store) Capture() (*Capture, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	im, err := s.acquire()
	if err != nil {
		return nil, err
	}
	c := &Capture{
		store: s, image: im, applied: im.applied.Load(), clock: im.clock, aged: im.aged,
		nextSpace: im.nextSpace, limits: *im.limits.Load(), gone: im.gone.values(), jobs: im.sweep.hold(),
	}
	for _, t := range im.sorted() {
		c.tenants = append(c.tenants, t.capture())
	}
	return c, nil
}

func (t *tenant) capture() tenantCapture {
	t.frozen.Add(1)
	c := tenantCapture{
		t: t, floor: *t.floor.Load(), rows: t.rows.Load(), counters: t.values(),
		segments: slices.Clone(t.segments), states: maps.Clone(t.states), offers: t.offers.ids.freeze(),
	}
	for i := range t.shards {
		if sh := t.shards[i].Load(); sh != nil {
			c.shards = append(c.shards, sh.capture())
		}
	}
	return c
}

func (s *shard) capture() shardCapture {
	s.frozen.Add(1)
	return shardCapture{
		shard: s, customers: s.customers.freeze(), rows: s.rows.freeze(), keys: s.keys.units.freeze(),
		oldest: s.oldest, customerCount: s.customerCount, rowCount: s.rowCount,
	}
}

// Release ends the capture: pages are written in place again and what was
// dropped meanwhile is removed from disk.
func (c *Capture) Release() {
	c.release.Do(func() {
		for i := range c.tenants {
			t := &c.tenants[i]
			t.t.frozen.Add(-1)
			for j := range t.shards {
				t.shards[j].shard.frozen.Add(-1)
			}
		}
		c.image.sweep.unhold()
		c.image.done()
	})
}

// Index returns the index of the last entry that is in the capture.
func (c *Capture) Index() uint64 { return c.applied }

// Checkpoint makes dir, which must not exist, a copy of the database, by hard
// links where it can. It holds every row and state of the capture and may hold
// some of later entries; what it holds is synced.
//
// The database keeps no log, so what is in its memory is written out first: that
// takes up to a second and does not stop writers.
func (c *Capture) Checkpoint(dir string) error {
	flushed, err := c.image.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("history: flushing for a checkpoint: %w", err)
	}
	select {
	case <-flushed:
	case <-c.store.failed: // a flush that fails is never done
		return c.store.failure
	}
	if err := c.image.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("history: checkpoint: %w", err)
	}
	return nil
}

// each calls f with every customer, the one whose last contact was applied
// longest ago first, and the first of its rows. The id is valid during the call.
func (c *shardCapture) each(f func(id string, rows uint32, n int) error) error {
	for at := c.oldest; at != 0; {
		e := c.customers.at(at)
		if err := f(textAt(c.keys.at(e.key), e.keyLen), e.rows, int(e.offers)); err != nil {
			return err
		}
		at = e.newer
	}
	return nil
}

// models returns the models that have states, in order.
func (c *tenantCapture) models() []string { return slices.Sorted(maps.Keys(c.states)) }

func (c *tenantCapture) counts() (customers, summaries int64) {
	for i := range c.shards {
		customers += c.shards[i].customerCount
		summaries += c.shards[i].rowCount
	}
	return customers, summaries
}
