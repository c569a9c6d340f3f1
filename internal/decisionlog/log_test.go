package decisionlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

func testOptions(t *testing.T) Options {
	o := DefaultOptions(filepath.Join(t.TempDir(), "decisions"), "n1")
	o.Flush = time.Millisecond
	return o
}

func mustOpen(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// readIDs returns the ids of all records under a directory, in order.
func readIDs(t *testing.T, dir string) (ids []string, read Read) {
	t.Helper()
	read, err := ReadAll(t.Context(), []string{dir}, func(r *Record) error { ids = append(ids, r.DecisionID); return nil })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids, read
}

func ids(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("d%05d", i))
	}
	return all
}

func fileNames(t *testing.T, dir string) (all []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		all = append(all, filepath.Base(f))
	}
	return all
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in ten seconds", what)
		}
	}
}

func TestWhatIsLoggedIsRead(t *testing.T) {
	for _, format := range []Format{NDJSON, Parquet} {
		t.Run(string(format), func(t *testing.T) {
			o := testOptions(t)
			l := mustOpen(t, o)
			if _, err := os.Stat(o.Dir); !os.IsNotExist(err) {
				t.Errorf("the directory is there before the first record: %v", err)
			}
			want := ids(500)
			for _, id := range want {
				if !l.Append("acme", format, AppendDecision(nil, some(id))) {
					t.Fatal("no room")
				}
			}
			l.Append("other", format, AppendOutcome(nil, "n1", anOutcome("x")))
			eventually(t, "the records are written", func() bool { return l.Stats().Records == 501 })
			got, read := readIDs(t, filepath.Join(o.Dir, "acme"))
			if !slices.Equal(got, want) || read.Torn != 0 || read.Files != 1 {
				t.Errorf("while it grows: %d records, %+v", len(got), read)
			}
			l.Close()
			if got, read := readIDs(t, filepath.Join(o.Dir, "acme")); !slices.Equal(got, want) {
				t.Errorf("complete: %d records, %+v", len(got), read)
			}
			names := fileNames(t, o.Dir)
			if len(names) != 2 || !strings.HasSuffix(names[0], "."+string(format)) || !strings.HasSuffix(names[1], "."+string(format)) {
				t.Errorf("files %v, want two complete ones", names)
			}
			if s := l.Stats(); s.Files != 2 || s.Bytes == 0 || s.Dropped+s.Lost != 0 {
				t.Errorf("stats %+v", s)
			}
			if l.Append("acme", format, []byte("{}\n")) {
				t.Error("a closed log took a record")
			}
		})
	}
}

// A record is the same whichever format it went through.
func TestParquetKeepsEverything(t *testing.T) {
	var all []*Record
	for _, format := range []Format{NDJSON, Parquet} {
		o := testOptions(t)
		l := mustOpen(t, o)
		bare := some("d2")
		bare.Choice, bare.Features, bare.Candidates = -1, nil, bare.Candidates[:0]
		l.Append("acme", format, AppendDecision(nil, some("d1")))
		l.Append("acme", format, AppendDecision(nil, bare))
		l.Append("acme", format, AppendOutcome(nil, "n1", anOutcome("d1")))
		l.Close()
		if _, err := ReadAll(t.Context(), []string{o.Dir}, func(r *Record) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) != 6 {
		t.Fatalf("%d records, want three of each", len(all))
	}
	for i := range 3 {
		a, b := all[i], all[i+3]
		if len(a.Candidates) == 0 {
			a.Candidates, b.Candidates = nil, nil
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("record %d as lines %+v, as rows %+v", i, a, b)
		}
	}
}

func TestFilesTurnBySizeAndAge(t *testing.T) {
	o := testOptions(t)
	o.FileBytes, o.TotalBytes = 4<<10, 1<<20
	l := mustOpen(t, o)
	want := ids(100)
	for i, id := range want {
		l.Append("acme", NDJSON, AppendDecision(nil, some(id)))
		if i%10 == 9 {
			eventually(t, "written", func() bool { return l.Stats().Records == uint64(i+1) })
		}
	}
	l.Close()
	if got, read := readIDs(t, o.Dir); !slices.Equal(got, want) || read.Files < 10 {
		t.Errorf("%d records in %d files, want 100 in at least 10", len(got), read.Files)
	}
	o = testOptions(t)
	o.FileAge = time.Millisecond
	l = mustOpen(t, o)
	l.Append("acme", NDJSON, AppendDecision(nil, some("d1")))
	eventually(t, "the file is complete by its age", func() bool {
		names := fileNames(t, o.Dir)
		return len(names) == 1 && strings.HasSuffix(names[0], ".ndjson")
	})
}

func TestTheOldestFilesGo(t *testing.T) {
	o := testOptions(t)
	o.FileBytes, o.TotalBytes = 1, 8<<10
	l := mustOpen(t, o)
	all := ids(50)
	for i, id := range all {
		l.Append("acme", NDJSON, AppendDecision(nil, some(id)))
		eventually(t, "written", func() bool { return l.Stats().Records == uint64(i+1) && len(fileNames(t, o.Dir)) > 0 })
	}
	l.Close()
	s := l.Stats()
	if s.DeletedFiles == 0 || s.Bytes > o.TotalBytes {
		t.Errorf("stats %+v, want files deleted and at most %d bytes", s, o.TotalBytes)
	}
	got, _ := readIDs(t, o.Dir)
	if !slices.Contains(got, all[49]) || slices.Contains(got, all[0]) || len(got) != s.Files {
		t.Errorf("kept are %v", got)
	}
	// The next start knows what is there.
	if s2 := mustOpen(t, o).Stats(); s2.Files != s.Files || s2.Bytes != s.Bytes {
		t.Errorf("after a restart %+v, want %d files of %d bytes", s2, s.Files, s.Bytes)
	}
}

// What a crash leaves open is completed at the next start, without its torn end.
func TestCrashesLeaveReadableFiles(t *testing.T) {
	for _, format := range []Format{NDJSON, Parquet} {
		t.Run(string(format), func(t *testing.T) {
			o := testOptions(t)
			dir := filepath.Join(o.Dir, "acme")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			lines := AppendDecision(AppendDecision(nil, some("d1")), some("d2"))
			torn := append(slices.Clone(lines), bytes.Repeat([]byte("x"), 100<<10)...)
			write := func(name string, content []byte) {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("decisions-n1-20260101T000000.000Z-000001."+string(format)+endOpen, torn)
			write("decisions-n1-20260101T000000.000Z-000002."+string(format)+endOpen, nil)
			write("decisions-n1-20260101T000000.000Z-000003."+string(format)+endOpen, []byte("torn alone"))
			write("decisions-n1-20260101T000000.000Z-000004.parquet.tmp", []byte("half"))
			if got, read := readIDs(t, o.Dir); !slices.Equal(got, []string{"d1", "d2"}) || read.Torn != 2 {
				t.Errorf("before the start: %v, %+v", got, read)
			}
			mustOpen(t, o).Close()
			got, read := readIDs(t, o.Dir)
			if !slices.Equal(got, []string{"d1", "d2"}) || read.Torn+read.Bad != 0 {
				t.Errorf("after the start: %v, %+v", got, read)
			}
			if names := fileNames(t, o.Dir); len(names) != 1 || !strings.HasSuffix(names[0], "."+string(format)) {
				t.Errorf("files %v, want one complete one", names)
			}
		})
	}
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	o := testOptions(t)
	o.QueueBytes, o.Flush = MaxRecord, time.Hour
	l := mustOpen(t, o)
	l.stopWriting()
	record, took := AppendDecision(nil, some("d1")), 0
	for l.Append("acme", NDJSON, record) {
		took++
	}
	if want := MaxRecord / (len(record) + len("acme") + entryHeader); took != want || l.Stats().Dropped != 1 {
		t.Errorf("took %d records, want %d; %+v", took, want, l.Stats())
	}
	if l.Append("acme", NDJSON, make([]byte, MaxRecord+1)) {
		t.Error("took a record that is too large")
	}
}

// stopWriting ends the writing goroutine and leaves the queue.
func (l *Log) stopWriting() {
	close(l.stop)
	<-l.done
	l.stop = make(chan struct{})
}

func TestAFailingDiskLosesRecordsOnly(t *testing.T) {
	o := testOptions(t)
	if err := os.WriteFile(o.Dir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, o)
	l.Append("acme", NDJSON, AppendDecision(nil, some("d1")))
	eventually(t, "the record is lost", func() bool { return l.Stats().Lost == 1 })
	if err := os.Remove(o.Dir); err != nil {
		t.Fatal(err)
	}
	l.Append("acme", NDJSON, AppendDecision(nil, some("d2")))
	eventually(t, "the next one is written", func() bool { return l.Stats().Records == 1 })
	if got, _ := readIDs(t, o.Dir); !slices.Equal(got, []string{"d2"}) {
		t.Errorf("kept are %v", got)
	}
}

func TestADeletedTenantIsForgotten(t *testing.T) {
	o := testOptions(t)
	l := mustOpen(t, o)
	for _, tenant := range []string{"acme", "other"} {
		l.Append(tenant, Parquet, AppendDecision(nil, some(tenant)))
	}
	eventually(t, "written", func() bool { return l.Stats().Records == 2 })
	l.DropTenant("acme", decision.TimeOf(time.Now()))
	l.DropTenant("other", 1)
	eventually(t, "the tenant's directory is gone", func() bool {
		_, err := os.Stat(filepath.Join(o.Dir, "acme"))
		return os.IsNotExist(err)
	})
	l.Close()
	if got, _ := readIDs(t, o.Dir); !slices.Equal(got, []string{"other"}) {
		t.Errorf("kept are %v", got)
	}
}

func TestManyWriters(t *testing.T) {
	o := testOptions(t)
	o.FileBytes, o.TotalBytes = 64<<10, 1<<30
	l := mustOpen(t, o)
	var all sync.WaitGroup
	const writers, each = 4, 500
	for w := range writers {
		all.Go(func() {
			for i := range each {
				for !l.Append("acme", NDJSON, AppendDecision(nil, some(fmt.Sprintf("d%d-%d", w, i)))) {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	l.Close()
	got, read := readIDs(t, o.Dir)
	if len(slices.Compact(got)) != writers*each || read.Torn+read.Bad != 0 {
		t.Errorf("%d records, %+v", len(got), read)
	}
}

func TestReadingWhatIsNoLog(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.parquet": "PAR1 and then nothing that is a Parquet file PAR1",
		"b.parquet": "",
		"c.ndjson":  strings.Repeat("x", 3*MaxRecord),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAll(t.Context(), []string{path}, func(*Record) error { return nil }); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
	if _, err := ReadAll(t.Context(), []string{t.TempDir()}, nil); err == nil {
		t.Error("an empty directory was read")
	}
	mixed := filepath.Join(dir, "d.ndjson")
	if err := os.WriteFile(mixed, append([]byte("no record\n\n"), AppendDecision(nil, some("d1"))...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, read := readIDs(t, mixed); len(got) != 1 || read.Bad != 1 || read.Records != 1 {
		t.Errorf("%v, %+v", got, read)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	o := DefaultOptions("", "")
	o.FileBytes, o.TotalBytes, o.FileAge, o.QueueBytes = 10, 10, 0, 1
	err := o.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Dir", "TotalBytes", "FileAge", "QueueBytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	good := DefaultOptions("x", "n1")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzReadParquet(f *testing.F) {
	o := DefaultOptions(filepath.Join(f.TempDir(), "decisions"), "n1")
	l, err := Open(o)
	if err != nil {
		f.Fatal(err)
	}
	l.Append("acme", Parquet, AppendDecision(nil, some("d1")))
	l.Close()
	found, err := filepath.Glob(filepath.Join(o.Dir, "acme", "*.parquet"))
	if err != nil || len(found) != 1 {
		f.Fatal(found, err)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = readParquet(bytes.NewReader(content), int64(len(content)), func(*Record) error { return nil })
	})
}
