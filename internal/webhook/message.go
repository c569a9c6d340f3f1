package webhook

import (
	"context"
	"net/http"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/event"
)

// Message is one attempt to tell an endpoint something.
type Message struct {
	URL       string
	ID        string // the same for every attempt
	At        time.Time
	Signature string
	Body      []byte
}

// Header returns the message's headers.
func (m *Message) Header() http.Header {
	return http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"praetor-webhooks"},
		HeaderID: {m.ID}, HeaderTimestamp: {timestamp(m.At)}, HeaderSignature: {m.Signature},
	}
}

// Answer is what came of an attempt.
type Answer struct {
	Status     int           // HTTP's; 0: there was none
	Reason     string        // why there was none
	RetryAfter time.Duration // how long the endpoint asks to be left alone; 0: it does not
	Abandoned  bool          // it was given up here, and says nothing about the endpoint
}

// OK reports whether the endpoint took the message.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// reasonSecret is that a message could not be signed: this node cannot open the
// secret.
const reasonSecret = "secret"

// Poster is what sends messages.
type Poster interface {
	// Post sends a message; it returns soon after ctx ended.
	Post(ctx context.Context, m *Message) Answer
	// Decrypter returns what opens the endpoint's secrets.
	Decrypter(r *Record) Decrypt
}

// Attempt signs an event for an endpoint and sends it once.
func Attempt(ctx context.Context, p Poster, r *Record, e *event.Event, at time.Time) Answer {
	secrets, err := r.Secrets(decision.TimeOf(at), p.Decrypter(r))
	if err != nil {
		return Answer{Reason: reasonSecret}
	}
	m := &Message{URL: r.URL, ID: e.ID.String(), At: at, Body: e.Append(nil)}
	m.Signature = Sign(secrets, m.ID, at, m.Body)
	return p.Post(ctx, m)
}
