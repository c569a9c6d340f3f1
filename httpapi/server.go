package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/pprofhandler"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/engine"
)

// serverName is the Server header of every answer.
const serverName = "praetor"

// gate is what the server itself, apart from the handlers, asks of the engine.
type gate interface {
	Authenticate(raw []byte) (engine.Principal, bool)
	TenantExists(id string) bool
	Ready() error
	Stale() bool
	AppliedIndex() uint64
	WaitApplied(ctx context.Context, index uint64) error
	Barrier(ctx context.Context) error
}

// Server serves the API. It is made by New, started once by Serve or
// ListenAndServe, and ended by Shutdown; all methods may be called from any
// goroutine.
type Server struct {
	cfg      Config
	gate     gate
	engine   *engine.Engine
	log      zerolog.Logger
	gatherer prometheus.Gatherer
	metrics  *metrics
	tls      *tls.Config // nil: none
	limiters map[Class]*limiter
	now      func() time.Time // for rate limits and outcome times

	fast     *fasthttp.Server
	hot      hotRoutes
	router   fasthttp.RequestHandler // what is not in hot
	requests sync.Pool               // of *request
	base     context.Context         // of all requests; ends when Shutdown gives up waiting
	cancel   context.CancelFunc
	draining atomic.Bool
	drained  chan struct{} // closed by Drain
	streams  *eventStreams

	mu       sync.Mutex
	admin    *fasthttp.Server
	listener net.Listener // nil until Serve
	shut     bool         // Shutdown was called
}

// New makes a server of the engine. Its series are registered with reg, and
// /metrics shows all of reg. An error names everything wrong with cfg, or the
// first fault of the route table.
func New(cfg Config, eng *engine.Engine, log zerolog.Logger, reg *prometheus.Registry) (*Server, error) {
	s, err := newServer(cfg, eng, log, reg)
	if err != nil {
		return nil, err
	}
	s.engine = eng
	doc, err := loadDocument()
	if err != nil {
		return nil, err
	}
	if err := s.mount(slices.Concat(s.apiRoutes(), s.optimizationRoutes(), s.warehouseRoutes(), s.systemRoutes(doc))); err != nil {
		return nil, err
	}
	return s, nil
}

// newServer makes a server without routes.
func newServer(cfg Config, g gate, log zerolog.Logger, reg *prometheus.Registry) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	s := &Server{
		cfg: cfg, gate: g, log: log, gatherer: reg, metrics: m, now: time.Now,
		limiters: make(map[Class]*limiter), drained: make(chan struct{}),
		streams: newEventStreams(cfg.MaxEventStreams),
	}
	for class, l := range cfg.RateLimits {
		s.limiters[class] = newLimiter(class, l)
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("httpapi: TLS certificate: %w", err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	s.requests.New = func() any { return &request{rng: s.newRand()} }
	s.base, s.cancel = context.WithCancel(context.Background())
	s.fast = &fasthttp.Server{
		Handler: s.handle, ErrorHandler: s.refuseMalformed, Name: serverName,
		ReadTimeout: cfg.ReadTimeout, WriteTimeout: cfg.WriteTimeout, IdleTimeout: cfg.IdleTimeout,
		ReadBufferSize: cfg.MaxHeaderBytes, MaxRequestBodySize: cfg.MaxBody,
		// The listener counts connections; one more worker than it admits.
		Concurrency: cfg.MaxConns + 1,
		// Bodies are read by the handlers (see bodyReader), never by the server.
		StreamRequestBody: true, DisablePreParseMultipartForm: true,
		CloseOnShutdown: true, NoDefaultContentType: true, SecureErrorLogMessage: true,
		Logger: fastLogger{log},
	}
	return s, nil
}

// mount makes the router from the table.
func (s *Server) mount(routes []*route) error {
	if err := bindRoutes(routes, s.metrics); err != nil {
		return err
	}
	s.hot = s.newHotRoutes(routes)
	s.router = s.newRouter(routes).Handler
	return nil
}

// ListenAndServe listens on the configured address and serves until Shutdown.
func (s *Server) ListenAndServe() error {
	ln, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	return s.Serve(ln)
}

// Serve serves the connections of ln, which it owns and wraps in TLS where that
// is configured, until Shutdown. It refuses a listener that is reachable from
// elsewhere without TLS, unless the configuration says Insecure.
func (s *Server) Serve(ln net.Listener) error {
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && s.tls == nil && !s.cfg.Insecure && !addr.IP.IsLoopback() {
		_ = ln.Close()
		return fmt.Errorf("httpapi: refusing to listen on %s without TLS: it is not loopback", addr)
	}
	s.mu.Lock()
	shut := s.shut
	s.listener = ln
	s.mu.Unlock()
	if shut {
		_ = ln.Close()
		return nil
	}
	if err := s.serveAdmin(); err != nil {
		_ = ln.Close()
		return err
	}
	ln = newLimitListener(ln, &s.cfg, s.tls == nil, s.metrics)
	if s.tls != nil {
		ln = tls.NewListener(ln, s.tls)
	}
	err := s.fast.Serve(ln)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.shut {
		return fmt.Errorf("httpapi: %w", err)
	}
	return nil
}

// serveAdmin starts the profiler's own listener, if there is to be one.
func (s *Server) serveAdmin() error {
	if s.cfg.AdminAddr == "" {
		return nil
	}
	ln, err := net.Listen("tcp", s.cfg.AdminAddr)
	if err != nil {
		return fmt.Errorf("httpapi: admin: %w", err)
	}
	admin := &fasthttp.Server{
		Handler: pprofhandler.PprofHandler, Name: serverName, Logger: fastLogger{s.log},
		ReadTimeout: s.cfg.ReadTimeout, IdleTimeout: s.cfg.IdleTimeout, Concurrency: 16,
	}
	s.mu.Lock()
	s.admin = admin
	s.mu.Unlock()
	s.log.Info().Stringer("addr", ln.Addr()).Msg("profiler listening")
	go func() {
		if err := admin.Serve(ln); err != nil {
			s.log.Error().Err(err).Msg("profiler stopped")
		}
	}()
	return nil
}

// Drain turns readiness off, so that a balancer stops sending; requests are
// still served, but streams of events end.
func (s *Server) Drain() {
	if !s.draining.Swap(true) {
		close(s.drained)
	}
}

// Shutdown turns readiness off, stops listening, finishes the requests in
// flight and returns. When ctx ends first, it cancels what still runs and
// returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	defer s.cancel()
	s.mu.Lock()
	admin, ln := s.admin, s.listener
	s.shut = true
	s.mu.Unlock()
	err := s.fast.ShutdownWithContext(ctx)
	if ln != nil {
		_ = ln.Close() // fasthttp closes it too, unless it was just about to serve
	}
	if admin != nil {
		err = errors.Join(err, admin.ShutdownWithContext(ctx))
	}
	return err
}

// refuseMalformed answers what the server could not read as a request; the
// connection is closed after it.
func (s *Server) refuseMalformed(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var ne net.Error
	e := &decision.Error{Kind: decision.KindBadRequest, Msg: "the request is not well-formed HTTP", Err: err}
	switch {
	case errors.As(err, &small):
		e.Kind = decision.KindHeaderTooLarge
		e.Msg = fmt.Sprintf("the header is larger than the %d bytes permitted", s.cfg.MaxHeaderBytes)
	case errors.As(err, &ne) && ne.Timeout():
		e.Kind, e.Msg = decision.KindRequestTimeout, "the request did not arrive in time"
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		e = asError(errTooLarge(s.cfg.MaxBody))
	}
	s.refuse(ctx, e, rejectParse)
}

// refuse answers a request that has no route of its own.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, e *decision.Error, reason string) {
	s.metrics.reject(reason)
	id := string(ctx.Request.Header.Peek("X-Request-Id"))
	if !saneRequestID([]byte(id)) {
		id = requestIDs.next()
	}
	ctx.Response.Reset()
	ctx.Response.SetStatusCode(answerOf(e.Kind).status)
	ctx.Response.Header.SetContentType(mediaJSON)
	ctx.Response.Header.Set("X-Request-Id", id)
	if isV2(string(ctx.Path())) {
		ctx.Response.SetBody(appendErrorV2(nil, e, id))
		return
	}
	ctx.Response.SetBody(appendError(nil, e, id, ""))
}

// handle is every request's entrance: it refuses what must not reach the
// router.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	if err := checkFraming(h.RawHeaders()); err != nil {
		s.refuse(ctx, asError(err), rejectParse)
		ctx.SetConnectionClose()
		return
	}
	if err := checkTarget(h.RequestURI()); err != nil {
		s.refuse(ctx, asError(err), rejectPath)
		s.settleBody(ctx)
		return
	}
	if rt, param := s.hot.find(alias(h.Method()), alias(ctx.URI().PathOriginal())); rt != nil {
		rt.serve(ctx, param)
		return
	}
	s.router(ctx)
}

func (s *Server) notFound(ctx *fasthttp.RequestCtx) {
	s.refuse(ctx, decision.Errorf(decision.KindNotFound, "no route %s", clip(string(ctx.Path()))), rejectPath)
	s.settleBody(ctx)
}

// methodNotAllowed answers 405; the router has set Allow.
func (s *Server) methodNotAllowed(ctx *fasthttp.RequestCtx) {
	// The router offers OPTIONS on every path, which this API does not have.
	methods := strings.Split(string(ctx.Response.Header.Peek("Allow")), ", ")
	allow := strings.Join(slices.DeleteFunc(methods, func(m string) bool { return m == fasthttp.MethodOptions }), ", ")
	s.refuse(ctx, decision.Errorf(decision.KindMethodNotAllowed, "method %s is not for this path, want %s", clip(string(ctx.Method())), allow), rejectPath)
	ctx.Response.Header.Set("Allow", allow)
	s.settleBody(ctx)
}

// settleBody leaves the connection behind the request's body, or closes it.
func (s *Server) settleBody(ctx *fasthttp.RequestCtx) {
	body := newBodyReader(ctx)
	if !body.done && !body.drain(ctx.Conn(), make([]byte, firstRead)) {
		ctx.SetConnectionClose()
	}
}

// fastLogger passes fasthttp's own complaints on.
type fastLogger struct{ log zerolog.Logger }

// Printf logs one complaint.
func (l fastLogger) Printf(format string, args ...any) {
	l.log.Debug().Str("component", "http").Msgf(format, args...)
}
