package httpapi

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/event"
)

// mediaEvents is the type of a stream of server-sent events (WHATWG HTML, section
// 9.2).
const mediaEvents = "text/event-stream"

// How streams of events work.
const (
	// heartbeat is how often a stream says something at least, so that what is
	// between knows it lives, and this node that the client does.
	heartbeat = 15 * time.Second
	// reconnectAfter is how long a client waits before it connects again.
	reconnectAfter = 2 * time.Second
	// streamBatch bounds the events that are written at a time.
	streamBatch = 64
	// maxLag is how many events a stream that was up to date may fall behind before
	// it is cut.
	maxLag = 1000
	// tenantShare is which part of the streams one tenant may have.
	tenantShare = 4
	// maxTypes bounds the parameter types, in bytes.
	maxTypes = 2048
)

// Where to begin, beside an event's id.
const (
	afterOldest = "oldest"
	afterLatest = "latest"
)

// eventStreams counts the streams that are open.
type eventStreams struct {
	most      int
	heartbeat time.Duration

	mu       sync.Mutex
	open     int
	byTenant map[string]int
}

func newEventStreams(most int) *eventStreams {
	return &eventStreams{most: most, heartbeat: heartbeat, byTenant: make(map[string]int)}
}

// admit counts a stream in.
func (x *eventStreams) admit(tenant string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.open >= x.most {
		return decision.Errorf(decision.KindUnavailable, "%d streams of events are open, the most this node has", x.open)
	}
	if share := max(x.most/tenantShare, 1); x.byTenant[tenant] >= share {
		return decision.Errorf(decision.KindRateLimited, "%d streams of events are open, the most a tenant may have on a node", share)
	}
	x.open++
	x.byTenant[tenant]++
	return nil
}

func (x *eventStreams) release(tenant string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open--
	if x.byTenant[tenant]--; x.byTenant[tenant] == 0 {
		delete(x.byTenant, tenant)
	}
}

// eventQuery is what a request for events asks for.
type eventQuery struct {
	filter event.Filter
	after  event.ID
	stream bool
}

// events answers with the tenant's events, as a stream or as a page.
func (s *Server) events(rq *request) error {
	q, err := rq.eventQuery()
	if err != nil {
		return err
	}
	p, err := rq.page()
	if err != nil {
		return err
	}
	if q.stream {
		return s.streamEvents(rq, q)
	}
	view := s.engine.Events(rq.tenant())
	page := view.Page(q.after, q.filter, p.Limit)
	out := eventPage{Data: make([]*event.Event, len(page.Events)), Cursor: page.Through, HasMore: page.More, Missed: page.Missed}
	for i := range page.Events {
		out.Data[i] = &page.Events[i]
	}
	return rq.reply(fasthttp.StatusOK, out)
}

// eventPage is a page of events, oldest first.
type eventPage struct {
	Data    []*event.Event `json:"data"`
	Cursor  event.ID       `json:"cursor"` // what to ask for after this page
	HasMore bool           `json:"hasMore"`
	// Missed: events between where the page was to begin and its first are not kept
	// any more.
	Missed bool `json:"missed"`
}

func (rq *request) eventQuery() (q eventQuery, err error) {
	switch v := string(rq.query.Peek("format")); v {
	case "", "sse":
		q.stream = true
	case "json":
	default:
		return q, decision.Invalid("format", "must be sse or json, got %q", clip(v))
	}
	if n := len(rq.query.Peek("types")); n > maxTypes {
		return q, decision.Invalid("types", "must be at most %d bytes, got %d", maxTypes, n)
	}
	if v := string(rq.query.Peek("types")); v != "" {
		q.filter = strings.Split(v, ",")
		for _, entry := range q.filter {
			if !event.Known(entry) {
				return q, decision.Invalid("types", "must be types of events, or groups of them such as registry.*, with commas between, got %q", clip(entry))
			}
		}
	}
	name, after := "Last-Event-ID", rq.lastEventID // it is newer than the URL that a client repeats
	if after == "" {
		name = "after"
		if after, err = rq.queryText(name); err != nil {
			return q, err
		}
	}
	if after == "" && q.stream {
		after = afterLatest
	}
	view := rq.server.engine.Events(rq.tenant())
	switch after {
	case afterLatest:
		q.after = view.Last()
	case "", afterOldest:
		q.after = view.Dropped
	default:
		var ok bool
		if q.after, ok = event.ParseID(after); !ok {
			return q, decision.Invalid(name, "must be the id of an event, oldest or latest, got %q", clip(after))
		}
	}
	return q, nil
}

func (s *Server) streamEvents(rq *request, q eventQuery) error {
	tenant := rq.tenant()
	if err := s.streams.admit(tenant); err != nil {
		return err
	}
	s.metrics.streams.Inc()
	rq.contentType = mediaEvents
	x := &eventStream{rq: rq, tenant: tenant, filter: q.filter, at: q.after, listener: s.engine.Listen(tenant), beat: time.NewTimer(s.streams.heartbeat)}
	x.out = append(rq.out[:0], fmt.Sprintf("retry: %d\n", reconnectAfter.Milliseconds())...)
	x.out = x.appendBeat(x.out)
	rq.replyStream = x
	return nil
}

// eventStream is a stream of events on its way to a client. It keeps its place in
// the tenant's events and nothing else: the connection's own goroutine reads it as
// fast as the client takes it. A client that does not take anything is lost by the
// write time-out; one that falls behind is cut.
type eventStream struct {
	rq       *request
	tenant   string
	filter   event.Filter
	at       event.ID
	listener *engine.Listener
	beat     *time.Timer
	out      []byte // what has not been read yet
	current  bool   // it was up to date once
	ended    bool
}

// Read returns the next bytes; it waits for them.
func (x *eventStream) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			x.rq.server.metrics.panics.Inc()
			x.rq.server.log.Error().Str("requestId", x.rq.id).Str("panic", fmt.Sprint(r)).Msg("a stream panicked")
			n, err = 0, errStreamPanicked
		}
	}()
	for len(x.out) == 0 {
		if x.ended {
			return 0, io.EOF
		}
		x.out = x.next(x.rq.out[:0])
		x.rq.out = x.out
	}
	n = copy(p, x.out)
	x.out = x.out[n:]
	cfg := &x.rq.server.cfg
	extend(x.rq.conn, cfg.ReadTimeout, cfg.WriteTimeout)
	return n, nil
}

// frames appends the events that there are, some of them at a time.
func (x *eventStream) frames(dst []byte, view *event.View) []byte {
	if rest, _ := view.After(x.at); x.current && len(rest) > maxLag {
		return x.end(dst, cutSlow, fmt.Sprintf("the stream fell %d events behind; connect again to go on from the last one", len(rest)))
	}
	page := view.Page(x.at, x.filter, streamBatch)
	if page.Missed {
		dst = appendReset(dst, x.at, view)
	}
	for i := range page.Events {
		dst = appendFrame(dst, &page.Events[i])
	}
	x.at = page.Through
	return dst
}

// next appends the events that there are, or waits for something to append.
func (x *eventStream) next(dst []byte) []byte {
	s := x.rq.server
	view := s.engine.Events(x.tenant)
	if dst = x.frames(dst, &view); len(dst) > 0 {
		return dst
	}
	x.current = true
	select {
	case <-x.listener.Woken():
	case <-s.drained:
		return x.end(dst, cutShutdown, "this node stops; connect again, to another node")
	case <-x.rq.ctx.Done():
		return x.end(dst, cutShutdown, "this node stops; connect again, to another node")
	case <-x.beat.C:
		x.beat.Reset(s.streams.heartbeat)
		switch {
		case !s.engine.Holds(&x.rq.principal):
			return x.end(dst, cutKey, "the key was revoked or has expired")
		case s.gate.Ready() != nil:
			return x.end(dst, cutNotReady, "this node is not ready; connect again, to another node")
		}
		return x.appendBeat(dst)
	}
	return dst
}

// end appends why the stream ends.
func (x *eventStream) end(dst []byte, reason, why string) []byte {
	x.ended = true
	x.rq.server.metrics.cut.WithLabelValues(reason).Inc()
	return append(append(append(dst, ": "...), why...), "\n\n"...)
}

// appendBeat appends a heartbeat. It tells the client where it is, so that one whose
// filter chooses little does not go on from long ago.
func (x *eventStream) appendBeat(dst []byte) []byte {
	dst = append(append(dst, ": heartbeat\nid: "...), x.at.String()...)
	return append(dst, "\n\n"...)
}

// appendFrame appends an event.
func appendFrame(dst []byte, e *event.Event) []byte {
	dst = append(append(dst, "id: "...), e.ID.String()...)
	dst = append(append(dst, "\nevent: "...), e.Type...)
	return append(e.Append(append(dst, "\ndata: "...)), "\n\n"...)
}

// appendReset appends that events behind after are not kept any more.
func appendReset(dst []byte, after event.ID, v *event.View) []byte {
	return fmt.Appendf(dst, "id: %s\nevent: reset\ndata: {\"after\":\"%s\",\"through\":\"%s\"}\n\n", v.Dropped, after, v.Dropped)
}

// Close gives the stream's place and its request back.
func (x *eventStream) Close() error {
	if x.rq == nil {
		return nil
	}
	rq := x.rq
	x.rq = nil
	x.listener.Close()
	x.beat.Stop()
	rq.server.streams.release(x.tenant)
	rq.server.metrics.streams.Dec()
	rq.release()
	return nil
}
