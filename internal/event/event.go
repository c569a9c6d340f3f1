package event

import (
	"encoding/json"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// ID is where an event stands: the log entry that it came from, and its place
// among the events of that entry. IDs sort as text as they do as numbers.
type ID decision.InteractionID

// prefix starts the text of every id.
const prefix = "evt_"

// String returns the id as the API shows it.
func (id ID) String() string {
	return prefix + strings.TrimPrefix(decision.InteractionID(id).String(), decision.InteractionPrefix)
}

// Less reports whether id comes before o.
func (id ID) Less(o ID) bool { return decision.InteractionID(id).Less(decision.InteractionID(o)) }

// MarshalText writes the id as the API shows it.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads an id's text.
func (id *ID) UnmarshalText(b []byte) error {
	got, ok := ParseID(string(b))
	if !ok {
		return decision.Errorf(decision.KindBadRequest, "want the id of an event such as %s, got %.40q", ID{1, 0}, b)
	}
	*id = got
	return nil
}

// ParseID reads an id's text.
func ParseID(s string) (ID, bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return ID{}, false
	}
	id, ok := decision.ParseInteractionID(decision.InteractionPrefix + rest)
	return ID(id), ok
}

// Event is something that happened to a tenant's models. It is immutable.
type Event struct {
	ID       ID
	Type     string // one of Types
	TenantID string
	At       decision.Time
	Data     json.RawMessage // an object
}

// Append appends the event as subscribers get it: JSON, always the same bytes.
func (e *Event) Append(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(append(dst, e.ID.String()...), `","type":"`...)
	dst = append(append(dst, e.Type...), `","tenantId":"`...)
	dst = append(append(dst, e.TenantID...), `","timestamp":`...) // an id has nothing to escape
	dst = append(e.At.AppendJSON(dst), `,"data":`...)
	return append(append(dst, e.Data...), '}')
}

// MarshalJSON writes the event as Append does.
func (e *Event) MarshalJSON() ([]byte, error) { return e.Append(nil), nil }
