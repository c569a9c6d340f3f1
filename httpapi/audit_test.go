package httpapi

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
)

func TestAuditOverHTTP(t *testing.T) {
	a := startAPI(t)
	const logs = "/api/v1/audit-logs"
	type page struct {
		Logs []struct {
			ID, Action, EntityType, EntityID, EntityName, Actor, KeyID, TenantID, RequestID string
			Timestamp                                                                       decision.Time
		}
		Total, Page, Limit int
	}
	list := func(key, query string, headers ...string) (p page) {
		t.Helper()
		a.must(200, get, logs+query, key, "", headers...).into(t, &p)
		return p
	}
	base := list(a.admin, "").Total
	id := a.create(fmt.Sprintf(scorecardBody, "card"))
	a.must(200, post, "/api/v1/models/"+id+"/registry", a.admin, `{"status":"challenger","actor":"ann"}`, "X-Request-Id: req-7")
	p := list(a.admin, "?entityId="+id+"&limit=1")
	if len(p.Logs) != 1 || p.Total != 2 || p.Page != 1 || p.Limit != 1 {
		t.Fatalf("page = %+v", p)
	}
	e := p.Logs[0]
	if e.Action != "transition" || e.EntityType != "algorithmModel" || e.EntityID != id || e.EntityName != "Card" || e.Actor != "ann" ||
		!strings.HasPrefix(e.KeyID, "key_") || e.TenantID != "acme" || e.RequestID != "req-7" || e.Timestamp == 0 {
		t.Errorf("entry = %+v", e)
	}
	if p := list(a.admin, "?entityId="+id+"&limit=1&page=2"); len(p.Logs) != 1 || p.Logs[0].Action != "create" || p.Logs[0].Actor != "editor of acme" {
		t.Errorf("second page = %+v", p)
	}
	if p := list(a.admin, "?action=transition&entityType=algorithmModel"); p.Total != 1 {
		t.Errorf("transitions = %+v", p)
	}
	if got := list(a.admin, "").Total; got != base+2 {
		t.Errorf("%d entries, want %d", got, base+2)
	}

	if r := a.must(200, get, logs+"/verify", a.admin, ""); strings.TrimSpace(string(r.body)) != fmt.Sprintf(`{"intact":true,"verified":%d}`, base+2) {
		t.Errorf("verify = %s", r.body)
	}
	r := a.must(200, get, logs+"/export", a.admin, "")
	if lines := strings.Count(string(r.body), "\n"); r.header.Get("Content-Type") != mediaNDJSON || lines != base+2 {
		t.Errorf("export: %d lines of %s: %s", lines, r.header.Get("Content-Type"), r.body)
	}
	r = a.must(200, get, logs+"/export?format=csv", a.admin, "")
	rows, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
	if err != nil || len(rows) != base+3 || rows[0][0] != "id" {
		t.Errorf("CSV: %v, %d rows: %s", err, len(rows), r.body)
	}

	// Another tenant has its own, the operator the log of what is no tenant's.
	for _, path := range []string{"", "/export", "/verify"} {
		if r := a.must(200, get, logs+path, a.stranger, "", "X-Tenant-Id: acme"); strings.Contains(string(r.body), id) {
			t.Errorf("%s: another tenant sees %s", path, r.body)
		}
	}
	if p := list(a.stranger, "?entityId="+id); p.Total != 0 {
		t.Errorf("another tenant sees %+v", p)
	}
	if p := list(operatorKey, "?entityType=tenant"); p.Total != 2 || p.Logs[0].Actor != "operator" || p.Logs[0].TenantID != "" {
		t.Errorf("the operator's own log = %+v", p)
	}
	if p := list(operatorKey, "?entityId="+id, "X-Tenant-Id: acme"); p.Total != 2 {
		t.Errorf("the operator sees %+v of acme", p)
	}

	for _, tc := range []struct{ query, at string }{
		{"?page=0", "page"}, {"?page=x", "page"}, {"?page=-1", "page"}, {"?page=99999999999999999999", "page"}, {"?page=2000000000", "page"},
		{"?limit=0", "limit"}, {"?limit=101", "limit"}, {"?limit=x", "limit"}, {"?action=" + strings.Repeat("x", 256), "action"},
		{"/export?format=xml", "format"},
	} {
		e := a.must(400, get, logs+tc.query, a.admin, "").failure(t)
		if len(e.Details) != 1 || e.Details[0].Path != tc.at {
			t.Errorf("%s: got %+v, want a problem at %s", tc.query, e, tc.at)
		}
	}
	for _, path := range []string{logs, logs + "/verify", logs + "/export"} {
		for _, method := range []string{post, put, remove, "PATCH"} {
			if r := a.do(method, path, a.admin, ""); r.status != 405 {
				t.Errorf("%s %s: got %d, want 405", method, path, r.status)
			}
		}
	}
}
