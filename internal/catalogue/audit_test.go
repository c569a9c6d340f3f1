package catalogue

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/audit"
	"github.com/praetor-engine/praetor/internal/decision"
)

// The log of a twin is all its entries; the catalogue's must drop from it only
// whole segments from its beginning, stay within the bounds, and verify.
func TestAuditRetentionAgainstATwin(t *testing.T) {
	for _, tc := range []struct {
		most, days int64
		step       decision.Time // between entries
		entries    int
	}{
		{1, 1, 0, 10}, {64, 10, 1000, 500}, {100, 10, 1000, 1000}, {1000, 1, dayMillis / 50, 400}, {1000, 1, 3 * dayMillis, 20}, {10, 1, -1000, 50},
	} {
		c := New()
		c.SetSettings(Settings{MaxAuditEntries: tc.most, MaxAuditDays: tc.days})
		if _, err := c.CreateTenant("t", "T", 0); err != nil {
			t.Fatal(err)
		}
		var twin []*audit.Entry
		at := 100 * dayMillis
		dropped := uint64(0)
		for i := range tc.entries {
			e := &audit.Entry{Action: "update", Timestamp: at, After: json.RawMessage(fmt.Sprint(i))}
			done, err := c.AppendAudit("t", e)
			if err != nil {
				t.Fatal(err)
			}
			twin = append(twin, e)
			what := fmt.Sprintf("%+v, entry %d", tc, i+1)
			if e.ID != fmt.Sprint("aud_", i+1) || e.TenantID != "t" || done.Ordinal != 1 || done.Chain.Length != uint64(i+1) {
				t.Fatalf("%s: %+v, %+v", what, e, done)
			}
			if done.DroppedTo > 0 && done.DroppedFrom != dropped+1 || done.DroppedTo == 0 && done.Chain.Dropped != dropped {
				t.Fatalf("%s: dropped %d to %d after %d", what, done.DroppedFrom, done.DroppedTo, dropped)
			}
			dropped = done.Chain.Dropped
			kept := twin[dropped:]
			if v, err := done.Chain.Verify(func(yield func(*audit.Entry, error) bool) {
				for _, e := range kept {
					if !yield(e, nil) {
						return
					}
				}
			}); err != nil || !v.Intact {
				t.Fatalf("%s: Verify() = %+v, %v", what, v, err)
			}
			slack := max(tc.most/auditSteps, 1)
			if int64(len(kept)) > tc.most && int64(len(kept)) > slack || int64(i+1) > tc.most && int64(len(kept)) < tc.most-slack && tc.step == 1000 {
				t.Fatalf("%s: %d entries kept", what, len(kept))
			}
			age := decision.Time(tc.days) * dayMillis
			if old := at - kept[0].Timestamp; old > age+age/auditSteps+tc.step && len(kept) > 1 {
				t.Fatalf("%s: the oldest entry is %d ms old", what, old)
			}
			if n := len(c.tenants["t"].audit.segments); n > 2*auditSteps+2 {
				t.Fatalf("%s: %d segments", what, n)
			}
			at += tc.step
		}
		// A snapshot in between changes nothing of what follows.
		raw, err := c.Capture().Registry()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Restore(raw, string(c.Capture().AppendAnswers(nil)))
		if err != nil {
			t.Fatal(err)
		}
		for _, cat := range []*Catalogue{c, again} {
			if _, err := cat.AppendAudit("t", &audit.Entry{Timestamp: at}); err != nil {
				t.Fatal(err)
			}
		}
		one, _ := c.Capture().Registry()
		two, _ := again.Capture().Registry()
		if string(one) != string(two) {
			t.Errorf("%+v: after a snapshot\n%s, want\n%s", tc, two, one)
		}
	}
}

func TestRestoreRefusesContradictoryAudits(t *testing.T) {
	c := New()
	c.SetSettings(Settings{MaxAuditEntries: 64})
	for range 3 {
		if _, err := c.AppendAudit("", &audit.Entry{}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := c.Capture().Registry()
	if err != nil {
		t.Fatal(err)
	}
	answers := string(c.Capture().AppendAnswers(nil))
	if _, err := Restore(raw, answers); err != nil {
		t.Fatal(err)
	}
	head := c.AuditChain("").Head.String()
	for _, change := range [][2]string{
		{`"length":3`, `"length":4`}, {`"head":"` + head, `"head":"` + strings.Repeat("0", 64)}, {`"last":2`, `"last":1`}, {`"dropped":0`, `"dropped":3`},
	} {
		damaged := strings.Replace(string(raw), change[0], change[1], 1)
		if damaged == string(raw) {
			t.Fatalf("no %s in %s", change[0], raw)
		}
		if _, err := Restore([]byte(damaged), answers); err == nil {
			t.Errorf("%s instead of %s was restored", change[1], change[0])
		}
	}
	if _, err := c.AppendAudit("absent", &audit.Entry{}); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("AppendAudit() for no tenant = %v", err)
	}
	if _, err := c.AppendAudit("", &audit.Entry{After: json.RawMessage(`1e999`)}); err == nil || c.AuditChain("").Length != 3 {
		t.Errorf("a number that has no form: %v, length %d", err, c.AuditChain("").Length)
	}
}
