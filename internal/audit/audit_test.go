package audit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// golden is an entry as testdata/chain.py hashed it.
type golden struct {
	Entry
	Canonical string `json:"canonical"`
}

func readGoldens(t testing.TB) (chains [][]golden) {
	t.Helper()
	raw, err := os.ReadFile("testdata/chain.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &chains); err != nil {
		t.Fatal(err)
	}
	return chains
}

func TestHashesEqualTheReference(t *testing.T) {
	for _, want := range readGoldens(t) {
		chain := NewChain(want[0].TenantID)
		for _, w := range want {
			e := w.Entry
			e.PrevHash, e.IntegrityHash, e.TenantID = Hash{1}, Hash{2}, "nobody" // Link sets them
			if err := chain.Link(&e); err != nil {
				t.Fatal(err)
			}
			form, err := e.AppendCanonical(nil)
			if err != nil || string(form) != w.Canonical {
				t.Errorf("%s: canonical form %q, %v, want %q", e.ID, form, err, w.Canonical)
			}
			if e.PrevHash != w.PrevHash || e.IntegrityHash != w.IntegrityHash {
				t.Errorf("%s: hashes %s and %s, want %s and %s", e.ID, e.PrevHash, e.IntegrityHash, w.PrevHash, w.IntegrityHash)
			}
		}
		if last := want[len(want)-1]; chain.Head != last.IntegrityHash || chain.Length != uint64(len(want)) {
			t.Errorf("chain %+v, want the head %s", chain, last.IntegrityHash)
		}
	}
}

// The first example is RFC 8785's section 3.2.2, the numbers its appendix B.
func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],` + "\n" +
			`"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`: `{"literals":[null,true,false],` +
			`"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew","1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"o"}`: `{"\r":"Carriage Return",` +
			`"1":"One","` + "\u0080" + `":"Control","ö":"o","€":"Euro Sign","😀":"Emoji","` + "\ufb33" + `":"Hebrew"}`,
		``: `null`, ` null `: `null`, `-0`: `0`, `"\b\f\t"`: `"\b\f\t"`, `[ ]`: `[]`, `{ }`: `{}`, `"</script>&"`: `"</script>&"`,
		`5e-324`: `5e-324`, `1.7976931348623157e308`: `1.7976931348623157e+308`, `9007199254740992`: `9007199254740992`,
		`295147905179352830000`: `295147905179352830000`, `999999999999999900000`: `999999999999999900000`,
		`1e21`: `1e+21`, `9.999999999999997e22`: `9.999999999999997e+22`, `0.000001`: `0.000001`, `0.0000009`: `9e-7`,
		`333333333.3333332`: `333333333.3333332`, `-0.0000033333333333333333`: `-0.0000033333333333333333`,
	} {
		if got, err := Canonical(json.RawMessage(in)); err != nil || string(got) != want {
			t.Errorf("Canonical(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{`{`, `{} {}`, `nul`, `1e400`, `[1e999]`, `{"a":-1e999}`} {
		if got, err := Canonical(json.RawMessage(in)); err == nil {
			t.Errorf("Canonical(%s) = %s, want an error", in, got)
		}
	}
}

// entriesOf makes a chain of n entries.
func entriesOf(t testing.TB, n int) (Chain, []*Entry) {
	t.Helper()
	chain := NewChain("bank")
	var entries []*Entry
	for i := range n {
		e := &Entry{
			ID: fmt.Sprint("aud_", i+1), Action: "update", EntityType: "algorithm_model", EntityID: "model_1", EntityName: "Cards",
			Before: json.RawMessage(fmt.Sprintf(`{"version":%d}`, i)), After: json.RawMessage(fmt.Sprintf(`{"version":%d}`, i+1)),
			Actor: "alice", KeyID: "key_1", RequestID: fmt.Sprint("req-", i), Timestamp: decision.Time(1_773_468_000_000 + i),
		}
		if err := chain.Link(e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return chain, entries
}

func each(entries []*Entry) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestVerifyIntact(t *testing.T) {
	for _, n := range []int{0, 1, 100} {
		chain, entries := entriesOf(t, n)
		if got, err := chain.Verify(each(entries)); err != nil || got != (Verification{Intact: true, Verified: n}) {
			t.Errorf("%d entries: %+v, %v, want intact", n, got, err)
		}
	}
}

// Every change of every field of every entry is found, at that entry.
func TestVerifyFindsEveryChange(t *testing.T) {
	const n = 5
	chain, entries := entriesOf(t, n)
	changes := map[string]func(*Entry){
		"timestamp": func(e *Entry) { e.Timestamp++ }, "before": func(e *Entry) { e.Before = json.RawMessage(`{"version":99}`) },
		"after": func(e *Entry) { e.After = json.RawMessage(`{}`) }, "not JSON": func(e *Entry) { e.After = json.RawMessage(`{`) },
		"prevHash": func(e *Entry) { e.PrevHash[31] ^= 1 }, "integrityHash": func(e *Entry) { e.IntegrityHash[0] ^= 1 },
		"moved": func(e *Entry) { e.Actor, e.KeyID = e.Actor+e.KeyID, "" },
	}
	for i := range (&Entry{}).texts() {
		changes[fmt.Sprint("text ", i)] = func(e *Entry) { *e.texts()[i] += "x" }
	}
	for name, change := range changes {
		for i := range n {
			changed := slices.Clone(entries)
			e := *entries[i]
			change(&e)
			changed[i] = &e
			if got, err := chain.Verify(each(changed)); err != nil || got != (Verification{Verified: i, BrokenAtID: e.ID}) {
				t.Errorf("%s of entry %d: %+v, %v, want it broken there", name, i, got, err)
			}
		}
	}
}

func TestVerifyFindsMissingAndInserted(t *testing.T) {
	const n = 6
	chain, entries := entriesOf(t, n)
	_, others := entriesOf(t, n+1)
	for _, c := range []struct {
		name    string
		entries []*Entry
		want    Verification
	}{
		{"the first is missing", entries[1:], Verification{BrokenAtID: "aud_2"}},
		{"one is missing", slices.Delete(slices.Clone(entries), 2, 3), Verification{Verified: 2, BrokenAtID: "aud_4"}},
		{"the last is missing", entries[:n-1], Verification{Verified: n - 1}},
		{"all are missing", nil, Verification{}},
		{"one is there twice", slices.Insert(slices.Clone(entries), 2, entries[1]), Verification{Verified: 2, BrokenAtID: "aud_2"}},
		{"two are swapped", []*Entry{entries[1], entries[0]}, Verification{BrokenAtID: "aud_2"}},
		{"one was linked behind the head", others, Verification{Verified: n + 1}},
	} {
		if got, err := chain.Verify(each(c.entries)); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

// A forger who writes all hashes anew from a changed entry on is found by the
// head.
func TestVerifyFindsARewrittenTail(t *testing.T) {
	chain, entries := entriesOf(t, 5)
	forged, tail := NewChain("bank"), []*Entry(nil)
	for i, e := range entries {
		e := *e
		if i == 2 {
			e.Actor = "nobody"
		}
		if err := forged.Link(&e); err != nil {
			t.Fatal(err)
		}
		tail = append(tail, &e)
	}
	if got, err := chain.Verify(each(tail)); err != nil || got != (Verification{Verified: 5}) {
		t.Errorf("%+v, %v, want it not intact", got, err)
	}
}

func TestDrop(t *testing.T) {
	chain, entries := entriesOf(t, 5)
	for _, e := range entries[:3] {
		chain.Drop(e)
	}
	if got, err := chain.Verify(each(entries[3:])); err != nil || got != (Verification{Intact: true, Verified: 2}) {
		t.Errorf("after a drop: %+v, %v, want intact", got, err)
	}
	if got, err := chain.Verify(each(entries[4:])); err != nil || got.Intact {
		t.Errorf("one more is missing: %+v, %v, want it found", got, err)
	}
}

func TestVerifyPassesReadErrorsOn(t *testing.T) {
	chain, entries := entriesOf(t, 2)
	broken := func(yield func(*Entry, error) bool) { _ = yield(entries[0], nil) && yield(nil, io.ErrUnexpectedEOF) }
	if got, err := chain.Verify(broken); !errors.Is(err, io.ErrUnexpectedEOF) || got.Intact {
		t.Errorf("%+v, %v, want the error of the reader", got, err)
	}
	for _, write := range []func(io.Writer, iter.Seq2[*Entry, error]) error{WriteNDJSON, WriteCSV} {
		if err := write(io.Discard, broken); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("export: %v, want the error of the reader", err)
		}
	}
}

func TestLinkRefusesWhatIsNotJSON(t *testing.T) {
	chain, _ := entriesOf(t, 2)
	before := chain
	for _, e := range []*Entry{{Before: json.RawMessage(`{`)}, {After: json.RawMessage(`1e999`)}} {
		if err := chain.Link(e); err == nil || chain != before {
			t.Errorf("Link(%+v) = %v and the chain %+v, want an error and no change", e, err, chain)
		}
	}
}

func TestNDJSONVerifiesElsewhere(t *testing.T) {
	for _, goldens := range readGoldens(t) {
		chain := NewChain(goldens[0].TenantID)
		var entries []*Entry
		for i := range goldens {
			if err := chain.Link(&goldens[i].Entry); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, &goldens[i].Entry)
		}
		var out bytes.Buffer
		if err := WriteNDJSON(&out, each(entries)); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		read := func(yield func(*Entry, error) bool) {
			for _, line := range lines {
				e := new(Entry)
				if err := json.Unmarshal([]byte(line), e); !yield(e, err) {
					return
				}
			}
		}
		if got, err := chain.Verify(read); err != nil || got != (Verification{Intact: true, Verified: len(entries)}) {
			t.Errorf("%+v, %v, want the exported chain intact", got, err)
		}
	}
}

func TestNDJSONLine(t *testing.T) {
	_, entries := entriesOf(t, 1)
	entries[0].EntityName = "<Cards>"
	var out bytes.Buffer
	if err := WriteNDJSON(&out, each(entries)); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"aud_1","action":"update","entityType":"algorithm_model","entityId":"model_1","entityName":"<Cards>","before":{"version":0},` +
		`"after":{"version":1},"actor":"alice","keyId":"key_1","tenantId":"bank","requestId":"req-0","timestamp":"2026-03-14T06:00:00.000Z",` +
		`"prevHash":"` + strings.Repeat("0", 64) + `","integrityHash":"` + entries[0].IntegrityHash.String() + `"}` + "\n"
	if out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

func TestCSV(t *testing.T) {
	_, entries := entriesOf(t, 3)
	entries[1].EntityName, entries[1].Actor = "=cmd|' /C calc'!A0", `a "b", c`+"\nd"
	var out bytes.Buffer
	if err := WriteCSV(&out, each(entries)); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 4 || !slices.Equal(rows[0], header) {
		t.Fatalf("%d rows, %v, want 4 with the header", len(rows), err)
	}
	if got := rows[2]; got[4] != "'=cmd|' /C calc'!A0" || got[7] != entries[1].Actor || got[5] != `{"version":1}` ||
		got[11] != "2026-03-14T06:00:00.001Z" || got[13] != entries[1].IntegrityHash.String() {
		t.Errorf("row %q", got)
	}
}

func TestStoredForm(t *testing.T) {
	chain, entries := entriesOf(t, 3)
	for _, e := range entries {
		stored := string(e.Append(nil))
		r := wire.NewReader(stored)
		got := ReadEntry(&r)
		if err := r.Close(); err != nil || string(got.Append(nil)) != stored {
			t.Errorf("%s: %v, comes back different", e.ID, err)
		}
		r = wire.NewReader(stored)
		if got, want := ReadSubject(&r), (Subject{e.Action, e.EntityType, e.EntityID}); got != want || r.Err() != nil {
			t.Errorf("%s: subject %+v, %v, want %+v", e.ID, got, r.Err(), want)
		}
		for i := range len(stored) {
			r := wire.NewReader(stored[:i])
			if ReadEntry(&r); r.Err() == nil {
				t.Fatalf("the first %d of %d bytes are read", i, len(stored))
			}
		}
	}
	chain.Drop(entries[0])
	r := wire.NewReader(string(chain.Append(nil)))
	if got := ReadChain(&r); got != chain || r.Close() != nil {
		t.Errorf("chain %+v, %v, want %+v", got, r.Err(), chain)
	}
}

func TestHashText(t *testing.T) {
	var h Hash
	for _, text := range []string{"", "00", strings.Repeat("g", 64), strings.Repeat("0", 65)} {
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as a hash", text)
		}
	}
}

func FuzzReadEntry(f *testing.F) {
	_, entries := entriesOf(f, 2)
	for _, e := range entries {
		f.Add(string(e.Append(nil)))
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := wire.NewReader(in)
		e := ReadEntry(&r)
		if r.Close() != nil {
			return
		}
		r = wire.NewReader(string(e.Append(nil)))
		if again := ReadEntry(&r); r.Close() != nil || string(again.Append(nil)) != string(e.Append(nil)) {
			t.Fatal("what was read does not come back")
		}
		chain := NewChain("t")
		if err := chain.Link(e); err != nil {
			return // a number beyond float64
		}
		if v, err := chain.Verify(each([]*Entry{e})); err != nil || !v.Intact {
			t.Fatalf("%+v, %v, want intact", v, err)
		}
	})
}

func FuzzReadChain(f *testing.F) {
	chain, _ := entriesOf(f, 2)
	f.Add(string(chain.Append(nil)))
	f.Fuzz(func(t *testing.T, in string) {
		r := wire.NewReader(in)
		c := ReadChain(&r)
		if r.Close() != nil {
			return
		}
		r = wire.NewReader(string(c.Append(nil)))
		if again := ReadChain(&r); again != c || r.Close() != nil {
			t.Fatal("what was read does not come back")
		}
	})
}

// A canonical form is JSON of the same value and its own canonical form.
func FuzzCanonical(f *testing.F) {
	f.Add(`{"b":[1.5,"\u2028",{"":null}],"a":-0}`)
	f.Fuzz(func(t *testing.T, in string) {
		once, err := Canonical(json.RawMessage(in))
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("Canonical(%s) = %s, then %s, %v", in, once, twice, err)
		}
		if in == "" {
			return
		}
		var a, b any
		if json.Unmarshal([]byte(in), &a) != nil || json.Unmarshal(once, &b) != nil || fmt.Sprint(zeros(a)) != fmt.Sprint(zeros(b)) {
			t.Fatalf("Canonical(%s) = %s has another value", in, once)
		}
	})
}

// zeros replaces −0, which the canonical form does not have, by 0.
func zeros(v any) any {
	switch v := v.(type) {
	case float64:
		return math.Abs(v) * math.Copysign(1, v+0)
	case []any:
		for i := range v {
			v[i] = zeros(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = zeros(v[k])
		}
	}
	return v
}

func BenchmarkLink(b *testing.B) {
	chain := NewChain("bank")
	e := Entry{ID: "aud_1", Before: json.RawMessage(`{"status":"draft"}`), After: json.RawMessage(`{"status":"challenger","family":"cards"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if err := chain.Link(&e); err != nil {
			b.Fatal(err)
		}
	}
}
