package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// registryContract is the registry section of the API's documentation: what is
// permitted from where, who may, and what is answered to everybody else. The
// requests of TestRegistryContract are made from it.
var registryContract = struct {
	standings []string
	permitted map[string]string // from → to …
	shortest  map[string]string // how a new model gets there
	roles     []registryRole
	errors    []registryError
}{
	standings: []string{"draft", "challenger", "champion", "archived"},
	permitted: map[string]string{
		"draft":      "challenger archived",
		"challenger": "champion archived draft",
		"champion":   "archived challenger",
		"archived":   "draft",
	},
	shortest: map[string]string{"draft": "", "challenger": "challenger", "champion": "challenger champion", "archived": "archived"},
	roles: []registryRole{
		{"nobody", http.StatusUnauthorized, http.StatusUnauthorized},
		{"unknown", http.StatusUnauthorized, http.StatusUnauthorized},
		{"viewer", http.StatusOK, http.StatusForbidden},
		{"editor", http.StatusOK, http.StatusForbidden},
		{"stranger", http.StatusNotFound, http.StatusNotFound},
		{"admin", http.StatusOK, http.StatusOK},
		{"operator", http.StatusOK, http.StatusOK},
	},
	errors: []registryError{
		{name: "no id", id: "", body: `{"status":"challenger"}`, status: 400, code: "BAD_REQUEST", read: 400},
		{name: "an absent model", id: "model_absent", body: `{"status":"challenger"}`, status: 404, code: "NOT_FOUND", read: 404},
		{name: "no body", body: "", status: 400, code: "BAD_REQUEST"},
		{name: "not JSON", body: `{"status":`, status: 400, code: "BAD_REQUEST"},
		{name: "no object", body: `["challenger"]`, status: 400, code: "BAD_REQUEST"},
		{name: "no status", body: `{"actor":"me"}`, status: 400, code: "BAD_REQUEST", path: "status"},
		{name: "an unknown status", body: `{"status":"boss"}`, status: 400, code: "BAD_REQUEST", path: "status"},
		{name: "a status of another kind", body: `{"status":1}`, status: 400, code: "BAD_REQUEST", path: "status"},
		{name: "an actor that is no text", body: `{"status":"challenger","actor":7}`, status: 400, code: "BAD_REQUEST", path: "actor"},
		{name: "a snapshot that is no object", body: `{"status":"challenger","metricsSnapshot":[]}`, status: 400, code: "BAD_REQUEST", path: "metricsSnapshot"},
		{name: "a metric that is no number", body: `{"status":"challenger","metricsSnapshot":{"auc":"high"}}`, status: 400, code: "BAD_REQUEST", path: "metricsSnapshot.auc"},
		{name: "a bypass that is no bool", body: `{"status":"challenger","bypassRollbackGuard":"yes"}`, status: 400, code: "BAD_REQUEST", path: "bypassRollbackGuard"},
		{name: "a negative threshold", body: `{"status":"challenger","rollbackThresholds":{"maxPsi":-1}}`, status: 400, code: "BAD_REQUEST", path: "rollbackThresholds.maxPsi"},
		{name: "an illegal transition", body: `{"status":"champion"}`, status: 400, code: "BAD_REQUEST", reason: catalogue.ReasonInvalidTransition},
		{name: "the same status", body: `{"status":"draft"}`, status: 400, code: "BAD_REQUEST", reason: catalogue.ReasonInvalidTransition},
		{name: "another media type", body: `status=challenger`, header: "Content-Type: application/x-www-form-urlencoded", status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
	},
}

// registryRole is who asks, and what is answered to a read and to a permitted change.
type registryRole struct {
	name        string
	read, write int
}

// registryError is a request by an administrator about a model in draft.
type registryError struct {
	name, id, body, header string
	status                 int
	code, reason, path     string // of the answer
	read                   int    // the answer to GET on the same path, 0: 200
}

// registryDesk makes models of tenants of their own: the limit of 60 changes in 60
// seconds is a tenant's.
type registryDesk struct {
	*api
	tenant string
	keys   map[string]string
	models int
}

func (a *api) registryDesk(tenant string) *registryDesk {
	a.t.Helper()
	a.must(201, post, "/api/v1/tenants", operatorKey, fmt.Sprintf(`{"id":%q,"name":%q}`, tenant, tenant))
	d := &registryDesk{api: a, tenant: tenant, keys: map[string]string{"nobody": "", "unknown": "prk_unknown", "stranger": a.stranger, "operator": operatorKey}}
	for _, role := range []string{"viewer", "editor", "admin"} {
		d.keys[role] = a.newKey(tenant, role)
	}
	return d
}

// path makes a model with a standing, in a family of its own, and returns its
// registry's path.
func (d *registryDesk) path(standing string) string {
	d.t.Helper()
	d.models++
	var m struct{ ID string }
	d.must(201, post, "/api/v1/algorithm-models", d.keys["admin"], fmt.Sprintf(`{"key":"m%d","name":"M%d","modelType":"scorecard"}`, d.models, d.models)).into(d.t, &m)
	path := "/api/v1/models/" + m.ID + "/registry"
	for _, step := range strings.Fields(registryContract.shortest[standing]) {
		d.must(200, post, path, d.keys["admin"], fmt.Sprintf(`{"status":%q}`, step))
	}
	return path
}

// state is what a refusal must leave as it is: the entry and the audit log.
func (d *registryDesk) state(path string) string {
	d.t.Helper()
	var audit struct{ Total int }
	d.must(200, get, "/api/v1/audit-logs?limit=1", d.keys["admin"], "").into(d.t, &audit)
	return fmt.Sprintf("%s and %d audit entries", d.must(200, get, path, d.keys["admin"], "").body, audit.Total)
}

func TestRegistryContract(t *testing.T) {
	a := startAPI(t)
	for _, from := range registryContract.standings {
		for _, to := range registryContract.standings {
			desk := a.registryDesk(from + "-" + to)
			for _, role := range registryContract.roles {
				t.Run(from+" to "+to+" by "+role.name, func(t *testing.T) { desk.transition(t, from, to, role) })
			}
		}
	}
	desk := a.registryDesk("errors")
	for _, tc := range registryContract.errors {
		t.Run(tc.name, func(t *testing.T) { desk.refused(t, tc) })
	}
	t.Run("the limit", func(t *testing.T) {
		desk := a.registryDesk("limit")
		path, key := desk.path("draft"), desk.keys["admin"]
		for range catalogue.RegistryRequests {
			desk.must(400, post, path, key, `{"status":"champion"}`)
		}
		desk.refused(t, registryError{body: `{"status":"challenger"}`, status: 429, code: "RATE_LIMITED"})
	})
}

func (d *registryDesk) transition(t *testing.T, from, to string, role registryRole) {
	path := d.path(from)
	before := d.state(path)
	if r := d.do(get, path, d.keys[role.name], "", "X-Tenant-Id: "+d.tenant); r.status != role.read {
		t.Errorf("read: got %d %s, want %d", r.status, r.body, role.read)
	}
	want := role.write
	if want == http.StatusOK && !strings.Contains(registryContract.permitted[from], to) {
		want = http.StatusBadRequest
	}
	r := d.do(post, path, d.keys[role.name], fmt.Sprintf(`{"status":%q}`, to), "X-Tenant-Id: "+d.tenant)
	if r.status != want {
		t.Fatalf("got %d %s, want %d", r.status, r.body, want)
	}
	if want == http.StatusOK {
		id := strings.Split(path, "/")[4]
		if got, want := strings.TrimSpace(string(r.body)), fmt.Sprintf(`{"modelId":%q,"previousStatus":%q,"newStatus":%q}`, id, from, to); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if after := d.state(path); after == before || !strings.Contains(after, `"status":"`+to+`"`) {
			t.Errorf("afterwards: got %s, want it changed", after)
		}
		return
	}
	if want == http.StatusBadRequest && r.failure(t).Reason != catalogue.ReasonInvalidTransition {
		t.Errorf("got %s, want the reason %s", r.body, catalogue.ReasonInvalidTransition)
	}
	if after := d.state(path); after != before {
		t.Errorf("a refusal changed\n%s to\n%s", before, after)
	}
}

func (d *registryDesk) refused(t *testing.T, tc registryError) {
	known := d.path("draft")
	before, path := d.state(known), known
	if tc.read != 0 {
		path = "/api/v1/models/" + tc.id + "/registry"
		if r := d.do(get, path, d.keys["viewer"], ""); r.status != tc.read || r.failure(t).Code != tc.code {
			t.Errorf("read: got %d %s, want %d", r.status, r.body, tc.read)
		}
	}
	var headers []string
	if tc.header != "" {
		headers = append(headers, tc.header)
	}
	r := d.do(post, path, d.keys["admin"], tc.body, headers...)
	e := r.failure(t)
	if r.status != tc.status || e.Code != tc.code || e.Reason != tc.reason {
		t.Errorf("got %d %s, want %d %s %s", r.status, r.body, tc.status, tc.code, tc.reason)
	}
	if tc.path != "" && !slices.ContainsFunc(e.Details, func(d decision.Detail) bool { return d.Path == tc.path }) {
		t.Errorf("got the details %+v, want the path %s named", e.Details, tc.path)
	}
	if after := d.state(known); after != before {
		t.Errorf("a refusal changed\n%s to\n%s", before, after)
	}
}
