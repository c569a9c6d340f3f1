package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const eventsPath = "/api/v1/events"

// Event is something that happened to the tenant's models.
type Event struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	TenantID  string          `json:"tenantId"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// EventReset is the type of what a stream has in the place of events that are not
// kept any more. It has no time, and is in no page.
const EventReset = "reset"

// Where to begin with events, beside the id of one.
const (
	EventsOldest = "oldest"
	EventsLatest = "latest"
)

// EventOptions choose events.
type EventOptions struct {
	Types []string // types or groups such as registry.*; none: all
	After string   // an event's id, EventsOldest or EventsLatest; empty: oldest of pages, latest of streams
	Limit int      // of a page, 1–100; 0 is the server's default, 50
}

func (o *EventOptions) query(format string) url.Values {
	q := url.Values{"format": {format}}
	if len(o.Types) > 0 {
		q.Set("types", strings.Join(o.Types, ","))
	}
	if o.After != "" {
		q.Set("after", o.After)
	}
	if o.Limit != 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	return q
}

// EventPage is a page of events, oldest first.
type EventPage struct {
	Data    []Event `json:"data"`
	Cursor  string  `json:"cursor"` // the After of the next page
	HasMore bool    `json:"hasMore"`
	Missed  bool    `json:"missed"` // events before the first are not kept any more
}

// Events returns a page of events.
func (c *Client) Events(ctx context.Context, o EventOptions, opts ...Option) (p EventPage, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: eventsPath, query: o.query("json"), safe: true}, opts, &p)
	return p, err
}

// StreamEvents yields events as they happen, until ctx ends or the server refuses.
// A stream that ends otherwise is opened again, behind its last event.
func (c *Client) StreamEvents(ctx context.Context, o EventOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := eventStream{client: c, options: o, retry: firstBackoff}
		for {
			again, err := s.once(ctx, yield)
			if ctx.Err() != nil || errors.Is(err, errEnough) {
				return
			}
			if !again {
				yield(Event{}, err)
				return
			}
			if pause(ctx, s.retry) != nil {
				return
			}
		}
	}
}

// errEnough is that nobody wants more.
var errEnough = errors.New("client: enough")

// eventStream is a stream that is opened again and again.
type eventStream struct {
	client  *Client
	options EventOptions
	last    string // the id of where it is
	retry   time.Duration
}

// once opens the stream and reads it to its end; again tells that it may be opened
// again.
func (s *eventStream) once(ctx context.Context, yield func(Event, error) bool) (again bool, err error) {
	r := call{method: http.MethodGet, path: eventsPath, query: s.options.query("sse")}
	req, err := s.client.request(ctx, &r, nil)
	if err != nil {
		return false, err
	}
	if s.last != "" {
		req.Header.Set("Last-Event-ID", s.last)
	}
	resp, err := s.client.http.Do(req)
	if err != nil {
		return s.last != "", fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return true, err
		}
		failure := readError(&r, resp, answer)
		return failure.temporary(), failure
	}
	return s.read(resp.Body, yield)
}

// maxEventLine bounds a line of a stream: an event's size limit of the server.
const maxEventLine = 16 << 20

// read reads server-sent events (WHATWG HTML, section 9.2.6).
func (s *eventStream) read(body io.Reader, yield func(Event, error) bool) (again bool, err error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEventLine)
	kind, data := "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			s.last = value
		case "event":
			kind = value
		case "data":
			data += value + "\n"
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil {
				s.retry = time.Duration(ms) * time.Millisecond
			}
		}
		if lines.Text() != "" || data == "" {
			continue
		}
		e := Event{ID: s.last, Type: EventReset, Data: json.RawMessage(strings.TrimSuffix(data, "\n"))}
		if kind != EventReset {
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return false, fmt.Errorf("client: an event of the stream: %w", err)
			}
		}
		if !yield(e, nil) {
			return false, errEnough
		}
		kind, data = "", ""
	}
	return true, lines.Err()
}
