package dataset

import (
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

func TestRead(t *testing.T) {
	want := decision.Row{
		{Name: "age", Kind: decision.Number, Num: 38},
		{Name: "job", Kind: decision.Text, Text: "clerk; retired"},
		{Name: "rate", Kind: decision.Number, Num: -1.5},
	}
	cases := []struct{ name, in string }{
		{"semicolons, all quoted", "\"job\";\"age\";\"secret\";\"rate\";\"y\"\n\"clerk; retired\";38;1;-1.5;\"yes\"\nnone;40;1;2;no\n"},
		{"commas", "rate,job,age,y,secret\n-1.5,clerk; retired,38,yes,1\n2,none,40,no,1\n"},
		{"tabs and a byte order mark", "\xef\xbb\xbfrate\tjob\tage\ty\tsecret\n-1.5\tclerk; retired\t38\tyes\t1\n2\tnone\t40\tno\t1\n"},
		{"carriage returns", "rate,job,age,y,secret\r\n-1.5,clerk; retired,38,yes,1\r\n2,none,40,no,1\r\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(c.in), Options{Label: "y", Positive: "yes", Drop: []string{"secret"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Rows) != 2 || !slices.Equal(got.Rows[0], want) {
				t.Errorf("Rows = %v, want %v first", got.Rows, want)
			}
			if !slices.Equal(got.Labels, []bool{true, false}) {
				t.Errorf("Labels = %v, want [true false]", got.Labels)
			}
		})
	}
}

func TestReadMissingAndMixed(t *testing.T) {
	got, err := Read(strings.NewReader("a,b,c,y\n1,,x,1\n,,2,0\n3,,,0\n"), Options{Label: "y", Positive: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Column{{"a", true}, {"b", false}, {"c", false}}; !slices.Equal(got.Columns, want) {
		t.Errorf("Columns = %v, want %v", got.Columns, want)
	}
	want := []decision.Row{
		{{Name: "a", Kind: decision.Number, Num: 1}, {Name: "c", Kind: decision.Text, Text: "x"}},
		{{Name: "c", Kind: decision.Text, Text: "2"}},
		{{Name: "a", Kind: decision.Number, Num: 3}},
	}
	for i := range want {
		if !slices.Equal(got.Rows[i], want[i]) {
			t.Errorf("Rows[%d] = %v, want %v", i, got.Rows[i], want[i])
		}
	}
}

func TestReadRefuses(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"nothing", "", "empty file"},
		{"no rows", "a,y\n", "without rows"},
		{"no label column", "a,b\n1,2\n", `no column "y"`},
		{"a name twice", "a,a,y\n1,2,yes\n", "twice"},
		{"an empty name", "a,,y\n1,2,yes\n", "no name"},
		{"another positive value", "a,y\n1,true\n", `"true" is a value`},
		{"an empty label", "a,y\n1,yes\n2,\n", "line 3"},
		{"a short line", "a,y\n1,yes\n2\n", "line 3"},
		{"an open quote", "a,y\n\"1,yes\n", "quote"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.in), Options{Label: "y", Positive: "yes"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read() = %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "t.csv"), filepath.Join(dir, "t.csv.gz")
	const text = "a,y\n1,yes\n2,no\n"
	if err := os.WriteFile(plain, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packed, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{Label: "y", Positive: "yes"}
	for _, path := range []string{plain, packed} {
		table, err := Open(path, opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(table.Rows); got != 2 {
			t.Errorf("Open(%s): %d rows, want 2", path, got)
		}
	}
	if _, err := Open(filepath.Join(dir, "none.csv"), opts); decision.KindOf(err) != decision.KindNotFound {
		t.Errorf("Open of a file that is not there = %v, want kind not found", err)
	}
	if _, err := Open(plain, Options{Label: "z"}); decision.KindOf(err) != decision.KindBadRequest {
		t.Errorf("Open with an unknown label = %v, want kind bad request", err)
	}
}

func TestSplitAndSource(t *testing.T) {
	table := &Table{Rows: make([]decision.Row, 12), Labels: make([]bool, 12)}
	table.Labels[6] = true
	train, test := table.Split()
	if want := []int{0, 5, 10}; !slices.Equal(test, want) {
		t.Errorf("test = %v, want %v", test, want)
	}
	if got := len(train); got != 9 {
		t.Errorf("%d training rows, want 9", got)
	}
	var ids []uint64
	err := Source(table, train).Scan(context.Background(), func(ex *learn.Example) error {
		ids = append(ids, ex.ID.Index)
		if ex.Positive != (ex.ID.Index == 7) || ex.Weight != 1 {
			t.Errorf("example %d: positive %v, weight %v", ex.ID.Index, ex.Positive, ex.Weight)
		}
		return nil
	})
	if want := []uint64{2, 3, 4, 5, 7, 8, 9, 10, 12}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("Scan gave ids %v, error %v, want %v", ids, err, want)
	}
	stop := errors.New("stop")
	if err := Source(table, train).Scan(context.Background(), func(*learn.Example) error { return stop }); err != stop {
		t.Errorf("Scan = %v, want the function's error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Source(table, train).Scan(ctx, func(*learn.Example) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan with an ended context = %v, want context.Canceled", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a,y\n1,yes\n2,no\n")
	f.Add("\"a\";\"b;c\";y\n\"1\";;yes\n")
	f.Add("\xef\xbb\xbfy\nyes\n")
	f.Fuzz(func(t *testing.T, in string) {
		table, err := Read(strings.NewReader(in), Options{Label: "y", Positive: "yes"})
		if err != nil {
			return
		}
		if len(table.Rows) != len(table.Labels) {
			t.Fatalf("%d rows and %d labels", len(table.Rows), len(table.Labels))
		}
		for i, row := range table.Rows {
			if !slices.IsSortedFunc(row, func(a, b decision.Field) int { return strings.Compare(a.Name, b.Name) }) {
				t.Fatalf("row %d is not sorted: %v", i, row)
			}
		}
	})
}
