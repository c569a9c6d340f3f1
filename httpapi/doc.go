// Package httpapi is the HTTP face of the engine: server, routes, decoding,
// authorisation, limits, and the only place that turns kinds of errors into
// statuses. It is the only package that knows fasthttp.
//
// One table (routes.go) lists every route with its role, its limits and its
// handler; the router, the authorisation, the metrics and the test that holds
// the routes equal to openapi.yaml are made from it.
package httpapi
