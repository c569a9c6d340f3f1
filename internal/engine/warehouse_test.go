package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/command"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/optimization"
	"github.com/praetor-engine/praetor/internal/vault"
	"github.com/praetor-engine/praetor/internal/warehouse"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres/pgtest"
)

// secretPassword is what must be found nowhere.
const secretPassword = "plain-5ecret-of-the-warehouse"

const databaseConfig = `{"host":"db.example.com","database":"d","user":"u","password":"` + secretPassword + `"}`

const fileConfig = `{"exposures":{"path":"e.csv"},"rewards":{"path":"r.csv"}}`

func (n *node) connect(provider, config string) catalogue.Connection {
	n.t.Helper()
	c, _, err := n.CreateConnection(n.ctx, n.w(), provider, json.RawMessage(config))
	if err != nil {
		n.t.Fatalf("CreateConnection() = %v", err)
	}
	return c
}

func signups() catalogue.WarehouseMetric {
	return catalogue.WarehouseMetric{
		Name: "signup", SQL: "SELECT * FROM signups WHERE at >= @start_date", ColumnMapping: json.RawMessage(`{"anonymous_id":"visitor","timestamp":"at"}`),
	}
}

func shown() catalogue.WarehouseMetric {
	return catalogue.WarehouseMetric{
		Name: "shown", Kind: "exposures", SQL: "SELECT * FROM shown WHERE optimization = @optimization_id AND at >= @start_date",
		ColumnMapping: json.RawMessage(`{"anonymous_id":"visitor","timestamp":"at","is_holdout":"held","idempotency_key":"key"}`),
	}
}

func (n *node) metric(m catalogue.WarehouseMetric) catalogue.WarehouseMetric {
	n.t.Helper()
	m, _, err := n.CreateWarehouseMetric(n.ctx, n.w(), m)
	if err != nil {
		n.t.Fatalf("CreateWarehouseMetric() = %v", err)
	}
	return m
}

func warehouseAuditCases(n *node) []auditCase {
	var connection, metric string
	return []auditCase{
		{"create a connection", func(w Write) (string, error) {
			c, _, err := n.CreateConnection(n.ctx, w, ProviderPostgres, json.RawMessage(databaseConfig))
			connection = cmp.Or(connection, c.ID)
			return connection, err
		}, "t1", "create", auditConnection, `null`, `{"provider":"postgres","has_credentials":true}`, "", 0},
		{"create a metric", func(w Write) (string, error) {
			m, _, err := n.CreateWarehouseMetric(n.ctx, w, signups())
			metric = cmp.Or(metric, m.ID)
			return metric, err
		}, "t1", "create", auditWarehouseMetric, `null`, `{"name":"signup","kind":"reward"}`, "", 0},
		{"delete a metric", func(w Write) (string, error) {
			_, err := n.DeleteWarehouseMetric(n.ctx, w, metric)
			return metric, err
		}, "t1", "delete", auditWarehouseMetric, `{"name":"signup"}`, `null`, "", 0},
		{"delete a connection", func(w Write) (string, error) {
			_, err := n.DeleteConnection(n.ctx, w, connection)
			return connection, err
		}, "t1", "delete", auditConnection, `{"provider":"postgres"}`, `null`, "", 0},
	}
}

func TestConnectionsAndMetrics(t *testing.T) {
	n := fresh(t)
	n.newTenant("t2")
	c := n.connect(ProviderPostgres, databaseConfig)
	if !c.HasCredentials || c.CreatedAt == 0 || !strings.Contains(string(c.Config), `"sslmode":"verify-full"`) {
		t.Errorf("connection %+v", c)
	}
	_, _, err := n.CreateConnection(n.ctx, n.w(), ProviderEmbedded, nil)
	wantError(t, "a second connection", err, decision.KindConflict, "")
	m, s := n.metric(signups()), n.metric(shown())
	_, _, err = n.CreateWarehouseMetric(n.ctx, n.w(), signups())
	wantError(t, "a name again", err, decision.KindConflict, "")
	again := shown()
	again.Name = "shown too"
	_, _, err = n.CreateWarehouseMetric(n.ctx, n.w(), again)
	wantError(t, "exposures again", err, decision.KindConflict, "")
	again.OptimizationID = "o"
	n.metric(again)

	for what, read := range map[string]func(tenant string) error{
		"Connection":      func(tenant string) error { _, err := n.Connection(tenant, c.ID); return err },
		"TestConnection":  func(tenant string) error { _, err := n.TestConnection(n.ctx, tenant, c.ID); return err },
		"WarehouseMetric": func(tenant string) error { _, err := n.WarehouseMetric(tenant, m.ID); return err },
	} {
		if err := read("t1"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		wantError(t, what+" of another tenant", read("t2"), decision.KindNotFound, "")
	}
	if len(n.Connections("t2")) != 0 || len(n.WarehouseMetrics("t2")) != 0 || len(n.WarehouseMetrics("t1")) != 3 {
		t.Error("lists: another tenant's are seen, or one's own are not")
	}
	same := func(what string) {
		t.Helper()
		want, registry := n.digest(), n.encoded()
		n = n.restart(t)
		wantEqual(t, what, n.digest(), want)
		if got := n.encoded(); got != registry {
			t.Errorf("%s: registry\n%s, want\n%s", what, got, registry)
		}
		if got, err := n.credentials.open(sealedOf(n), "t1", c.ID); err != nil || string(got) != secretPassword {
			t.Errorf("%s: the password: got %q, %v", what, got, err)
		}
	}
	same("from the log alone")
	n.snapshot()
	same("from a snapshot")
	if _, err := n.DeleteWarehouseMetric(n.ctx, n.w(), s.ID); err != nil {
		t.Fatal(err)
	}
	same("from a snapshot and the log after it")
	before := n.digest()
	if _, err := n.DeleteConnection(n.ctx, n.w(), c.ID); err != nil {
		t.Fatal(err)
	}
	if got := n.digest(); got.Registry == before.Registry {
		t.Error("the digest does not know the connection")
	}
	_, err = n.DeleteConnection(n.ctx, n.w(), c.ID)
	wantError(t, "DeleteConnection() again", err, decision.KindNotFound, "")
	_, err = n.DeleteWarehouseMetric(n.ctx, n.w(), s.ID)
	wantError(t, "DeleteWarehouseMetric() again", err, decision.KindNotFound, "")

	// A new tenant has nothing of a deleted one of its name.
	n.connect(ProviderFiles, fileConfig)
	operator := Write{Principal: Principal{Role: decision.RoleOperator}}
	if _, err := n.DeleteTenant(n.ctx, operator, "t1"); err != nil {
		t.Fatal(err)
	}
	n.newTenant("t1")
	if len(n.Connections("t1")) != 0 || len(n.WarehouseMetrics("t1")) != 0 {
		t.Error("a deleted tenant left something")
	}
}

func sealedOf(n *node) []byte {
	n.machine.mu.RLock()
	defer n.machine.mu.RUnlock()
	_, sealed, _ := n.machine.catalogue.Connection("t1")
	return sealed
}

func TestConnectionsAreChecked(t *testing.T) {
	n := fresh(t)
	for _, tc := range []struct{ provider, config, at string }{
		{"mysql", `{}`, "provider"}, {"", `{}`, "provider"}, {ProviderEmbedded, `{"a":1}`, "config"}, {ProviderPostgres, `{}`, "config.host"}, {ProviderFiles, `{}`, "config.exposures.path"},
		{ProviderPostgres, `{"host":"h","database":"d","user":"u","sslmode":"disable"}`, "config.sslmode"},
	} {
		_, _, err := n.CreateConnection(n.ctx, n.w(), tc.provider, json.RawMessage(tc.config))
		wantError(t, tc.provider+tc.config, err, decision.KindBadRequest, tc.at)
	}
	for at, change := range map[string]func(*catalogue.WarehouseMetric){
		"name": func(m *catalogue.WarehouseMetric) { m.Name = "" }, "kind": func(m *catalogue.WarehouseMetric) { m.Kind = "odd" },
		"sql": func(m *catalogue.WarehouseMetric) { m.SQL = "DELETE FROM t" }, "column_mapping": func(m *catalogue.WarehouseMetric) { m.ColumnMapping = json.RawMessage(`{"odd":"x"}`) },
		"column_mapping.timestamp": func(m *catalogue.WarehouseMetric) { m.ColumnMapping = json.RawMessage(`{"anonymous_id":"x"}`) },
		"optimization_id":          func(m *catalogue.WarehouseMetric) { m.OptimizationID = "o" },
	} {
		m := signups()
		change(&m)
		_, _, err := n.CreateWarehouseMetric(n.ctx, n.w(), m)
		wantError(t, at, err, decision.KindBadRequest, at)
	}
}

// The password is in no file of the node, in no backup and in no audit log, and the
// key that seals it in no backup.
func TestCredentialsAreStoredSealed(t *testing.T) {
	n := fresh(t)
	w := n.keyed("connect", 1)
	var c catalogue.Connection
	for range 2 { // the second is answered from the first
		var err error
		if c, _, err = n.CreateConnection(n.ctx, w, ProviderPostgres, json.RawMessage(databaseConfig)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := n.CreateConnection(n.ctx, w, ProviderPostgres, json.RawMessage(strings.Replace(databaseConfig, secretPassword, "another", 1)))
	wantError(t, "the idempotency key with another password", err, decision.KindConflict, "")
	n.snapshot()
	n.metric(signups())
	key, err := os.ReadFile(filepath.Join(n.dir, credentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(n.dir, credentialsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v, want mode 0600", info.Mode(), err)
	}
	backup, shownTo, audits := n.backup(), fmt.Sprintf("%+v %s", c, must(json.Marshal(n.Connections("t1")))), n.exported("t1")
	n.stop()
	files := 0
	err = filepath.WalkDir(n.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if files++; bytes.Contains(b, []byte(secretPassword)) {
			t.Errorf("%s has the password", path)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Fatalf("looked at %d files, %v", files, err)
	}
	for what, b := range map[string][]byte{"the backup": backup, "the answer": []byte(shownTo), "the audit log": []byte(audits)} {
		if bytes.Contains(b, []byte(secretPassword)) || bytes.Contains(b, bytes.TrimSpace(key)) {
			t.Errorf("%s has the password or the key", what)
		}
	}
	if !strings.Contains(audits, "warehouseConnection") {
		t.Error("the audit log has no entry of the connection")
	}
}

func testKeys(t testing.TB, texts ...string) *vault.Keys {
	t.Helper()
	k, err := vault.Parse(strings.Join(texts, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Nodes of one cluster need one key; without it a node goes on and says so.
func TestCredentialsOfAClusterNeedAKey(t *testing.T) {
	nodes := trio(t)
	_, _, err := nodes[0].CreateConnection(nodes[0].ctx, nodes[0].w(), ProviderPostgres, json.RawMessage(databaseConfig))
	wantError(t, "without a key", err, decision.KindUnavailable, "")
	if _, err := os.Stat(filepath.Join(nodes[0].dir, credentialsFile)); err == nil {
		t.Error("a node of several made a key of its own")
	}
	nodes[0].connect(ProviderFiles, fileConfig) // there is no secret in it
}

// The key that a node alone made seals as long as it is alone, and opens for good.
func TestOwnKeyOfANode(t *testing.T) {
	several := false
	config := testConfig(t.TempDir())
	c := newCredentials(&config, func() bool { return several }, testLog(t))
	keys, err := c.keys()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keys.Seal([]byte("secret"), "t1", "c1")
	if err != nil {
		t.Fatal(err)
	}
	several = true
	_, err = c.keys()
	wantError(t, "keys() when others joined", err, decision.KindUnavailable, "")
	config.Credentials = testKeys(t, vault.Generate())
	again := newCredentials(&config, func() bool { return several }, testLog(t))
	if got, err := again.open(sealed, "t1", "c1"); err != nil || string(got) != "secret" {
		t.Errorf("open() with a configured key beside it = %q, %v", got, err)
	}
	if keys, err := again.keys(); err != nil || keys.ID() != config.Credentials.ID() {
		t.Errorf("keys() = %v, want the configured one", err)
	}
	_, err = again.open(sealed, "t1", "c2")
	wantError(t, "open() of another connection's", err, decision.KindUnavailable, "")
	if err := os.WriteFile(filepath.Join(config.Cluster.DataDir, credentialsFile), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	config.Credentials, several = nil, false
	c = newCredentials(&config, func() bool { return several }, testLog(t))
	_, err = c.keys()
	wantError(t, "keys() with a damaged one: not another", err, decision.KindUnavailable, "")
	_, err = c.open(sealed, "t1", "c1")
	wantError(t, "open() with a damaged one", err, decision.KindUnavailable, "")
}

func TestCredentialsInACluster(t *testing.T) {
	first, second := vault.Generate(), vault.Generate()
	i := 0
	nodes := trio(t, func(c *Config) {
		c.Credentials = [...]*vault.Keys{testKeys(t, first), testKeys(t, second, first), testKeys(t, second)}[i]
		i++
	})
	c := nodes[0].connect(ProviderPostgres, databaseConfig)
	for _, n := range nodes {
		if err := n.Barrier(n.ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes[:2] {
		if _, ok, err := n.warehouseSource("t1"); err != nil || !ok {
			t.Errorf("%s: got %v, %v, want the source", n.config.Cluster.NodeID, ok, err)
		}
	}
	_, _, err := nodes[2].warehouseSource("t1")
	wantError(t, "a node without the key", err, decision.KindUnavailable, "")
	if tested, err := nodes[2].TestConnection(nodes[2].ctx, "t1", c.ID); err != nil || decision.KindOf(tested.Problem) != decision.KindUnavailable {
		t.Errorf("TestConnection() = %+v, %v, want that it is unavailable", tested, err)
	}
	if err := nodes[2].Ready(); err != nil {
		t.Errorf("the node without the key: %v", err)
	}
	if a, b := nodes[0].digest(), nodes[1].digest(); a.Registry != b.Registry {
		t.Error("the nodes' digests differ")
	}
}

// events are exposures and rewards of an optimization, the same as rows and for the
// engine's own store.
type events struct{ exposures, rewards []IngestEvent }

func eventsOf(o *OptimizationDetail, newest time.Time) (e events) {
	design := o.TrainingDataConfig.DesignFactors
	for i := range 1200 {
		who := fmt.Sprint("v", i%700)
		at := newest.Add(-time.Duration(i*37%4000) * 10 * time.Minute)
		levels := factorial.Combination{}
		for f := range design {
			levels[design[f].Name] = design[f].Levels[(i/(f+1)+f)%len(design[f].Levels)]
		}
		seen := map[string]factorial.Value{"device": factorial.StringOf([]string{"desktop", "mobile", "watch"}[i%3])}
		e.exposures = append(e.exposures, IngestEvent{
			AnonymousID: who, OptimizationID: o.ID, Variant: levels, Context: seen, At: decision.TimeOf(at), IdempotencyKey: fmt.Sprint("e", i%1190),
		})
		if gained := at.Add(time.Duration(i%30) * time.Hour); i%4 == 0 && gained.Before(newest) {
			e.rewards = append(e.rewards, IngestEvent{AnonymousID: who, RewardName: "signup", Value: 1, At: decision.TimeOf(gained)})
		}
	}
	return e
}

func (e *events) csv() (exposures, rewards string) {
	var x, r strings.Builder
	x.WriteString("visitor,optimization,at,headline,badge,device,held,key\n")
	for _, v := range e.exposures {
		fmt.Fprintf(&x, "%s,%s,%s,%s,%s,%s,false,%s\n", v.AnonymousID, v.OptimizationID, v.At, v.Variant["headline"].Text, v.Variant["badge"].Text, v.Context["device"].Text, v.IdempotencyKey)
	}
	r.WriteString("visitor,at\n")
	for _, v := range e.rewards {
		fmt.Fprintf(&r, "%s,%s\n", v.AnonymousID, v.At)
	}
	return x.String(), r.String()
}

func (n *node) ingest(rewards bool, all []IngestEvent) {
	n.t.Helper()
	for len(all) > 0 {
		some := all[:min(len(all), MaxEvents)]
		all = all[len(some):]
		if r, _, err := n.Ingest(n.ctx, n.w(), rewards, some, now()); err != nil || len(r.Rejected) > 0 {
			n.t.Fatalf("Ingest() = %+v, %v", r, err)
		}
	}
}

// observed returns what the engine's own store has of an optimization, and as of when.
func (n *node) observed(o *OptimizationDetail) (*attribution.Table, int64) {
	n.t.Helper()
	w := n.w()
	begun, _, err := do[*begunTraining](n.ctx, n.Engine, w.header(command.KindBeginOptimizationTraining), command.BeginOptimizationTraining{ModelID: o.Model.ID, Node: "none"})
	if err != nil {
		n.t.Fatal(err)
	}
	seen := <-begun.observed
	if err := n.endTraining(n.ctx, w, o.Model.ID, begun.model.Run, ""); err != nil || seen.Err != nil {
		n.t.Fatal(err, seen.Err)
	}
	return seen.Table, time.Now().UnixMilli()
}

// trainedBytes is what comes of training with a fixed seed.
func trainedBytes(t testing.TB, rt *optimizationRuntime, table *attribution.Table) []byte {
	t.Helper()
	trained, err := posterior.Train(context.Background(), rt.plan.Space, rt.plan.Model, rt.plan.Reward, table.Observed(), posterior.Options{Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	return trained.Append(nil)
}

// One training after the other, of the same events from the engine's own store, from
// files and from a database: each learns the same.
func TestTrainingsAgree(t *testing.T) {
	server := pgtest.New(t)
	root := t.TempDir()
	n := fresh(t, func(c *Config) {
		c.Warehouse.Dir = root
		c.Endpoints.AllowHTTP, c.Endpoints.Allow = true, []string{"127.0.0.1"}
	})
	o := n.optimization(page(optimization.CMAB, 0))
	e := eventsOf(o, time.Now().Add(-time.Hour))
	n.ingest(false, e.exposures)
	n.ingest(true, e.rewards)
	own := n.trainedModel(o.Model.ID)
	rt := must(n.machine.directory.optimization("t1", o.ID))
	table, at := n.observed(o)
	counts, learned := table.Append(nil), trainedBytes(t, rt, table)
	if table.Immature() == 0 {
		t.Error("no exposure is immature: the events are not enough for a test")
	}

	exposures, rewards := e.csv()
	if err := os.Mkdir(filepath.Join(root, "t1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"e.csv": exposures, "r.csv": rewards} {
		if err := os.WriteFile(filepath.Join(root, "t1", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	same := func(what string, c catalogue.Connection) {
		t.Helper()
		if tested, err := n.TestConnection(n.ctx, "t1", c.ID); err != nil || tested.Problem != nil {
			t.Fatalf("%s: TestConnection() = %+v, %v", what, tested, err)
		}
		if source, ok, err := n.warehouseSource("t1"); err != nil {
			t.Fatal(err)
		} else if ok {
			table, err := source.Observations(n.ctx, warehouseRequest(rt, at))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(table.Append(nil), counts) || !bytes.Equal(trainedBytes(t, rt, table), learned) {
				t.Errorf("%s: counts or the posterior of a seed are others than those of the engine's own store", what)
			}
		}
		got := n.trainedModel(o.Model.ID)
		if g, w := got.Summary, own.Summary; g.Exposures != w.Exposures || g.Historic != w.Historic || g.Exposures < 600 {
			t.Errorf("%s: %d exposures with the mean reward %v, want %d with %v", what, g.Exposures, g.Historic, w.Exposures, w.Historic)
		}
		if _, err := n.DeleteConnection(n.ctx, n.w(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	same("embedded", n.connect(ProviderEmbedded, `{}`))
	same("files", n.connect(ProviderFiles, `{
		"exposures":{"path":"e.csv","column_mapping":{"anonymous_id":"visitor","timestamp":"at","optimization_id":"optimization","is_holdout":"held","idempotency_key":"key"}},
		"rewards":{"path":"r.csv","column_mapping":{"anonymous_id":"visitor","timestamp":"at"}}}`))
	server.Exec(t, `CREATE TABLE shown (visitor text, optimization uuid, at timestamptz, headline text, badge boolean, device text, held boolean, key text)`,
		`CREATE TABLE signups (visitor text, at timestamptz)`)
	server.Copy(t, "shown", filepath.Join(root, "t1", "e.csv"))
	server.Copy(t, "signups", filepath.Join(root, "t1", "r.csv"))
	n.metric(shown())
	n.metric(signups())
	database := fmt.Sprintf(`{"host":"127.0.0.1","port":%d,"database":"postgres","user":%q,"password":%q,"sslmode":"disable"}`, server.Port, pgtest.User, pgtest.Password)
	same("postgres", n.connect(ProviderPostgres, database))
	if s := n.Stats(); s.WarehouseReads != 4 || s.WarehouseFailures != 0 || s.WarehouseExposures == 0 || s.WarehouseSeconds == 0 {
		t.Errorf("Stats() = %+v, want four readings", s)
	}

	// A source that fails leaves the model as it was.
	before := n.trainedModel(o.Model.ID)
	c := n.connect(ProviderPostgres, database)
	server.Exec(t, `INSERT INTO shown (visitor, optimization, at, headline, badge) VALUES ('zz', '`+o.ID+`', now() - interval '1 day', 'odd', true)`)
	_, _, err := n.TrainOptimizationModel(n.ctx, n.w(), o.Model.ID, nil)
	wantError(t, "a wrong row", err, decision.KindConflict, "")
	if !strings.Contains(fmt.Sprint(err), warehouse.ReasonData) && !strings.Contains(fmt.Sprint(err), `"odd"`) {
		t.Errorf("a wrong row: got %v, want its value", err)
	}
	server.Exec(t, `DROP TABLE shown`)
	_, _, err = n.TrainOptimizationModel(n.ctx, n.w(), o.Model.ID, nil)
	wantError(t, "no table", err, decision.KindConflict, "")
	if _, err := n.DeleteConnection(n.ctx, n.w(), c.ID); err != nil {
		t.Fatal(err)
	}
	after, err := n.OptimizationModel("t1", o.Model.ID)
	if err != nil || after.Model.Status != before.Status || after.Model.Summary.At != before.Summary.At {
		t.Errorf("after failures: %+v, %v, want %+v", after.Model, err, before)
	}
	if s := n.Stats(); s.WarehouseFailures != 2 {
		t.Errorf("%d failed readings, want 2", s.WarehouseFailures)
	}
}
