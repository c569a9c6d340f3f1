package cluster

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestEnvelope(t *testing.T) {
	tests := []struct {
		at       int64
		seed     uint64
		commands []string
	}{
		{0, 0, nil},
		{-1, 1, []string{""}},
		{1_700_000_000_000, 1 << 63, []string{"a", strings.Repeat("b", 300), ""}},
	}
	for _, test := range tests {
		var commands [][]byte
		for _, c := range test.commands {
			commands = append(commands, []byte(c))
		}
		b := appendEnvelope(nil, test.at, test.seed, commands...)
		size := envelopeOverhead(len(commands))
		for _, c := range commands {
			size += len(c)
		}
		if len(b) > size {
			t.Errorf("got %d bytes, want at most %d", len(b), size)
		}
		got, err := decodeEnvelope(string(b))
		must(t, err)
		if want := (&Entry{At: test.at, Seed: test.seed, Commands: test.commands}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestEnvelopeOfALaterVersion(t *testing.T) {
	_, err := decodeEnvelope("\x02whatever")
	if err == nil || !strings.Contains(err.Error(), "entry has version 2, this build reads version 1") {
		t.Errorf("got %v, want an error that names both versions", err)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(appendEnvelope(nil, 1, 2, []byte("a"), []byte("bc")))
	f.Add(appendEnvelope(nil, -5, 0))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(string(b))
		if err != nil {
			return
		}
		var commands [][]byte
		for _, c := range e.Commands {
			commands = append(commands, []byte(c))
		}
		again := appendEnvelope(nil, e.At, e.Seed, commands...)
		e2, err := decodeEnvelope(string(again))
		if err != nil || !reflect.DeepEqual(e, e2) {
			t.Errorf("got %+v, %v after a round trip, want %+v", e2, err, e)
		}
		if len(again) == len(b) && !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func BenchmarkDecodeEnvelope(b *testing.B) {
	var commands [][]byte
	for range 500 {
		commands = append(commands, make([]byte, 256))
	}
	entry := string(appendEnvelope(nil, 1, 2, commands...))
	b.SetBytes(int64(len(entry)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeEnvelope(entry); err != nil {
			b.Fatal(err)
		}
	}
}
