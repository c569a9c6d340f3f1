package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// parsedSpec is the description as the tests' library reads it, checked once.
var parsedSpec = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := loadDocument()
	if err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	spec, err := loader.LoadFromData(doc.json)
	if err != nil {
		return nil, err
	}
	return spec, spec.Validate(loader.Context)
})

// The tests' library knows no decoder of XML: a document is a string to it.
func init() {
	openapi3filter.RegisterBodyDecoder("application/xml", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder(mediaNDJSON, openapi3filter.FileBodyDecoder)
}

func loadSpec(t testing.TB) *openapi3.T {
	t.Helper()
	spec, err := parsedSpec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func newRoute(spec *openapi3.T, path string, item *openapi3.PathItem, method string) *routers.Route {
	return &routers.Route{Spec: spec, Server: spec.Servers[0], Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
}

// The routes and the description are the same set, with the same roles, and the
// description names what every kind of route has.
func TestDescriptionIsTrue(t *testing.T) {
	spec := loadSpec(t)
	if spec.OpenAPI != "3.1.0" {
		t.Errorf("got version %s, want 3.1.0", spec.OpenAPI)
	}
	s := &Server{}
	described := map[string]bool{}
	for path, item := range spec.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	ids := map[string]bool{}
	for _, rt := range slices.Concat(s.apiRoutes(), s.optimizationRoutes(), s.warehouseRoutes(), s.systemRoutes(&document{})) {
		name := rt.method + " " + rt.path
		if !described[name] {
			t.Errorf("%s is served but not described", name)
			continue
		}
		delete(described, name)
		op := spec.Paths.Value(rt.path).GetOperation(rt.method)
		if got := fmt.Sprint(op.Extensions["x-role"]); got != rt.access.String() {
			t.Errorf("%s: described with role %s, served to %s", name, got, rt.access)
		}
		if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 {
			t.Errorf("%s: wants an operationId of its own, a summary and one tag", name)
		}
		ids[op.OperationID] = true
		checkOperation(t, name, rt, op)
	}
	for name := range described {
		t.Errorf("%s is described but not served", name)
	}
}

func checkOperation(t *testing.T, name string, rt *route, op *openapi3.Operation) {
	t.Helper()
	public := rt.access == public
	if (op.Security != nil && len(*op.Security) == 0) != public {
		t.Errorf("%s: a key is described as needed where it is not, or the reverse", name)
	}
	var statuses []string
	if !public {
		statuses = append(statuses, "400", "401", "403", "429", "500", "503")
	}
	if op.RequestBody != nil {
		statuses = append(statuses, "400", "413", "415")
		ndjson := op.RequestBody.Value.Content.Get(mediaNDJSON) != nil && op.RequestBody.Value.Content[mediaNDJSON] != nil
		if ndjson != rt.ndjson {
			t.Errorf("%s: NDJSON is described as %v, served as %v", name, ndjson, rt.ndjson)
		}
	}
	if rt.write {
		statuses = append(statuses, "409", "504")
	}
	for _, status := range statuses {
		if op.Responses.Value(status) == nil {
			t.Errorf("%s: status %s is not described", name, status)
		}
	}
	var params []string
	for _, p := range op.Parameters {
		params = append(params, p.Value.In+":"+p.Value.Name)
	}
	want := map[string]bool{
		"header:Idempotency-Key": rt.write, "header:X-Min-Index": !rt.write && !rt.idle, "query:consistency": rt.strong,
		"header:X-Tenant-Id": !public, "query:strict": op.RequestBody != nil,
	}
	for _, segment := range strings.Split(rt.path, "/") {
		if strings.HasPrefix(segment, "{") {
			want["path:"+strings.Trim(segment, "{}")] = true
		}
	}
	for p, has := range want {
		if slices.Contains(params, p) != has {
			t.Errorf("%s: parameter %s described %v, want %v", name, p, !has, has)
		}
	}
}

func TestDocumentIsServed(t *testing.T) {
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	page := string(doc.page)
	for _, want := range []string{"/api/v1/algorithm-models/{id}/score-offer-set", "operator", "OfferSetRequest", "<pre>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, foreign := range []string{"src=", "http://", "https://", "@import"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q: it must stand alone", foreign)
		}
	}
	if checkJSON(doc.json) != nil {
		t.Error("the description is not JSON by our own rules")
	}
}

// The check that the other tests rely on does refuse what is not described:
// behind references, in lists of types, beyond the known fields.
func TestDescriptionIsEnforced(t *testing.T) {
	spec := loadSpec(t)
	const list = "/api/v1/outcome-types"
	const good = `{"data":[{"key":"k","name":"n","classification":"neutral","category":"response","isSystem":false}],"pagination":{"total":1,"hasMore":false,"limit":50,"cursor":null}}`
	for _, tc := range []struct {
		name   string
		status int
		body   string
		ok     bool
	}{
		{"as described", 200, good, true},
		{"wrong type behind a reference", 200, strings.Replace(good, `"isSystem":false`, `"isSystem":1`, 1), false},
		{"not of the enumeration", 200, strings.Replace(good, `"neutral"`, `"odd"`, 1), false},
		{"a field too many", 200, strings.Replace(good, `"key":"k"`, `"key":"k","more":1`, 1), false},
		{"a field too few", 200, strings.Replace(good, `"key":"k",`, ``, 1), false},
		{"none of two types", 200, strings.Replace(good, `"cursor":null`, `"cursor":7`, 1), false},
		{"the other of two types", 200, strings.Replace(good, `"cursor":null`, `"cursor":"c"`, 1), true},
		{"a status that is not described", 418, good, false},
		{"an error without its parts", 400, `{"error":{"code":"BAD_REQUEST"}}`, false},
		{"an unknown code", 400, `{"error":{"code":"OOPS","message":"m","status":400,"requestId":"r"}}`, false},
		{"an error", 400, `{"error":{"code":"BAD_REQUEST","message":"m","status":400,"requestId":"r"}}`, true},
	} {
		req, err := http.NewRequest(get, "http://x"+list, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := &openapi3filter.RequestValidationInput{
			Request: req, Route: newRoute(spec, list, spec.Paths.Value(list), get),
			Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		}
		h := http.Header{"Content-Type": {mediaJSON}, "X-Request-Id": {"r"}}
		if err := checkAnswer(in, &reply{tc.status, h, []byte(tc.body)}); (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want accepted %v", tc.name, err, tc.ok)
		}
	}
}
