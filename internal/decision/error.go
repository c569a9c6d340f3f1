package decision

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what went wrong in the words a caller can act on. The numbers cross
// the wire between nodes and are append-only.
type Kind uint8

// The kinds. Only package httpapi maps them to statuses.
const (
	// KindInternal is a defect of ours. The zero Kind, so that an error nobody
	// classified is never mistaken for the client's fault.
	KindInternal         Kind = 0
	KindBadRequest       Kind = 1
	KindUnauthorized     Kind = 2
	KindForbidden        Kind = 3
	KindNotFound         Kind = 4
	KindConflict         Kind = 5
	KindTooLarge         Kind = 6
	KindUnsupportedMedia Kind = 7
	KindUnprocessable    Kind = 8
	KindRateLimited      Kind = 9
	// KindUnavailable: nothing entered the log; trying again is safe.
	KindUnavailable Kind = 10
	// KindIndeterminate: the write may or may not have landed; only a retry with
	// the same idempotency key tells which.
	KindIndeterminate Kind = 11
	// KindRequestTimeout: the client did not deliver its request in time.
	KindRequestTimeout   Kind = 12
	KindMethodNotAllowed Kind = 13
	KindHeaderTooLarge   Kind = 14
)

var kindNames = [...]string{
	KindInternal:         "internal",
	KindBadRequest:       "bad request",
	KindUnauthorized:     "unauthorized",
	KindForbidden:        "forbidden",
	KindNotFound:         "not found",
	KindConflict:         "conflict",
	KindTooLarge:         "payload too large",
	KindUnsupportedMedia: "unsupported media type",
	KindUnprocessable:    "unprocessable",
	KindRateLimited:      "rate limited",
	KindUnavailable:      "unavailable",
	KindIndeterminate:    "indeterminate",
	KindRequestTimeout:   "request timeout",
	KindMethodNotAllowed: "method not allowed",
	KindHeaderTooLarge:   "header too large",
}

// String names the kind for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Detail is one thing wrong with a request, at the path of its field, such as
// "offers[3].id".
type Detail struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Error is the one error type that leaves a package.
type Error struct {
	Kind    Kind
	Op      string   // what was being done, such as "engine.Respond"; for logs only
	Msg     string   // for the client: what was got and what was wanted
	Reason  string   // a machine-readable refinement, such as "insufficient_data"
	Details []Detail // the fields at fault
	Err     error    // the cause; for logs only, never sent to a client
}

// Error renders the error for a log line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	b.WriteString(e.Kind.String())
	if e.Msg != "" {
		b.WriteString(": ")
		b.WriteString(e.Msg)
	}
	for _, d := range e.Details {
		fmt.Fprintf(&b, " [%s: %s]", d.Path, d.Message)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind with a message for the client.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Invalid makes a bad-request error about one field.
func Invalid(path, format string, args ...any) *Error {
	msg := fmt.Sprintf(format, args...)
	return &Error{Kind: KindBadRequest, Msg: path + ": " + msg, Details: []Detail{{Path: path, Message: msg}}}
}

// KindOf returns the kind of the first Error in err's chain, KindInternal when
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// Problems collects every field at fault of one request, so that a client
// learns of all of them at once.
type Problems struct{ details []Detail }

// maxDetails bounds what one answer lists; a hostile body could otherwise turn
// into an answer many times its size.
const maxDetails = 50

// Addf notes that the field at path is wrong.
func (p *Problems) Addf(path, format string, args ...any) {
	if len(p.details) < maxDetails {
		p.details = append(p.details, Detail{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// AddError takes over the details of err, which is about the field at path when
// it has none of its own. A nil err is ignored.
func (p *Problems) AddError(path string, err error) {
	if err == nil {
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		p.Addf(path, "%s", err.Error())
		return
	}
	if len(e.Details) == 0 {
		p.Addf(path, "%s", e.Msg)
		return
	}
	for _, d := range e.Details {
		p.Addf(d.Path, "%s", d.Message)
	}
}

// Err is nil when nothing was added, else one bad-request error with everything.
func (p *Problems) Err() error {
	switch len(p.details) {
	case 0:
		return nil
	case 1:
		d := p.details[0]
		return &Error{Kind: KindBadRequest, Msg: d.Path + ": " + d.Message, Details: p.details}
	default:
		return &Error{Kind: KindBadRequest, Msg: fmt.Sprintf("%d fields are not valid", len(p.details)), Details: p.details}
	}
}
