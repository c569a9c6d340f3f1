package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
)

// secretPrefix starts the text of every secret.
const secretPrefix = "whsec_"

// The sizes of a secret's key, in bytes: what Standard Webhooks permits, and what
// is made here.
const (
	minKey = 24
	maxKey = 64
	newKey = 32
)

// Secret is the key that messages to one endpoint are signed with. Only Reveal and
// Seal give it away; printed or encoded it is blank.
type Secret struct{ key []byte }

// NewSecret makes a secret of 256 random bits.
func NewSecret() Secret {
	key := make([]byte, newKey)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return Secret{key}
}

// ParseSecret reads the text of a secret: whsec_ and base 64.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < minKey || len(key) > maxKey {
		return Secret{}, fmt.Errorf("webhook: want a secret of %s and %d to %d bytes in base 64", secretPrefix, minKey, maxKey)
	}
	return Secret{key}, nil
}

// Reveal returns the secret's text, for its owner's eyes.
func (s Secret) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key) }

// blank stands for a secret where one must not be shown.
const blank = secretPrefix + "…"

// String returns a blank.
func (s Secret) String() string { return blank }

// GoString returns a blank.
func (s Secret) GoString() string { return blank }

// MarshalText writes a blank.
func (s Secret) MarshalText() ([]byte, error) { return []byte(blank), nil }

// Sealed is a secret as the log, the replicated state and snapshots hold it: the
// one place that knows in which form. It is printed blank; its JSON is what is
// stored.
type Sealed string

// How a secret is stored: as it is, or encrypted by what the caller has for that.
const (
	plain     = "plain:"
	encrypted = "vault:"
)

// Encrypt makes of a secret's key what only the caller's keys make a key of again;
// Decrypt does that.
type (
	Encrypt func(key []byte) ([]byte, error)
	Decrypt func(encrypted []byte) ([]byte, error)
)

// Seal returns the secret's stored form, encrypted unless encrypt is nil.
func (s Secret) Seal(encrypt Encrypt) (Sealed, error) {
	if encrypt == nil {
		return Sealed(plain + base64.StdEncoding.EncodeToString(s.key)), nil
	}
	b, err := encrypt(s.key)
	if err != nil {
		return "", fmt.Errorf("webhook: a secret cannot be sealed: %w", err)
	}
	return Sealed(encrypted + base64.StdEncoding.EncodeToString(b)), nil
}

// Open returns the secret of a stored form.
func (s Sealed) Open(decrypt Decrypt) (Secret, error) {
	form, encoded, _ := strings.Cut(string(s), ":")
	b, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil || (form+":" != plain && form+":" != encrypted):
		return Secret{}, fmt.Errorf("webhook: a stored secret cannot be read by this build")
	case form+":" == plain:
		return Secret{b}, nil
	}
	key, err := decrypt(b)
	if err != nil {
		return Secret{}, fmt.Errorf("webhook: a stored secret cannot be opened: %w", err)
	}
	return Secret{key}, nil
}

// String returns a blank.
func (s Sealed) String() string { return blank }

// GoString returns a blank.
func (s Sealed) GoString() string { return blank }
