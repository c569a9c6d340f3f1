package decision

import (
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// InteractionID names one recorded outcome by its place in the log: the entry
// and the outcome's position in it. It is unique, ordered by time of recording,
// and the same on every node.
type InteractionID struct {
	Index uint64 // log index of the entry
	Seq   uint32 // position within the entry
}

// Less orders ids by recording.
func (id InteractionID) Less(o InteractionID) bool {
	return id.Index < o.Index || (id.Index == o.Index && id.Seq < o.Seq)
}

// IsZero reports whether the id is unset; the log starts at index 1.
func (id InteractionID) IsZero() bool { return id.Index == 0 }

// idEncoding is Crockford's base 32 in lower case: its order is the byte order,
// so ids sort as text as they do as numbers.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// InteractionPrefix starts the text of every interaction id.
const InteractionPrefix = "int_"

// String returns the id as the API shows it.
func (id InteractionID) String() string {
	return string(id.Append(make([]byte, 0, len(InteractionPrefix)+20)))
}

// Append appends the id's text to dst.
func (id InteractionID) Append(dst []byte) []byte {
	var raw [12]byte
	binary.BigEndian.PutUint64(raw[:8], id.Index)
	binary.BigEndian.PutUint32(raw[8:], id.Seq)
	return idEncoding.AppendEncode(append(dst, InteractionPrefix...), raw[:])
}

// ParseInteractionID reads an id's text.
func ParseInteractionID(s string) (InteractionID, bool) {
	rest, ok := strings.CutPrefix(s, InteractionPrefix)
	if !ok {
		return InteractionID{}, false
	}
	raw, err := idEncoding.DecodeString(rest)
	if err != nil || len(raw) != 12 {
		return InteractionID{}, false
	}
	return InteractionID{binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint32(raw[8:])}, true
}

// Hash returns a well-mixed 64-bit hash of the id (FNV-1a over its 12 bytes,
// big endian). It decides the holdout of a training: Hash() % 5 == 0.
func (id InteractionID) Hash() uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, 64 bit
	h := uint64(offset)
	for shift := 56; shift >= 0; shift -= 8 {
		h = (h ^ (id.Index >> shift & 0xff)) * prime
	}
	for shift := 24; shift >= 0; shift -= 8 {
		h = (h ^ uint64(id.Seq>>shift&0xff)) * prime
	}
	return h
}

// Outcome is something a customer did (or did not do) with an offer.
type Outcome struct {
	ID             InteractionID // set when applied
	CustomerID     string
	OfferID        string
	CategoryID     string
	ChannelID      string
	PlacementID    string
	ModelID        string // the model that made the decision
	DecisionID     string
	Type           string // key of an outcome type
	IdempotencyKey string
	Direction      Direction
	Class          Classification // resolved from the outcome type when applied
	At             int64          // Unix milliseconds
	// ConversionValue is in the tenant's currency; HasValue tells 0 from absent.
	ConversionValue float64
	HasValue        bool
	Attributes      Row
	Context         Row
	// Before is the customer's history with the offer as it stood before this
	// outcome; set when applied, it lets training see what a score would have.
	Before Summary
}
