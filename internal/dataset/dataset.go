// Package dataset reads labelled rows from a delimited text file, for the demo,
// for evaluations and for tests on real data. It detects the separator and
// which columns are numbers, so that the public files of the field can be used
// as they are.
package dataset

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// Options say what the columns of a file mean.
type Options struct {
	Label    string   // the column with the outcome; it is no feature
	Positive string   // the label's value that is a positive outcome
	Drop     []string // columns that are no features
}

// Column is one feature column. It is numeric when every cell that is not empty
// is a finite decimal number.
type Column struct {
	Name    string
	Numeric bool
}

// Table is a file in memory: a feature row and a label for every line, in the
// file's order. An empty cell is a missing value.
type Table struct {
	Columns []Column // features, in the file's order
	Rows    []decision.Row
	Labels  []bool
}

// Open reads the file at path; a name that ends in .gz is decompressed.
func Open(path string, opts Options) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &decision.Error{Kind: decision.KindNotFound, Op: "dataset.Open", Msg: "cannot open " + path, Err: err}
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, badFile(path, err)
		}
		defer z.Close()
		r = z
	}
	t, err := Read(r, opts)
	if err != nil {
		return nil, badFile(path, err)
	}
	return t, nil
}

func badFile(path string, err error) error {
	return &decision.Error{Kind: decision.KindBadRequest, Op: "dataset.Open", Msg: path + ": " + err.Error(), Err: err}
}

// Read reads a table: a header line, then one line for every row, fields quoted
// with double quotes where needed, separated by what separates the header.
func Read(r io.Reader, opts Options) (*Table, error) {
	src := bufio.NewReaderSize(r, 64<<10)
	comma, err := detectSeparator(src)
	if err != nil {
		return nil, err
	}
	lines := csv.NewReader(src)
	lines.Comma = comma
	lines.ReuseRecord = true
	header, err := lines.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	header = slices.Clone(header)
	label, features, err := resolve(header, opts)
	if err != nil {
		return nil, err
	}
	cells, labels, err := readCells(lines, label, features, opts)
	if err != nil {
		return nil, err
	}
	return build(header, features, cells, labels), nil
}

// byteOrderMark starts the files of some spreadsheet programs.
var byteOrderMark = []byte("\xef\xbb\xbf")

// detectSeparator returns the separator that occurs most often in the header
// line outside quotes, a comma when there is none.
func detectSeparator(src *bufio.Reader) (rune, error) {
	if head, _ := src.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		_, _ = src.Discard(len(byteOrderMark)) // peeked, so it is there
	}
	head, err := src.Peek(src.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if len(head) == 0 {
		return 0, errors.New("got an empty file, want a header line")
	}
	var count [256]int
	quoted := false
	for _, c := range head {
		if c == '"' {
			quoted = !quoted
		}
		if c == '\n' && !quoted {
			break
		}
		if !quoted {
			count[c]++
		}
	}
	best := ','
	for _, c := range ";\t|" {
		if count[c] > count[best] {
			best = c
		}
	}
	return best, nil
}

// resolve finds the label's position in the header and those of the features.
func resolve(header []string, opts Options) (label int, features []int, err error) {
	for i, name := range header {
		if name == "" {
			return 0, nil, fmt.Errorf("column %d of the header has no name", i+1)
		}
		if slices.Index(header, name) != i {
			return 0, nil, fmt.Errorf("column %q is in the header twice", name)
		}
	}
	for _, name := range append([]string{opts.Label}, opts.Drop...) {
		if !slices.Contains(header, name) {
			return 0, nil, fmt.Errorf("no column %q, the header has %s", name, strings.Join(header, ", "))
		}
	}
	for i, name := range header {
		if name != opts.Label && !slices.Contains(opts.Drop, name) {
			features = append(features, i)
		}
	}
	return slices.Index(header, opts.Label), features, nil
}

// readCells reads the lines: cells[k] is the text of feature k, row by row. Equal
// texts share their memory, which for categories is most of it.
func readCells(lines *csv.Reader, label int, features []int, opts Options) (cells [][]string, labels []bool, err error) {
	cells = make([][]string, len(features))
	seen := map[string]string{}
	var other string // a label that is not the positive one, for the message
	positives := 0
	for {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		value := record[label]
		if value == "" {
			line, _ := lines.FieldPos(label)
			return nil, nil, fmt.Errorf("line %d: the label %q is empty", line, opts.Label)
		}
		if value == opts.Positive {
			positives++
		} else if other == "" {
			other = strings.Clone(value)
		}
		labels = append(labels, value == opts.Positive)
		for k, i := range features {
			text, ok := seen[record[i]]
			if !ok {
				text = strings.Clone(record[i])
				seen[text] = text
			}
			cells[k] = append(cells[k], text)
		}
	}
	switch {
	case len(labels) == 0:
		return nil, nil, errors.New("got a header without rows")
	case positives == 0:
		return nil, nil, fmt.Errorf("no row has the positive value %q in the label %q; %q is a value there", opts.Positive, opts.Label, other)
	}
	return cells, labels, nil
}

func build(header []string, features []int, cells [][]string, labels []bool) *Table {
	t := &Table{Labels: labels, Rows: make([]decision.Row, len(labels)), Columns: make([]Column, len(features))}
	order := make([]int, len(features)) // of the features by name, as rows need it
	for k, i := range features {
		t.Columns[k] = Column{Name: header[i], Numeric: numeric(cells[k])}
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.Columns[a].Name, t.Columns[b].Name) })
	fields := make([]decision.Field, 0, len(labels)*len(features))
	for i := range labels {
		start := len(fields)
		for _, k := range order {
			f := decision.Field{Name: t.Columns[k].Name, Kind: decision.Text, Text: cells[k][i]}
			if f.Text == "" {
				continue
			}
			if t.Columns[k].Numeric {
				v, _ := parseNumber(f.Text) // numeric(cells[k]) has parsed it before
				f.Kind, f.Num, f.Text = decision.Number, v, ""
			}
			fields = append(fields, f)
		}
		t.Rows[i] = fields[start:len(fields):len(fields)]
	}
	return t
}

// numeric reports whether every cell that is not empty is a number, and there
// is one.
func numeric(cells []string) bool {
	found := false
	for _, c := range cells {
		if c == "" {
			continue
		}
		if _, ok := parseNumber(c); !ok {
			return false
		}
		found = true
	}
	return found
}

func parseNumber(s string) (float64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// Split divides the rows by their index from 0: every fifth, from the first on,
// is for the test, the rest is for training.
func (t *Table) Split() (train, test []int) {
	for i := range t.Rows {
		if i%5 == 0 {
			test = append(test, i)
		} else {
			train = append(train, i)
		}
	}
	return train, test
}

// Source gives the rows at indices, in that order, as examples of weight 1. Row
// i is the interaction of log index i+1.
func Source(t *Table, indices []int) learn.Source { return source{t, indices} }

type source struct {
	table   *Table
	indices []int
}

// Scan implements learn.Source.
func (s source) Scan(ctx context.Context, f func(*learn.Example) error) error {
	const checkEvery = 1024 // rows between two looks at ctx
	var ex learn.Example
	for n, i := range s.indices {
		if n%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		ex = learn.Example{
			ID:  decision.InteractionID{Index: uint64(i) + 1},
			Row: s.table.Rows[i], Positive: s.table.Labels[i], Weight: 1,
		}
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}
