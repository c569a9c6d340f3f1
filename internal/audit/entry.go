package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// Hash is a SHA-256, in JSON 64 hexadecimal digits.
type Hash [sha256.Size]byte

// String returns the digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns the digits.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("got %d characters, want a hash of %d hexadecimal digits", len(text), 2*len(h))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Entry is one line of the audit log. It is immutable once it is in a chain; its
// JSON is the API's.
type Entry struct {
	ID            string          `json:"id"`
	Action        string          `json:"action"`
	EntityType    string          `json:"entityType"`
	EntityID      string          `json:"entityId"`
	EntityName    string          `json:"entityName"`
	Before        json.RawMessage `json:"before"`
	After         json.RawMessage `json:"after"`
	Actor         string          `json:"actor"` // who the client says it was
	KeyID         string          `json:"keyId"` // the key that it was done with
	TenantID      string          `json:"tenantId"`
	RequestID     string          `json:"requestId"`
	Timestamp     decision.Time   `json:"timestamp"`
	PrevHash      Hash            `json:"prevHash"`
	IntegrityHash Hash            `json:"integrityHash"`
}

// texts are the fields that are texts, in the order of the canonical form; the
// timestamp stands between the second and the third.
func (e *Entry) texts() [9]*string {
	return [...]*string{
		&e.ID, &e.TenantID, &e.Actor, &e.KeyID, &e.RequestID, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName,
	}
}

// AppendCanonical appends the canonical form. It fails where Before or After is
// not JSON.
func (e *Entry) AppendCanonical(dst []byte) ([]byte, error) {
	before, err := Canonical(e.Before)
	if err != nil {
		return nil, err
	}
	after, err := Canonical(e.After)
	if err != nil {
		return nil, err
	}
	dst = append(dst, "praetor audit 1\n"...)
	dst = appendNetstring(dst, e.PrevHash.String())
	for i, text := range e.texts() {
		if i == 2 {
			dst = appendNetstring(dst, e.Timestamp.String())
		}
		dst = appendNetstring(dst, *text)
	}
	dst = appendNetstring(dst, before)
	return appendNetstring(dst, after), nil
}

func appendNetstring[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, ':')
	dst = append(dst, s...)
	return append(dst, ',')
}

// hash returns the entry's integrity hash.
func (e *Entry) hash() (Hash, error) {
	form, err := e.AppendCanonical(nil)
	return sha256.Sum256(form), err
}

// The stored form of an entry:
//
//	version     1 byte, 1
//	id, tenantId, actor, keyId, requestId, action, entityType, entityId, entityName
//	            length-prefixed strings
//	timestamp   varint   Unix milliseconds
//	before, after
//	            length-prefixed strings
//	prevHash, integrityHash
//	            32 bytes each
const entryVersion = 1

// Append appends the stored form.
func (e *Entry) Append(dst []byte) []byte {
	dst = append(dst, entryVersion)
	for _, text := range e.texts() {
		dst = wire.AppendString(dst, *text)
	}
	dst = wire.AppendVarint(dst, int64(e.Timestamp))
	dst = wire.AppendBytes(dst, e.Before)
	dst = wire.AppendBytes(dst, e.After)
	dst = append(dst, e.PrevHash[:]...)
	return append(dst, e.IntegrityHash[:]...)
}

// ReadEntry reads the stored form; what it returns does not share memory with
// the input.
func ReadEntry(r *wire.Reader) *Entry {
	if v := r.Byte(); v != entryVersion {
		r.Fail("audit entry of version %d, want %d", v, entryVersion)
	}
	e := new(Entry)
	for _, text := range e.texts() {
		*text = strings.Clone(r.String())
	}
	e.Timestamp = decision.Time(r.Varint())
	e.Before, e.After = json.RawMessage(r.String()), json.RawMessage(r.String())
	for _, raw := range [...]json.RawMessage{e.Before, e.After} {
		if r.Err() == nil && !json.Valid(raw) {
			r.Fail("audit entry %q: want JSON, got %.40q", e.ID, raw)
		}
	}
	e.PrevHash = readHash(r)
	e.IntegrityHash = readHash(r)
	return e
}

func readHash(r *wire.Reader) (h Hash) {
	for i := range h {
		h[i] = r.Byte()
	}
	return h
}
