package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestKeysAndTenants(t *testing.T) {
	a := startAPI(t)
	r := a.must(201, post, "/api/v1/api-keys", a.admin, `{"name":"temp","role":"viewer","expiresAt":"2999-01-01T00:00:00Z"}`)
	var k struct{ ID, Key string }
	r.into(t, &k)
	a.must(200, get, "/api/v1/algorithm-models", k.Key, "")
	if list := a.must(200, get, "/api/v1/api-keys", a.admin, ""); strings.Contains(string(list.body), k.Key) || !strings.Contains(string(list.body), k.ID) {
		t.Errorf("the list of keys: got %s", list.body)
	}
	a.must(404, remove, "/api/v1/api-keys/"+k.ID, a.stranger, "")
	a.must(204, remove, "/api/v1/api-keys/"+k.ID, a.admin, "")
	a.must(401, get, "/api/v1/algorithm-models", k.Key, "")
	a.must(200, get, "/api/v1/tenants", operatorKey, "")
	a.must(200, get, "/api/v1/cluster", operatorKey, "")
	a.must(200, get, "/api/v1/cluster", a.admin, "")
	a.must(200, post, "/api/v1/cluster/snapshot", operatorKey, "")
	var d struct{ Models map[string]string }
	a.must(200, post, "/api/v1/cluster/digest", operatorKey, "").into(t, &d)
	if len(d.Models) != 0 {
		t.Errorf("digests of models: got %v, want none", d.Models)
	}
	a.must(204, remove, "/api/v1/tenants/other", operatorKey, "")
	a.must(401, get, "/api/v1/algorithm-models", a.stranger, "")
	a.must(404, get, "/api/v1/algorithm-models", operatorKey, "", "X-Tenant-Id: other")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"} {
		a.must(200, get, path, "", "")
	}
}

// Nothing of one tenant can be read, changed or told from absent by another.
func TestTenantIsolation(t *testing.T) {
	a := startAPI(t)
	id := a.create(fmt.Sprintf(banditBody, "secret-model"))
	a.stand(id, "challenger")
	a.stand(id, "champion")
	a.outcomes(60)
	var job struct{ JobID string }
	a.must(202, post, "/api/v1/algorithm-models/"+id+"/train?async=true", a.editor, "").into(t, &job)
	for _, tc := range []struct{ method, path, body string }{
		{get, "/api/v1/algorithm-models/%s", ""},
		{put, "/api/v1/algorithm-models/%s", `{"name":"x"}`},
		{remove, "/api/v1/algorithm-models/%s", ""},
		{remove, "/api/v1/algorithm-models?id=%s", ""},
		{post, "/api/v1/algorithm-models/%s/score", "{}"},
		{post, "/api/v1/algorithm-models/%s/score-offer-set", `{"offers":[{"id":"o"}]}`},
		{post, "/api/v1/algorithm-models/%s/score-batch", `{"rows":[{}]}`},
		{post, "/api/v1/algorithm-models/%s/train", ""},
		{post, "/api/v1/algorithm-models/%s/reset-learning", ""},
		{post, "/api/v1/algorithm-models/%s/upgrade", ""},
		{get, "/api/v1/algorithm-models/%s/evolution-history", ""},
		{post, "/api/v1/algorithm-models/%s/restore", `{"version":1}`},
		{get, "/api/v1/algorithm-models/%s/monitoring", ""},
		{get, "/api/v1/algorithm-models/%s/decision-log", ""},
		{put, "/api/v1/algorithm-models/%s/decision-log", `{"enabled":true}`},
		{remove, "/api/v1/algorithm-models/%s/decision-log", ""},
		{get, "/api/v1/models/%s/registry", ""},
		{post, "/api/v1/models/%s/registry", `{"status":"archived"}`},
	} {
		for _, header := range []string{"X-Tenant-Id: acme", "X-Other: none"} {
			theirs := a.must(404, tc.method, fmt.Sprintf(tc.path, id), a.stranger, tc.body, header)
			absent := a.must(404, tc.method, fmt.Sprintf(tc.path, "model_absent"), a.stranger, tc.body, header)
			if got, want := strings.ReplaceAll(theirs.failure(t).Message, id, "ID"), strings.ReplaceAll(absent.failure(t).Message, "model_absent", "ID"); got != want {
				t.Errorf("%s %s: got %q for another tenant's model, %q for an absent one", tc.method, tc.path, got, want)
			}
		}
	}
	for _, tc := range []struct{ method, path, body string }{
		{get, "/api/v1/families/%s", ""},
		{get, "/api/v1/families/%s/decision-log", ""},
		{put, "/api/v1/families/%s/decision-log", `{"enabled":true}`},
		{post, "/api/v1/families/%s/score", "{}"},
		{post, "/api/v1/families/%s/score-offer-set", `{"offers":[{"id":"o"}]}`},
	} {
		theirs := a.must(404, tc.method, fmt.Sprintf(tc.path, "Bandit"), a.stranger, tc.body)
		absent := a.must(404, tc.method, fmt.Sprintf(tc.path, "absent"), a.stranger, tc.body)
		if got, want := strings.ReplaceAll(theirs.failure(t).Message, "Bandit", "F"), strings.ReplaceAll(absent.failure(t).Message, "absent", "F"); got != want {
			t.Errorf("%s %s: got %q for another tenant's family, %q for an absent one", tc.method, tc.path, got, want)
		}
	}
	experiment := a.experiment(fmt.Sprintf(`{"key":"secret","name":"n","status":"active","championModelId":%q,"trafficSplit":{"championPct":100}}`, id))
	for _, tc := range []struct{ method, path, body string }{
		{get, "/api/v1/experiments/%s", ""},
		{put, "/api/v1/experiments/%s", `{"name":"x"}`},
		{remove, "/api/v1/experiments/%s", ""},
		{get, "/api/v1/experiments/%s/assignment?customerId=c1", ""},
		{get, "/api/v1/experiments/%s/results", ""},
	} {
		theirs := a.must(404, tc.method, fmt.Sprintf(tc.path, experiment), a.stranger, tc.body)
		absent := a.must(404, tc.method, fmt.Sprintf(tc.path, "absent"), a.stranger, tc.body)
		if got, want := strings.ReplaceAll(theirs.failure(t).Message, experiment, "X"), strings.ReplaceAll(absent.failure(t).Message, "absent", "X"); got != want {
			t.Errorf("%s %s: got %q for another tenant's experiment, %q for an absent one", tc.method, tc.path, got, want)
		}
	}
	// Nor may an experiment use another tenant's model.
	a.must(400, post, "/api/v1/experiments", a.stranger, fmt.Sprintf(`{"key":"k","name":"n","championModelId":%q,"trafficSplit":{"championPct":100}}`, id))
	a.must(404, get, "/api/v1/jobs/"+job.JobID, a.stranger, "")
	a.must(404, remove, "/api/v1/jobs/"+job.JobID, a.stranger, "")
	for _, path := range []string{"/api/v1/algorithm-models", "/api/v1/interaction-history", "/api/v1/jobs", "/api/v1/alerts", "/api/v1/families", "/api/v1/experiments", "/api/v1/interaction-summaries?customerId=c1"} {
		if r := a.must(200, get, path, a.stranger, ""); !strings.Contains(string(r.body), `"data":[]`) {
			t.Errorf("%s: another tenant sees %s", path, r.body)
		}
	}
	a.must(200, get, "/api/v1/algorithm-models/"+id, operatorKey, "", "X-Tenant-Id: acme")
}

// Every route of the table asks for the role that it declares.
func TestRolesOfEveryRoute(t *testing.T) {
	a := startAPI(t)
	keys := []struct {
		role decision.Role
		key  string
	}{{decision.RoleNone, ""}, {decision.RoleViewer, a.viewer}, {decision.RoleEditor, a.editor}, {decision.RoleAdmin, a.admin}, {decision.RoleOperator, operatorKey}}
	for _, rt := range a.table {
		path := strings.NewReplacer("{id}", "none", "{key}", "none", "{family}", "none").Replace(rt.path)
		if rt.resumes {
			path += "?format=json" // the stream has no end
		}
		for _, k := range keys {
			if rt.path == "/api/v1/tenants/{id}" || (rt.path == "/api/v1/cluster/snapshot" && k.role == decision.RoleOperator) {
				continue
			}
			r := a.do(rt.method, path, k.key, "", "X-Tenant-Id: acme")
			want := "pass"
			switch {
			case rt.access == public:
			case k.key == "":
				want = "401"
			case k.role < accessRoles[rt.access]:
				want = "403"
			}
			got := "pass"
			if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
				got = fmt.Sprint(r.status)
			}
			if got != want {
				t.Errorf("%s %s as %s: got %d, want %s", rt.method, rt.path, k.role, r.status, want)
			}
		}
	}
}
