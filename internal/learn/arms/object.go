package arms

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Object reads a JSON object of a configuration or a state, member by member,
// and notes what is wrong with each at its path. A missing or null member takes
// its default; members nobody asks for are ignored.
type Object struct {
	path     string
	members  map[string]json.RawMessage
	problems *decision.Problems
	broken   bool // not an object, as was noted
}

// ParseObject reads raw, the object at path; nil and null are an empty object.
func ParseObject(problems *decision.Problems, path string, raw json.RawMessage) Object {
	o := Object{path: path, problems: problems}
	if len(raw) > 0 && json.Unmarshal(raw, &o.members) != nil {
		problems.Addf(path, "got %s, want an object", excerpt(raw))
		o.broken = true
	}
	return o
}

// excerpt shortens a client's value for a message about it.
func excerpt(raw json.RawMessage) string {
	const most = 40
	if len(raw) > most {
		return fmt.Sprintf("%.*q…", most, raw)
	}
	return string(raw)
}

func (o Object) at(name string) string { return o.path + "." + name }

// Problemf notes that the member is wrong.
func (o Object) Problemf(name, format string, args ...any) {
	o.problems.Addf(o.at(name), format, args...)
}

// Has reports whether the member is there and not null.
func (o Object) Has(name string) bool {
	raw, ok := o.members[name]
	return ok && string(raw) != "null"
}

// Names returns the members' names in ascending order.
func (o Object) Names() []string { return slices.Sorted(maps.Keys(o.members)) }

// Object returns the member, an object itself.
func (o Object) Object(name string) Object {
	return ParseObject(o.problems, o.at(name), o.members[name])
}

// Number returns the member, a number in [low, high], or def when it is missing
// or not valid.
func (o Object) Number(name string, def, low, high float64) float64 {
	if !o.Has(name) {
		return def
	}
	var v float64
	if json.Unmarshal(o.members[name], &v) != nil || v < low || v > high {
		o.Problemf(name, "got %s, want a number from %v to %v", excerpt(o.members[name]), low, high)
		return def
	}
	return v
}

// Required is Number for a member that must be there.
func (o Object) Required(name string, low, high float64) float64 {
	if o.broken {
		return low
	}
	if !o.Has(name) {
		o.Problemf(name, "is missing, want a number from %v to %v", low, high)
		return low
	}
	return o.Number(name, low, low, high)
}

// Int is Number for whole numbers.
func (o Object) Int(name string, def, low, high int) int {
	v := o.Number(name, float64(def), float64(low), float64(high))
	if v != math.Trunc(v) {
		o.Problemf(name, "got %v, want a whole number", v)
		return def
	}
	return int(v)
}

// Text returns the member, a string, empty when it is missing or not one.
func (o Object) Text(name string) string {
	if !o.Has(name) {
		return ""
	}
	var s string
	if json.Unmarshal(o.members[name], &s) != nil {
		o.Problemf(name, "got %s, want a string", excerpt(o.members[name]))
	}
	return s
}
