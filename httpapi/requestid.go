package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"
)

// idSource makes request ids: a random prefix per process and a counter.
type idSource struct {
	prefix string
	n      atomic.Uint64
}

// requestIDs is the process's source.
var requestIDs = newIDSource()

func newIDSource() *idSource {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &idSource{prefix: "req-" + hex.EncodeToString(b[:]) + "-"}
}

// append appends a new id.
func (s *idSource) append(dst []byte) []byte {
	return strconv.AppendUint(append(dst, s.prefix...), s.n.Add(1), 36)
}

func (s *idSource) next() string { return string(s.append(nil)) }

// maxRequestID is the longest request id that is taken from a client.
const maxRequestID = 128

// saneRequestID reports whether a client's request id can be used as it is.
func saneRequestID(b []byte) bool {
	if len(b) == 0 || len(b) > maxRequestID {
		return false
	}
	for _, ch := range b {
		switch {
		case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9', ch == '.', ch == '_', ch == '-':
		default:
			return false
		}
	}
	return true
}
