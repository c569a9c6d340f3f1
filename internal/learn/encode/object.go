package encode

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Object is a JSON object read key by key. Everything that is wrong is noted in
// its Problems at the key's path; a key that is absent or null has its default;
// keys that nobody asks for are ignored.
type Object struct {
	path     string
	members  map[string]json.RawMessage
	problems *decision.Problems
}

// ReadObject reads raw, whose place is path; nil or null is an empty object.
func ReadObject(raw json.RawMessage, path string, problems *decision.Problems) Object {
	o := Object{path: path, problems: problems}
	if len(raw) > 0 && json.Unmarshal(raw, &o.members) != nil {
		problems.Addf(path, "got %s, want an object", excerpt(raw))
	}
	return o
}

// excerpt shows the client its own value, at most as long as a line bears.
func excerpt(raw json.RawMessage) string {
	const longest = 40
	s := strings.ToValidUTF8(string(raw), "�")
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// Path returns the path of a key; in an object whose place is "" that is the key.
func (o Object) Path(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// Has reports whether key is there and not null.
func (o Object) Has(key string) bool { return o.get(key) != nil }

func (o Object) get(key string) json.RawMessage {
	raw := o.members[key]
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// Keys returns the keys that are not null in ascending order.
func (o Object) Keys() []string {
	keys := slices.Collect(maps.Keys(o.members))
	keys = slices.DeleteFunc(keys, func(k string) bool { return !o.Has(k) })
	slices.Sort(keys)
	return keys
}

// Object reads an object.
func (o Object) Object(key string) Object { return ReadObject(o.get(key), o.Path(key), o.problems) }

// Float reads a number from low to high.
func (o Object) Float(key string, def, low, high float64) float64 {
	raw := o.get(key)
	if raw == nil {
		return def
	}
	var v float64
	if json.Unmarshal(raw, &v) != nil || v < low || v > high {
		if low == -math.MaxFloat64 && high == math.MaxFloat64 {
			o.problems.Addf(o.Path(key), "got %s, want a finite number", excerpt(raw))
		} else {
			o.problems.Addf(o.Path(key), "got %s, want a number from %g to %g", excerpt(raw), low, high)
		}
		return def
	}
	return v
}

// Number reads any finite number.
func (o Object) Number(key string, def float64) float64 {
	return o.Float(key, def, -math.MaxFloat64, math.MaxFloat64)
}

// Int reads an integer from low to high; 5e1 and 50.0 are integers too.
func (o Object) Int(key string, def, low, high int64) int64 {
	raw := o.get(key)
	if raw == nil {
		return def
	}
	var v float64
	if json.Unmarshal(raw, &v) != nil || v != math.Trunc(v) || v < float64(low) || v > float64(high) {
		o.problems.Addf(o.Path(key), "got %s, want an integer from %d to %d", excerpt(raw), low, high)
		return def
	}
	return int64(v)
}

// Bool reads true or false.
func (o Object) Bool(key string, def bool) bool {
	raw := o.get(key)
	if raw == nil {
		return def
	}
	var v bool
	if json.Unmarshal(raw, &v) != nil {
		o.problems.Addf(o.Path(key), "got %s, want true or false", excerpt(raw))
		return def
	}
	return v
}

// Choice reads one of the strings of choices.
func (o Object) Choice(key, def string, choices ...string) string {
	raw := o.get(key)
	if raw == nil {
		return def
	}
	var v string
	if json.Unmarshal(raw, &v) != nil || !slices.Contains(choices, v) {
		o.problems.Addf(o.Path(key), "got %s, want one of %s", excerpt(raw), strings.Join(choices, ", "))
		return def
	}
	return v
}

// Numbers reads an object of finite numbers.
func (o Object) Numbers(key string) map[string]float64 {
	members := o.Object(key)
	out := make(map[string]float64, len(members.members))
	for _, k := range members.Keys() {
		out[k] = members.Number(k, 0)
	}
	return out
}
