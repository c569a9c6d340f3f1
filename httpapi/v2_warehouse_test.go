package httpapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres/pgtest"
)

type connectionSeen struct {
	ID, Provider   string
	Config         map[string]any
	HasCredentials bool   `json:"has_credentials"`
	CreatedAt      string `json:"created_at"`
}

type connectionTested struct {
	OK    bool
	Error *struct{ Code, Reason, Message string }
}

func TestWarehouseConnections(t *testing.T) {
	a := startAPI(t)
	const all = "/api/v2/warehouse/connections"
	const secret = "never-t0-be-seen"
	body := `{"provider":"postgres","config":{"host":"db.example.com","database":"shop","user":"praetor","password":"` + secret + `"}}`
	var c connectionSeen
	r := a.must(201, post, all, a.admin, body, "Idempotency-Key: one")
	r.into(t, &c)
	if c.Provider != "postgres" || !c.HasCredentials || c.Config["port"] != 5432.0 || c.Config["sslmode"] != "verify-full" || c.CreatedAt == "" {
		t.Errorf("got %s", r.body)
	}
	again := a.must(201, post, all, a.admin, body, "Idempotency-Key: one")
	if !strings.Contains(string(again.body), c.ID) {
		t.Errorf("with its idempotency key: got %s, want the first answer", again.body)
	}
	a.must(409, post, all, a.admin, strings.Replace(body, secret, "another", 1), "Idempotency-Key: one")
	a.must(409, post, all, a.admin, `{"provider":"embedded"}`)
	for _, path := range []string{all, all + "/" + c.ID} {
		if got := a.must(200, get, path, a.admin, ""); !strings.Contains(string(got.body), c.ID) || strings.Contains(string(got.body), secret) {
			t.Errorf("%s: got %s", path, got.body)
		}
		a.must(403, get, path, a.editor, "").failureV2(t)
	}
	if got := a.must(200, get, all, a.stranger, ""); strings.Contains(string(got.body), c.ID) {
		t.Errorf("another tenant sees %s", got.body)
	}
	for _, method := range []string{get, remove} {
		a.must(404, method, all+"/"+c.ID, a.stranger, "").failureV2(t)
	}
	a.must(404, post, all+"/"+c.ID+"/test", a.stranger, "").failureV2(t)
	if got := a.must(200, get, "/api/v1/audit-logs?entityType=warehouseConnection", a.admin, ""); !strings.Contains(string(got.body), c.ID) || strings.Contains(string(got.body), secret) {
		t.Errorf("the audit log: got %s", got.body)
	}
	a.must(200, remove, all+"/"+c.ID, a.admin, "")
	a.must(404, remove, all+"/"+c.ID, a.admin, "")
	a.must(404, get, all+"/"+c.ID, a.admin, "")
	a.must(201, post, all, a.admin, `{"provider":"embedded"}`).into(t, &c)
	var tested connectionTested
	a.must(200, post, all+"/"+c.ID+"/test", a.admin, "").into(t, &tested)
	if !tested.OK || tested.Error != nil {
		t.Errorf("the engine's own store: got %+v, want it to work", tested)
	}
}

func TestWarehouseMetrics(t *testing.T) {
	a := startAPI(t)
	const all = "/api/v2/warehouse/metrics"
	const body = `{"name":"signup","sql":"SELECT visitor, at FROM signups WHERE at >= @start_date","column_mapping":{"anonymous_id":"visitor","timestamp":"at"}}`
	var m struct{ ID, Kind, SQL string }
	a.must(201, post, all, a.editor, body).into(t, &m)
	if m.Kind != "reward" || !strings.HasPrefix(m.SQL, "SELECT") {
		t.Errorf("got %+v", m)
	}
	a.must(409, post, all, a.editor, body).failureV2(t)
	a.must(201, post, all, a.editor, `{"name":"shown","kind":"exposures","optimization_id":"o1","sql":"SELECT 1","column_mapping":{"anonymous_id":"v","timestamp":"t","context_factors":{"device":"d"}}}`)
	a.must(403, get, all, a.viewer, "").failureV2(t)
	if got := a.must(200, get, all, a.editor, ""); strings.Count(string(got.body), `"sql"`) != 2 {
		t.Errorf("got %s, want two", got.body)
	}
	for _, method := range []string{get, remove} {
		a.must(404, method, all+"/"+m.ID, a.stranger, "").failureV2(t)
		a.must(200, method, all+"/"+m.ID, a.editor, "")
	}
	a.must(404, remove, all+"/"+m.ID, a.editor, "").failureV2(t)
	a.must(404, get, all+"/"+m.ID, a.editor, "").failureV2(t)
}

func TestWarehouseBodiesAreChecked(t *testing.T) {
	a := startAPI(t)
	text := func(path string, most int) field {
		return field{path: path, kind: "string", most: most, required: true}
	}
	a.spoil(spoiled{post, "/api/v2/warehouse/connections", `{"provider":"embedded","config":{}}`, []field{text("provider", 0), {path: "config", kind: "object", most: maxObjectKeys}}})
	a.spoil(spoiled{post, "/api/v2/warehouse/metrics", `{"name":"n","kind":"reward","sql":"SELECT 1","column_mapping":{"anonymous_id":"a","timestamp":"t"}}`, []field{
		text("name", maxName), {path: "kind", kind: "string"}, {path: "optimization_id", kind: "string", nullable: true, most: maxName}, text("sql", maxSQL),
		{path: "column_mapping", kind: "object", required: true, most: maxObjectKeys},
	}})
	metric := `{"name":"n","kind":%q,"sql":%q,"column_mapping":%s}`
	const mapped = `{"anonymous_id":"a","timestamp":"t"}`
	for _, tc := range []struct{ path, body, at string }{
		{"connections", `{"provider":"oracle"}`, "provider"},
		{"connections", `{"provider":"embedded","config":{"a":1}}`, "config"},
		{"connections", `{"provider":"postgres"}`, "config.host"},
		{"connections", `{"provider":"postgres","config":{"host":"h","database":"d","user":"u","sslmode":"prefer"}}`, "config.sslmode"},
		{"connections", `{"provider":"postgres","config":{"host":"h","database":"d","user":"u","sslmode":"disable"}}`, "config.sslmode"},
		{"connections", `{"provider":"postgres","config":{"host":"h","database":"d","user":"u","passfile":"/etc/passwd"}}`, "config"},
		{"connections", `{"provider":"files","config":{"exposures":{"path":"../../etc/passwd","format":"csv"},"rewards":{"path":"r.csv"}}}`, "config.exposures.path"},
		{"metrics", fmt.Sprintf(metric, "odd", "SELECT 1", mapped), "kind"},
		{"metrics", fmt.Sprintf(metric, "reward", "DROP TABLE t", mapped), "sql"},
		{"metrics", fmt.Sprintf(metric, "reward", "SELECT @end_date", mapped), "sql"},
		{"metrics", fmt.Sprintf(metric, "reward", "SELECT 1", `{"timestamp":"t"}`), "column_mapping.anonymous_id"},
		{"metrics", fmt.Sprintf(metric, "reward", "SELECT 1", `{"anonymous_id":7}`), "column_mapping"},
		{"metrics", fmt.Sprintf(metric, "reward", "SELECT 1", `{"anonymous_id":"a","timestamp":"t","variant_number":"v"}`), "column_mapping.variant_number"},
		{"metrics", fmt.Sprintf(metric, "exposures", "SELECT 1", `{"anonymous_id":"a","timestamp":"t","timestamp_unit":"h"}`), "column_mapping.timestamp_unit"},
	} {
		a.wantRefused(post, "/api/v2/warehouse/"+tc.path, tc.body, tc.at, "rule")
	}
}

// From a connection to a trained model over the API, with a database and with files.
func TestTrainFromAWarehouse(t *testing.T) {
	server := pgtest.New(t)
	root := t.TempDir()
	a := startAPI(t, func(c *engine.Config) {
		c.Warehouse.Dir = root
		c.Endpoints.AllowHTTP, c.Endpoints.Allow = true, []string{"127.0.0.1"}
	})
	o := a.optimization(fmt.Sprintf(pageBody, "cmab", 0))
	var shown, signups strings.Builder
	shown.WriteString("anonymous_id,timestamp,headline,badge,device\n")
	signups.WriteString("anonymous_id,timestamp\n")
	at := time.Now().Add(-72 * time.Hour)
	for i := range 400 {
		fmt.Fprintf(&shown, "v%d,%s,%s,%t,%s\n", i, at.Format(time.RFC3339), []string{"short", "long"}[i%2], i%4 > 1, []string{"desktop", "mobile", ""}[i%3])
		if i%5 == 0 {
			fmt.Fprintf(&signups, "v%d,%s\n", i, at.Add(time.Hour).Format(time.RFC3339))
		}
	}
	if err := os.Mkdir(filepath.Join(root, "acme"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"shown.csv": shown.String(), "signups.csv": signups.String()} {
		if err := os.WriteFile(filepath.Join(root, "acme", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server.Exec(t, `CREATE TABLE shown (visitor text, at timestamptz, headline text, badge boolean, device text)`, `CREATE TABLE signups (visitor text, at timestamptz)`)
	server.Copy(t, "shown", filepath.Join(root, "acme", "shown.csv"))
	server.Copy(t, "signups", filepath.Join(root, "acme", "signups.csv"))

	train := "/api/v2/models/" + o.ModelID + "/train"
	a.must(409, post, train, a.editor, "") // nothing was observed
	learn := func(what, connection string) connectionSeen {
		t.Helper()
		var c connectionSeen
		a.must(201, post, "/api/v2/warehouse/connections", a.admin, connection).into(t, &c)
		var tested connectionTested
		a.must(200, post, "/api/v2/warehouse/connections/"+c.ID+"/test", a.admin, "").into(t, &tested)
		if !tested.OK {
			t.Fatalf("%s: got %+v", what, tested.Error)
		}
		var trained struct {
			Metrics struct {
				Historic float64 `json:"historic_reward"`
			} `json:"in_sample_metrics"`
		}
		a.must(200, post, train, a.editor, "").into(t, &trained)
		if trained.Metrics.Historic != 0.2 {
			t.Errorf("%s: got the mean reward %v, want 0.2", what, trained.Metrics.Historic)
		}
		return c
	}
	c := learn("files", `{"provider":"files","config":{"exposures":{"path":"shown.csv"},"rewards":{"path":"signups.csv"}}}`)
	a.must(200, remove, "/api/v2/warehouse/connections/"+c.ID, a.admin, "")
	for _, m := range []string{
		`{"name":"shown","kind":"exposures","sql":"SELECT * FROM shown WHERE at >= @start_date","column_mapping":{"anonymous_id":"visitor","timestamp":"at"}}`,
		`{"name":"signup","sql":"SELECT * FROM signups WHERE at >= @start_date","column_mapping":{"anonymous_id":"visitor","timestamp":"at"}}`,
	} {
		a.must(201, post, "/api/v2/warehouse/metrics", a.editor, m)
	}
	learn("postgres", fmt.Sprintf(`{"provider":"postgres","config":{"host":"127.0.0.1","port":%d,"database":"postgres","user":%q,"password":%q,"sslmode":"disable"}}`, server.Port, pgtest.User, pgtest.Password))

	// What fails tells why and leaves the model as it was.
	var before, after optimizationSeen
	a.must(200, get, "/api/v2/optimizations/"+o.ID, a.viewer, "").into(t, &before)
	server.Exec(t, `INSERT INTO shown VALUES ('zz', now() - interval '3 days', 'odd', true, 'mobile')`)
	if code, message := a.must(409, post, train, a.editor, "").failureV2(t); code != "conflict" || !strings.Contains(message, `metric "shown", row 401 of those sorted by visitor, column "headline"`) || !strings.Contains(message, `"odd"`) {
		t.Errorf("a wrong row: got %s %q", code, message)
	}
	server.Exec(t, `DROP TABLE signups`, `DELETE FROM shown WHERE visitor = 'zz'`)
	if _, message := a.must(409, post, train, a.editor, "").failureV2(t); !strings.Contains(message, `relation "signups" does not exist`) {
		t.Errorf("no table: got %q", message)
	}
	server.Exec(t, `ALTER ROLE `+pgtest.User+` PASSWORD 'another'`)
	if _, message := a.must(409, post, train, a.editor, "").failureV2(t); !strings.Contains(message, "refuses the user or the password") {
		t.Errorf("another password: got %q", message)
	}
	a.must(200, get, "/api/v2/optimizations/"+o.ID, a.viewer, "").into(t, &after)
	if after.ModelStatus != before.ModelStatus || after.Summary == nil || after.Summary.Exposures != before.Summary.Exposures {
		t.Errorf("after failures: got %+v, want %+v", after, before)
	}
}
