package history

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Filter narrows a list; empty fields do not.
type Filter struct {
	CustomerID, OfferID, Type string
}

func (f *Filter) matches(o *decision.Outcome) bool {
	return (f.CustomerID == "" || f.CustomerID == o.CustomerID) &&
		(f.OfferID == "" || f.OfferID == o.OfferID) &&
		(f.Type == "" || f.Type == o.Type)
}

// Page is a part of a list, newest first.
type Page struct {
	Rows []decision.Outcome
	// More says that there may be more after Next. A page of a narrow filter can
	// be short, even empty, and still have more: one call reads a bounded number
	// of rows.
	More bool
	Next decision.InteractionID
	// Total is how many rows match, -1 where counting would need to read them.
	Total int64
}

// What one call of List does at most.
const (
	maxExamined = 20_000 // rows read in order, 0.3 µs each
	maxLookups  = 2_000  // rows looked up by id, about 10 µs each
	maxCounted  = 10_000 // keys counted for a total
)

// Get returns one interaction. An unknown one, or one that is no longer kept, is
// KindNotFound.
func (s *Store) Get(tenant uint32, id decision.InteractionID) (*decision.Outcome, error) {
	im, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer im.done()
	if t := im.tenant(tenant); t != nil && t.visible(id, im.applied.Load()) {
		o, err := lookUp(im.db, t, id)
		if err == nil || !errors.Is(err, pebble.ErrNotFound) {
			return o, err
		}
	}
	return nil, decision.Errorf(decision.KindNotFound, "no interaction %s", id)
}

// lookUp reads one row into memory of its own.
func lookUp(db pebble.Reader, t *tenant, id decision.InteractionID) (*decision.Outcome, error) {
	value, closer, err := db.Get(appendRowKey(nil, t.space, id))
	if err != nil {
		return nil, corruptRow("history.Get", t.ordinal, id, err)
	}
	defer closer.Close()
	o := new(decision.Outcome)
	if err := readRow(string(value), id, o); err != nil {
		return nil, corruptRow("history.Get", t.ordinal, id, err)
	}
	return o, nil
}

// List returns up to limit interactions of a tenant that match a filter, newest
// first, older than before (zero: from the newest).
func (s *Store) List(tenant uint32, filter Filter, before decision.InteractionID, limit int) (Page, error) {
	im, err := s.acquire()
	if err != nil {
		return Page{}, err
	}
	defer im.done()
	t := im.tenant(tenant)
	if t == nil {
		return Page{Rows: []decision.Outcome{}}, nil
	}
	end := after(decision.InteractionID{Index: im.applied.Load(), Seq: math.MaxUint32})
	snap := im.db.NewSnapshot()
	defer snap.Close()
	l := lister{db: snap, tenant: t, filter: filter, limit: limit, start: after(*t.floor.Load()), end: end}
	l.page.Rows = make([]decision.Outcome, 0, min(limit, 100))
	l.page.Total = -1
	if filter.CustomerID != "" {
		err = l.byCustomer(before)
	} else {
		err = l.inOrder(before)
	}
	return l.page, err
}

// lister makes one page of the rows from start to end.
type lister struct {
	db         *pebble.Snapshot
	tenant     *tenant
	filter     Filter
	limit      int
	start, end decision.InteractionID
	page       Page
}

// upper is where a page that continues before an id ends.
func (l *lister) upper(before decision.InteractionID) decision.InteractionID {
	if before.IsZero() || l.end.Less(before) {
		return l.end
	}
	return before
}

// take puts a row on the page if it matches.
func (l *lister) take(o *decision.Outcome) {
	if l.filter.matches(o) {
		l.page.Rows = append(l.page.Rows, *o)
	}
}

// goOn reports whether another row may be examined when some were; if not, the
// page says where to go on.
func (l *lister) goOn(examined, most int, last decision.InteractionID) bool {
	if len(l.page.Rows) < l.limit && examined < most {
		return true
	}
	l.page.More, l.page.Next = true, last
	return false
}

// inOrder goes through all rows from the newest.
func (l *lister) inOrder(before decision.InteractionID) error {
	if l.filter == (Filter{}) {
		l.page.Total = l.tenant.rows.Load()
	}
	it, err := l.db.NewIter(&pebble.IterOptions{
		LowerBound: appendRowKey(nil, l.tenant.space, l.start),
		UpperBound: appendRowKey(nil, l.tenant.space, l.upper(before)),
	})
	if err != nil {
		return err
	}
	defer it.Close()
	var o decision.Outcome
	var last decision.InteractionID
	n := 0
	for ok := it.Last(); ok && l.goOn(n, maxExamined, last); ok = it.Prev() {
		n++
		id, value, err := rowAt(it)
		if err == nil {
			err = readRow(value, id, &o)
		}
		if err == nil && l.filter.matches(&o) {
			var own decision.Outcome
			err = readRow(strings.Clone(value), id, &own)
			l.take(&own)
		}
		if err != nil {
			return corruptRow("history.List", l.tenant.ordinal, id, err)
		}
		last = id
	}
	return l.readError(it.Error())
}

// byCustomer goes through the rows of one customer from the newest.
func (l *lister) byCustomer(before decision.InteractionID) error {
	hash := hash64(l.filter.CustomerID)
	bounds := &pebble.IterOptions{
		LowerBound: appendCustomerKey(nil, l.tenant.space, hash, l.start),
		UpperBound: appendCustomerKey(nil, l.tenant.space, hash, l.end),
	}
	it, err := l.db.NewIter(bounds)
	if err != nil {
		return err
	}
	defer it.Close()
	if l.filter.OfferID == "" && l.filter.Type == "" {
		l.page.Total = count(it)
	}
	var last decision.InteractionID
	n := 0
	ok := it.SeekLT(appendCustomerKey(nil, l.tenant.space, hash, l.upper(before)))
	for ; ok && l.goOn(n, maxLookups, last); ok = it.Prev() {
		n++
		id, err := keyID(it.Key(), customerKeySize)
		if err != nil {
			return corruptRow("history.List", l.tenant.ordinal, id, err)
		}
		o, err := lookUp(l.db, l.tenant, id)
		if err != nil {
			return err
		}
		l.take(o)
		last = id
	}
	return l.readError(it.Error())
}

func (l *lister) readError(err error) error {
	if err == nil {
		return nil
	}
	return &decision.Error{
		Kind: decision.KindInternal, Op: "history.List", Err: err,
		Msg: fmt.Sprintf("the history of tenant %d cannot be read", l.tenant.ordinal),
	}
}

// count counts an iterator's keys, -1 when there are too many.
func count(it *pebble.Iterator) int64 {
	n := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > maxCounted {
			return -1
		}
	}
	return n
}
