package history

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// auditOf reads a tenant's entries as position=entry.
func auditOf(t *testing.T, s *Store, tenant uint32, first, last uint64, newestFirst bool) (all []string) {
	t.Helper()
	err := s.AuditEntries(context.Background(), tenant, first, last, newestFirst, func(position uint64, entry string) (bool, error) {
		all = append(all, fmt.Sprint(position, "=", entry))
		return true, nil
	})
	if err != nil {
		t.Fatalf("AuditEntries() = %v", err)
	}
	return all
}

func TestAuditEntries(t *testing.T) {
	s, err := Open(t.TempDir(), DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	index := uint64(0)
	entry := func(f func(b *Batch)) {
		t.Helper()
		index++
		b := s.Begin(index, int64(index))
		f(b)
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for i := uint64(1); i <= 4; i++ {
		entry(func(b *Batch) {
			b.PutAudit(1, i, fmt.Appendf(nil, "a%d", i))
			b.PutAudit(0, i, fmt.Appendf(nil, "o%d", i))
		})
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	want("all", auditOf(t, s, 1, 1, 4, false), "1=a1", "2=a2", "3=a3", "4=a4")
	want("backwards", auditOf(t, s, 1, 2, 3, true), "3=a3", "2=a2")
	want("beyond", auditOf(t, s, 1, 4, 1<<63, false), "4=a4")
	want("nothing", auditOf(t, s, 1, 5, 4, false))
	want("another tenant", auditOf(t, s, 2, 1, 4, false))
	want("the operator", auditOf(t, s, 0, 4, 4, false), "4=o4")

	seen := -1
	entry(func(b *Batch) {
		b.PutAudit(1, 5, []byte("a5"))
		b.DropAudit(1, 1, 2)
		b.OnCommit(func() { seen = len(auditOf(t, s, 1, 1, 5, false)) })
	})
	if seen != 5 {
		t.Errorf("when it is committed there are %d entries, want 5: the new one, and what is dropped", seen)
	}
	swept(s)
	want("dropped", auditOf(t, s, 1, 1, 5, false), "3=a3", "4=a4", "5=a5")

	// Captured with a drop to be done, restored, dropped with its tenant.
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	entry(func(b *Batch) { b.DropAudit(1, 3, 3) })
	later, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	var encoded bytes.Buffer
	dir := filepath.Join(t.TempDir(), "checkpoint")
	for _, err := range []error{later.Encode(&encoded), later.Checkpoint(dir)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want("while a capture is held", auditOf(t, s, 1, 1, 5, false), "3=a3", "4=a4", "5=a5")
	c.Release()
	later.Release()
	if err := s.Restore(dir, &encoded); err != nil {
		t.Fatalf("Restore() = %v", err)
	}
	swept(s)
	want("restored", auditOf(t, s, 1, 1, 5, false), "4=a4", "5=a5")
	entry(func(b *Batch) { b.DropTenant(1) })
	swept(s)
	if n := keysOnDisk(t, s, kindAudit); n != 4 {
		t.Errorf("%d entries on disk, want the operator's 4", n)
	}
	want("the operator's stay", auditOf(t, s, 0, 1, 5, false), "1=o1", "2=o2", "3=o3", "4=o4")
}
