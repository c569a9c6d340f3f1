package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The form of the events in a snapshot: a version byte, a count of tenants, then of
// each, ordered by id, its id, the newest event that is not kept and how many are
// not, a count, and the events, oldest first: log index, place, time, type, data.
// Without any tenant it is empty.
const version = 1

// The encoded sizes of the smallest tenant and event.
const (
	minTenantSize = 5
	minEventSize  = 5
)

// Capture is a store at a moment.
type Capture struct {
	tenants []string
	views   []View
}

// Capture returns the present state. It copies references only.
func (s *Store) Capture() *Capture {
	c := &Capture{}
	s.Each(func(tenantID string, v View) { c.tenants, c.views = append(c.tenants, tenantID), append(c.views, v) })
	return c
}

// Append appends the encoded events.
func (c *Capture) Append(b []byte) []byte {
	if len(c.tenants) == 0 {
		return b
	}
	b = wire.AppendUvarint(append(b, version), uint64(len(c.tenants)))
	for i, id := range c.tenants {
		v := &c.views[i]
		b = appendID(wire.AppendString(b, id), v.Dropped)
		b = wire.AppendUvarint(b, v.Count)
		b = wire.AppendUvarint(b, uint64(len(v.Events)))
		for j := range v.Events {
			e := &v.Events[j]
			b = wire.AppendVarint(appendID(b, e.ID), int64(e.At))
			b = wire.AppendBytes(wire.AppendString(b, e.Type), e.Data)
		}
	}
	return b
}

func appendID(b []byte, id ID) []byte {
	return wire.AppendUvarint(wire.AppendUvarint(b, id.Index), uint64(id.Seq))
}

func readID(r *wire.Reader) ID {
	id := ID{Index: r.Uvarint()}
	seq := r.Uvarint()
	if id.Seq = uint32(seq); uint64(id.Seq) != seq {
		r.Fail("want the place of an event among those of its entry, got %d", seq)
	}
	return id
}

// Restore reads what Append wrote, or tells what in it cannot have come from a
// store.
func Restore(s string) (*Store, error) {
	store := NewStore()
	if s == "" {
		return store, nil
	}
	r := wire.NewReader(s)
	if v := r.Byte(); v != version {
		r.Fail("want version %d, got %d", version, v)
	}
	for range r.Count(minTenantSize) {
		id := strings.Clone(r.String())
		l := readLog(&r, id)
		if r.Err() != nil {
			break
		}
		if store.logs[id] != nil {
			r.Fail("tenant %q is there twice", id)
		}
		store.logs[id] = l
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("event: read the events: %w", err)
	}
	return store, nil
}

func readLog(r *wire.Reader, tenantID string) *tenantLog {
	l := &tenantLog{dropped: readID(r), count: r.Uvarint()}
	last := l.dropped
	n := r.Count(minEventSize)
	if n > MaxEvents {
		r.Fail("want at most %d events of a tenant, got %d", MaxEvents, n)
		return l
	}
	for range n {
		e := Event{ID: readID(r), TenantID: tenantID, At: decision.Time(r.Varint())}
		e.Type, e.Data = strings.Clone(r.String()), json.RawMessage(r.String())
		if r.Err() != nil {
			return l
		}
		if !last.Less(e.ID) {
			r.Fail("event %s comes after %s", e.ID, last)
			return l
		}
		if !json.Valid(e.Data) {
			r.Fail("the data of event %s are not JSON", e.ID)
			return l
		}
		last = e.ID
		l.events, l.bytes = append(l.events, e), l.bytes+sizeOf(&e)
	}
	return l
}

// marshal is json.Marshal without the escapes for pages.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
