package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/praetor-engine/praetor/internal/warehouse"
)

// parquetTable reads the flat columns of a Parquet file in step, row group by row
// group and page by page.
type parquetTable struct {
	file   *parquet.File
	what   string
	names  []string
	leaves []*parquet.Column // nil: a group or a list
	read   []*column         // the wanted ones
	groups []parquet.RowGroup
	group  int   // the one after the one being read
	left   int64 // rows of that
	row    int64 // rows read
}

// column is what is read of a column.
type column struct {
	cell    int // where its values go
	leaf    int // its place in a row group
	name    string
	convert conversion
	pages   parquet.Pages
	page    parquet.Page
	values  parquet.ValueReader
	buffer  [256]parquet.Value
	at, n   int // of the buffer
	text    []byte
}

// maxFooter bounds the description of a file.
const maxFooter = 64 << 20

func newParquet(r io.ReaderAt, size int64, what string) (table, error) {
	if err := checkFooter(r, size, what); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(r, size, &parquet.FileConfig{SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: 64 << 10})
	if err != nil {
		return nil, damaged(what, err)
	}
	t := &parquetTable{file: f, what: what, groups: f.RowGroups()}
	for _, c := range f.Root().Columns() {
		t.names = append(t.names, c.Name())
		if !c.Leaf() || c.MaxRepetitionLevel() > 0 {
			c = nil
		}
		t.leaves = append(t.leaves, c)
	}
	if len(t.names) > maxColumns {
		return nil, warehouse.Fault(warehouse.ReasonData, nil, "%s has %d columns, want at most %d", what, len(t.names), maxColumns)
	}
	return t, nil
}

func damaged(what string, err error) error {
	return warehouse.Fault(warehouse.ReasonData, err, "%s is no whole Parquet file", what)
}

// checkFooter refuses a file whose end announces a description longer than the
// file or than is sensible, before memory is taken for it.
func checkFooter(r io.ReaderAt, size int64, what string) error {
	var tail [8]byte
	const frame = 4 + 4 + 4 // magic bytes at both ends, the description's length
	if size < frame {
		return damaged(what, errors.New("too short"))
	}
	if _, err := r.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return damaged(what, err)
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != "PAR1" || n > size-frame || n > maxFooter {
		return damaged(what, fmt.Errorf("tail %x", tail))
	}
	return nil
}

func (t *parquetTable) columns() []string { return t.names }

func (t *parquetTable) project(wanted []bool) error {
	for i, want := range wanted {
		if !want {
			continue
		}
		leaf := t.leaves[i]
		if leaf == nil {
			return warehouse.Fault(warehouse.ReasonData, nil, "%s, column %.80q: is nested, want single values", t.what, t.names[i])
		}
		convert := conversionOf(leaf.Type())
		if convert == nil {
			return warehouse.Fault(warehouse.ReasonData, nil, "%s, column %.80q: the type %s is not one that is read", t.what, t.names[i], leaf.Type())
		}
		if err := t.checkChunks(leaf.Index(), t.names[i]); err != nil {
			return err
		}
		t.read = append(t.read, &column{cell: i, leaf: leaf.Index(), name: t.names[i], convert: convert})
	}
	return nil
}

// maxChunk bounds a column's part of a row group, uncompressed.
const maxChunk = 1 << 30

// checkChunks refuses what is too large, and what is compressed with LZ4: the
// library doubles its memory until that fits, which what is damaged never does.
func (t *parquetTable) checkChunks(leaf int, name string) error {
	for _, g := range t.file.Metadata().RowGroups {
		if leaf >= len(g.Columns) {
			return damaged(t.what, errors.New("a row group lacks columns"))
		}
		m := &g.Columns[leaf].MetaData
		if !slices.Contains([]format.CompressionCodec{format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd}, m.Codec) {
			return warehouse.Fault(warehouse.ReasonData, nil, "%s, column %.80q: the codec %s is not one that is read; want none, snappy, zstd, gzip or brotli", t.what, name, m.Codec)
		}
		if m.TotalUncompressedSize > maxChunk || m.TotalUncompressedSize < 0 {
			return warehouse.Fault(warehouse.ReasonLimit, nil, "%s, column %.80q: has %d bytes in a row group, want at most %d; write smaller row groups", t.what, name, m.TotalUncompressedSize, maxChunk)
		}
	}
	return nil
}

func (t *parquetTable) place() string { return fmt.Sprintf("%s, row %d", t.what, t.row) }

func (t *parquetTable) next(cells []warehouse.Cell) (bool, error) {
	for t.left == 0 {
		if t.group == len(t.groups) {
			return false, nil
		}
		t.open(t.groups[t.group])
		t.group++
	}
	t.left--
	t.row++
	for _, c := range t.read {
		v, err := c.next()
		if err != nil {
			return false, warehouse.Fault(warehouse.ReasonData, err, "%s, column %.80q: is damaged", t.place(), c.name)
		}
		cell := &cells[c.cell]
		*cell = warehouse.Cell{}
		if !v.IsNull() && !c.convert(v, cell, &c.text) {
			return false, warehouse.Fault(warehouse.ReasonData, nil, "%s, column %.80q: got a value that is not text in UTF-8, a finite number, or a time in bounds", t.place(), c.name)
		}
		if len(cell.Text) > warehouse.MaxRow {
			return false, warehouse.Fault(warehouse.ReasonLimit, nil, "%s, column %.80q: must be at most %d bytes", t.place(), c.name, warehouse.MaxRow)
		}
	}
	return true, nil
}

// open starts a row group.
func (t *parquetTable) open(g parquet.RowGroup) {
	t.left = g.NumRows()
	chunks := g.ColumnChunks()
	for _, c := range t.read {
		c.close()
		c.pages = chunks[c.leaf].Pages()
	}
}

func (t *parquetTable) close() {
	for _, c := range t.read {
		c.close()
	}
}

func (c *column) close() {
	c.drop()
	if c.pages != nil {
		_ = c.pages.Close() // it was only read
		c.pages = nil
	}
}

// drop gives the page back; what was read of it is not to be used any more.
func (c *column) drop() {
	c.at, c.n, c.values = 0, 0, nil
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
}

// next returns the value of the next row. It is valid until the one after.
func (c *column) next() (parquet.Value, error) {
	for c.at == c.n {
		if err := c.fill(); err != nil {
			return parquet.Value{}, err
		}
	}
	c.at++
	return c.buffer[c.at-1], nil
}

// fill reads values of the page, or goes to the next page.
func (c *column) fill() (err error) {
	c.at, c.n = 0, 0
	if c.values != nil {
		if c.n, err = c.values.ReadValues(c.buffer[:]); err != nil && err != io.EOF {
			return err
		}
		if c.n > 0 {
			return nil
		}
		c.drop()
	}
	if c.page, err = c.pages.ReadPage(); err != nil { // the end, too: a row is owed
		return err
	}
	c.values = c.page.Values()
	return nil
}
