package engine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// keyPrefix starts every raw API key, so that one that leaked is recognised.
const keyPrefix = "prk_"

// shownPrefix is how many characters of a raw key its listing shows.
const shownPrefix = 8

// operator recognises the operator's key.
type operator struct {
	set  bool
	hash [sha256.Size]byte
}

func newOperator(key string) *operator {
	return &operator{set: key != "", hash: sha256.Sum256([]byte(key))}
}

func (o *operator) is(raw []byte) bool {
	sum := sha256.Sum256(raw)
	return o.set && subtle.ConstantTimeCompare(sum[:], o.hash[:]) == 1
}

// peppered makes key hashes under one pepper. The hashers are pooled: setting
// one up costs more than a hash.
type peppered struct {
	secret []byte
	pool   sync.Pool
}

type hasher struct {
	mac hash.Hash
	sum []byte
}

func (d *directory) setPepper(pepper string) {
	if pepper == "" {
		return
	}
	secret, err := hex.DecodeString(pepper)
	if err != nil {
		return // settings come from our own command
	}
	p := &peppered{secret: secret}
	p.pool.New = func() any { return &hasher{mac: hmac.New(sha256.New, secret), sum: make([]byte, 0, sha256.Size)} }
	d.pepper.Store(p)
}

// hash returns the HMAC-SHA-256 of a raw key. It does not allocate.
func (p *peppered) hash(raw []byte) (sum catalogue.KeyHash) {
	h := p.pool.Get().(*hasher)
	h.mac.Reset()
	_, _ = h.mac.Write(raw)
	h.sum = h.mac.Sum(h.sum[:0])
	copy(sum[:], h.sum)
	p.pool.Put(h)
	return sum
}

// derive returns the secret of the raw key with an id, made by a request with an
// idempotency key: the same request again must show the same key, which is
// stored nowhere. The id is part of it because an idempotency key may be used
// anew once its answer is forgotten; it is another key then.
func (p *peppered) derive(tenant, idempotencyKey, id string) []byte {
	mac := hmac.New(sha256.New, p.secret)
	for _, s := range []string{"api-key", tenant, idempotencyKey, id} {
		_, _ = mac.Write([]byte(s))
		_, _ = mac.Write([]byte{0})
	}
	return mac.Sum(nil)
}

// Authenticate finds the principal of a raw key; ok is false for an unknown,
// revoked or expired one. Keys are found by their hash, so the time it takes
// tells nothing about any key's characters.
func (e *Engine) Authenticate(raw []byte) (p Principal, ok bool) {
	d := &e.machine.directory
	if pepper, all := d.pepper.Load(), d.principals.Load(); pepper != nil && all != nil {
		if found := (*all)[pepper.hash(raw)]; found != nil {
			if found.ExpiresAt != 0 && decision.TimeOf(time.Now()) >= found.ExpiresAt {
				return Principal{}, false
			}
			return Principal{TenantID: found.TenantID, KeyID: found.KeyID, KeyName: found.KeyName, Role: found.Role}, true
		}
	}
	if e.operator.is(raw) {
		return Principal{Role: decision.RoleOperator, KeyName: "operator"}, true
	}
	return Principal{}, false
}

// newRawKey makes the raw key with an id: 256 random bits, or those derived from
// the request's idempotency key.
func (p *peppered) newRawKey(w *Write, id string) string {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	if w.IdempotencyKey != "" {
		secret = p.derive(w.Principal.TenantID, w.IdempotencyKey, id)
	}
	return keyPrefix + base64.RawURLEncoding.EncodeToString(secret)
}
