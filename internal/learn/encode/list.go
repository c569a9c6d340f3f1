package encode

import (
	"encoding/json"
	"fmt"
)

// Raw returns the key's value as it is, nil when absent or null.
func (o Object) Raw(key string) json.RawMessage { return o.get(key) }

// Text reads a string of at most longest bytes.
func (o Object) Text(key, def string, longest int) string {
	raw := o.get(key)
	if raw == nil {
		return def
	}
	var v string
	switch {
	case json.Unmarshal(raw, &v) != nil:
		o.problems.Addf(o.Path(key), "got %s, want a string", excerpt(raw))
		return def
	case len(v) > longest:
		o.problems.Addf(o.Path(key), "got %d bytes, want at most %d", len(v), longest)
		return def
	}
	return v
}

// List reads an array of at most longest elements; the path of element i is
// ItemPath(key, i).
func (o Object) List(key string, longest int) []json.RawMessage {
	raw := o.get(key)
	if raw == nil {
		return nil
	}
	var v []json.RawMessage
	switch {
	case json.Unmarshal(raw, &v) != nil:
		o.problems.Addf(o.Path(key), "got %s, want an array", excerpt(raw))
		return nil
	case len(v) > longest:
		o.problems.Addf(o.Path(key), "got %d elements, want at most %d", len(v), longest)
		return nil
	}
	return v
}

// ItemPath returns the path of element i of the array at key.
func (o Object) ItemPath(key string, i int) string { return fmt.Sprintf("%s[%d]", o.Path(key), i) }

// Excerpt shows the client its own value, at most as long as a line bears.
func Excerpt(raw json.RawMessage) string { return excerpt(raw) }
