package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/warehouse"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Stop()
	os.Exit(code)
}

const optimizationID = "5f0c3f5e-3c3e-4f0e-9a53-7a3b8d6f0001"

func testRequest(t testing.TB) *warehouse.Request {
	t.Helper()
	space, err := factorial.New(factorial.Definition{
		Design: []factorial.Factor{{Name: "v", Type: factorial.String, Levels: []factorial.Value{factorial.StringOf("a"), factorial.StringOf("b")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int) int64 { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC).UnixMilli() }
	return &warehouse.Request{
		Optimization: optimizationID, Space: space, Reward: "signup",
		Rules: attribution.Rules{Window: 24 * 3600 * 1000}, Start: day(1), Now: day(30),
	}
}

// lab is a source at the test's server, to be changed before it is asked.
type lab struct {
	t      testing.TB
	server *pgtest.Server
	config Config
	pass   string
	rows   []warehouse.Metric
	opts   Options
}

const (
	exposuresSQL = `SELECT * FROM (VALUES ('u', '2026-03-02 10:00+00'::timestamptz, 'a'), ('w', '2026-03-02 10:00+00', 'b'), ('x', '2026-02-02 10:00+00', 'b')) AS e (anonymous_id, shown, v)`
	rewardsSQL   = `SELECT 'u' AS anonymous_id, '2026-03-02 11:00'::timestamp AS at`
)

func newLab(t testing.TB) *lab {
	s := pgtest.Start(t)
	dialer, err := endpoint.NewDialer(endpoint.Options{AllowHTTP: true, Allow: []string{"127.0.0.1", "::1"}})
	if err != nil {
		t.Fatal(err)
	}
	return &lab{
		t: t, server: s, pass: pgtest.Password,
		config: Config{Host: "127.0.0.1", Port: s.Port, Database: "postgres", User: pgtest.User, SSLMode: Disable},
		rows: []warehouse.Metric{
			{Name: "shown", Kind: warehouse.KindExposures, SQL: exposuresSQL, Mapping: warehouse.Mapping{AnonymousID: "anonymous_id", Timestamp: "shown"}},
			{Name: "signup", Kind: warehouse.KindReward, SQL: rewardsSQL, Mapping: warehouse.Mapping{AnonymousID: "anonymous_id", Timestamp: "at"}},
		},
		opts: Options{Dialer: dialer, Timeout: 20 * time.Second, Limits: warehouse.DefaultLimits()},
	}
}

func (l *lab) observe() (*attribution.Table, error) {
	return New(l.config, l.pass, l.rows, l.opts).Observations(context.Background(), testRequest(l.t))
}

// wantFault wants an error of a reason with a text that the client sees.
func (l *lab) wantFault(name string, err error, reason, text string) {
	l.t.Helper()
	var e *decision.Error
	if !errors.As(err, &e) || e.Reason != reason || !strings.Contains(e.Msg, text) {
		l.t.Errorf("%s: got %v, want the reason %s and %q", name, err, reason, text)
		return
	}
	if strings.Contains(e.Msg, pgtest.Password) {
		l.t.Errorf("%s: the message has the password: %s", name, e.Msg)
	}
}

func TestObservations(t *testing.T) {
	l := newLab(t)
	table, err := l.observe()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(table.Observed()), "[{0 0 1 1 1} {1 0 1 0 0}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A parameter takes the type of what it is held against, and is never text of the
// query.
func TestParameters(t *testing.T) {
	l := newLab(t)
	l.server.Exec(t, `DROP TABLE IF EXISTS seen`, `CREATE TABLE seen (anonymous_id text, opt uuid, shown date, v text)`,
		`INSERT INTO seen VALUES ('u', '`+optimizationID+`', '2026-03-01', 'a'), ('w', gen_random_uuid(), '2026-03-02', 'b'), ('x', '`+optimizationID+`', '2026-02-28', 'b')`)
	for _, sql := range []string{
		`SELECT * FROM seen WHERE opt = @optimization_id AND shown >= @start_date`,
		`SELECT * FROM seen WHERE opt::text = @optimization_id AND shown::timestamptz >= @start_date -- @other 'quote`,
		`WITH s AS (SELECT * FROM seen) SELECT * FROM s WHERE opt = @optimization_id /* ; */ ; `,
		`SELECT *, '@start_date' AS note FROM seen WHERE opt = @optimization_id AND extract(epoch FROM shown) >= extract(epoch FROM @start_date::timestamptz)`,
	} {
		l.rows[0].SQL = sql
		table, err := l.observe()
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		} else if got, want := fmt.Sprint(table.Observed()), "[{0 0 1 0 0}]"; got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
	}
	hostile := testRequest(t)
	hostile.Optimization = `x'; DROP TABLE seen; --`
	l.rows[0].SQL = `SELECT * FROM seen WHERE opt::text = @optimization_id`
	if table, err := New(l.config, l.pass, l.rows, l.opts).Observations(context.Background(), hostile); err != nil || table.Exposures() != 0 {
		t.Errorf("an id with a quote: got %v, %v, want nothing found", table, err)
	}
	l.rows[0].SQL = `SELECT * FROM seen WHERE shown >= @end_date`
	_, err := l.observe()
	l.wantFault("another parameter", err, warehouse.ReasonQuery, "@start_date and @optimization_id")
}

// Whatever the query says, nothing in the database is changed.
func TestReadOnly(t *testing.T) {
	l := newLab(t)
	l.server.Exec(t, `DROP TABLE IF EXISTS precious`, `CREATE TABLE precious (n int)`, `INSERT INTO precious VALUES (1)`,
		`CREATE OR REPLACE FUNCTION spoil() RETURNS text LANGUAGE sql AS $$ DELETE FROM precious; SELECT 'u' $$`)
	for name, sql := range map[string]string{
		"a function":       `SELECT spoil() AS anonymous_id, now() AS shown, 'a' AS v`,
		"the setting":      `SELECT set_config('transaction_read_only', 'off', false) AS anonymous_id, now() AS shown, 'a' AS v`,
		"two statements":   `SELECT 'u' AS anonymous_id, now() AS shown, 'a' AS v; DELETE FROM precious`,
		"out of the parts": `SELECT 'u' AS anonymous_id, now() AS shown, 'a' AS v) AS m; DELETE FROM precious; SELECT * FROM (SELECT 1`,
		"a delete in with": `WITH d AS (DELETE FROM precious RETURNING n) SELECT n::text AS anonymous_id, now() AS shown, 'a' AS v FROM d`,
		"a delete":         `DELETE FROM precious RETURNING 'u' AS anonymous_id, now() AS shown, 'a' AS v`,
	} {
		l.rows[0].SQL = sql
		_, err := l.observe()
		l.wantFault(name, err, warehouse.ReasonQuery, `metric "shown": the database says: `)
	}
	l.server.Exec(t, `DO $$ BEGIN ASSERT (SELECT count(*) FROM precious) = 1; END $$`)
}

// Both queries see one state of the database.
func TestOneSnapshot(t *testing.T) {
	l := newLab(t)
	l.server.Exec(t, `DROP TABLE IF EXISTS bought`, `CREATE TABLE bought (anonymous_id text, at timestamptz)`,
		`INSERT INTO bought VALUES ('u', '2026-03-02 11:00+00')`)
	l.rows[1].SQL = `SELECT * FROM bought`
	s := New(l.config, l.pass, l.rows, l.opts)
	r := testRequest(t)
	changed := false
	// The columns are looked at when the first rows are there; the rewards' come then.
	err := s.transaction(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		e, err := declare(ctx, s, tx, "exposures", &l.rows[0], r, func(columns []string) (warehouse.Rows[attribution.Exposure], error) {
			if !changed {
				changed = true
				l.server.Exec(t, `INSERT INTO bought VALUES ('w', '2026-03-02 11:00+00')`)
			}
			return warehouse.NewExposures(r, &l.rows[0].Mapping, "shown", columns)
		})
		if err != nil {
			return err
		}
		for { // all of the exposures before the first reward
			if _, _, ok, err := e.Next(); err != nil || !ok {
				break
			}
		}
		w, err := declare(ctx, s, tx, "rewards", &l.rows[1], r, func(columns []string) (warehouse.Rows[attribution.Reward], error) {
			return warehouse.NewRewards(r, &l.rows[1].Mapping, "bought", columns)
		})
		if err != nil {
			return err
		}
		n := 0
		for {
			_, _, ok, err := w.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			n++
		}
		if n != 1 {
			t.Errorf("got %d rewards, want the one that was there at first", n)
		}
		return nil
	})
	if err != nil || !changed {
		t.Fatal(err)
	}
}

// More rows than one part, and an error in the last of them: nothing is counted.
func TestManyRowsAndAFailureInTheMiddle(t *testing.T) {
	l := newLab(t)
	const many = `SELECT 'v' || n AS anonymous_id, '2026-03-02 10:00+00'::timestamptz AS shown, %s AS v FROM generate_series(1, 25000) AS n`
	l.rows[0].SQL = fmt.Sprintf(many, `CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END`)
	table, err := l.observe()
	if err != nil || table.Exposures() != 25000 {
		t.Fatalf("got %v, %v, want 25000 exposures", table, err)
	}
	l.rows[0].SQL = fmt.Sprintf(many, `CASE 'v' || n WHEN 'v9999' THEN 'c' ELSE 'a' END`)
	table, err = l.observe()
	l.wantFault("a wrong row", err, warehouse.ReasonData, `metric "shown", row 25000 of those sorted by anonymous_id, column "v": must be a level of the design factor "v", got "c"`)
	l.rows[0].SQL = fmt.Sprintf(many, `CASE WHEN 10 / (n - 9999) > 100 THEN 'a' ELSE 'b' END`)
	if table != nil {
		t.Error("a failed reading gave counts")
	}
	table, err = l.observe()
	l.wantFault("an error of the database", err, warehouse.ReasonQuery, "division by zero (22012)")
	if table != nil {
		t.Error("a failed reading gave counts")
	}
	l.opts.Limits.MaxRows = 100
	l.rows[0].SQL = fmt.Sprintf(many, `'a'`)
	_, err = l.observe()
	l.wantFault("too many rows", err, warehouse.ReasonLimit, "more than the 100 rows")
	l.opts.Limits = warehouse.Limits{MaxRows: 1e6, MaxVisitorRows: 10}
	l.rows[0].SQL = strings.Replace(l.rows[0].SQL, "'v' || n", "'v'", 1)
	_, err = l.observe()
	l.wantFault("too many of one", err, warehouse.ReasonLimit, `the visitor "v" has more than 10 rows`)
}

func TestTypesOfColumns(t *testing.T) {
	l := newLab(t)
	for name, tc := range map[string]struct{ id, at, v string }{
		"numbers":         {"42", "1772445600000", "'a'"},
		"a uuid":          {"'6f0c3f5e-3c3e-4f0e-9a53-7a3b8d6f0001'::uuid", "1772445600000::numeric", "'a'::varchar"},
		"text":            {"'u'::text", "'2026-03-02T10:00:00+00:00'", "'a'::text"},
		"a day":           {"'u'::name", "'2026-03-02'::date", "'a'"},
		"without a zone":  {"'u'", "'2026-03-02 10:00:00.123'::timestamp", "'a'"},
		"a distant zone":  {"'u'", "'2026-03-02 10:00:00.123456+13:45'::timestamptz", "'a'"},
		"a floating time": {"1.5::float8", "1772445600000::float8", "'a'"},
	} {
		l.rows[0].SQL = fmt.Sprintf(`SELECT %s AS anonymous_id, %s AS shown, %s AS v`, tc.id, tc.at, tc.v)
		table, err := l.observe()
		if err != nil || table.Exposures() != 1 {
			t.Errorf("%s: got %v, %v, want one exposure", name, table, err)
		}
	}
	for name, tc := range map[string]struct{ sql, want string }{
		"infinity":    {`SELECT 'u' AS anonymous_id, 'infinity'::timestamptz AS shown, 'a' AS v`, `column "shown"`},
		"null id":     {`SELECT NULL::text AS anonymous_id, now() AS shown, 'a' AS v`, `column "anonymous_id"`},
		"null level":  {`SELECT 'u' AS anonymous_id, '2026-03-02'::date AS shown, NULL AS v`, `column "v"`},
		"no column":   {`SELECT 'u' AS anonymous_id, '2026-03-02'::date AS shown`, `no column "v"`},
		"a wide row":  {`SELECT 'u' AS anonymous_id, '2026-03-02'::date AS shown, repeat('a', 2000000) AS v`, `a row of more than`},
		"bytes":       {`SELECT 'u'::bytea AS anonymous_id, '2026-03-02'::date AS shown, 'b' AS w, 'q' AS v`, `column "v"`},
		"a wrong one": {`SELECT nothing FROM nowhere`, `relation "nowhere" does not exist`},
	} {
		l.rows[0].SQL = tc.sql
		if _, err := l.observe(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestTimeouts(t *testing.T) {
	l := newLab(t)
	l.opts.Timeout = 300 * time.Millisecond
	l.rows[0].SQL = `SELECT pg_sleep(30)::text AS anonymous_id, now() AS shown, 'a' AS v`
	began := time.Now()
	_, err := l.observe()
	l.wantFault("a slow query", err, warehouse.ReasonTimeout, "did not answer in time")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v, want about the limit", took)
	}
	l.server.Exec(t, `DROP TABLE IF EXISTS locked`, `CREATE TABLE locked (anonymous_id text, shown timestamptz, v text)`)
	ctx := context.Background()
	c, err := l.server.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, `BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	l.rows[0].SQL = `SELECT * FROM locked`
	_, err = l.observe()
	l.wantFault("a lock", err, warehouse.ReasonTimeout, "did not answer in time")
	// What nobody answers at.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l.config.Port = uint16(ln.Addr().(*net.TCPAddr).Port)
	_, err = l.observe()
	l.wantFault("silence", err, warehouse.ReasonTimeout, "did not answer in time")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := New(l.config, l.pass, l.rows, l.opts).Observations(cancelled, testRequest(t)); err == nil {
		t.Error("a cancelled reading: want an error")
	}
}

func TestConnecting(t *testing.T) {
	for name, tc := range map[string]struct {
		change       func(*lab)
		reason, text string
	}{
		"password": {func(l *lab) { l.pass = "wrong" }, warehouse.ReasonRefused, "refuses the user or the password"},
		"user":     {func(l *lab) { l.config.User = "nobody" }, warehouse.ReasonRefused, "refuses the user or the password"},
		"database": {func(l *lab) { l.config.Database = "nothing" }, warehouse.ReasonRefused, "the database does not exist"},
		"port":     {func(l *lab) { l.config.Port = 1 }, warehouse.ReasonUnreachable, "cannot be reached"},
		"name":     {func(l *lab) { l.config.Host = "nothing.invalid" }, warehouse.ReasonUnreachable, "cannot be reached"},
		"plain":    {func(l *lab) { l.opts.Dialer = dialer(l.t, endpoint.Options{Allow: []string{"127.0.0.1"}}) }, warehouse.ReasonSetup, "permits no connections without TLS"},
		"address":  {func(l *lab) { l.opts.Dialer = dialer(l.t, endpoint.Options{AllowHTTP: true}) }, warehouse.ReasonRefused, "may not connect"},
	} {
		l := newLab(t)
		tc.change(l)
		_, err := l.observe()
		l.wantFault(name, err, tc.reason, tc.text)
		l.wantFault(name+", test", New(l.config, l.pass, l.rows, l.opts).Test(context.Background()), tc.reason, tc.text)
	}
}

func dialer(t testing.TB, o endpoint.Options) *endpoint.Dialer {
	t.Helper()
	d, err := endpoint.NewDialer(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The environment and the files of this machine have no say.
func TestEnvironmentIsNotRead(t *testing.T) {
	l := newLab(t)
	for name, value := range map[string]string{
		"PGHOST": "198.51.100.1", "PGPORT": "1", "PGUSER": "other", "PGPASSWORD": "other", "PGDATABASE": "other", "PGSSLMODE": "verify-full",
		"PGOPTIONS": "-c default_transaction_read_only=off", "PGTARGETSESSIONATTRS": "read-write", "PGAPPNAME": "other",
	} {
		t.Setenv(name, value)
	}
	if _, err := New(l.config, pgtest.Password, l.rows, l.opts).Observations(context.Background(), testRequest(t)); err != nil {
		t.Error(err)
	}
	l.pass = ""
	_, err := l.observe()
	l.wantFault("no password", err, warehouse.ReasonRefused, "refuses the user or the password")
}

func TestTLS(t *testing.T) {
	l := newLab(t)
	for _, tc := range []struct {
		mode, host, root string
		ok               bool
	}{
		{Require, "127.0.0.1", "", true}, {Require, "127.0.0.1", l.server.CA, true}, {VerifyCA, "127.0.0.1", l.server.CA, true}, {VerifyFull, "localhost", l.server.CA, true},
		{VerifyFull, "127.0.0.1", l.server.CA, false}, {VerifyFull, "localhost", "", false}, {VerifyCA, "127.0.0.1", "", false},
	} {
		// No mode falls back to a plain connection.
		d := dialer(t, endpoint.Options{Allow: []string{"127.0.0.1", "::1", "localhost"}})
		c := Config{Host: tc.host, Port: l.server.Port, Database: "postgres", User: pgtest.User, SSLMode: tc.mode, SSLRootCert: tc.root}
		sql := l.rows
		sql[0].SQL = `SELECT * FROM (` + exposuresSQL + `) AS x, pg_stat_ssl AS s WHERE s.pid = pg_backend_pid() AND s.ssl`
		table, err := New(c, pgtest.Password, sql, Options{Dialer: d, Timeout: 10 * time.Second, Limits: warehouse.DefaultLimits()}).Observations(context.Background(), testRequest(t))
		if tc.ok && (err != nil || table.Exposures() != 2) {
			t.Errorf("%s to %s, root %t: got %v, %v, want two exposures over TLS", tc.mode, tc.host, tc.root != "", table, err)
		}
		if !tc.ok {
			l.wantFault(tc.mode+" to "+tc.host, err, warehouse.ReasonUnreachable, "sslmode")
		}
	}
}

func TestTestLooksAtMetrics(t *testing.T) {
	l := newLab(t)
	test := func() error { return New(l.config, l.pass, l.rows, l.opts).Test(context.Background()) }
	if err := test(); err != nil {
		t.Error(err)
	}
	l.rows[1].Mapping.Value = "worth"
	l.wantFault("a column that is not there", test(), warehouse.ReasonData, `metric "signup": the columns are not as mapped; value: there is no column "worth"`)
	l.rows[1].SQL = `SELECT 1 +`
	l.wantFault("a query that is none", test(), warehouse.ReasonQuery, `metric "signup": the database says: syntax error`)
	l.rows = l.rows[:1]
	_, err := l.observe()
	l.wantFault("no metric of the reward", err, warehouse.ReasonSetup, `"signup"`)
	l.rows = nil
	if err := test(); err != nil {
		t.Errorf("without metrics: %v", err)
	}
	_, err = l.observe()
	l.wantFault("no metrics", err, warehouse.ReasonSetup, "exposures")
}

func TestParse(t *testing.T) {
	c, password, err := Parse(json.RawMessage(`{"host":"db.example.com","database":"d","user":"u","password":"secret"}`), "config")
	if err != nil || c.Port != 5432 || c.SSLMode != VerifyFull || password != "secret" {
		t.Errorf("got %+v, %q, %v", c, password, err)
	}
	if b, err := json.Marshal(c); err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("the configuration as stored: got %s, %v, want no password", b, err)
	}
	base := `{"host":"h","database":"d","user":"u"%s}`
	for _, tc := range []struct{ raw, at string }{
		{`{"database":"d","user":"u"}`, "config.host"}, {`{"host":"h","user":"u"}`, "config.database"}, {`{"host":"h","database":"d"}`, "config.user"}, {`[]`, "config"},
		{fmt.Sprintf(base, `,"sslmode":"prefer"`), "config.sslmode"}, {fmt.Sprintf(base, `,"sslrootcert":"x"`), "config.sslrootcert"}, {fmt.Sprintf(base, `,"port":70000`), "config"},
		{fmt.Sprintf(base, `,"service":"x"`), "config"}, {`{"host":"/tmp","database":"d","user":"u"}`, "config.host"}, {`{"host":"a,b","database":"d","user":"u"}`, "config.host"},
		{`{"host":"h","database":"d\u0000","user":"u"}`, "config.database"},
	} {
		_, _, err := Parse(json.RawMessage(tc.raw), "config")
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || e.Details[0].Path != tc.at {
			t.Errorf("%s: got %v, want a problem at %s", tc.raw, err, tc.at)
		}
	}
}

// The queries of the documentation, in its own words.
func TestQueriesOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/warehouse.md")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	l := newLab(t)
	for _, part := range strings.Split(string(page), "```sql\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		switch {
		case strings.HasPrefix(text, "SELECT"):
			queries = append(queries, text)
		case strings.HasPrefix(text, "CREATE"):
			l.server.Exec(t, `DROP TABLE IF EXISTS shown, orders`, `DROP ROLE IF EXISTS praetor`)
			l.server.Exec(t, strings.Split(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ";")), ";")...)
		}
	}
	if len(queries) != 2 {
		t.Fatalf("got %d queries, want two", len(queries))
	}
	l.server.Exec(t, `INSERT INTO shown VALUES ('u', '`+optimizationID+`', '2026-03-02 10:00+00', 'a', true, 'mobile', false), ('w', gen_random_uuid(), '2026-03-02 10:00+00', 'b', true, NULL, true)`,
		`INSERT INTO orders VALUES (1, 'u', '2026-03-02 11:00+00', 12.50, 'paid'), (2, 'u', '2026-03-02 12:00+00', 99, 'open')`)
	l.config.User, l.pass = "praetor", "choose-another-one"
	l.rows = []warehouse.Metric{
		{Name: "shown", Kind: warehouse.KindExposures, SQL: queries[0], Mapping: warehouse.Mapping{
			AnonymousID: "visitor", Timestamp: "at", IsHoldout: "held", DesignFactors: map[string]string{"v": "headline"}}},
		{Name: "signup", Kind: warehouse.KindReward, SQL: queries[1], Mapping: warehouse.Mapping{AnonymousID: "visitor", Timestamp: "paid_at", Value: "total", IdempotencyKey: "key"}},
	}
	r := testRequest(t)
	r.Rules.Numeric = true
	s := New(l.config, l.pass, l.rows, l.opts)
	if err := s.Test(context.Background()); err != nil {
		t.Fatal(err)
	}
	table, err := s.Observations(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(table.Observed()), "[{0 0 1 12.5 156.25}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckSQL(t *testing.T) {
	for sql, ok := range map[string]bool{
		"SELECT 1": true, "  (select 1)": true, "WITH a AS (SELECT 1) SELECT * FROM a": true, "SELECT @start_date, @optimization_id, '@x', \"@y\" -- @z": true,
		"TABLE t": true, "VALUES (1)": true,
		"DELETE FROM t": false, "update t set a = 1": false, "SELECT @other": false, "SELECT '\x00'": false, "SET x = 1": false,
	} {
		var p decision.Problems
		if CheckSQL(&p, "sql", sql); (p.Err() == nil) != ok {
			t.Errorf("%q: got %v, want accepted %v", sql, p.Err(), ok)
		}
	}
}

func FuzzBind(f *testing.F) {
	for _, s := range []string{"SELECT @start_date", "'@start_date", "$$@x$$ @optimization_id", "E'\\'@a", "-- @b\n@start_date", "/* /* @c */ @d */"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		text, args, err := bind(sql, "id", 1)
		if err == nil && (len(args) > 2 || len(text) > len(sql)) {
			t.Errorf("%q became %q with %d parameters", sql, text, len(args))
		}
	})
}
