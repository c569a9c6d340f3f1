package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
)

// testOptions are for a small store on a disk in memory.
func testOptions() Options {
	o := DefaultOptions()
	o.CacheBytes, o.MemTableBytes = 4<<20, 1<<20
	o.fs = vfs.NewMem()
	return o
}

func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// entry is one log entry of the tests.
type entry struct {
	at  int64
	ops []op
}

// op is one thing an entry does.
type op struct {
	kind       string
	tenant     uint32
	outcome    decision.Outcome
	impression bool
	model      string
	version    uint64
	state      string
	limits     Limits
}

func record(tenant uint32, customer, offer string, class decision.Classification, at int64) op {
	return op{kind: "record", tenant: tenant, outcome: decision.Outcome{
		CustomerID: customer, OfferID: offer, Type: class.String(), Class: class, At: at,
	}, impression: class == decision.Neutral}
}

// apply applies an entry and returns its outcomes as recorded.
func apply(t failer, s *Store, index uint64, e entry) []decision.Outcome {
	t.Helper()
	b := s.Begin(index, e.at)
	var out []decision.Outcome
	for i := range e.ops {
		switch p := &e.ops[i]; p.kind {
		case "record":
			o := p.outcome
			b.Record(p.tenant, &o, command.AppendOutcome(nil, &o), p.impression)
			out = append(out, o)
		case "drop":
			b.DropTenant(p.tenant)
		case "put":
			b.PutState(p.tenant, p.model, p.version, []byte(p.state))
		case "deleteState":
			b.DeleteState(p.tenant, p.model, p.version)
		case "deleteStates":
			b.DeleteStates(p.tenant, p.model)
		case "limits":
			if err := b.SetLimits(p.limits); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatalf("entry %d: Commit() = %v", index, err)
	}
	return out
}

func clone(o *decision.Outcome) decision.Outcome {
	var c decision.Outcome
	if err := readRow(string(appendTail(command.AppendOutcome([]byte{rowFormat}, o), o)), o.ID, &c); err != nil {
		panic(err)
	}
	return c
}

func scanAll(t failer, s *Store, tenant uint32, after, upTo uint64) []decision.Outcome {
	t.Helper()
	out := []decision.Outcome{}
	if err := s.ScanFrom(context.Background(), tenant, after, upTo, func(o *decision.Outcome) error {
		out = append(out, clone(o))
		return nil
	}); err != nil {
		t.Fatalf("ScanFrom() = %v", err)
	}
	return out
}

func digest(t failer, s *Store) string {
	t.Helper()
	d, err := s.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", d)
}

// swept waits until everything dropped is off the disk.
func swept(s *Store) {
	w := s.image.Load().sweep
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.jobs) > 0 && !w.halted {
		w.changed.Wait()
	}
}

func TestRecordAndRead(t *testing.T) {
	s := openStore(t, testOptions())
	first := record(1, "anna", "loan", decision.Neutral, 1000)
	second := record(1, "anna", "loan", decision.Positive, 2000)
	second.outcome.Attributes = decision.Row{{Name: "age", Num: 41, Kind: decision.Number}, {Name: "city", Text: "Ulm", Kind: decision.Text}}
	second.outcome.HasValue, second.outcome.ConversionValue = true, 12.5
	third := record(1, "ben", "card", decision.Negative, 3000)
	got := apply(t, s, 7, entry{at: 5000, ops: []op{first, second, third}})

	if want := (decision.InteractionID{Index: 7, Seq: 1}); got[1].ID != want {
		t.Errorf("ID = %v, want %v", got[1].ID, want)
	}
	if want := (decision.Summary{Impressions: 1, LastContactAt: 1000}); got[1].Before != want {
		t.Errorf("Before = %+v, want %+v", got[1].Before, want)
	}
	summary, ok := s.Summary(1, "anna", "loan")
	if want := (decision.Summary{Impressions: 1, Positives: 1, LastContactAt: 2000}); !ok || summary != want {
		t.Errorf("Summary() = %+v, %v, want %+v", summary, ok, want)
	}
	if _, ok := s.Summary(2, "anna", "loan"); ok {
		t.Error("Summary() of another tenant found something")
	}
	for i := range got {
		got[i] = clone(&got[i])
	}
	if rows := scanAll(t, s, 1, 0, 7); !reflect.DeepEqual(rows, got) {
		t.Errorf("Scan() = %+v, want %+v", rows, got)
	}
	o, err := s.Get(1, got[1].ID)
	if err != nil || !reflect.DeepEqual(*o, got[1]) {
		t.Errorf("Get() = %+v, %v, want %+v", o, err, got[1])
	}
	for _, id := range []decision.InteractionID{{Index: 7, Seq: 3}, {Index: 8}, {}} {
		if _, err := s.Get(1, id); decision.KindOf(err) != decision.KindNotFound {
			t.Errorf("Get(%v) = %v, want not found", id, err)
		}
	}
	if got := s.Count(1); got != 3 {
		t.Errorf("Count() = %d, want 3", got)
	}
}

func TestOnlyContactsCount(t *testing.T) {
	s := openStore(t, testOptions())
	deferred := record(1, "anna", "loan", decision.Neutral, 9)
	deferred.impression = false
	noOffer := record(1, "anna", "", decision.Positive, 9)
	long := record(1, string(bytes.Repeat([]byte("x"), maxCustomerID+1)), "loan", decision.Positive, 9)
	apply(t, s, 1, entry{at: 1, ops: []op{deferred, noOffer, long}})
	if got := s.Summaries(1, "anna"); len(got) != 0 {
		t.Errorf("Summaries() = %v, want none", got)
	}
	st, err := s.Stats()
	if err != nil || st.Rows != 3 || st.Customers != 0 || st.Untracked != 1 {
		t.Errorf("Stats() = %+v, %v, want 3 rows, no customers, 1 untracked", st, err)
	}
	early := record(1, "anna", "loan", decision.Positive, -5)
	apply(t, s, 2, entry{at: 1, ops: []op{early}})
	if got, _ := s.Summary(1, "anna", "loan"); got.LastContactAt != 1 {
		t.Errorf("last contact = %d, want 1: 0 would mean never", got.LastContactAt)
	}
}

func TestStates(t *testing.T) {
	s := openStore(t, testOptions())
	put := func(version uint64, state string) op {
		return op{kind: "put", tenant: 3, model: "m", version: version, state: state}
	}
	apply(t, s, 1, entry{ops: []op{put(1, "one"), put(2, "two"), put(2, "zwei")}})
	if got := s.StateVersions(3, "m"); !reflect.DeepEqual(got, []uint64{1, 2}) {
		t.Errorf("StateVersions() = %v, want [1 2]", got)
	}
	if got, err := s.State(3, "m", 2); err != nil || string(got) != "zwei" {
		t.Errorf("State() = %q, %v, want zwei", got, err)
	}
	apply(t, s, 2, entry{ops: []op{{kind: "deleteStates", tenant: 3, model: "m"}, put(2, "again")}})
	swept(s)
	if got, err := s.State(3, "m", 2); err != nil || string(got) != "again" {
		t.Errorf("State() = %q, %v, want again", got, err)
	}
	if _, err := s.State(3, "m", 1); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("State() = %v, want not found", err)
	}
}

// TestOpenTrustsNothing runs on a real disk: an opened store is empty until a
// snapshot is restored, whatever the folder holds.
func TestOpenTrustsNothing(t *testing.T) {
	opts := testOptions()
	opts.fs = nil
	dir := t.TempDir()
	live, checkpoint := filepath.Join(dir, "live"), filepath.Join(dir, "checkpoint")
	s, err := Open(live, opts)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, 1, entry{ops: []op{record(1, "anna", "loan", decision.Positive, 1)}})
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	var encoded bytes.Buffer
	if err := errors.Join(c.Checkpoint(checkpoint), c.Encode(&encoded)); err != nil {
		t.Fatal(err)
	}
	c.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
	if err := s.Begin(2, 1).Commit(); decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("Commit() after Close() = %v, want unavailable", err)
	}
	if s, err = Open(live, opts); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rows := scanAll(t, s, 1, 0, 9); len(rows) != 0 || s.Count(1) != 0 || s.Applied() != 0 {
		t.Errorf("a reopened store has %d rows, want none before Restore", len(rows))
	}
	if _, err := Open(live, opts); err == nil {
		t.Error("a second Open() of the same folder succeeded")
	}
	if err := s.Restore(checkpoint, &encoded); err != nil || len(scanAll(t, s, 1, 0, 9)) != 1 {
		t.Errorf("Restore() = %v, want one row", err)
	}
}

func TestAppliedOnce(t *testing.T) {
	s := openStore(t, testOptions())
	e := entry{ops: []op{record(1, "anna", "loan", decision.Positive, 1)}}
	apply(t, s, 5, e)
	b := s.Begin(5, 1)
	o := e.ops[0].outcome
	b.Record(1, &o, command.AppendOutcome(nil, &o), true)
	if err := b.Commit(); err == nil {
		t.Fatal("Commit() of an applied entry = nil, want an error")
	}
	if err := s.Begin(6, 1).Commit(); err == nil || s.Err() == nil {
		t.Error("the store goes on after a failure")
	}
	if got := s.Count(1); got != 1 {
		t.Errorf("Count() = %d, want 1", got)
	}
}

func TestLimitsAndOptionsAreValidated(t *testing.T) {
	o := testOptions()
	o.Limits = Limits{MaxRows: 0, MaxAge: 0, MaxCustomers: 1, MaxSummaries: 1, MaxOffersPerCustomer: 1 << 20}
	o.CacheBytes, o.MemTableBytes = 0, 0
	_, err := Open(t.TempDir(), o)
	var problems *decision.Error
	if e, ok := err.(*decision.Error); ok {
		problems = e
	}
	if problems == nil || len(problems.Details) != 7 {
		t.Errorf("Open() = %v, want all seven problems", err)
	}
	s := openStore(t, testOptions())
	if err := s.Begin(1, 1).SetLimits(Limits{}); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("SetLimits() = %v, want a bad request", err)
	}
	if err := s.batch.Commit(); err != nil {
		t.Error(err)
	}
	if s.Limits().MaxAge != 400*24*time.Hour {
		t.Errorf("Limits() = %+v", s.Limits())
	}
}

// failer is a *testing.T, *testing.B or *rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}
