package cluster

import (
	"encoding/hex"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// incarnation is drawn when a data directory is made. A node id with another
// incarnation is another node's data: the id was wiped, and what it voted for and
// acknowledged is gone.
type incarnation [16]byte

func (i incarnation) String() string { return hex.EncodeToString(i[:]) }
func (i incarnation) known() bool    { return i != incarnation{} }

// standing says what a node id is to the cluster. The numbers are in snapshots.
type standing byte

const (
	announced standing = iota // wants to join
	member
	removed // for ever
)

type rosterEntry struct {
	incarnation incarnation // zero: not known yet
	standing    standing
}

// roster is which node ids the cluster knows, and with which data: replicated
// state, changed only by the log. It is read by any goroutine and changed on the
// apply goroutine.
type roster struct {
	entries atomic.Pointer[map[string]rosterEntry] // never changed in place
}

func (r *roster) all() map[string]rosterEntry {
	if p := r.entries.Load(); p != nil {
		return *p
	}
	return nil
}

func (r *roster) get(id string) rosterEntry { return r.all()[id] }

func (r *roster) set(id string, e rosterEntry) {
	next := maps.Clone(r.all())
	if next == nil {
		next = make(map[string]rosterEntry)
	}
	next[id] = e
	r.entries.Store(&next)
}

// verdict says whether a node with this incarnation may be a member under id.
func (r *roster) verdict(id string, i incarnation) refusal {
	e, ok := r.all()[id]
	switch {
	case !ok:
		return welcome
	case e.standing == removed:
		return wasRemoved
	case e.incarnation.known() && i.known() && e.incarnation != i:
		return wrongData
	}
	return welcome
}

// A record that announces a node, the only command of an entry of kindRecord:
//
//	version      1 byte    1
//	id           uvarint length and bytes
//	incarnation  16 bytes
const recordVersion = 1

func encodeRecord(id string, i incarnation) []byte {
	b := wire.AppendString([]byte{recordVersion}, id)
	return append(b, i[:]...)
}

func decodeRecord(s string) (id string, i incarnation, err error) {
	r := wire.NewReader(s)
	if v := r.Byte(); v != recordVersion {
		r.Fail("record has version %d, want %d", v, recordVersion)
	}
	id = string([]byte(r.String()))
	if r.Len() == len(i) {
		copy(i[:], r.Rest())
	} else {
		r.Fail("incarnation has %d bytes, want %d", r.Len(), len(i))
	}
	return id, i, r.Close()
}

// announce applies a record. What it returns is the proposer's result: nil or an
// error, the same on every node.
func (r *roster) announce(id string, i incarnation) error {
	if v := r.verdict(id, i); v != welcome {
		return decision.Errorf(decision.KindConflict, "node %s cannot be a member: %s", id, v)
	}
	e := r.get(id)
	e.incarnation = i
	r.set(id, e)
	return nil
}

// configure applies a change of membership, and returns the ids that it removed.
// Who was a member and is none any more stays removed for ever.
func (r *roster) configure(c raft.Configuration) (gone []string) {
	here := make(map[string]bool)
	for _, s := range c.Servers {
		id := string(s.ID)
		here[id] = true
		if e := r.get(id); e.standing != member {
			e.standing = member
			r.set(id, e)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.all())) {
		if e := r.get(id); e.standing == member && !here[id] {
			e.standing = removed
			r.set(id, e)
			gone = append(gone, id)
		}
	}
	return gone
}

// appendRoster writes the roster for a snapshot: a count, and for each node, sorted,
// its id, its incarnation and its standing.
func appendRoster(b []byte, entries map[string]rosterEntry) []byte {
	b = wire.AppendUvarint(b, uint64(len(entries)))
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		e := entries[id]
		b = wire.AppendString(b, id)
		b = append(b, e.incarnation[:]...)
		b = append(b, byte(e.standing))
	}
	return b
}

func readRoster(r *wire.Reader) map[string]rosterEntry {
	entries := make(map[string]rosterEntry)
	for range r.Count(len(incarnation{}) + 2) {
		id := string([]byte(r.String()))
		var e rosterEntry
		for i := range e.incarnation {
			e.incarnation[i] = r.Byte()
		}
		e.standing = standing(r.Byte())
		if e.standing > removed {
			r.Fail("standing of node %s is %d, want at most %d", id, e.standing, removed)
		}
		entries[id] = e
	}
	return entries
}
