package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// keysOnDisk counts the keys of a kind.
func keysOnDisk(t *testing.T, s *Store, kind byte) (n int) {
	t.Helper()
	it, err := s.image.Load().db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

func TestRetentionByRows(t *testing.T) {
	opts := testOptions()
	opts.Limits.MaxRows = 640
	s := openStore(t, opts)
	for i := range uint64(100) {
		var e entry
		for j := range 50 {
			e.ops = append(e.ops, record(1, fmt.Sprint("c", j), "loan", decision.Positive, int64(i)))
		}
		apply(t, s, i+1, e)
		if got := s.Count(1); got > 640 || (i > 20 && got < 630) {
			t.Fatalf("after entry %d: Count() = %d, want 630 to 640", i+1, got)
		}
	}
	swept(s)
	if rows, keys := keysOnDisk(t, s, kindRow), keysOnDisk(t, s, kindCustomer); int64(rows) != s.Count(1) || rows != keys {
		t.Errorf("%d rows and %d customers' keys on disk, want %d", rows, keys, s.Count(1))
	}
	st, err := s.Stats()
	if err != nil || st.Rows+st.DroppedRows != 5000 || st.PendingSweeps != 0 {
		t.Errorf("Stats() = %+v, %v, want kept + dropped = 5000", st, err)
	}
	// Dropping rows does not touch what was learned of the customers.
	if got, _ := s.Summary(1, "c7", "loan"); got.Positives != 100 {
		t.Errorf("positives = %d, want 100", got.Positives)
	}
	if _, err := s.Get(1, decision.InteractionID{Index: 1}); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("Get() of a dropped row = %v, want not found", err)
	}
}

func TestRetentionByAge(t *testing.T) {
	opts := testOptions()
	opts.Limits.MaxAge = 64 * time.Hour
	s := openStore(t, opts)
	hour := func(n int64) int64 { return n * hourMillis }
	for i := range int64(200) {
		apply(t, s, uint64(i+1), entry{at: hour(i), ops: []op{record(1, "anna", "loan", decision.Positive, 1)}})
		if got := s.Count(1); got > 67 || (i > 70 && got < 64) {
			t.Fatalf("after %d hours: Count() = %d, want 64 to 67", i, got)
		}
	}
	// A tenant without traffic loses its rows by the entries of others, and a
	// clock that steps back brings nothing back.
	apply(t, s, 201, entry{at: hour(300), ops: []op{record(2, "ben", "loan", decision.Positive, 1)}})
	apply(t, s, 202, entry{at: hour(10), ops: []op{record(2, "ben", "loan", decision.Positive, 1)}})
	if got, other := s.Count(1), s.Count(2); got != 0 || other != 2 {
		t.Errorf("Count() = %d and %d, want 0 and 2", got, other)
	}
}

func TestDroppedTenantComesBackEmpty(t *testing.T) {
	s := openStore(t, testOptions())
	put := op{kind: "put", tenant: 1, model: "m", version: 1, state: "old"}
	apply(t, s, 1, entry{ops: []op{record(1, "anna", "loan", decision.Positive, 1), put, {kind: "drop", tenant: 1}, record(1, "ben", "card", decision.Positive, 2)}})
	swept(s)
	if rows := scanAll(t, s, 1, 0, 1); len(rows) != 1 || rows[0].CustomerID != "ben" {
		t.Errorf("Scan() = %+v, want ben's only", rows)
	}
	if _, ok := s.Summary(1, "anna", "loan"); ok {
		t.Error("a summary outlived its tenant")
	}
	if n := keysOnDisk(t, s, kindState); n != 0 {
		t.Errorf("%d states on disk, want none", n)
	}
	if st, err := s.Stats(); err != nil || st.DroppedRows != 1 || st.Tenants != 1 {
		t.Errorf("Stats() = %+v, %v, want 1 dropped row, 1 tenant", st, err)
	}
}

func TestEvictionBoundsMemory(t *testing.T) {
	opts := testOptions()
	opts.Limits.MaxCustomers, opts.Limits.MaxOffersPerCustomer, opts.Limits.MaxSummaries = 640, 3, 1280
	s := openStore(t, opts)
	for i := range uint64(200) {
		var e entry
		for j := range uint64(50) {
			e.ops = append(e.ops, record(1, fmt.Sprint("c", i*20+j), fmt.Sprint("o", i*j%97), decision.Positive, int64(i)))
		}
		apply(t, s, i+1, e)
	}
	st, err := s.Stats()
	if err != nil || st.Customers > 640 || st.Customers < 500 || st.Summaries > 1280 || st.EvictedCustomers == 0 || st.EvictedSummaries < st.EvictedCustomers {
		t.Errorf("Stats() = %+v, %v, want at most 640 customers and 1280 summaries", st, err)
	}
	tn := s.image.Load().tenant(1)
	if live, slots := tn.offers.live, len(*tn.offers.table.Load()); live > 97 || slots > 512 {
		t.Errorf("%d offers are numbered in %d slots, want at most 97", live, slots)
	}
	// Evicted places are used again: the tables hold what is live and no more.
	var customers, rows int
	for i := range tn.shards {
		if sh := tn.shards[i].Load(); sh != nil {
			customers += int(sh.customers.len())
			rows += int(sh.rows.len())
		}
	}
	if customers > 640+2*shardCount || rows > 1280+6*shardCount {
		t.Errorf("tables of %d customers and %d rows for %d and %d", customers, rows, st.Customers, st.Summaries)
	}
}

func TestCorruptRowIsNamed(t *testing.T) {
	s := openStore(t, testOptions())
	apply(t, s, 1, entry{ops: []op{record(1, "anna", "loan", decision.Positive, 1), record(1, "ben", "loan", decision.Positive, 1)}})
	id := decision.InteractionID{Index: 1, Seq: 1}
	im := s.image.Load()
	if err := im.db.Set(appendRowKey(nil, im.tenant(1).space, id), []byte("\x01damaged"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	n := 0
	scan := s.Scan(context.Background(), 1, 1, func(*decision.Outcome) error { n++; return nil })
	_, get := s.Get(1, id)
	_, list := s.List(1, Filter{}, decision.InteractionID{}, 10)
	_, byCustomer := s.List(1, Filter{CustomerID: "ben"}, decision.InteractionID{}, 10)
	for name, err := range map[string]error{"Scan": scan, "Get": get, "List": list, "List by customer": byCustomer} {
		if !errors.Is(err, wire.ErrCorrupt) || !strings.Contains(err.Error(), "tenant 1") || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("%s() = %v, want corruption of %s of tenant 1", name, err, id)
		}
	}
	if n != 1 {
		t.Errorf("Scan() gave %d rows before the damaged one, want 1", n)
	}
}

func TestScanEnds(t *testing.T) {
	s := openStore(t, testOptions())
	for i := range uint64(3 * checkEvery) {
		apply(t, s, i+1, entry{ops: []op{record(1, "anna", "loan", decision.Positive, 1)}})
	}
	stop := errors.New("enough")
	if err := s.Scan(context.Background(), 1, 99, func(*decision.Outcome) error { return stop }); err != stop {
		t.Errorf("Scan() = %v, want the function's error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := s.Scan(ctx, 1, s.Applied(), func(*decision.Outcome) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n >= 2*checkEvery {
		t.Errorf("Scan() = %v after %d rows, want canceled within %d", err, n, checkEvery)
	}
	if rows := scanAll(t, s, 1, 10, 14); len(rows) != 4 || rows[0].ID.Index != 11 || rows[3].ID.Index != 14 {
		t.Errorf("ScanFrom(10, 14) = %d rows, want those of entries 11 to 14", len(rows))
	}
	if rows := scanAll(t, s, 1, 3*checkEvery-1, 1<<63); len(rows) != 1 {
		t.Errorf("ScanFrom() past the end = %d rows, want 1", len(rows))
	}
}

// TestListIsBounded: one call reads a bounded number of rows and says where to
// go on.
func TestListIsBounded(t *testing.T) {
	s := openStore(t, testOptions())
	const rows = maxExamined + 5
	var e entry
	e.ops = append(e.ops, record(1, "anna", "rare", decision.Positive, 1))
	for range rows {
		e.ops = append(e.ops, record(1, "anna", "loan", decision.Positive, 1))
	}
	apply(t, s, 1, e)
	page, err := s.List(1, Filter{OfferID: "rare"}, decision.InteractionID{}, 10)
	if err != nil || len(page.Rows) != 0 || !page.More || page.Next.Seq != rows+1-maxExamined || page.Total != -1 {
		t.Fatalf("List() = %+v, %v, want an empty page that goes on", page, err)
	}
	page, err = s.List(1, Filter{OfferID: "rare"}, page.Next, 10)
	if err != nil || len(page.Rows) != 1 || page.More {
		t.Errorf("List() = %+v, %v, want the last page with one row", page, err)
	}
	page, err = s.List(1, Filter{CustomerID: "anna", OfferID: "rare"}, decision.InteractionID{}, 10)
	if err != nil || len(page.Rows) != 0 || !page.More || page.Next.Seq != rows+1-maxLookups {
		t.Errorf("List() by customer = %+v, %v, want an empty page that goes on", page, err)
	}
	page, err = s.List(1, Filter{CustomerID: "anna"}, decision.InteractionID{}, 1)
	if err != nil || page.Total != -1 {
		t.Errorf("List() by customer: total %d, %v, want -1 past %d", page.Total, err, maxCounted)
	}
}

// A view that was opened sees what was kept then, whatever is dropped before it
// is read.
func TestOpenScanIsOfItsMoment(t *testing.T) {
	opts := testOptions()
	opts.Limits.MaxRows = 640
	s := openStore(t, opts)
	fill := func(from, to uint64) {
		for i := from; i <= to; i++ {
			var e entry
			for range 50 {
				e.ops = append(e.ops, record(1, "anna", "loan", decision.Positive, 1))
			}
			apply(t, s, i, e)
		}
	}
	fill(1, 10)
	view, err := s.OpenScan(1, 2, 9)
	if err != nil {
		t.Fatal(err)
	}
	fill(11, 100) // drops all of it
	swept(s)
	var first, last decision.InteractionID
	n := 0
	err = view.Each(t.Context(), func(o *decision.Outcome) error {
		if n == 0 {
			first = o.ID
		}
		last = o.ID
		n++
		return nil
	})
	if err != nil || n != 7*50 || first.Index != 3 || last.Index != 9 {
		t.Errorf("Each() = %v, saw %d rows from entry %d to %d, want 350 from 3 to 9", err, n, first.Index, last.Index)
	}
	if err := view.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}
