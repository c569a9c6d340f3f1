package external

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Redacted stands in answers where a configuration has a secret.
const Redacted = "[redacted]"

// Secret is a string that does not show itself: formatted or encoded it is
// Redacted. Convert it to a string to use it.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return Redacted }

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, Redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Redact returns a configuration with the placeholder in place of its secrets:
// every member of auth but its type. It is encoded anew, so that nothing hides in
// a repeated key; what is not an object becomes an empty one.
func Redact(config json.RawMessage) json.RawMessage {
	members := object(config)
	for key, raw := range members {
		if !strings.EqualFold(key, "auth") {
			continue
		}
		auth := object(raw)
		for name, v := range auth {
			if name != "type" && string(v) != "null" {
				auth[name] = json.RawMessage(`"` + Redacted + `"`)
			}
		}
		members[key] = encodeObject(auth)
	}
	return encodeObject(members)
}

// KeepSecrets returns the updated configuration with the stored token where the
// update has its placeholder, as a client does that reads a configuration,
// changes it and writes it back. The token goes only to the endpoint that it was
// given for: with another one the update is refused, or whoever may write a
// configuration could read the token by having it sent to them.
func KeepSecrets(stored, updated json.RawMessage) (json.RawMessage, error) {
	members := object(updated)
	auth := object(members["auth"])
	var token string
	if json.Unmarshal(auth["token"], &token) != nil || token != Redacted {
		return updated, nil
	}
	old, err := ReadConfig(stored)
	if err != nil || old.Token == "" {
		return nil, decision.Invalid("config.auth.token", "got the placeholder of a stored token, but none is stored")
	}
	var p decision.Problems
	if to := readURL(members["endpoint"], &p); p.Err() != nil {
		return nil, p.Err()
	} else if to != old.URL {
		return nil, decision.Invalid("config.auth.token", "got the placeholder of the stored token with another config.endpoint, want the token itself")
	}
	quoted, err := json.Marshal(string(old.Token))
	if err != nil {
		return nil, &decision.Error{Kind: decision.KindInternal, Op: "external.KeepSecrets", Err: err}
	}
	auth["token"] = quoted
	members["auth"] = encodeObject(auth)
	return encodeObject(members), nil
}

// object returns the members of a JSON object, none of anything else.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return make(map[string]json.RawMessage)
	}
	return members
}

// encodeObject encodes members that were decoded before, which cannot fail.
func encodeObject(members map[string]json.RawMessage) json.RawMessage {
	raw, err := json.Marshal(members)
	if err != nil {
		return json.RawMessage("{}")
	}
	return raw
}
