package history

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// image is a database and the memory that belongs to it. Restore replaces it as
// a whole; who reads the old one finishes on the old one.
type image struct {
	db    *pebble.DB
	dir   string
	sweep *sweeper

	tenants atomic.Pointer[map[uint32]*tenant] // copied when a tenant comes or goes
	applied atomic.Uint64                      // index of the last committed entry
	gone    totals                             // of tenants that were dropped
	limits  atomic.Pointer[Limits]

	// The apply goroutine's alone.
	clock     int64 // the latest time of an entry, Unix milliseconds
	aged      int64 // hour of the last pass over all tenants
	nextSpace uint32

	mu      sync.Mutex // users, retired, and gone together with tenants
	users   int
	retired bool
	unused  chan struct{} // closed when retired and without users
}

// totals are counters that only grow, of a tenant or of many.
type totals struct {
	droppedRows, evictedCustomers, evictedSummaries, untracked atomic.Int64
}

// all lists the counters in the order in which captures have them.
func (c *totals) all() [4]*atomic.Int64 {
	return [...]*atomic.Int64{&c.droppedRows, &c.evictedCustomers, &c.evictedSummaries, &c.untracked}
}

func (c *totals) values() (v [4]int64) {
	for i, n := range c.all() {
		v[i] = n.Load()
	}
	return v
}

// add adds other's counters.
func (c *totals) add(other *totals) {
	theirs := other.all()
	for i, n := range c.all() {
		n.Add(theirs[i].Load())
	}
}

func newImage(limits Limits) *image {
	im := &image{unused: make(chan struct{})}
	im.tenants.Store(&map[uint32]*tenant{})
	im.limits.Store(&limits)
	return im
}

func (im *image) tenant(ordinal uint32) *tenant { return (*im.tenants.Load())[ordinal] }

// sorted returns the tenants by ordinal.
func (im *image) sorted() []*tenant {
	all := *im.tenants.Load()
	out := make([]*tenant, 0, len(all))
	for _, ordinal := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[ordinal])
	}
	return out
}

// open returns a tenant, made with a space of its own when new.
func (im *image) open(ordinal uint32) *tenant {
	if t := im.tenant(ordinal); t != nil {
		return t
	}
	t := newTenant(ordinal, im.nextSpace)
	im.nextSpace++
	next := maps.Clone(*im.tenants.Load())
	next[ordinal] = t
	im.tenants.Store(&next)
	return t
}

// drop forgets a tenant; nil when there is none.
func (im *image) drop(ordinal uint32) *tenant {
	t := im.tenant(ordinal)
	if t == nil {
		return nil
	}
	next := maps.Clone(*im.tenants.Load())
	delete(next, ordinal)
	im.mu.Lock() // Stats must not see the tenant's counters twice or not at all
	defer im.mu.Unlock()
	im.tenants.Store(&next)
	im.gone.add(&t.totals)
	im.gone.droppedRows.Add(t.rows.Load())
	return t
}

// use counts a user of the database in; false when the image is retired.
func (im *image) use() bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.retired {
		return false
	}
	im.users++
	return true
}

func (im *image) done() {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.users--; im.users == 0 && im.retired {
		close(im.unused)
	}
}

// retire lets no new users in, waits for those there are and closes the
// database.
func (im *image) retire() error {
	im.mu.Lock()
	im.retired = true
	if im.users == 0 {
		close(im.unused)
	}
	im.mu.Unlock()
	im.sweep.halt()
	<-im.unused
	return im.db.Close()
}

// acquire returns the live image, counted in; release it with done.
func (s *Store) acquire() (*image, error) {
	for {
		im := s.image.Load()
		if im.use() {
			return im, nil
		}
		if s.closed.Load() {
			return nil, decision.Errorf(decision.KindUnavailable, "the history is closed")
		}
		// A restore has just put another image in its place.
	}
}
