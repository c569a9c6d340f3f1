package factorial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Dtype says what a factor's levels are.
type Dtype string

// The types of levels.
const (
	String Dtype = "str"
	Bool   Dtype = "bool"
)

// Value is a level as a client writes it. The zero Value is the empty string.
type Value struct {
	Text string // "true" and "false" of a boolean; the JSON of what is neither
	Kind ValueKind
}

// ValueKind says what JSON a value was.
type ValueKind uint8

// The kinds of values.
const (
	StringValue ValueKind = iota
	BoolValue
	OtherValue // no level of any factor
)

// StringOf returns the level of a factor of strings.
func StringOf(text string) Value { return Value{Text: text} }

// BoolOf returns the level of a boolean factor.
func BoolOf(b bool) Value { return Value{Text: strconv.FormatBool(b), Kind: BoolValue} }

// UnmarshalJSON reads any JSON value, so that whoever checks it can name its path.
func (v *Value) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		v.Kind = StringValue
		return json.Unmarshal(b, &v.Text)
	case bytes.Equal(b, []byte("true")), bytes.Equal(b, []byte("false")):
		*v = Value{Text: string(b), Kind: BoolValue}
	default:
		*v = Value{Text: string(b), Kind: OtherValue}
	}
	return nil
}

// MarshalJSON writes the value as it was read.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Kind == StringValue {
		return json.Marshal(v.Text)
	}
	return []byte(v.Text), nil
}

// String returns the value for a message.
func (v Value) String() string {
	if v.Kind == StringValue {
		return fmt.Sprintf("%.60q", v.Text)
	}
	return fmt.Sprintf("%.60s", v.Text)
}

// is tells whether the value has the type.
func (v Value) is(t Dtype) bool {
	return v.Kind == StringValue && t == String || v.Kind == BoolValue && t == Bool
}
