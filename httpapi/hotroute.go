package httpapi

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// hotRoutes finds the few routes that carry most requests, without allocating.
type hotRoutes []hotRoute

type hotRoute struct {
	method string
	prefix string // of the path, up to its parameter; all of it without one
	suffix string // of the path, after its parameter
	param  bool
	serve  func(ctx *fasthttp.RequestCtx, param string)
}

func (s *Server) newHotRoutes(routes []*route) (hot hotRoutes) {
	for _, rt := range routes {
		if !rt.hot {
			continue
		}
		prefix, rest, param := strings.Cut(rt.path, "{")
		_, suffix, _ := strings.Cut(rest, "}")
		hot = append(hot, hotRoute{method: rt.method, prefix: prefix, suffix: suffix, param: param, serve: s.serve(rt)})
	}
	return hot
}

// find returns the route of a path as it was sent, and its parameter, which
// shares the path's memory; nil when it is none of these. It matches what the
// router would: a parameter is one segment and not empty.
func (hot hotRoutes) find(method, path string) (rt *hotRoute, param string) {
	for i := range hot {
		rt := &hot[i]
		if rt.method != method {
			continue
		}
		if !rt.param {
			if path == rt.prefix {
				return rt, ""
			}
			continue
		}
		rest, ok := strings.CutPrefix(path, rt.prefix)
		if !ok {
			continue
		}
		if param, ok := strings.CutSuffix(rest, rt.suffix); ok && param != "" && strings.IndexByte(param, '/') < 0 {
			return rt, param
		}
	}
	return nil, ""
}
