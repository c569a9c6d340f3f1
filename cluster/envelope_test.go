package cluster

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func TestEnvelope(t *testing.T) {
	tests := []struct {
		header
		commands []string
	}{
		{header{}, nil},
		{header{at: -1, seed: 1, level: 255, kind: kindRecord}, []string{""}},
		{header{at: 1_700_000_000_000, seed: 1 << 63, term: 7, run: 1 << 62, seq: 9}, []string{"a", strings.Repeat("b", 300), ""}},
	}
	for _, test := range tests {
		var commands [][]byte
		for _, c := range test.commands {
			commands = append(commands, []byte(c))
		}
		b := appendEnvelope(nil, test.header, commands...)
		size := envelopeOverhead(len(commands))
		for _, c := range commands {
			size += len(c)
		}
		if len(b) > size {
			t.Errorf("got %d bytes, want at most %d", len(b), size)
		}
		got, err := decodeEnvelope(string(b))
		must(t, err)
		want := &envelope{Entry{At: test.at, Seed: test.seed, Commands: test.commands}, test.header}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		stampOrigin(b, 3, 4, 5)
		stampTime(b, 6)
		h, err := checkEnvelope(string(b))
		must(t, err)
		stamped := test.header
		stamped.term, stamped.run, stamped.seq, stamped.at = 3, 4, 5, 6
		if h != stamped {
			t.Errorf("got %+v, want %+v", h, stamped)
		}
	}
}

// Entries of every released version are read for ever. The bytes were written by
// the builds that had these versions.
func TestEnvelopeFixtures(t *testing.T) {
	tests := map[string]struct {
		hex  string
		want envelope
	}{
		"version 1": {"01" + "80a0abfef962" + "efcdab8967452301" + "02" + "0161" + "026263",
			envelope{Entry{At: 1_700_000_000_000, Seed: 0x0123456789abcdef, Commands: []string{"a", "bc"}}, header{}}},
		"version 2": {"02" + "00" + "03" + "0700000000000000" + "0068e5cf8b010000" + "efcdab8967452301" + "1100000000000000" + "2200000000000000" + "02" + "0161" + "026263",
			envelope{Entry{At: 1_700_000_000_000, Seed: 0x0123456789abcdef, Commands: []string{"a", "bc"}}, header{level: 3, term: 7, run: 0x11, seq: 0x22}}},
	}
	for name, test := range tests {
		b, err := hex.DecodeString(test.hex)
		must(t, err)
		got, err := decodeEnvelope(string(b))
		must(t, err)
		test.want.at, test.want.seed = test.want.At, test.want.Seed
		if !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: got %+v, want %+v", name, *got, test.want)
		}
	}
}

func TestEnvelopeOfALaterVersion(t *testing.T) {
	_, err := decodeEnvelope("\x03whatever")
	if err == nil || !strings.Contains(err.Error(), "entry has version 3, this build reads versions 1 and 2") {
		t.Errorf("got %v, want an error that names the versions", err)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(appendEnvelope(nil, header{at: 1, seed: 2, term: 3}, []byte("a"), []byte("bc")))
	f.Add(appendEnvelope(nil, header{at: -5}))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(string(b))
		if _, checked := checkEnvelope(string(b)); (checked == nil) != (err == nil) && (len(b) == 0 || b[0] != oldEnvelopeVersion) {
			t.Errorf("got %v from the check, want %v", checked, err)
		}
		if err != nil {
			return
		}
		var commands [][]byte
		for _, c := range e.Commands {
			commands = append(commands, []byte(c))
		}
		again := appendEnvelope(nil, e.header, commands...)
		e2, err := decodeEnvelope(string(again))
		if err != nil || !reflect.DeepEqual(e, e2) {
			t.Errorf("got %+v, %v after a round trip, want %+v", e2, err, e)
		}
		if len(again) == len(b) && b[0] == envelopeVersion && !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func BenchmarkDecodeEnvelope(b *testing.B) {
	var commands [][]byte
	for range 500 {
		commands = append(commands, make([]byte, 256))
	}
	entry := string(appendEnvelope(nil, header{at: 1, seed: 2}, commands...))
	b.SetBytes(int64(len(entry)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeEnvelope(entry); err != nil {
			b.Fatal(err)
		}
	}
}
