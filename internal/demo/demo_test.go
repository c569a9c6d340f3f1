package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestValidate(t *testing.T) {
	start := func(context.Context) (string, string, func() error, error) { return "", "", nil, nil }
	tests := []struct {
		name string
		o    Options
		want string // part of the message; empty: valid
	}{
		{"own engine", Options{Start: start, Visitors: 1000}, ""},
		{"no engine", Options{Visitors: 1000}, "--url"},
		{"no key", Options{URL: "http://x", Visitors: 1000}, "--key"},
		{"few visitors", Options{Start: start, Visitors: 10}, "--visitors: got 10"},
		{"file without label", Options{Start: start, CSV: &CSV{Path: "x"}}, "--label"},
		{"file", Options{Start: start, CSV: &CSV{Path: "x", Label: "y", Positive: "yes"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.o.Validate()
			if tt.want == "" && err != nil {
				t.Errorf("got %v, want none", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestMarket(t *testing.T) {
	f, server := newFake(t)
	var out bytes.Buffer
	stopped := false
	const visitors = 3000
	err := Run(context.Background(), Options{
		Start: func(context.Context) (string, string, func() error, error) {
			return server.URL, "prk_fake", func() error { stopped = true; return nil }, nil
		},
		Seed: 1, Visitors: visitors, Out: &out, testRows: 500,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	text := lines(t, out.String())
	if !stopped {
		t.Error("the engine was not stopped")
	}
	if len(f.outcomes) != visitors {
		t.Errorf("got %d outcomes, want %d", len(f.outcomes), visitors)
	}
	for _, m := range f.models {
		want := 0
		if m.spec.ModelType == decision.Bayesian || m.spec.ModelType == decision.LogisticRegression {
			want = checkpoints
		}
		if m.trainings != want {
			t.Errorf("the %s was trained %d times, want %d", m.spec.ModelType, m.trainings, want)
		}
	}
	regret := after(t, text, "What the choices cost", 1+checkpoints)
	last := numbers(t, regret[len(regret)-1])
	uniform, thompson, logistic := last[1], last[3], last[4]
	if !(logistic < thompson && thompson < uniform) {
		t.Errorf("regret: got uniform %v, thompson %v, logistic %v; want chance to be worst and logistic best", uniform, thompson, logistic)
	}
	if ranking := after(t, text, "One customer", 9); len(ranking) != 9 {
		t.Errorf("got %d lines of ranking, want the 8 offers", len(ranking)-1)
	}
}

// after returns the n lines after the rule of the table that follows a title.
func after(t *testing.T, text []string, title string, n int) []string {
	t.Helper()
	found := false
	for i, l := range text {
		found = found || strings.HasPrefix(l, title)
		if found && strings.HasPrefix(l, " ─") {
			var rows []string
			for _, row := range text[i:min(i+n, len(text))] {
				if row != "" {
					rows = append(rows, row)
				}
			}
			return rows
		}
	}
	t.Fatalf("no table after %q", title)
	return nil
}

func numbers(t *testing.T, line string) []float64 {
	t.Helper()
	var out []float64
	for cell := range strings.SplitSeq(line, "  ") {
		cell = strings.ReplaceAll(cell, " ", "")
		if cell == "" {
			continue
		}
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func TestTwoRunsInOneTenant(t *testing.T) {
	f, server := newFake(t)
	o := Options{URL: server.URL, Key: "prk_fake", Seed: 1, Visitors: minVisitors, testRows: 100}
	for range 2 {
		var out bytes.Buffer
		o.Out = &out
		if err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		lines(t, out.String())
		if !strings.Contains(out.String(), "praetor models show model_") {
			t.Error("the run does not say how to look at its models, which stay")
		}
		if strings.Contains(out.String(), "prk_fake") {
			t.Error("the output shows the key")
		}
	}
	if got, want := len(f.outcomes), 2*minVisitors; got != want {
		t.Errorf("got %d outcomes, want %d: the second run's keys must be its own", got, want)
	}
}

// writeFile writes a file whose label follows from job and age, in the bank
// data's form when bank is set.
func writeFile(t *testing.T, bank bool, rows int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`"age";"job";"y"`)
	if bank {
		b.Reset()
		b.WriteString(`"age";"job";"marital";"education";"housing";"loan";"contact";"duration";"campaign";"pdays";"previous";"poutcome";"y"`)
	}
	b.WriteByte('\n')
	for i := range rows {
		job, y := []string{"clerk", "nurse", "smith"}[i%3], "no"
		if i%3 == 1 && i%4 != 0 || i%7 == 0 {
			y = "yes"
		}
		fmt.Fprintf(&b, "%d;%q;", 20+i%50, job)
		if bank {
			fmt.Fprintf(&b, `"single";"basic";"no";"no";"cellular";%d;1;999;0;"none";`, i)
		}
		fmt.Fprintf(&b, "%q\n", y)
	}
	path := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile(t *testing.T) {
	f, server := newFake(t)
	var out bytes.Buffer
	const rows = 1503
	err := Run(context.Background(), Options{
		URL: server.URL, Key: "prk_fake", Out: &out,
		CSV: &CSV{Path: writeFile(t, false, rows), Label: "y", Positive: "yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	text := lines(t, out.String())
	if got, want := len(f.outcomes), rows-(rows+4)/5; got != want {
		t.Fatalf("got %d outcomes, want the %d rows that are not for the test", got, want)
	}
	last := -1
	for _, o := range f.outcomes {
		i, err := strconv.Atoi(strings.TrimPrefix(o.CustomerID, "row-"))
		if err != nil || i <= last || i%5 == 0 {
			t.Fatalf("row %s follows row %d, want the training rows in order", o.CustomerID, last)
		}
		last = i
		if _, ok := o.Attributes["age"].(float64); !ok {
			t.Fatalf("row %s: got attributes %v, want the age as a number", o.CustomerID, o.Attributes)
		}
	}
	if strings.Contains(out.String(), "bank marketing") {
		t.Error("a file that is not the bank data is called so")
	}
	result := after(t, text, "After 1 202 rows", 4)
	if len(result) != 4 || !strings.Contains(result[3], "online_learner") {
		t.Errorf("got %q, want a line for each of three models", result)
	}
}

func TestBankDataLosesDuration(t *testing.T) {
	for _, drop := range [][]string{nil, {"pdays"}, {"duration"}} {
		t.Run(fmt.Sprint(drop), func(t *testing.T) {
			f, server := newFake(t)
			var out bytes.Buffer
			err := Run(context.Background(), Options{
				URL: server.URL, Key: "prk_fake", Out: &out,
				CSV: &CSV{Path: writeFile(t, true, 600), Label: "y", Positive: "yes", Drop: drop},
			})
			if err != nil {
				t.Fatal(err)
			}
			byUser := len(drop) > 0 && drop[0] == bankLeak
			if said := strings.Contains(out.String(), "its column duration is not used"); said == byUser {
				t.Errorf("the note about duration: got %v, want %v", said, !byUser)
			}
			for _, name := range append(drop, bankLeak) {
				if v, ok := f.outcomes[0].Attributes[name]; ok {
					t.Errorf("the dropped column %s was sent with %v", name, v)
				}
			}
		})
	}
}

func TestFailures(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		fail string // the path's end
		want string
	}{
		{"not ready", context.Background(), "/readyz", "is not ready"},
		{"create", context.Background(), "/algorithm-models", "creating the scorecard model"},
		{"rank", context.Background(), "/score-offer-set", "ranking with the"},
		{"respond", context.Background(), "/respond/bulk", "sending outcomes"},
		{"train", context.Background(), "/train", "training the bayesian model"},
		{"measure", context.Background(), "/score-batch", "measuring the scorecard model"},
		{"explain", context.Background(), "/score", "explaining with the"},
		{"interrupted", ctx, "", "context canceled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, server := newFake(t)
			f.fail = func(path string) int {
				if tt.fail != "" && strings.HasSuffix(path, tt.fail) {
					return 500
				}
				return 0
			}
			stopped := false
			err := Run(tt.ctx, Options{
				Visitors: minVisitors, Out: &bytes.Buffer{}, testRows: 100,
				Start: func(context.Context) (string, string, func() error, error) {
					return server.URL, "prk_fake", func() error { stopped = true; return nil }, nil
				},
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if !stopped {
				t.Error("the engine was not stopped")
			}
		})
	}
}

func TestStopErrorIsReported(t *testing.T) {
	_, server := newFake(t)
	broken := errors.New("the disk is full")
	err := Run(context.Background(), Options{
		Visitors: minVisitors, Out: &bytes.Buffer{}, testRows: 100,
		Start: func(context.Context) (string, string, func() error, error) {
			return server.URL, "prk_fake", func() error { return broken }, nil
		},
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of stop", err)
	}
}

func TestChunks(t *testing.T) {
	small := make([]client.BatchRow, 2500)
	var sizes []int
	for c, err := range chunks(small) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(c))
	}
	if fmt.Sprint(sizes) != "[1000 1000 500]" {
		t.Errorf("got %v, want [1000 1000 500]", sizes)
	}
	wide := make([]client.BatchRow, 5)
	for i := range wide {
		wide[i].Attributes = object{"text": strings.Repeat("x", 200<<10)}
	}
	total := 0
	for c := range chunks(wide) {
		if len(c) > 2 {
			t.Errorf("got %d rows of 200 KiB in one chunk, want at most 2", len(c))
		}
		total += len(c)
	}
	if total != len(wide) {
		t.Errorf("got %d rows, want %d", total, len(wide))
	}
	for _, err := range chunks([]any{make(chan int)}) {
		if err == nil {
			t.Error("what is not JSON was not refused")
		}
	}
}

func TestFigure(t *testing.T) {
	tests := []struct {
		v        float64
		decimals int
		want     string
	}{
		{0.12345, 3, ".123"}, {0.12345, 4, ".1235"}, {1.2345, 3, "1.23"}, {0.9999, 3, "1.00"}, {12.345, 3, "12.3"}, {0, 4, ".0000"},
	}
	for _, tt := range tests {
		if got := figure(tt.v, tt.decimals); got != tt.want {
			t.Errorf("figure(%v, %d): got %q, want %q", tt.v, tt.decimals, got, tt.want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1 000", 41188: "41 188", 1234567: "1 234 567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d): got %q, want %q", n, got, want)
		}
	}
}

func TestBar(t *testing.T) {
	var b bytes.Buffer
	c := &console{w: &b, live: true}
	c.progress(50, 100, "rows")
	c.progress(50, 100, "rows") // nothing new to draw
	c.line("hello")
	c.finish()
	bar := "  " + strings.Repeat("█", 18) + strings.Repeat("░", 18) + "  50 %  50 of 100 rows"
	want := clearLine + bar + clearLine + "hello\n" + bar + clearLine
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStarting(t *testing.T) {
	points := 62.0
	if got := starting(&client.ScoreResult{Score: 0.9, RawScore: &points}, 12); got != 50 {
		t.Errorf("a scorecard of 62 points, 12 of them by rules: got a base of %v, want 50", got)
	}
	if got, want := starting(&client.ScoreResult{Score: 0.5}, 1.5), -1.5; got != want {
		t.Errorf("a score of 0.5 with parts of 1.5: got %v, want %v", got, want)
	}
	if got := starting(&client.ScoreResult{Score: 1}, 0); math.IsInf(got, 0) {
		t.Error("a score of 1 starts at infinity, want a number")
	}
}

func TestBest(t *testing.T) {
	entrants := marketEntrants(nil)
	table := &learningTable{}
	for i := range entrants {
		table.last = append(table.last, learn.Metrics{LogLoss: 0.5 - float64(i)/100})
	}
	// The bandits are last and have the lowest loss, but they do not look.
	if got := entrants[table.best(entrants)].title; got != "online" {
		t.Errorf("got %s, want online", got)
	}
}
