package httpapi

import (
	"testing"

	"github.com/valyala/fasthttp"
)

// What the hot routes find is what the router would have found.
func TestHotRoutesAgreeWithTheRouter(t *testing.T) {
	a := startAPI(t)
	hot := a.Server.hot
	if len(hot) == 0 {
		t.Fatal("no route is hot")
	}
	const models, families = "/api/v1/algorithm-models/", "/api/v1/families/"
	for path, want := range map[string]struct{ suffix, param string }{
		models + "m1/score":             {"/score", "m1"},
		families + "f%C3%A9/score":      {"/score", "f%C3%A9"},
		families + "f/score-offer-set":  {"/score-offer-set", "f"},
		families + "f/g/score":          {"none", ""},
		families + "f":                  {"none", ""},
		models + "m%201/score":          {"/score", "m%201"},
		models + "m1/score-offer-set":   {"/score-offer-set", "m1"},
		models + "score/score":          {"/score", "score"},
		"/api/v1/respond":               {"", ""},
		"/api/v1/respond/bulk":          {"", ""},
		models + "m1/x/score":           {"none", ""},
		models + "m1/scores":            {"none", ""},
		models + "m1/score/":            {"none", ""},
		models + "m1":                   {"none", ""},
		"/api/v1/respond/":              {"none", ""},
		"/api/v1/respond/bulk/more":     {"none", ""},
		"/API/v1/respond":               {"none", ""},
		"/api/v1/algorithm-modelsscore": {"none", ""},
	} {
		rt, param := hot.find(post, path)
		if found := rt != nil; found != (want.suffix != "none") {
			t.Errorf("%s: found %v", path, found)
			continue
		}
		if rt != nil && (rt.suffix != want.suffix || param != want.param) {
			t.Errorf("%s: got the route with suffix %q and parameter %q, want %q and %q", path, rt.suffix, param, want.suffix, want.param)
		}
		if rt, _ := hot.find(get, path); rt != nil {
			t.Errorf("GET %s is found", path)
		}
		// The router knows each of these as POST exactly when it was found.
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(post)
		ctx.Request.SetRequestURI(path)
		a.Server.router(&ctx)
		routed := ctx.Response.StatusCode() == fasthttp.StatusUnauthorized // no key
		if routed != (rt != nil) {
			t.Errorf("%s: the router answers %d, the hot routes find it: %v", path, ctx.Response.StatusCode(), rt != nil)
		}
	}
	if n := testing.AllocsPerRun(100, func() { hot.find(post, models+"m1/score") }); n != 0 {
		t.Errorf("%v allocations to find a route, want 0", n)
	}
}
