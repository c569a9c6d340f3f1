package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"runtime/debug"
	"strconv"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
)

// replyStream is the body of an answer that is made while it is sent. Close is
// called once, also when the client went away.
type replyStream interface {
	io.Reader
	io.Closer
}

// serve returns what answers the route's requests. param is the raw value of the
// path's parameter; empty: the router has it.
func (s *Server) serve(rt *route) func(ctx *fasthttp.RequestCtx, param string) {
	return func(ctx *fasthttp.RequestCtx, param string) {
		start := time.Now()
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		rq := s.requests.Get().(*request)
		rq.begin(s, rt, ctx, param)
		rq.stream = newBodyReader(ctx)
		panicked, err := rq.run(ctx)
		if err != nil {
			rq.fail(ctx, asError(err))
		}
		status := rq.status // a stream takes the request along
		streams := rq.send(ctx)
		rt.metrics.observe(status, time.Since(start))
		switch {
		case panicked: // its memory may be in any state
			ctx.SetConnectionClose()
		case !streams:
			if !rq.stream.done && !rq.stream.drain(rq.conn, rq.scratch()) {
				ctx.SetConnectionClose()
			}
			rq.release()
		}
	}
}

// scratch is memory for bytes that nobody reads.
func (rq *request) scratch() []byte {
	if cap(rq.buffer) < firstRead {
		rq.buffer = make([]byte, 0, firstRead)
	}
	return rq.buffer[:cap(rq.buffer)]
}

// run takes the request through every check to its handler. A panic becomes an
// internal error; the server lives on.
func (rq *request) run(ctx *fasthttp.RequestCtx) (panicked bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			rq.server.metrics.panics.Inc()
			rq.server.log.Error().Str("requestId", rq.id).Str("route", rq.route.path).
				Str("panic", fmt.Sprint(p)).Bytes("stack", debug.Stack()).Msg("a handler panicked")
			panicked, err = true, &decision.Error{Kind: decision.KindInternal, Op: "httpapi"}
		}
	}()
	if err := rq.admit(ctx); err != nil {
		return false, err
	}
	return false, rq.route.handle(rq)
}

// admit does everything that comes before the handler, the cheapest and the
// most telling checks first.
func (rq *request) admit(ctx *fasthttp.RequestCtx) error {
	h := &ctx.Request.Header
	if err := rq.authorise(h); err != nil {
		return err
	}
	if err := rq.limitRate(&ctx.Response.Header); err != nil {
		return err
	}
	ndjson, err := checkMedia(h.ContentType(), h.ContentEncoding(), !rq.stream.done, rq.route.ndjson)
	if err != nil {
		return err
	}
	if err := rq.readHeaders(h); err != nil {
		return err
	}
	if err := rq.awaitIndex(h.PeekCanonical(headerMinIndex)); err != nil {
		return err
	}
	if rq.ndjson = ndjson; ndjson {
		return nil
	}
	most := rq.route.maxBody
	if most == 0 {
		most = rq.server.cfg.MaxBody
	}
	if t := rq.route.bodyTime; t > 0 {
		extend(rq.conn, t, t+rq.server.cfg.WriteTimeout)
	}
	rq.buffer, err = rq.stream.readAll(rq.buffer[:0], most)
	rq.body = rq.buffer
	return err
}

// limitRate counts the request against its tenant's share of the class.
func (rq *request) limitRate(h *fasthttp.ResponseHeader) error {
	l := rq.server.limiters[rq.route.class]
	if l == nil {
		return nil
	}
	if rq.keyless && rq.tenant() == "" {
		return nil // the body will tell; see limitPublic
	}
	who := rq.tenant()
	if rq.keyless {
		who = publicWindow + rq.params[0]
	}
	ok, remaining, wait := l.allow(who, rq.server.now())
	h.Set("RateLimit-Policy", l.policy)
	h.Set("RateLimit", l.state(remaining, wait))
	if ok {
		return nil
	}
	return rq.overLimit(l, wait)
}

// publicWindow begins the name of the window of an optimization's requests without a
// key: they leave its tenant's own share alone. No tenant has such an id.
const publicWindow = "public/"

// limitPublic counts a request without a key against the share of the optimization
// that its body named.
func (rq *request) limitPublic(optimization string) error {
	l := rq.server.limiters[rq.route.class]
	if l == nil {
		return nil
	}
	ok, remaining, wait := l.allow(publicWindow+optimization, rq.server.now())
	rq.ratePolicy, rq.rateLimit = l.policy, l.state(remaining, wait)
	if ok {
		return nil
	}
	return rq.overLimit(l, wait)
}

// overLimit refuses a request beyond a limit.
func (rq *request) overLimit(l *limiter, wait time.Duration) error {
	rq.retryAfter = seconds(wait)
	return decision.Errorf(decision.KindRateLimited, "more than %d requests of class %q in %v; the next is possible in %d s",
		l.limit.Requests, l.class, l.limit.Window, rq.retryAfter)
}

// awaitIndex gives a read what it asked for: X-Min-Index waits until this node
// has applied the index, ?consistency=strong until it has applied everything
// that was acknowledged before.
func (rq *request) awaitIndex(minIndex []byte) error {
	rt, s := rq.route, rq.server
	if rt.write || rt.idle {
		return nil
	}
	if len(minIndex) > 0 {
		index, err := strconv.ParseUint(string(minIndex), 10, 64)
		if err != nil {
			return decision.Invalid("X-Min-Index", "must be a log index, got %q", clip(string(minIndex)))
		}
		if s.gate.AppliedIndex() < index {
			ctx, cancel := context.WithTimeout(rq.ctx, s.cfg.MinIndexWait)
			defer cancel()
			if err := s.gate.WaitApplied(ctx, index); err != nil {
				return unavailable(err, fmt.Sprintf("index %d is not applied on this node yet, it is at %d", index, s.gate.AppliedIndex()))
			}
		}
	}
	if !rt.strong || !rq.query.Has("consistency") {
		return nil
	}
	switch v := string(rq.query.Peek("consistency")); v {
	case "local":
		return nil
	case "strong":
	default:
		return decision.Invalid("consistency", "must be strong or local, got %q", clip(v))
	}
	return rq.barrier()
}

// barrier waits until this node has applied everything that was acknowledged
// before.
func (rq *request) barrier() error {
	ctx, cancel := context.WithTimeout(rq.ctx, rq.server.cfg.MinIndexWait)
	defer cancel()
	if err := rq.server.gate.Barrier(ctx); err != nil {
		return unavailable(err, "a linearizable read is not possible now")
	}
	return nil
}

// unavailable makes a 503 of the end of a bounded wait, whatever ended it.
func unavailable(err error, msg string) error {
	var e *decision.Error
	if errors.As(err, &e) && e.Kind != decision.KindInternal {
		return err
	}
	return &decision.Error{Kind: decision.KindUnavailable, Msg: msg, Err: err}
}

// fail turns the answer into an error envelope.
func (rq *request) fail(ctx *fasthttp.RequestCtx, e *decision.Error) {
	if rq.replyStream != nil {
		_ = rq.replyStream.Close()
		rq.replyStream = nil
	}
	rq.status, rq.contentType = answerOf(e.Kind).status, mediaJSON
	if rq.route.v2 {
		rq.out = appendErrorV2(rq.out[:0], e, rq.id)
	} else {
		rq.out = appendError(rq.out[:0], e, rq.id, rq.extra)
	}
	h := &ctx.Response.Header
	switch e.Kind {
	case decision.KindUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="praetor"`)
		rq.server.metrics.reject(rejectAuth)
	case decision.KindForbidden:
		rq.server.metrics.reject(rejectRole)
	case decision.KindTooLarge:
		rq.server.metrics.reject(rejectBody)
	case decision.KindRateLimited:
		rq.server.metrics.reject(rejectRate)
	case decision.KindUnavailable:
		rq.retryAfter = max(rq.retryAfter, 1)
	case decision.KindInternal:
		rq.server.log.Error().Str("requestId", rq.id).Str("route", rq.route.path).Err(e).Msg("a request failed")
	}
	if rq.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(rq.retryAfter))
	}
}

// The names of headers as fasthttp keeps them, so that looking one up needs no
// normalising.
var (
	headerAPIKey         = []byte("X-Api-Key")
	headerAppliedIndex   = []byte("X-Applied-Index")
	headerAuthorization  = []byte("Authorization")
	headerIdempotencyKey = []byte("Idempotency-Key")
	headerLastEventID    = []byte("Last-Event-Id")
	headerMinIndex       = []byte("X-Min-Index")
	headerPrefer         = []byte("Prefer")
	headerRequestID      = []byte("X-Request-Id")
	headerStale          = []byte("X-Stale")
	headerTenant         = []byte("X-Tenant-Id")

	preferStrict = []byte("handling=strict")
	valueTrue    = []byte("true")
)

// send moves the answer into fasthttp's response. It reports whether the answer
// is a stream, which then owns the request until it is closed.
func (rq *request) send(ctx *fasthttp.RequestCtx) (streams bool) {
	ctx.Response.SetStatusCode(rq.status)
	h := &ctx.Response.Header
	h.SetCanonical(headerRequestID, unsafe.Slice(unsafe.StringData(rq.id), len(rq.id)))
	if rq.contentType != "" {
		h.SetContentType(rq.contentType)
	}
	if rq.rateLimit != "" {
		h.Set("RateLimit", rq.rateLimit)
		h.Set("RateLimit-Policy", rq.ratePolicy)
	}
	index := rq.appliedIndex
	if !rq.route.write && !rq.route.idle && rq.server.gate.Stale() {
		h.SetCanonical(headerStale, valueTrue)
		index = rq.server.gate.AppliedIndex()
	}
	if index > 0 {
		var digits [20]byte
		h.SetCanonical(headerAppliedIndex, strconv.AppendUint(digits[:0], index, 10))
	}
	if rq.replyStream != nil {
		ctx.Response.ImmediateHeaderFlush = true
		if rq.contentType == mediaEvents { // nothing between may keep it, or hold it back
			h.Set("Cache-Control", "no-store")
			h.Set("X-Accel-Buffering", "no")
		}
		if ctx.IsHead() { // or the end of the stream would be sent, which a HEAD has not
			_ = rq.replyStream.Close()
			return true
		}
		size := rq.replySize
		if size == 0 {
			size = -1
		}
		ctx.Response.SetBodyStream(rq.replyStream, size)
		return true
	}
	// The response takes over the buffer and gives back its last one.
	rq.out = ctx.Response.SwapBody(rq.out)[:0]
	return false
}

// newRand makes a generator for one request's memory, seeded from the system.
func (s *Server) newRand() *mathrand.Rand {
	var seed [16]byte
	_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
	return mathrand.New(mathrand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])))
}

// extend moves a connection's deadlines, for an answer or a body that lasts
// longer than one time-out but never stands still for as long.
func extend(conn net.Conn, read, write time.Duration) {
	now := time.Now()
	_ = conn.SetReadDeadline(now.Add(read))
	_ = conn.SetWriteDeadline(now.Add(write))
}
