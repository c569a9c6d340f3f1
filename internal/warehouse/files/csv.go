package files

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/warehouse"
)

// csvTable reads RFC 4180 with a header: commas, quotes doubled in quotes, a byte
// order mark or none. Every cell is text; an empty one is no value.
type csvTable struct {
	reader *csv.Reader
	budget *budget
	header []string
	wanted []bool
	text   []byte // of the cells of a row
	what   string
}

// budget passes bytes on until too many were read for one row.
type budget struct {
	r    io.Reader
	left int
}

var errRowTooLong = errors.New("row too long")

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// maxColumns bounds the columns of a file.
const maxColumns = 4096

func newCSV(r io.Reader, what string) (table, error) {
	t := &csvTable{budget: &budget{r: r}, what: what}
	buffered := bufio.NewReaderSize(t.budget, 64<<10)
	t.reader = csv.NewReader(buffered)
	t.reader.ReuseRecord = true
	t.budget.left = warehouse.MaxRow
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3) // it was peeked
	}
	header, err := t.reader.Read()
	if err == io.EOF {
		return nil, warehouse.Fault(warehouse.ReasonData, nil, "%s is empty; want a header with the columns' names in its first line", what)
	}
	if err != nil {
		return nil, t.fault(err)
	}
	if len(header) > maxColumns {
		return nil, warehouse.Fault(warehouse.ReasonData, nil, "%s has %d columns, want at most %d", what, len(header), maxColumns)
	}
	t.header = slices.Clone(header)
	return t, nil
}

func (t *csvTable) columns() []string { return t.header }

func (t *csvTable) project(wanted []bool) error {
	t.wanted = wanted
	return nil
}

func (t *csvTable) next(cells []warehouse.Cell) (bool, error) {
	t.budget.left = warehouse.MaxRow
	record, err := t.reader.Read()
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, t.fault(err)
	}
	t.text = t.text[:0]
	for i, field := range record {
		if !t.wanted[i] {
			continue
		}
		from := len(t.text)
		t.text = append(t.text, field...)
		cells[i] = warehouse.Cell{Type: warehouse.Text, Text: t.text[from:len(t.text):len(t.text)]}
		if !utf8.Valid(cells[i].Text) {
			return false, warehouse.Fault(warehouse.ReasonData, nil, "%s, column %.80q: is not UTF-8", t.place(), t.header[i])
		}
	}
	return true, nil
}

func (t *csvTable) place() string {
	line, _ := t.reader.FieldPos(0)
	return fmt.Sprintf("%s, line %d", t.what, line)
}

func (t *csvTable) close() {}

func (t *csvTable) fault(err error) error {
	var at *csv.ParseError
	switch {
	case errors.Is(err, errRowTooLong):
		return warehouse.Fault(warehouse.ReasonLimit, nil, "%s has a row of more than %d bytes", t.what, warehouse.MaxRow)
	case errors.As(err, &at):
		return warehouse.Fault(warehouse.ReasonData, err, "%s, line %d: %s", t.what, at.Line, csvProblem(at, len(t.header)))
	}
	return warehouse.Fault(warehouse.ReasonSetup, err, "%s cannot be read on this node", t.what)
}

func csvProblem(e *csv.ParseError, columns int) string {
	switch {
	case errors.Is(e.Err, csv.ErrFieldCount):
		return fmt.Sprintf("want %d columns as in the header", columns)
	case errors.Is(e.Err, csv.ErrBareQuote), errors.Is(e.Err, csv.ErrQuote):
		return fmt.Sprintf("a quote is out of place at column %d", e.Column)
	}
	return "it is not well-formed"
}
