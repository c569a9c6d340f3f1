package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// TestReadersDuringEverything reads in every way while entries are applied, rows
// are dropped, customers evicted, captures taken, and the store restored.
func TestReadersDuringEverything(t *testing.T) {
	opts := testOptions()
	opts.Limits.MaxRows, opts.Limits.MaxCustomers, opts.Limits.MaxOffersPerCustomer = 1000, 128, 3
	s := openStore(t, opts)
	done := make(chan struct{})
	var readers sync.WaitGroup
	read := func(f func(i int) error) {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if err := f(i); err != nil && decision.KindOf(err) != decision.KindNotFound {
					t.Errorf("reading: %v", err)
					return
				}
			}
		})
	}
	read(func(i int) error {
		s.Summary(1, fmt.Sprint("c", i%300), fmt.Sprint("o", i%5))
		s.Summaries(1, fmt.Sprint("c", i%300))
		return nil
	})
	read(func(int) error { return contiguous(s) })
	read(func(i int) error {
		page, err := s.List(1, Filter{CustomerID: fmt.Sprint("c", i%300)}, decision.InteractionID{}, 5)
		if err == nil && len(page.Rows) > 0 {
			_, err = s.Get(1, page.Rows[0].ID)
		}
		return err
	})
	read(func(int) error {
		_, err := s.Stats()
		if err == nil {
			_, err = s.State(1, "m", 1)
		}
		return err
	})

	const entries = 120
	root := t.TempDir()
	var log []entry
	for i := range entries {
		log = append(log, busyEntry(i))
	}
	for i := 0; i < entries; i++ {
		apply(t, s, uint64(i+1), log[i])
		if i%40 == 10 {
			i = captureAndRestore(t, s, filepath.Join(root, fmt.Sprint(i)), log, i+1) - 1
		}
	}
	close(done)
	readers.Wait()
	swept(s)
}

// rowsPerEntry is what every entry of the test records.
const rowsPerEntry = 10

func busyEntry(i int) entry {
	e := entry{at: int64(i), ops: []op{{kind: "put", tenant: 1, model: "m", version: 1, state: fmt.Sprint(i)}}}
	for j := range rowsPerEntry {
		e.ops = append(e.ops, record(1, fmt.Sprint("c", (i*7+j*31)%300), fmt.Sprint("o", (i+j)%5), decision.Positive, int64(i)))
	}
	return e
}

// captureAndRestore captures, makes checkpoint and encoding on another goroutine
// while more entries are applied, restores, and returns how many entries are
// applied after that.
func captureAndRestore(t *testing.T, s *Store, dir string, log []entry, applied int) int {
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	var encoded bytes.Buffer
	persisted := make(chan error)
	go func() {
		err := c.Checkpoint(dir)
		persisted <- errors.Join(err, c.Encode(&encoded))
		c.Release()
	}()
	for i := applied; i < applied+20; i++ {
		apply(t, s, uint64(i+1), log[i])
	}
	if err := <-persisted; err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(dir, &encoded); err != nil {
		t.Fatal(err)
	}
	return applied
}

// contiguous scans and checks that there are no holes.
func contiguous(s *Store) error {
	var last decision.InteractionID
	return s.Scan(context.Background(), 1, 1<<40, func(o *decision.Outcome) error {
		next := decision.InteractionID{Index: last.Index, Seq: last.Seq + 1}
		if next.Seq == rowsPerEntry {
			next = decision.InteractionID{Index: last.Index + 1}
		}
		if !last.IsZero() && o.ID != next {
			return fmt.Errorf("interaction %v after %v", o.ID, last)
		}
		last = o.ID
		return nil
	})
}

func TestCloseEndsScans(t *testing.T) {
	s, err := Open(t.TempDir(), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		apply(t, s, uint64(i+1), busyEntry(i))
	}
	scanning, result := make(chan struct{}), make(chan error)
	go func() {
		var once sync.Once
		result <- s.Scan(context.Background(), 1, 500, func(*decision.Outcome) error {
			once.Do(func() { close(scanning) })
			<-s.stop // until Close is under way
			return nil
		})
	}()
	<-scanning
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := <-result; decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("Scan() = %v, want unavailable", err)
	}
	if err := s.Scan(context.Background(), 1, 9, nil); decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("Scan() after Close() = %v, want unavailable", err)
	}
}

func TestHotPathsAllocateNothing(t *testing.T) {
	s := openStore(t, testOptions())
	last := fill(t, s, 20_000, 1000)
	customer, offer := "", ""
	if err := s.Scan(context.Background(), 1, last, func(o *decision.Outcome) error {
		if o.Class == decision.Positive {
			customer, offer = string([]byte(o.CustomerID)), string([]byte(o.OfferID))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() {
		if _, ok := s.Summary(1, customer, offer); !ok {
			t.Fatalf("no summary of %s with %s", customer, offer)
		}
	}); got != 0 {
		t.Errorf("Summary() allocates %v times, want 0", got)
	}
	rows := 0
	if got := testing.AllocsPerRun(10, func() {
		rows = 0
		_ = s.Scan(context.Background(), 1, last, func(*decision.Outcome) error { rows++; return nil })
	}); (got > 200 && !raceDetector) || rows != 20_000 {
		t.Errorf("Scan() of %d rows allocates %v times, want at most 200 for its start", rows, got)
	}
	tn, limits := s.image.Load().tenant(1), DefaultLimits()
	o := decision.Outcome{CustomerID: customer, OfferID: offer, Class: decision.Positive, At: 5}
	if got := testing.AllocsPerRun(100, func() { tn.contact(&o, false, &limits) }); got != 0 {
		t.Errorf("a contact of a known customer allocates %v times, want 0", got)
	}
}

// aliasing returns a string that changes with b.
func aliasing(b []byte) string { return unsafe.String(&b[0], len(b)) }

// TestStringsAreCopied: what is kept must not share the entry's memory.
func TestStringsAreCopied(t *testing.T) {
	s := openStore(t, testOptions())
	o := record(1, "anna", "loan", decision.Positive, 1).outcome
	entry := command.AppendOutcome(nil, &o)
	var aliased decision.Outcome
	buf := append([]byte{rowFormat}, entry...)
	buf = appendTail(buf, &o)
	if err := readRow(aliasing(buf), o.ID, &aliased); err != nil {
		t.Fatal(err)
	}
	b := s.Begin(1, 1)
	b.Record(1, &aliased, entry, false)
	model := []byte("model")
	b.PutState(1, aliasing(model), 1, entry)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	clear(buf)
	clear(entry)
	clear(model)
	if got := s.StateVersions(1, "model"); len(got) != 1 {
		t.Errorf("StateVersions() = %v, want one", got)
	}
	if got := s.Summaries(1, "anna"); len(got) != 1 || got[0].OfferID != "loan" {
		t.Errorf("Summaries() = %+v, want one with loan", got)
	}
	if rows := scanAll(t, s, 1, 0, 1); len(rows) != 1 || rows[0].CustomerID != "anna" {
		t.Errorf("Scan() = %+v, want anna's", rows)
	}
}
