package command

import (
	"reflect"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

var full = decision.Outcome{
	Type: "convert", CustomerID: "CUST001", OfferID: "offer_1", CategoryID: "cards", ChannelID: "web",
	PlacementID: "hero", ModelID: "model_1", DecisionID: "d-1", IdempotencyKey: "k-1",
	Direction: decision.Inbound, At: 1_770_000_000_123, ConversionValue: 12.5, HasValue: true,
	Attributes: decision.Row{
		{Name: "age", Num: 38, Kind: decision.Number},
		{Name: "gold", Num: 1, Kind: decision.Bool},
		{Name: "none", Kind: decision.EmptySet},
		{Name: "segment", Text: "Gold", Kind: decision.Text},
		{Name: "tags", Text: "a", Kind: decision.Member},
		{Name: "tags", Text: "b", Kind: decision.Member},
	},
	Context: decision.Row{{Name: "hour", Num: 9, Kind: decision.Number}},
}

func TestOutcomeRoundTrip(t *testing.T) {
	bare := decision.Outcome{Type: "click", CustomerID: "c", At: 1}
	for _, want := range []decision.Outcome{full, bare} {
		b := AppendOutcome(nil, &want)
		r := wire.NewReader(string(b))
		var got decision.Outcome
		ReadOutcome(&r, &got)
		if err := r.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		if len(got.Attributes) == 0 {
			got.Attributes, got.Context = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("round trip:\n got %+v\nwant %+v", got, want)
		}
	}
}

// The bytes are in logs and on disks: a change of this form needs a new kind of
// command, not a new expectation here.
func TestOutcomeBytesAreStable(t *testing.T) {
	o := decision.Outcome{
		Type: "click", CustomerID: "c1", OfferID: "o1", Direction: decision.Outbound, At: 1000, HasValue: true, ConversionValue: 1,
		Attributes: decision.Row{{Name: "a", Num: 2, Kind: decision.Number}},
	}
	got := AppendOutcome(nil, &o)
	want := "\x05" + "\x05click" + "\x02c1" + "\x02o1" + "\x00\x00\x00\x00\x00\x00" + "\xd0\x0f" +
		"\x00\x00\x00\x00\x00\x00\xf0\x3f" + "\x01\x01a\x01\x00\x00\x00\x00\x00\x00\x00\x40" + "\x00"
	if string(got) != want {
		t.Errorf("AppendOutcome() = %q, want %q", got, want)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	plain := full
	plain.IdempotencyKey = ""
	b := wire.AppendUvarint(nil, 2)
	b = AppendRecorded(b, &full, 77)
	b = AppendRecorded(b, &plain, 78)
	r := wire.NewReader(string(b))
	outcomes, recorded := ReadRecord(&r, nil, nil)
	if err := r.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	if len(outcomes) != 2 || !reflect.DeepEqual(outcomes[0], full) || !reflect.DeepEqual(outcomes[1], plain) {
		t.Errorf("outcomes = %+v", outcomes)
	}
	if recorded[0].Fingerprint != 77 || recorded[1].Fingerprint != 0 {
		t.Errorf("fingerprints = %d, %d, want 77, and 0 without a key", recorded[0].Fingerprint, recorded[1].Fingerprint)
	}
	if want := string(AppendOutcome(nil, &full)); recorded[0].Encoded != want {
		t.Errorf("Encoded = %q, want %q", recorded[0].Encoded, want)
	}
}

// The outcomes of several commands are read into one slice.
func TestReadRecordAppends(t *testing.T) {
	in := string(AppendRecorded(wire.AppendUvarint(nil, 1), &full, 77))
	var outcomes []decision.Outcome
	for range 3 {
		r := wire.NewReader(in)
		if outcomes, _ = ReadRecord(&r, outcomes, nil); r.Close() != nil {
			t.Fatal(r.Err())
		}
	}
	if len(outcomes) != 3 {
		t.Fatalf("got %d outcomes, want 3", len(outcomes))
	}
	for i := range outcomes {
		if !reflect.DeepEqual(outcomes[i], full) {
			t.Errorf("outcome %d = %+v, want %+v", i, outcomes[i], full)
		}
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, want := range []Header{
		{Kind: KindRecord, Tenant: "acme"},
		{Kind: KindCreateModel, Tenant: "acme", RequestID: "r", KeyID: "k", IdempotencyKey: "i", Fingerprint: 42},
	} {
		r := wire.NewReader(string(append(AppendHeader(nil, &want), "rest"...)))
		if got := ReadHeader(&r); got != want || r.Rest() != "rest" {
			t.Errorf("ReadHeader() = %+v, want %+v", got, want)
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add(string(AppendRecorded(wire.AppendUvarint(nil, 1), &full, 7)))
	f.Add("\xff\xff\xff\xff\x0f")
	f.Fuzz(func(t *testing.T, in string) {
		r := wire.NewReader(in)
		ReadHeader(&r)
		r = wire.NewReader(in)
		outcomes, recorded := ReadRecord(&r, nil, nil)
		if r.Close() != nil {
			return
		}
		// What can be read can be written, and then reads the same.
		b := wire.AppendUvarint(nil, uint64(len(outcomes)))
		for i := range outcomes {
			b = AppendRecorded(b, &outcomes[i], recorded[i].Fingerprint)
		}
		again := wire.NewReader(string(b))
		outcomes2, _ := ReadRecord(&again, nil, nil)
		if again.Close() != nil || len(outcomes2) != len(outcomes) {
			t.Fatalf("%d outcomes read back as %d: %v", len(outcomes), len(outcomes2), again.Err())
		}
	})
}

func BenchmarkOutcome(b *testing.B) {
	encoded := string(AppendOutcome(nil, &full))
	b.Run("op=append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = AppendOutcome(buf[:0], &full)
		}
	})
	b.Run("op=read", func(b *testing.B) {
		b.ReportAllocs()
		var o decision.Outcome
		for b.Loop() {
			r := wire.NewReader(encoded)
			ReadOutcome(&r, &o)
		}
	})
}

func BenchmarkReadRecord(b *testing.B) {
	const n = 500
	buf := wire.AppendUvarint(nil, n)
	for range n {
		buf = AppendRecorded(buf, &full, 7)
	}
	encoded := string(buf)
	b.ReportAllocs()
	for b.Loop() {
		r := wire.NewReader(encoded)
		ReadRecord(&r, nil, nil)
	}
}
