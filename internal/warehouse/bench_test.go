package warehouse_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/warehouse"
	"github.com/praetor-engine/praetor/internal/warehouse/files"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres"
	"github.com/praetor-engine/praetor/internal/warehouse/postgres/pgtest"
)

type shownRow struct {
	AnonymousID string    `parquet:"anonymous_id,snappy"`
	Timestamp   time.Time `parquet:"timestamp,timestamp(microsecond),snappy"`
	Headline    string    `parquet:"headline,dict,snappy"`
	CTA         bool      `parquet:"cta"`
	Device      string    `parquet:"device,dict,snappy"`
}

// One training's reading of 200 000 exposures and 20 000 rewards, in no order.
func BenchmarkSources(b *testing.B) {
	const rows = 200_000
	root := b.TempDir()
	dir := filepath.Join(root, "acme")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	r := request(b, "signup", false)
	var shown, gains strings.Builder
	shown.WriteString("anonymous_id,timestamp,headline,cta,device\n")
	gains.WriteString("anonymous_id,timestamp\n")
	all := make([]shownRow, rows)
	for i := range all {
		at := time.UnixMilli(r.Start).UTC().Add(time.Duration(i*7919%2_000_000) * time.Second)
		all[i] = shownRow{fmt.Sprintf("visitor-%d", i*7919%80_000), at, []string{"plain", "bold", "question"}[i%3], i%2 == 0, []string{"mobile", "desktop"}[i/3%2]}
		row := &all[i]
		fmt.Fprintf(&shown, "%s,%s,%s,%t,%s\n", row.AnonymousID, at.Format(time.RFC3339), row.Headline, row.CTA, row.Device)
		if i%10 == 0 {
			fmt.Fprintf(&gains, "%s,%s\n", row.AnonymousID, at.Add(time.Hour).Format(time.RFC3339))
		}
	}
	for name, text := range map[string]string{"e.csv": shown.String(), "r.csv": gains.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if err := parquet.WriteFile(filepath.Join(dir, "e.parquet"), all); err != nil {
		b.Fatal(err)
	}
	server := pgtest.Start(b)
	server.Exec(b, `CREATE TABLE IF NOT EXISTS many (anonymous_id text, timestamp timestamptz, headline text, cta boolean, device text)`,
		`CREATE TABLE IF NOT EXISTS gains (anonymous_id text, timestamp timestamptz)`, `TRUNCATE many, gains`)
	server.Copy(b, "many", filepath.Join(dir, "e.csv"))
	server.Copy(b, "gains", filepath.Join(dir, "r.csv"))
	dialer, err := endpoint.NewDialer(endpoint.Options{AllowHTTP: true, Allow: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	mapping := warehouse.Mapping{AnonymousID: "anonymous_id", Timestamp: "timestamp"}
	pair := func(exposures string) warehouse.Source {
		return files.New(files.Config{Exposures: files.File{Path: exposures}, Rewards: files.File{Path: "r.csv"}}, "acme", files.Options{Root: root, Limits: warehouse.DefaultLimits()})
	}
	for _, s := range []struct {
		name   string
		source warehouse.Source
	}{
		{"source=csv", pair("e.csv")},
		{"source=parquet", pair("e.parquet")},
		{"source=postgres", postgres.New(postgres.Config{Host: "127.0.0.1", Port: server.Port, Database: "postgres", User: pgtest.User, SSLMode: postgres.Disable}, pgtest.Password,
			[]warehouse.Metric{
				{Name: "shown", Kind: warehouse.KindExposures, SQL: "SELECT * FROM many WHERE timestamp >= @start_date", Mapping: mapping},
				{Name: "signup", Kind: warehouse.KindReward, SQL: "SELECT * FROM gains WHERE timestamp >= @start_date", Mapping: mapping},
			}, postgres.Options{Dialer: dialer, Timeout: time.Minute, Limits: warehouse.DefaultLimits()})},
	} {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table, err := s.source.Observations(context.Background(), r)
				if err != nil {
					b.Fatal(err)
				}
				if table.Exposures()+table.Immature() != rows {
					b.Fatalf("got %d exposures, want %d", table.Exposures()+table.Immature(), rows)
				}
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
