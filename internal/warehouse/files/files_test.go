package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/warehouse"
)

func testRequest(t testing.TB) *warehouse.Request {
	t.Helper()
	space, err := factorial.New(factorial.Definition{
		Design: []factorial.Factor{{Name: "v", Type: factorial.String, Levels: []factorial.Value{factorial.StringOf("a"), factorial.StringOf("b")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &warehouse.Request{Optimization: "o", Space: space, Reward: "r", Rules: attribution.Rules{Window: 1000}, Start: 1, Now: 1e9}
}

// folder is a root with the directory of the tenant acme.
func folder(t testing.TB, all map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range all {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func source(root, exposures, rewards string) *Source {
	return New(Config{File{Path: exposures}, File{Path: rewards}}, "acme", Options{Root: root, Limits: warehouse.Limits{MaxRows: 1000, MaxVisitorRows: 100}})
}

const (
	goodExposures = "anonymous_id,timestamp,v\nu,1000,a\n"
	goodRewards   = "anonymous_id,timestamp\nu,1500\n"
)

func TestCSV(t *testing.T) {
	for name, tc := range map[string]struct{ exposures, rewards, want string }{
		"plain":           {goodExposures, goodRewards, "[{0 0 1 1 1}]"},
		"byte order mark": {"\ufeff" + goodExposures, goodRewards, "[{0 0 1 1 1}]"},
		"crlf and quotes": {"\"anonymous_id\",timestamp,v\r\n\"u\",\"1000\",b\r\n", goodRewards, "[{1 0 1 1 1}]"},
		"other columns":   {"x,v,timestamp,anonymous_id\n,a,1000,u\n", "anonymous_id,timestamp,name\nu,1500,other\nu,1600,r\n", "[{0 0 1 1 1}]"},
		"no rows":         {"anonymous_id,timestamp,v\n", "anonymous_id,timestamp\n", "[]"},
	} {
		root := folder(t, map[string]string{"acme/e.csv": tc.exposures, "acme/deep/r.csv": tc.rewards})
		table, err := source(root, "e.csv", "deep/r.csv").Observations(context.Background(), testRequest(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := fmt.Sprint(table.Observed()); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

// What is wrong is told with its file, line and column, and nothing is counted.
func TestCSVErrors(t *testing.T) {
	many := strings.Repeat("w,1000,a\n", 101)
	for name, tc := range map[string]struct{ exposures, want string }{
		"empty":            {"", "e.csv is empty"},
		"no column":        {"anonymous_id,timestamp\n", `no column "v"`},
		"two columns":      {"anonymous_id,timestamp,v,v\n", `two columns "v"`},
		"short row":        {goodExposures + "u,1\n", "e.csv, line 3: want 3 columns"},
		"quote":            {goodExposures + "u\",1,a\n", "e.csv, line 3: a quote is out of place"},
		"level":            {goodExposures + "u,1000,c\n", `e.csv, line 3, column "v": must be a level of the design factor "v", got "c"`},
		"time":             {goodExposures + "\n\nu,soon,a\n", `e.csv, line 5, column "timestamp": must be a time`},
		"id":               {goodExposures + ",1000,a\n", `e.csv, line 3, column "anonymous_id"`},
		"not UTF-8":        {goodExposures + "\xff,1000,a\n", `e.csv, line 3, column "anonymous_id": is not UTF-8`},
		"a long row":       {goodExposures + "u,1000,\"" + strings.Repeat("x", 2<<20) + "\"\n", "e.csv has a row of more than"},
		"too many rows":    {goodExposures + strings.Repeat("u,0,a\n", 0) + rows(1001), "more than the 1000 rows"},
		"too many of one":  {goodExposures + many, `the visitor "w" has more than 100 rows`},
		"too many columns": {strings.Repeat(",", maxColumns) + "\n", "columns, want at most"},
	} {
		root := folder(t, map[string]string{"acme/e.csv": tc.exposures, "acme/r.csv": goodRewards})
		table, err := source(root, "e.csv", "r.csv").Observations(context.Background(), testRequest(t))
		var e *decision.Error
		if !errors.As(err, &e) || !strings.Contains(e.Msg, tc.want) || table != nil {
			t.Errorf("%s: got %v, %v, want %q", name, table, err, tc.want)
		}
	}
}

func rows(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "u%d,1000,a\n", i)
	}
	return b.String()
}

// No path and no link leads out of the tenant's directory; what is no file is not
// waited for.
func TestConfinement(t *testing.T) {
	root := folder(t, map[string]string{"acme/r.csv": goodRewards, "other/e.csv": goodExposures, "acme/sub/e.csv": goodExposures})
	for name, target := range map[string]string{"up.csv": "../other/e.csv", "abs.csv": filepath.Join(root, "other/e.csv"), "in.csv": "sub/e.csv"} {
		if err := os.Symlink(target, filepath.Join(root, "acme", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "acme", "pipe.csv"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "acme", "dir.csv"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"up.csv", "abs.csv", "pipe.csv", "dir.csv", "none.csv", "../other/e.csv", filepath.Join(root, "other/e.csv")} {
		_, err := source(root, path, "r.csv").Observations(context.Background(), testRequest(t))
		var e *decision.Error
		if !errors.As(err, &e) || e.Reason != warehouse.ReasonSetup || strings.Contains(e.Msg, "permission") || path[0] != '/' && strings.Contains(e.Msg, root) {
			t.Errorf("%s: got %v, want a refusal without what the system says", path, err)
		}
	}
	if _, err := source(root, "in.csv", "r.csv").Observations(context.Background(), testRequest(t)); err != nil {
		t.Errorf("a link within: %v", err)
	}
	if err := source("", "in.csv", "r.csv").Test(context.Background()); err == nil {
		t.Error("without a root: want an error")
	}
	s := source(root, "in.csv", "r.csv")
	s.tenant = "nobody"
	if err := s.Test(context.Background()); err == nil {
		t.Error("a tenant without a directory: want an error")
	}
}

func TestTestFindsColumns(t *testing.T) {
	root := folder(t, map[string]string{"acme/e.csv": goodExposures, "acme/r.csv": "anonymous_id,at\n"})
	err := source(root, "e.csv", "r.csv").Test(context.Background())
	if err == nil || !strings.Contains(err.Error(), `timestamp: there is no column "timestamp"`) {
		t.Errorf("got %v, want the column that is not there", err)
	}
}

func TestParse(t *testing.T) {
	good := `{"exposures":{"path":"a/e.csv"},"rewards":{"path":"r","format":"parquet","column_mapping":{"value":"worth"}}}`
	c, err := Parse(json.RawMessage(good), "config")
	if err != nil || c.Exposures.format() != CSV || c.Rewards.format() != Parquet || c.Rewards.Mapping.Value != "worth" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, tc := range []struct{ raw, at string }{
		{`{}`, "config.exposures.path"}, {`7`, "config"}, {`{"exposures":{"path":"../e.csv"},"rewards":{"path":"r.csv"}}`, "config.exposures.path"},
		{`{"exposures":{"path":"/e.csv"},"rewards":{"path":"r.csv"}}`, "config.exposures.path"}, {`{"exposures":{"path":"e.csv"},"rewards":{"path":"r.json"}}`, "config.rewards.format"},
		{`{"exposures":{"path":"e.csv","format":"xml"},"rewards":{"path":"r.csv"}}`, "config.exposures.format"}, {`{"exposures":{"path":"e.csv"},"rewards":{"path":"r.csv"},"more":1}`, "config"},
		{`{"exposures":{"path":"e.csv","column_mapping":{"value":"v"}},"rewards":{"path":"r.csv"}}`, "config.exposures.column_mapping.value"},
	} {
		_, err := Parse(json.RawMessage(tc.raw), "config")
		var e *decision.Error
		if !errors.As(err, &e) || e.Kind != decision.KindBadRequest || e.Details[0].Path != tc.at {
			t.Errorf("%s: got %v, want a problem at %s", tc.raw, err, tc.at)
		}
	}
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParquetErrors(t *testing.T) {
	good := testdata(t, "rewards.snappy.parquet")
	cut := good[:len(good)-100]
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"text":                {[]byte(goodRewards), "is no whole Parquet file"},
		"short":               {[]byte("PAR1"), "is no whole Parquet file"},
		"cut off":             {cut, "is no whole Parquet file"},
		"a lie of its length": {append(bytes.Clone(good[:len(good)-8]), 0xff, 0xff, 0xff, 0x7f, 'P', 'A', 'R', '1'), "is no whole Parquet file"},
		"LZ4":                 {testdata(t, "rewards.lz4.parquet"), "the codec LZ4_RAW is not one that is read"},
	} {
		root := folder(t, map[string]string{"acme/e.csv": goodExposures, "acme/r.parquet": string(tc.content)})
		_, err := source(root, "e.csv", "r.parquet").Observations(context.Background(), testRequest(t))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	root := folder(t, map[string]string{"acme/e.csv": goodExposures, "acme/r.parquet": string(testdata(t, "rewards.wide.parquet"))})
	s := source(root, "e.csv", "r.parquet")
	s.config.Rewards.Mapping.Value = "list"
	if _, err := s.Observations(context.Background(), testRequest(t)); err == nil || !strings.Contains(err.Error(), `column "list": is nested`) {
		t.Errorf("a list: got %v, want a refusal", err)
	}
}

// A damaged file is an error or, where the damage hits nothing that is read, none;
// it never takes the process down.
func FuzzParquet(f *testing.F) {
	for _, name := range []string{"rewards.snappy.parquet", "rewards.zstd.parquet", "rewards.single.parquet"} {
		b := testdata(f, name)
		f.Add(b, 4, byte(0xff))
		f.Add(b, len(b)/2, byte(1))
		f.Add(b, len(b)-40, byte(0x80))
	}
	root := folder(f, map[string]string{"acme/e.csv": goodExposures})
	r := testRequest(f)
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		if len(b) > 64<<10 {
			return
		}
		if at >= 0 && at < len(b) {
			b = bytes.Clone(b)
			b[at] ^= flip
		}
		if err := os.WriteFile(filepath.Join(root, "acme", "r.parquet"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _ = source(root, "e.csv", "r.parquet").Observations(context.Background(), r)
	})
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(goodExposures))
	f.Add([]byte("\ufeffanonymous_id,timestamp,v\n\"u\",2026-01-01,\"a\"\n"))
	f.Add([]byte("\"\n"))
	root := folder(f, map[string]string{"acme/r.csv": goodRewards})
	r := testRequest(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(root, "acme", "e.csv"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		table, err := source(root, "e.csv", "r.csv").Observations(context.Background(), r)
		if (table == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", table, err)
		}
	})
}

// The order of many runs is that of one.
func TestSortInRuns(t *testing.T) {
	sorted := func(most int) (all []string, runs int) {
		s := newSorter(rewardCodec, most, t.TempDir())
		for i := range 5000 {
			visitor := fmt.Sprint("v", i*7919%997)
			if err := s.add([]byte(visitor), attribution.Reward{At: int64(i * 31 % 100), Key: uint64(i), Value: attribution.Amount(-i)}); err != nil {
				t.Fatal(err)
			}
		}
		out, err := s.sort()
		if err != nil {
			t.Fatal(err)
		}
		defer out.close()
		for {
			visitor, e, ok, err := out.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return all, len(s.runs)
			}
			all = append(all, fmt.Sprint(visitor, e))
		}
	}
	want, _ := sorted(1 << 30)
	got, runs := sorted(2000)
	if runs < 10 || len(got) != 5000 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %d events in %d runs in another order than in memory", len(got), runs)
	}
}

func TestFileChangedWhileRead(t *testing.T) {
	root := folder(t, map[string]string{"acme/e.csv": goodExposures, "acme/r.csv": goodRewards})
	s := source(root, "e.csv", "r.csv")
	err := s.open(&s.config.Exposures, func(table) error {
		return os.WriteFile(filepath.Join(root, "acme", "e.csv"), []byte(goodExposures+"u,1,a\n"), 0o644)
	})
	if decision.KindOf(err) != decision.KindUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}

func BenchmarkCSV(b *testing.B) {
	root := folder(b, map[string]string{"acme/e.csv": "anonymous_id,timestamp,v\n" + rows(100_000), "acme/r.csv": goodRewards})
	s := source(root, "e.csv", "r.csv")
	s.options.Limits = warehouse.DefaultLimits()
	r := testRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Observations(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}
