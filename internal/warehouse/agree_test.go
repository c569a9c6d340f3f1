package warehouse_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
	"github.com/praetor-engine/praetor/internal/warehouse"
	"github.com/praetor-engine/praetor/internal/warehouse/files"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Stop()
	os.Exit(code)
}

// The optimization of testdata/generate.py.
const ours = "5f0c3f5e-3c3e-4f0e-9a53-7a3b8d6f0001"

func text(levels ...string) (all []factorial.Value) {
	for _, l := range levels {
		all = append(all, factorial.StringOf(l))
	}
	return all
}

func request(t testing.TB, reward string, first bool) *warehouse.Request {
	t.Helper()
	flags := []factorial.Value{factorial.BoolOf(false), factorial.BoolOf(true)}
	space, err := factorial.New(factorial.Definition{
		Design: []factorial.Factor{
			{Name: "headline", Type: factorial.String, Levels: text("plain", "bold", "question")},
			{Name: "cta", Type: factorial.Bool, Levels: flags},
		},
		Context: []factorial.Factor{
			{Name: "device", Type: factorial.String, Levels: text("mobile", "desktop")},
			{Name: "member", Type: factorial.Bool, Levels: flags},
		},
		PairModel: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	kind := attribution.LastTouch
	if first {
		kind = attribution.FirstTouch
	}
	rules, err := attribution.NewRules(kind, 24, reward == "revenue")
	if err != nil {
		t.Fatal(err)
	}
	return &warehouse.Request{
		Optimization: ours, Space: space, Rules: rules, Reward: reward,
		Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), Now: time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC).UnixMilli(),
	}
}

// embedded counts the events of the CSV files one by one, in the order of the
// files, as the engine's own store does; it knows nothing of package warehouse.
func embedded(t testing.TB, r *warehouse.Request) *attribution.Table {
	t.Helper()
	tracker := attribution.NewTracker(r.Rules)
	counts := func(at string) (int64, bool) {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		ms := when.UnixMilli()
		return ms, ms >= r.Start && ms <= r.Now
	}
	for _, row := range records(t, "exposures.csv") {
		at, ok := counts(row[2])
		if !ok || row[1] != ours {
			continue
		}
		variant, err := r.Space.VariantOf(factorial.Combination{"headline": factorial.StringOf(row[3]), "cta": factorial.BoolOf(row[4] == "true")}, "variant")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]factorial.Value{"device": factorial.StringOf(row[5])}
		if row[6] != "" {
			seen["member"] = factorial.BoolOf(row[6] == "true")
		}
		tracker.Expose(row[0], attribution.Exposure{
			At: at, Key: attribution.KeyOf(row[8]), Cell: r.Space.CellOf(seen), Variant: uint16(variant), Holdout: row[7] == "true",
		}, r.Now)
	}
	for _, row := range records(t, "rewards.csv") {
		at, ok := counts(row[3])
		if !ok || row[2] != r.Reward || row[1] != "" && row[1] != ours {
			continue
		}
		value, err := strconv.ParseFloat(row[4], 64)
		if err != nil {
			t.Fatal(err)
		}
		amount, err := attribution.AmountOf(value)
		if err != nil {
			t.Fatal(err)
		}
		tracker.Reward(row[0], attribution.Reward{At: at, Key: attribution.KeyOf(row[5]), Value: amount}, r.Now)
	}
	return tracker.Table(r.Now)
}

func records(t testing.TB, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

// database fills a server with the CSV files and returns the source.
func database(t testing.TB) warehouse.Source {
	t.Helper()
	s := pgtest.Start(t)
	s.Exec(t, `DROP TABLE IF EXISTS exposures, rewards`,
		`CREATE TABLE exposures (anonymous_id text, optimization_id uuid, shown_at timestamptz, headline varchar(20), cta text,
		 device text, member boolean, held boolean, key text)`,
		`CREATE TABLE rewards (anonymous_id text, optimization_id uuid, name text, at timestamp, value numeric(12, 2), key text)`)
	s.Copy(t, "exposures", "testdata/exposures.csv")
	s.Copy(t, "rewards", "testdata/rewards.csv")
	metrics := []warehouse.Metric{{
		Name: "shown", Kind: warehouse.KindExposures,
		SQL: `SELECT anonymous_id, shown_at, headline, cta = 'true' AS cta, device, member, held, key FROM exposures
		      WHERE optimization_id = @optimization_id AND shown_at >= @start_date;`,
		Mapping: warehouse.Mapping{AnonymousID: "anonymous_id", Timestamp: "shown_at", IsHoldout: "held", IdempotencyKey: "key"},
	}}
	for _, name := range []string{"signup", "revenue"} {
		metrics = append(metrics, warehouse.Metric{
			Name: name, Kind: warehouse.KindReward,
			SQL: `SELECT * FROM rewards -- '@nothing
			      WHERE name = '` + name + `' AND at >= @start_date AND (optimization_id IS NULL OR optimization_id = @optimization_id)`,
			Mapping: warehouse.Mapping{AnonymousID: "anonymous_id", Timestamp: "at", Value: "value", IdempotencyKey: "key"},
		})
	}
	dialer, err := endpoint.NewDialer(endpoint.Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return postgres.New(postgres.Config{Host: "127.0.0.1", Port: s.Port, Database: "postgres", User: pgtest.User, SSLMode: postgres.Disable},
		pgtest.Password, metrics, postgres.Options{Dialer: dialer, Timeout: time.Minute, Limits: warehouse.DefaultLimits()})
}

// The same events, from wherever they come, give the same counts to the byte, and
// so the same posterior.
func TestSourcesAgree(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink(abs(t, "testdata"), filepath.Join(root, "acme")); err != nil {
		t.Fatal(err)
	}
	file := func(path string, m warehouse.Mapping) files.File { return files.File{Path: path, Mapping: m} }
	pair := func(exposures, rewards files.File, sortBytes int) warehouse.Source {
		return files.New(files.Config{Exposures: exposures, Rewards: rewards}, "acme",
			files.Options{Root: root, Temp: t.TempDir(), Limits: warehouse.DefaultLimits(), SortBytes: sortBytes})
	}
	plain := warehouse.Mapping{}
	numbered := warehouse.Mapping{
		AnonymousID: "visitor", Timestamp: "shown", TimestampUnit: warehouse.Microseconds, VariantNumber: "variant",
		ContextFactors: map[string]string{"device": "screen"}, IsHoldout: "held", IdempotencyKey: "key",
	}
	sources := []struct {
		name   string
		source warehouse.Source
	}{
		{"csv", pair(file("exposures.csv", plain), file("rewards.csv", plain), 0)},
		{"csv, sorted in many runs", pair(file("exposures.csv", plain), file("rewards.csv", plain), 4096)},
		{"parquet, snappy", pair(file("exposures.snappy.parquet", plain), file("rewards.snappy.parquet", plain), 0)},
		{"parquet, zstd", pair(file("exposures.zstd.parquet", plain), file("rewards.zstd.parquet", plain), 0)},
		{"parquet, no dictionary, wide decimals", pair(file("exposures.plain.parquet", plain), file("rewards.wide.parquet", plain), 0)},
		{"parquet, variants by number", pair(file("exposures.number.parquet", numbered), file("rewards.single.parquet", plain), 0)},
		{"postgres", nil},
	}
	for _, reward := range []string{"signup", "revenue"} {
		for _, first := range []bool{false, true} {
			r := request(t, reward, first)
			table := embedded(t, r)
			want := table.Append(nil)
			trained := train(t, r, table)
			if table.Exposures() < 500 || table.Immature() == 0 || table.Visitors(true).Users == 0 {
				t.Fatalf("the events are not enough for a test: %d exposures, %d immature, %d held out", table.Exposures(), table.Immature(), table.Visitors(true).Users)
			}
			for _, s := range sources {
				t.Run(reward+"/"+cmp.Or(map[bool]string{true: "first"}[first], "last")+"/"+s.name, func(t *testing.T) {
					if s.source == nil {
						s.source = database(t)
					}
					if err := s.source.Test(context.Background()); err != nil {
						t.Fatal(err)
					}
					table, err := s.source.Observations(context.Background(), r)
					if err != nil {
						t.Fatal(err)
					}
					if got := table.Append(nil); !bytes.Equal(got, want) {
						t.Errorf("counts: got %d exposures, %d immature, %v, want those of the embedded store", table.Exposures(), table.Immature(), table.Observed())
					}
					if got := train(t, r, table); !bytes.Equal(got, trained) {
						t.Error("the posterior is another than that of the embedded store")
					}
				})
			}
		}
	}
}

func train(t testing.TB, r *warehouse.Request, table *attribution.Table) []byte {
	t.Helper()
	kind := posterior.Bool
	if r.Rules.Numeric {
		kind = posterior.Numeric
	}
	trained, err := posterior.Train(context.Background(), r.Space, posterior.CMAB, kind, table.Observed(), posterior.Options{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	return trained.Append(nil)
}

func abs(t testing.TB, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
