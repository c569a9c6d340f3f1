package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	version    = 1
	keyIDSize  = 8
	headerSize = 1 + keyIDSize
	// overhead is what a sealed secret has beside its own bytes.
	overhead = headerSize + 12 + 16
)

// The errors of Seal and Open.
var (
	// ErrNoKey: there is no key to seal with, or not the one that sealed.
	ErrNoKey = errors.New("vault: no key")
	// ErrSealed: it was not sealed with the key that it names, was sealed for
	// something else, or was changed.
	ErrSealed = errors.New("vault: the sealed secret does not open")
)

// Keys are the keys of a node. They are immutable and safe for concurrent use; a
// nil Keys has none.
type Keys struct{ keys []key }

type key struct {
	id          [keyIDSize]byte
	aead        cipher.AEAD
	fingerprint []byte // a key of its own
}

// Parse reads keys, one a line, the one that seals first: 32 bytes in base 64 or
// hexadecimal each. Empty lines and those that start with # are left out.
func Parse(text string) (*Keys, error) {
	k := &Keys{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		raw, err := decode(line)
		if err != nil {
			return nil, fmt.Errorf("vault: line %d: %w", i+1, err)
		}
		if err := k.add(raw); err != nil {
			return nil, fmt.Errorf("vault: line %d: %w", i+1, err)
		}
	}
	if len(k.keys) == 0 {
		return nil, errors.New("vault: got no key, want at least one of 32 bytes in base 64 or hexadecimal")
	}
	return k, nil
}

// decode reads a key. Its error does not repeat the text, which may be one.
func decode(text string) ([]byte, error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == KeySize {
		return raw, nil
	}
	for _, encoding := range [...]*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(text); err == nil && len(raw) == KeySize {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("want %d bytes in base 64 or hexadecimal, got %d characters that are not that", KeySize, len(text))
}

func (k *Keys) add(raw []byte) error {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	fingerprint, err := hkdf.Key(sha256.New, raw, nil, "praetor fingerprint", KeySize)
	if err != nil {
		return err
	}
	id, err := hkdf.Key(sha256.New, raw, nil, "praetor key id", keyIDSize)
	if err != nil {
		return err
	}
	next := key{aead: aead, fingerprint: fingerprint}
	copy(next.id[:], id)
	for i := range k.keys {
		if k.keys[i].id == next.id {
			return errors.New("the key is there twice")
		}
	}
	k.keys = append(k.keys, next)
	return nil
}

// Generate makes a key in the form that Parse reads.
func Generate() string {
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	return base64.StdEncoding.EncodeToString(raw)
}

// Seal seals a secret that belongs to what owner names, with the first key.
func (k *Keys) Seal(secret []byte, owner ...string) ([]byte, error) {
	if k == nil {
		return nil, ErrNoKey
	}
	first := &k.keys[0]
	sealed := make([]byte, 0, overhead+len(secret))
	sealed = append(append(sealed, version), first.id[:]...)
	return first.aead.Seal(sealed, nil, secret, associated(sealed, owner)), nil
}

// Open returns what was sealed for the owner. Its error wraps ErrNoKey or ErrSealed.
func (k *Keys) Open(sealed []byte, owner ...string) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	key := k.find(sealed[1:headerSize])
	if key == nil {
		return nil, fmt.Errorf("%w with the id %x, which sealed the secret", ErrNoKey, sealed[1:headerSize])
	}
	secret, err := key.aead.Open(nil, nil, sealed[headerSize:], associated(sealed[:headerSize], owner))
	if err != nil {
		return nil, ErrSealed
	}
	return secret, nil
}

func (k *Keys) find(id []byte) *key {
	if k == nil {
		return nil
	}
	for i := range k.keys {
		if bytes.Equal(k.keys[i].id[:], id) {
			return &k.keys[i]
		}
	}
	return nil
}

// Sealer returns the id of the key that sealed a secret, in hexadecimal; empty
// when it is no sealed secret.
func Sealer(sealed []byte) string {
	if len(sealed) < overhead || sealed[0] != version {
		return ""
	}
	return hex.EncodeToString(sealed[1:headerSize])
}

// ID returns the id of the key that seals, in hexadecimal; empty without one.
func (k *Keys) ID() string {
	if k == nil {
		return ""
	}
	return hex.EncodeToString(k.keys[0].id[:])
}

// Fingerprint stands for something with a secret in it where that must not be
// found out by trying: HMAC-SHA-256 under a key derived from the one that seals,
// its first 64 bits. It is 0 without a key.
func (k *Keys) Fingerprint(b []byte) uint64 {
	if k == nil {
		return 0
	}
	h := hmac.New(sha256.New, k.keys[0].fingerprint)
	_, _ = h.Write(b)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// associated joins the header and the owner's parts, each with its length before
// it, so that no two owners have the same.
func associated(header []byte, owner []string) []byte {
	b := bytes.Clone(header)
	for _, part := range owner {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}
