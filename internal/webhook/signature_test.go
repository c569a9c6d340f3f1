package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The example that the libraries of Standard Webhooks test themselves with.
const (
	exampleSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	exampleTime      = 1614265330
	exampleBody      = `{"test": 2432232314}`
	exampleSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secretOf(t testing.TB, text string) Secret {
	t.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignatureIsTheStandards(t *testing.T) {
	s := secretOf(t, exampleSecret)
	at := time.Unix(exampleTime, 999)
	if got := Sign([]Secret{s}, exampleID, at, []byte(exampleBody)); got != exampleSignature {
		t.Errorf("Sign() = %s, want %s", got, exampleSignature)
	}
	other := NewSecret()
	both := Sign([]Secret{other, s}, exampleID, at, []byte(exampleBody))
	if first, second, ok := strings.Cut(both, " "); !ok || second != exampleSignature || first != Sign([]Secret{other}, exampleID, at, []byte(exampleBody)) {
		t.Errorf("with two secrets: %s", both)
	}
	m := Message{ID: exampleID, At: at, Signature: exampleSignature}
	if h := m.Header(); h.Get("webhook-id") != exampleID || h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-signature") != exampleSignature {
		t.Errorf("Header() = %v", h)
	}
}

func TestSecrets(t *testing.T) {
	for range 20 {
		s := NewSecret()
		text := s.Reveal()
		if got := secretOf(t, text); got.Reveal() != text {
			t.Errorf("%s comes back as %s", text, got.Reveal())
		}
		for _, encrypt := range []Encrypt{nil, reversed} {
			sealed, err := s.Seal(encrypt)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := sealed.Open(reversed); err != nil || got.Reveal() != text {
				t.Errorf("the stored form of %s comes back as %s, %v", text, got.Reveal(), err)
			}
			stored, err := json.Marshal(sealed)
			var back Sealed
			if err != nil || json.Unmarshal(stored, &back) != nil || back != sealed {
				t.Errorf("the stored form comes back from JSON as %s, %v", stored, err)
			}
			if shows := strings.Contains(string(stored), text[len(secretPrefix):]); shows == (encrypt != nil) {
				t.Errorf("%s is stored as %s", text, stored)
			}
		}
	}
	for _, bad := range []string{"", "whsec_", "whsec_MfKQ", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + strings.Repeat("A", 64*4/3+4), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*"} {
		if _, err := ParseSecret(bad); err == nil || (len(bad) > 20 && strings.Contains(err.Error(), bad)) {
			t.Errorf("ParseSecret(%q) = %v, want an error that does not repeat it", bad, err)
		}
	}
	if _, err := NewSecret().Seal(refused); !errors.Is(err, errRefused) {
		t.Errorf("Seal() = %v, want the error of what encrypts", err)
	}
	for _, bad := range []Sealed{"", "MfKQ", "plain:*", "other:MfKQ", "vault:MfKQ"} {
		if _, err := bad.Open(refused); err == nil || (bad != "" && strings.Contains(err.Error(), string(bad))) {
			t.Errorf("Open(%q) = %v, want an error that does not repeat it", string(bad), err)
		}
	}
}

// reversed encrypts and decrypts, as far as a test needs it.
func reversed(b []byte) ([]byte, error) {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b, nil
}

var errRefused = errors.New("no key")

func refused([]byte) ([]byte, error) { return nil, errRefused }

// sealed is a secret's stored form, as it is.
func sealed(t testing.TB, s Secret) Sealed {
	t.Helper()
	stored, err := s.Seal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// Whatever prints a secret prints a blank.
func TestSecretsAreNotPrinted(t *testing.T) {
	s := secretOf(t, exampleSecret)
	record := Record{secrets: []keptSecret{{Sealed: sealed(t, s)}}}
	raw, err := json.Marshal(map[string]any{"a": s, "b": &s})
	if err != nil {
		t.Fatal(err)
	}
	fields := Fields{Secret: sealed(t, s)}
	texts := []string{string(raw)}
	for _, v := range []any{s, &s, sealed(t, s), struct{ S Secret }{s}, fields, record.secrets} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			texts = append(texts, fmt.Sprintf(format, v))
		}
	}
	for _, text := range texts {
		if strings.Contains(text, "MfKQ9r8G") || strings.Contains(text, "plain:") || strings.Contains(text, "[49 242 144") {
			t.Errorf("%s shows the secret", text)
		}
	}
}

func TestRest(t *testing.T) {
	if d := Rest(0, 0.9); d != 0 {
		t.Errorf("without a failure: %v", d)
	}
	before := time.Duration(0)
	for n := uint64(1); n < 12; n++ {
		want := backoff[min(int(n), len(backoff))-1]
		least, mean, most := Rest(n, 0), Rest(n, 0.5), Rest(n, 1)
		if mean != want || least != want*8/10 || most != want*12/10 || mean < before {
			t.Errorf("after %d failures: %v to %v around %v, want %v", n, least, most, mean, want)
		}
		before = mean
	}
}
