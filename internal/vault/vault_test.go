package vault

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func keys(t testing.TB, texts ...string) *Keys {
	t.Helper()
	k, err := Parse(strings.Join(texts, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealAndOpen(t *testing.T) {
	k := keys(t, "# the present one", "", Generate())
	for _, secret := range []string{"", "x", strings.Repeat("long ", 1000)} {
		sealed, err := k.Seal([]byte(secret), "acme", "connection")
		if err != nil {
			t.Fatal(err)
		}
		if len(secret) > 1 && bytes.Contains(sealed, []byte(secret)) {
			t.Error("the sealed form has the secret in it")
		}
		if got, want := len(sealed), len(secret)+overhead; got != want {
			t.Errorf("length: got %d, want %d", got, want)
		}
		got, err := k.Open(sealed, "acme", "connection")
		if err != nil || string(got) != secret {
			t.Errorf("got %q, %v, want %q", got, err, secret)
		}
		if Sealer(sealed) != k.ID() {
			t.Errorf("the id of the key: got %s, want %s", Sealer(sealed), k.ID())
		}
	}
	a, _ := k.Seal([]byte("x"))
	b, _ := k.Seal([]byte("x"))
	if bytes.Equal(a, b) {
		t.Error("two seals of one secret are equal")
	}
}

func TestOpenFails(t *testing.T) {
	k := keys(t, Generate())
	sealed, err := k.Seal([]byte("secret"), "acme", "c1")
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range [][]string{nil, {"acme"}, {"acme", "c2"}, {"other", "c1"}, {"acmec", "1"}, {"acme", "c1", ""}} {
		if got, err := k.Open(sealed, owner...); !errors.Is(err, ErrSealed) {
			t.Errorf("owner %q: got %q, %v, want ErrSealed", owner, got, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if got, err := k.Open(bad, "acme", "c1"); !errors.Is(err, ErrSealed) && !errors.Is(err, ErrNoKey) {
			t.Errorf("byte %d changed: got %q, %v", i, got, err)
		}
		if _, err := k.Open(sealed[:i], "acme", "c1"); !errors.Is(err, ErrSealed) {
			t.Errorf("the first %d bytes: got %v, want ErrSealed", i, err)
		}
	}
	var none *Keys
	if _, err := none.Open(sealed, "acme", "c1"); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), k.ID()) {
		t.Errorf("without keys: got %v, want ErrNoKey with the id", err)
	}
	if _, err := none.Seal([]byte("x")); !errors.Is(err, ErrNoKey) {
		t.Errorf("seal without keys: got %v, want ErrNoKey", err)
	}
}

func TestRotation(t *testing.T) {
	first, second := Generate(), Generate()
	old := keys(t, first)
	sealed, err := old.Seal([]byte("secret"), "o")
	if err != nil {
		t.Fatal(err)
	}
	both := keys(t, second, first)
	if got, err := both.Open(sealed, "o"); err != nil || string(got) != "secret" {
		t.Errorf("the old key beside the new one: got %q, %v", got, err)
	}
	if sealed, _ = both.Seal([]byte("secret"), "o"); Sealer(sealed) == old.ID() {
		t.Error("the old key sealed")
	}
	if _, err := old.Open(sealed, "o"); !errors.Is(err, ErrNoKey) {
		t.Errorf("the old key alone: got %v, want ErrNoKey", err)
	}
}

func TestParseForms(t *testing.T) {
	raw := bytes.Repeat([]byte{0xab, 0xff, 1, 2}, 8)
	a := keys(t, hex.EncodeToString(raw))
	if b := keys(t, "q/8BAqv/AQKr/wECq/8BAqv/AQKr/wECq/8BAqv/AQI="); a.ID() != b.ID() {
		t.Errorf("base 64: got the key %s, want %s", b.ID(), a.ID())
	}
	const short = "c2hvcnQ="
	for _, text := range []string{"", "# nothing", short, hex.EncodeToString(raw[:31]), hex.EncodeToString(raw) + "\n" + hex.EncodeToString(raw)} {
		_, err := Parse(text)
		if err == nil {
			t.Errorf("%q: want an error", text)
		} else if strings.Contains(err.Error(), short) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestFingerprint(t *testing.T) {
	k, other := keys(t, Generate()), keys(t, Generate())
	a, b := k.Fingerprint([]byte("a")), k.Fingerprint([]byte("b"))
	if a == b || a != k.Fingerprint([]byte("a")) || a == other.Fingerprint([]byte("a")) {
		t.Error("a fingerprint must depend on the key and on what it is of, on nothing else")
	}
}

func TestLoadOrMake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.key")
	made, err := LoadOrMake(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
	again, err := LoadOrMake(path)
	if err != nil || again.ID() != made.ID() {
		t.Errorf("the second time: got %v, %v, want the same key", again, err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrMake(path); err == nil {
		t.Error("a damaged file: want an error, not a new key")
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files beside the key: got %v, %v, want none", left, err)
	}
}

func FuzzOpen(f *testing.F) {
	k := keys(f, Generate())
	sealed, _ := k.Seal([]byte("secret"), "o")
	f.Add(sealed)
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{version}, overhead))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := k.Open(b, "o"); err == nil && string(got) != "secret" {
			t.Errorf("%x opened as %q", b, got)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	k := keys(b, Generate())
	sealed, _ := k.Seal(make([]byte, 64), "acme", "connection")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(sealed, "acme", "connection"); err != nil {
			b.Fatal(err)
		}
	}
}
