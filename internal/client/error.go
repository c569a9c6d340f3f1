package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Detail is one thing wrong with a request, at the path of its field, such as
// offers[3].id.
type Detail struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Error is what the server answered instead of a result.
type Error struct {
	Status     int    // HTTP status
	Code       string // such as BAD_REQUEST; empty when the answer is not the engine's
	Message    string
	Reason     string // a refinement, such as insufficient_data or rollback_guard
	RequestID  string // to find the request in the server's log
	Details    []Detail
	RetryAfter time.Duration // 0: the server did not say

	op   string // method and path
	body []byte // of an answer that is not the error envelope
}

// Error says what was asked and what is wrong, in one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", e.op, e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	b.WriteString(": " + e.Message)
	// One fault is in the message already.
	if len(e.Details) > 1 {
		for _, d := range e.Details {
			fmt.Fprintf(&b, "; %s: %s", d.Path, d.Message)
		}
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// codeIndeterminate: the write may or may not have landed; the same idempotency
// key tells which.
const codeIndeterminate = "INDETERMINATE"

// codeUnavailableV2 is what the second version of the API calls it.
const codeUnavailableV2 = "unavailable"

// temporary reports whether the server invites to repeat the call.
func (e *Error) temporary() bool {
	switch e.Status {
	case http.StatusServiceUnavailable:
		return e.RetryAfter > 0
	case http.StatusGatewayTimeout:
		return e.Code == codeIndeterminate || e.Code == codeUnavailableV2
	}
	return false
}

// envelope is the engine's error body.
type envelope struct {
	Error struct {
		Code      string   `json:"code"`
		Message   string   `json:"message"`
		Reason    string   `json:"reason"`
		RequestID string   `json:"requestId"`
		Details   []Detail `json:"details"`
	} `json:"error"`
}

// maxForeignMessage bounds how much of an answer that is not the engine's (a
// proxy's page, say) is quoted.
const maxForeignMessage = 200

func readError(r *call, resp *http.Response, body []byte) *Error {
	e := &Error{Status: resp.StatusCode, op: r.method + " " + r.path, RequestID: resp.Header.Get("X-Request-Id")}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		// "0" means at once, yet it is an invitation.
		e.RetryAfter = max(time.Duration(seconds)*time.Second, time.Millisecond)
	}
	var env envelope
	if json.Unmarshal(body, &env) == nil && env.Error.Code != "" {
		e.Code, e.Message, e.Reason = env.Error.Code, env.Error.Message, env.Error.Reason
		e.Details = env.Error.Details
		if env.Error.RequestID != "" {
			e.RequestID = env.Error.RequestID
		}
		return e
	}
	e.body = body
	e.Message = strings.Join(strings.Fields(string(body)), " ")
	if len(e.Message) > maxForeignMessage {
		e.Message = e.Message[:maxForeignMessage] + "…"
	}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	return e
}
