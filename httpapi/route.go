package httpapi

import (
	"fmt"
	"strings"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
)

// handler answers one request; what it returns becomes the error envelope.
type handler func(rq *request) error

// route is one line of the table that the router, the authorisation, the
// limits, the metrics and the documentation's test are made from.
type route struct {
	method, path string
	access       access
	handle       handler
	class        Class         // for rate limits; empty: never limited
	write        bool          // changes state: Idempotency-Key in, X-Applied-Index out
	tenantless   bool          // the operator needs no X-Tenant-Id
	open         bool          // needs no key for an optimization that says so
	strong       bool          // honours ?consistency=strong
	maxBody      int           // bytes; 0: Config.MaxBody
	bodyTime     time.Duration // for the body to arrive in; 0: Config.ReadTimeout
	ndjson       bool          // also reads NDJSON, as a stream
	resumes      bool          // a stream that goes on behind Last-Event-ID
	// hot routes are found before the router is asked, which copies a path's
	// parameter into the heap twice. They have one parameter at most.
	hot bool
	// idle routes are for probes and scrapers: they carry no state of the log,
	// so X-Min-Index and X-Stale do not concern them.
	idle bool

	v2      bool     // has the envelope of the second version
	params  []string // names of the path's parameters
	metrics *routeMetrics
}

// bind checks the table and completes it.
func bindRoutes(routes []*route, m *metrics) error {
	met := make(map[string]bool)
	for _, rt := range routes {
		name := rt.method + " " + rt.path
		switch {
		case rt.access == undeclared:
			return fmt.Errorf("httpapi: route %s declares no role", name)
		case rt.handle == nil:
			return fmt.Errorf("httpapi: route %s has no handler", name)
		case met[name]:
			return fmt.Errorf("httpapi: route %s is there twice", name)
		case rt.class == "" && rt.access != public:
			return fmt.Errorf("httpapi: route %s has no class for rate limits", name)
		case rt.class != "" && !rt.class.valid():
			return fmt.Errorf("httpapi: route %s has the unknown class %q", name, rt.class)
		}
		met[name] = true
		rt.params, rt.v2 = nil, isV2(rt.path)
		for _, segment := range strings.Split(rt.path, "/") {
			if p, ok := strings.CutPrefix(segment, "{"); ok {
				rt.params = append(rt.params, strings.TrimSuffix(p, "}"))
			}
		}
		if len(rt.params) > len(request{}.params) {
			return fmt.Errorf("httpapi: route %s has more than %d parameters", name, len(request{}.params))
		}
		rt.metrics = m.route(rt.method, rt.path)
	}
	return nil
}

// newRouter registers the table. A GET answers HEAD too. Redirects are off:
// they would echo the client's Host.
func (s *Server) newRouter(routes []*route) *router.Router {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath, r.HandleOPTIONS = false, false, false
	for _, rt := range routes {
		h := s.serve(rt)
		r.Handle(rt.method, rt.path, func(ctx *fasthttp.RequestCtx) { h(ctx, "") })
		if rt.method == fasthttp.MethodGet {
			r.Handle(fasthttp.MethodHead, rt.path, func(ctx *fasthttp.RequestCtx) { h(ctx, "") })
		}
	}
	r.NotFound = s.notFound
	r.MethodNotAllowed = s.methodNotAllowed
	return r
}
