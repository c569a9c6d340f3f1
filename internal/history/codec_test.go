package history

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

func encodeRow(o *decision.Outcome) []byte {
	return appendTail(command.AppendOutcome([]byte{rowFormat}, o), o)
}

func TestRowRefusesDamage(t *testing.T) {
	o := record(1, "anna", "loan", decision.Positive, 5).outcome
	o.Before = decision.Summary{Impressions: math.MaxUint32, LastContactAt: 4}
	good := encodeRow(&o)
	var got decision.Outcome
	if err := readRow(string(good), o.ID, &got); err != nil || got.Before != o.Before || got.Class != o.Class {
		t.Fatalf("readRow() = %+v, %v, want %+v", got, err, o)
	}
	noTail := command.AppendOutcome([]byte{rowFormat}, &o)
	cases := map[string][]byte{
		"empty":            {},
		"unknown format":   append([]byte{9}, good[1:]...),
		"cut off":          good[:len(good)-1],
		"left over":        append(bytes.Clone(good), 0),
		"unknown class":    append(bytes.Clone(noTail), 3),
		"unknown flag":     append(bytes.Clone(noTail), 8),
		"without contact":  append(bytes.Clone(noTail), flagBefore, 1, 1, 1, 0),
		"count of 33 bits": append(bytes.Clone(noTail), flagBefore, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 1, 2),
	}
	for name, in := range cases {
		if err := readRow(string(in), o.ID, &got); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%s: readRow() = %v, want ErrCorrupt", name, err)
		}
	}
}

func FuzzRow(f *testing.F) {
	o := record(1, "anna", "loan", decision.Negative, 5).outcome
	f.Add(string(encodeRow(&o)))
	o.Before = decision.Summary{Impressions: 3, LastContactAt: 4}
	o.Context = decision.Row{{Name: "hour", Num: 7, Kind: decision.Number}}
	f.Add(string(encodeRow(&o)))
	f.Fuzz(func(t *testing.T, in string) {
		var a, b decision.Outcome
		if readRow(in, decision.InteractionID{Index: 1}, &a) != nil {
			return
		}
		if err := readRow(string(encodeRow(&a)), a.ID, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("round trip of %+v gives %+v, %v", a, b, err)
		}
	})
}

// encodedCapture is a capture with something of everything.
func encodedCapture(t testing.TB) []byte {
	s := openStore(t, testOptions())
	apply(t, s, 1, entry{at: 9, ops: []op{
		record(1, "anna", "loan", decision.Positive, 1), record(1, "anna", "card", decision.Negative, 2),
		record(4, "ben", "loan", decision.Neutral, 3), {kind: "put", tenant: 1, model: "m", version: 2, state: "s"},
	}})
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	c.jobs = []job{{kind: jobRows, from: decision.InteractionID{Index: 1}, to: decision.InteractionID{Index: 1, Seq: 4}}, {kind: jobSpace}, {kind: jobKey, key: "s1234"}}
	var out bytes.Buffer
	if err := c.Encode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// memory is the capture of an image that has no database.
func memory(im *image) *Capture {
	c := &Capture{applied: im.applied.Load(), clock: im.clock, aged: im.aged, nextSpace: im.nextSpace, limits: *im.limits.Load(), gone: im.gone.values()}
	for _, t := range im.sorted() {
		c.tenants = append(c.tenants, t.capture())
	}
	return c
}

func TestCaptureRefusesDamage(t *testing.T) {
	good := encodedCapture(t)
	im, jobs, err := decodeCapture(bytes.NewReader(good))
	if err != nil || len(jobs) != 3 || im.tenant(1).rows.Load() != 2 {
		t.Fatalf("decodeCapture() = %v with %d jobs", err, len(jobs))
	}
	for n := range good {
		if _, _, err := decodeCapture(bytes.NewReader(good[:n])); !errors.Is(err, wire.ErrCorrupt) {
			t.Fatalf("cut off at %d of %d: decodeCapture() = %v, want ErrCorrupt", n, len(good), err)
		}
	}
	failure := errors.New("disk on fire")
	if _, _, err := decodeCapture(failing{failure}); !errors.Is(err, failure) {
		t.Errorf("decodeCapture() = %v, want the reader's error", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestEncodeReportsTheWriter(t *testing.T) {
	s := openStore(t, testOptions())
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	failure := errors.New("disk full")
	if err := c.Encode(failing{failure}); err != failure {
		t.Errorf("Encode() = %v, want %v", err, failure)
	}
}

func FuzzCapture(f *testing.F) {
	good := encodedCapture(f)
	f.Add(good)
	for i := 0; i < len(good); i += 7 {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		im, jobs, err := decodeCapture(bytes.NewReader(in))
		if err != nil {
			return
		}
		c := memory(im)
		c.jobs = jobs
		var out bytes.Buffer
		if err := c.Encode(&out); err != nil {
			t.Fatal(err)
		}
		again, _, err := decodeCapture(&out)
		if err != nil {
			t.Fatalf("decodeCapture() of what was just encoded = %v", err)
		}
		if a, b := c.Digest(), memory(again).Digest(); a != b {
			t.Fatalf("digest %x, after a round trip %x", a, b)
		}
	})
}
