package snapshot

import (
	"bytes"
	"errors"
	"testing"
)

func TestUnpack(t *testing.T) {
	stream := streamOf(t, 9)
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Unpack(bytes.NewReader(stream))
	if err != nil {
		t.Fatalf("Unpack() = %v", err)
	}
	if err := s.Verify(id); err != nil {
		t.Errorf("Verify() of what was unpacked = %v", err)
	}
	for what, damaged := range map[string][]byte{
		"empty": nil, "cut in the header": stream[:9], "cut in the manifest": stream[:40], "cut": stream[:len(stream)-1],
		"more": append(bytes.Clone(stream), 0), "something else": bytes.Repeat([]byte("x"), 100),
	} {
		if _, err := s.Unpack(bytes.NewReader(damaged)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Unpack() = %v, want ErrDamaged", what, err)
		}
	}
	if infos, err := s.List(); err != nil || len(infos) != 1 {
		t.Errorf("List() = %v, %v, want what arrived whole alone", infos, err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(streamOf(f, 9))
	f.Add([]byte("PRAETORS\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := mustOpen(t, newMemFS())
		if id, err := s.Unpack(bytes.NewReader(b)); err == nil {
			must(t, s.Verify(id))
		}
	})
}
