package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/learn"
)

// request is what a handler sees of a request, and where it puts its answer.
// fasthttp recycles its own context, so everything a handler may touch was
// copied into the memory of the request; all of that is recycled in turn once
// the answer is written, so nothing of it may be kept.
type request struct {
	server         *Server
	route          *route
	ctx            context.Context
	conn           net.Conn // for the deadlines of streams only
	id             string
	principal      engine.Principal
	params         [2]string // of the path, in its order
	query          fasthttp.Args
	body           []byte
	stream         bodyReader // the body, where the route streams it
	idempotencyKey string
	strict         bool // unknown fields are refused
	ndjson         bool // the body is NDJSON and unread
	keyless        bool // nobody's key, on a route that is open to that
	lastEventID    string

	decoder
	mem    []byte // of id, params and idempotency key
	buffer []byte // of body

	// The answer.
	status       int
	out          []byte
	contentType  string
	appliedIndex uint64
	replyStream  replyStream
	replySize    int    // bytes of the stream; 0: not known
	retryAfter   int    // seconds; 0 is none
	rateLimit    string // RateLimit header of a limit that the log counts; empty: none
	ratePolicy   string // and its policy
	extra        string // put after an error envelope's error

	// Working memory of the scoring and outcome handlers.
	rng      *rand.Rand
	score    scoreMemory
	outcomes outcomeMemory
	serve    serveMemory
}

// Memory beyond these bounds is not kept for the next request: one large body
// must not pin memory for ever.
const (
	keepBytes = 256 << 10
	keepRows  = 16 << 10
)

// begin makes an owned request of ctx. It is the only reader of a RequestCtx
// on behalf of handlers.
func (rq *request) begin(s *Server, rt *route, ctx *fasthttp.RequestCtx, param string) {
	rq.server, rq.route, rq.ctx, rq.conn = s, rt, s.base, ctx.Conn()
	rq.mem = rq.mem[:0]
	h := &ctx.Request.Header
	at := len(rq.mem)
	if id := h.PeekCanonical(headerRequestID); saneRequestID(id) {
		rq.mem = append(rq.mem, id...)
	} else {
		rq.mem = requestIDs.append(rq.mem)
	}
	rq.id = alias(rq.mem[at:])
	rq.params = [2]string{} // the last request may have had more
	for i, name := range rt.params {
		at := len(rq.mem)
		raw := param
		if raw == "" {
			raw, _ = ctx.UserValue(name).(string)
		}
		rq.mem = appendUnescaped(rq.mem, raw)
		rq.params[i] = alias(rq.mem[at:])
	}
	rq.query.Reset()
	if q := ctx.URI().QueryString(); len(q) > 0 {
		rq.query.ParseBytes(q)
	}
	rq.status, rq.out, rq.contentType = fasthttp.StatusOK, rq.out[:0], mediaJSON
	rq.body = nil
}

// release empties the request for the next one.
func (rq *request) release() {
	rq.principal = engine.Principal{}
	rq.ctx, rq.conn, rq.stream, rq.replyStream = nil, nil, bodyReader{}, nil
	rq.idempotencyKey, rq.appliedIndex, rq.retryAfter, rq.extra, rq.replySize = "", 0, 0, "", 0
	rq.rateLimit, rq.ratePolicy, rq.lastEventID, rq.keyless = "", "", "", false
	rq.body = nil
	if cap(rq.buffer) > keepBytes {
		rq.buffer = nil
	}
	if cap(rq.out) > keepBytes {
		rq.out = nil
	}
	if cap(rq.decoder.rows) > keepRows || cap(rq.decoder.names) > keepBytes || cap(rq.decoder.unquote) > keepBytes {
		rq.decoder = decoder{}
	}
	rq.score.trim()
	rq.outcomes.trim()
	rq.serve.trim()
	rq.server.requests.Put(rq)
}

// beginBody starts decoding the body.
func (rq *request) beginBody() error { return rq.decoder.begin(rq.body, rq.strict) }

// readHeaders takes over the headers that mean the same on every route.
func (rq *request) readHeaders(h *fasthttp.RequestHeader) error {
	rq.strict = bytes.Contains(h.PeekCanonical(headerPrefer), preferStrict)
	strict, err := rq.flag("strict", rq.strict)
	if err != nil {
		return err
	}
	rq.strict = strict
	if rq.route.resumes {
		rq.lastEventID = string(h.PeekCanonical(headerLastEventID))
	}
	if !rq.route.write {
		return nil
	}
	key := h.PeekCanonical(headerIdempotencyKey)
	if len(key) == 0 {
		return nil
	}
	if !visibleASCII(key) {
		return decision.Invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters, got %q", clip(string(key)))
	}
	rq.idempotencyKey = string(key)
	return nil
}

// visibleASCII reports whether b is 1 to 255 visible ASCII characters.
func visibleASCII(b []byte) bool {
	if len(b) == 0 || len(b) > 255 {
		return false
	}
	for _, ch := range b {
		if ch <= ' ' || ch >= 0x7f {
			return false
		}
	}
	return true
}

// param returns a parameter of the path in memory of its own, as a write needs
// it; a read may use params.
func (rq *request) param(i int) string { return strings.Clone(rq.params[i]) }

// tenant is the tenant whose objects the request is about.
func (rq *request) tenant() string { return rq.principal.TenantID }

// write is the context of a change. Its strings are copies: the log and the
// idempotency table may keep them.
func (rq *request) write() engine.Write {
	w := engine.Write{
		Principal: rq.principal, RequestID: strings.Clone(rq.id), IdempotencyKey: rq.idempotencyKey,
	}
	if w.IdempotencyKey != "" {
		sum := fnv.New64a()
		for _, part := range [...][]byte{
			[]byte(rq.route.method), []byte(rq.route.path), []byte(rq.params[0]), []byte(rq.params[1]), rq.query.QueryString(), rq.body,
		} {
			_, _ = sum.Write(part)
			_, _ = sum.Write([]byte{0})
		}
		w.Fingerprint = sum.Sum64()
	}
	return w
}

// flag reads a boolean query parameter.
func (rq *request) flag(name string, otherwise bool) (bool, error) {
	v := rq.query.Peek(name)
	switch string(v) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "":
		if !rq.query.Has(name) {
			return otherwise, nil
		}
	}
	return otherwise, decision.Invalid(name, "must be true or false, got %q", clip(string(v)))
}

// queryText reads a text query parameter of at most 255 characters.
func (rq *request) queryText(name string) (string, error) {
	v := rq.query.Peek(name)
	if !utf8.Valid(v) {
		return "", decision.Invalid(name, "must be UTF-8")
	}
	if n := utf8.RuneCount(v); n > maxName {
		return "", decision.Invalid(name, "must be at most %d characters, got %d", maxName, n)
	}
	return string(v), nil
}

// The bounds of a page.
const (
	defaultLimit = 50
	maxLimit     = 100
	maxCursor    = 1024
)

// page reads limit and cursor.
func (rq *request) page() (engine.Page, error) {
	p := engine.Page{Limit: defaultLimit}
	if rq.query.Has("limit") {
		v := string(rq.query.Peek("limit"))
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			return p, decision.Invalid("limit", "must be a whole number from 1 to %d, got %q", maxLimit, clip(v))
		}
		p.Limit = n
	}
	cursor := rq.query.Peek("cursor")
	if len(cursor) > maxCursor {
		return p, decision.Invalid("cursor", "is not one that this API gave")
	}
	p.Cursor = string(cursor)
	return p, nil
}

// wrote notes where a write went, for X-Applied-Index.
func (rq *request) wrote(r engine.Receipt) { rq.appliedIndex = r.Index }

// reply answers with v as JSON.
func (rq *request) reply(status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return &decision.Error{Kind: decision.KindInternal, Op: "httpapi.reply", Err: err}
	}
	rq.status = status
	rq.out = append(rq.out, b.Bytes()...)
	return nil
}

// replyEmpty answers without a body.
func (rq *request) replyEmpty() error {
	rq.status, rq.contentType = fasthttp.StatusNoContent, ""
	return nil
}

// pagination is the tail of every list.
type pagination struct {
	Total   int64   `json:"total"`
	HasMore bool    `json:"hasMore"`
	Limit   int     `json:"limit"`
	Cursor  *string `json:"cursor"`
}

// list is the shape of every list.
type list[T any] struct {
	Data       []T        `json:"data"`
	Pagination pagination `json:"pagination"`
}

// replyList answers with a part of a list.
func replyList[T any](rq *request, p engine.Page, l engine.List[T]) error {
	out := list[T]{Data: l.Items, Pagination: pagination{Total: l.Total, HasMore: l.HasMore, Limit: p.Limit}}
	if out.Data == nil {
		out.Data = []T{}
	}
	if l.HasMore {
		out.Pagination.Cursor = &l.Cursor
	}
	return rq.reply(fasthttp.StatusOK, out)
}

// scoreMemory is the working memory of the scoring handlers.
type scoreMemory struct {
	request learn.Request
	result  learn.Result
	// decisionID is what the client calls the decision, for outcomes to name.
	decisionID string
	newID      []byte // memory of one that the engine gives
	arms       []learn.ArmScore
	base       decision.Row
	offers     []engine.Offer
	ids        map[string]struct{}
	ranked     []engine.OfferScore
	scratch    engine.RankScratch
}

func (m *scoreMemory) trim() {
	m.request, m.decisionID = learn.Request{}, ""
	clear(m.offers)
	m.offers = m.offers[:0]
	clear(m.ids)
	if cap(m.offers) > 2*maxOffers {
		*m = scoreMemory{}
	}
}

// outcomeMemory is the working memory of the outcome handlers.
type outcomeMemory struct {
	inputs  []engine.OutcomeInput
	results []engine.OutcomeResult
	places  []int // where in the request each input was
	failed  []outcomeFailure
}

func (m *outcomeMemory) trim() {
	clear(m.inputs)
	clear(m.results)
	clear(m.failed)
	m.inputs, m.results, m.places, m.failed = m.inputs[:0], m.results[:0], m.places[:0], m.failed[:0]
}
