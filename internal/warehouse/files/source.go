package files

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/warehouse"
)

// Config is what a connection says.
type Config struct {
	Exposures File `json:"exposures"`
	Rewards   File `json:"rewards"`
}

// File is one of the two files.
type File struct {
	Path    string            `json:"path"`
	Format  string            `json:"format,omitempty"` // csv or parquet; by the name's ending
	Mapping warehouse.Mapping `json:"column_mapping,omitzero"`
}

// The formats.
const (
	CSV     = "csv"
	Parquet = "parquet"
)

const maxPath = 512

// Parse reads a configuration. Its error is a bad request that names every field at
// fault, below path.
func Parse(raw json.RawMessage, path string) (Config, error) {
	var c Config
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, decision.Invalid(path, "must be {exposures {path, format?, column_mapping?}, rewards {the same}}: %s", jsonProblem(err))
	}
	var p decision.Problems
	c.Exposures.check(&p, path+".exposures", warehouse.KindExposures)
	c.Rewards.check(&p, path+".rewards", warehouse.KindReward)
	return c, p.Err()
}

// jsonProblem tells what encoding/json found without its package's name.
func jsonProblem(err error) string { return strings.TrimPrefix(err.Error(), "json: ") }

func (f *File) check(p *decision.Problems, path string, kind warehouse.Kind) {
	if f.Path == "" || len(f.Path) > maxPath || !fs.ValidPath(f.Path) || strings.ContainsAny(f.Path, "\\\x00") {
		p.Addf(path+".path", "must be a path of 1 to %d bytes below the tenant's directory, without . and .., got %.80q", maxPath, f.Path)
	}
	if f.Format != "" && f.Format != CSV && f.Format != Parquet {
		p.Addf(path+".format", "must be %s or %s, got %.40q", CSV, Parquet, f.Format)
	} else if f.format() == "" {
		p.Addf(path+".format", "is required where the path ends in neither .csv nor .parquet")
	}
	f.Mapping.Check(p, path+".column_mapping", kind, true)
}

func (f *File) format() string {
	if f.Format != "" {
		return f.Format
	}
	switch strings.ToLower(path.Ext(f.Path)) {
	case ".csv":
		return CSV
	case ".parquet":
		return Parquet
	}
	return ""
}

// Options are what the node permits.
type Options struct {
	Root   string // the directory; a tenant's files are below Root/tenant
	Temp   string // the directory of temporary files; empty is the system's
	Limits warehouse.Limits
	// SortBytes bounds the memory of sorting one file; 0 is DefaultSortBytes.
	SortBytes int
}

// DefaultSortBytes bounds the memory of sorting one file.
const DefaultSortBytes = 64 << 20

// Source is the two files.
type Source struct {
	config  Config
	tenant  string
	options Options
}

var _ warehouse.Source = (*Source)(nil)

// New returns the source of a tenant. Nothing is opened yet.
func New(c Config, tenant string, o Options) *Source {
	o.SortBytes = cmp.Or(o.SortBytes, DefaultSortBytes)
	return &Source{config: c, tenant: tenant, options: o}
}

// Close does nothing: files are open only while they are read.
func (s *Source) Close() error { return nil }

// Observations reads both files, sorts them and counts.
func (s *Source) Observations(ctx context.Context, r *warehouse.Request) (*attribution.Table, error) {
	exposures, err := read(ctx, s, &s.config.Exposures, warehouse.KindExposures, exposureCodec, func(m *warehouse.Mapping, what string, columns []string) (warehouse.Rows[attribution.Exposure], error) {
		return warehouse.NewExposures(r, m, what, columns)
	})
	if err != nil {
		return nil, err
	}
	defer exposures.close()
	rewards, err := read(ctx, s, &s.config.Rewards, warehouse.KindReward, rewardCodec, func(m *warehouse.Mapping, what string, columns []string) (warehouse.Rows[attribution.Reward], error) {
		return warehouse.NewRewards(r, m, what, columns)
	})
	if err != nil {
		return nil, err
	}
	defer rewards.close()
	return attribution.Batch(r.Rules, r.Now,
		warehouse.Bounded[attribution.Exposure](exposures, s.options.Limits, what(&s.config.Exposures)),
		warehouse.Bounded[attribution.Reward](rewards, s.options.Limits, what(&s.config.Rewards)))
}

// Test opens both files and looks for the columns that every request needs.
func (s *Source) Test(ctx context.Context) error {
	for _, f := range []struct {
		file *File
		kind warehouse.Kind
	}{{&s.config.Exposures, warehouse.KindExposures}, {&s.config.Rewards, warehouse.KindReward}} {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.open(f.file, func(t table) error {
			m := f.file.Mapping.Implied(f.kind, t.columns())
			return m.Find(what(f.file), t.columns())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// what names a file for a message.
func what(f *File) string { return f.Path }

// table reads the rows of a file.
type table interface {
	columns() []string
	// project says which columns are wanted; the others' cells stay empty.
	project(wanted []bool) error
	// next reads a row into the cells, one for each column; false is the end.
	next(cells []warehouse.Cell) (ok bool, err error)
	// place says where the row that was read last is.
	place() string
	close()
}

// open calls f with a file's table. A file that changes meanwhile is an error, and
// so is what f panics with: the library that reads Parquet does on damaged files.
func (s *Source) open(f *File, use func(table) error) (err error) {
	file, size, err := s.find(f)
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return unreadable(f, err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = warehouse.Fault(warehouse.ReasonData, fmt.Errorf("panic: %v", p), "%s is damaged", what(f))
		}
	}()
	t, err := newTable(file, size, f)
	if err != nil {
		return err
	}
	defer t.close()
	if err := use(t); err != nil {
		return err
	}
	after, err := file.Stat()
	if err != nil {
		return unreadable(f, err)
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return warehouse.Fault(warehouse.ReasonUnreachable, nil, "%s was changed while it was read; write a new file and rename it", what(f))
	}
	return nil
}

// find opens a file below the tenant's directory. It may be no pipe or device: that
// could block for ever.
func (s *Source) find(f *File) (*os.File, int64, error) {
	if s.options.Root == "" {
		return nil, 0, warehouse.Fault(warehouse.ReasonSetup, nil, "this node has no directory of files; the flag --warehouse-dir names one")
	}
	root, err := os.OpenRoot(filepath.Join(s.options.Root, s.tenant))
	if err != nil {
		return nil, 0, warehouse.Fault(warehouse.ReasonSetup, err, "this node has no directory of the tenant's files; it would be %q below --warehouse-dir", s.tenant)
	}
	defer root.Close()
	file, err := root.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, unreadable(f, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, 0, errors.Join(unreadable(f, err), file.Close())
	}
	return file, info.Size(), nil
}

func unreadable(f *File, err error) error {
	msg := "%s cannot be read on this node"
	if errors.Is(err, fs.ErrNotExist) {
		msg = "%s does not exist on this node"
	}
	return warehouse.Fault(warehouse.ReasonSetup, err, msg, what(f))
}

func newTable(file *os.File, size int64, f *File) (table, error) {
	if f.format() == Parquet {
		return newParquet(file, size, what(f))
	}
	return newCSV(file, what(f))
}

// read sorts the events of a file that concern a request.
func read[E any](ctx context.Context, s *Source, f *File, kind warehouse.Kind, codec codec[E],
	bind func(*warehouse.Mapping, string, []string) (warehouse.Rows[E], error)) (*sorted[E], error) {
	sorter := newSorter(codec, s.options.SortBytes, s.options.Temp)
	err := s.open(f, func(t table) error {
		m := f.Mapping.Implied(kind, t.columns())
		rows, err := bind(&m, what(f), t.columns())
		if err != nil {
			return err
		}
		if err := t.project(rows.Wanted()); err != nil {
			return err
		}
		return readRows(ctx, s, t, rows, f, sorter)
	})
	if err != nil {
		return nil, errors.Join(err, sorter.close())
	}
	return sorter.sort()
}

// someRows is after how many rows the context is asked.
const someRows = 4096

func readRows[E any](ctx context.Context, s *Source, t table, rows warehouse.Rows[E], f *File, sorter *sorter[E]) error {
	cells := make([]warehouse.Cell, len(t.columns()))
	for n := int64(1); ; n++ {
		if n%someRows == 0 && ctx.Err() != nil {
			return warehouse.Fault(warehouse.ReasonTimeout, ctx.Err(), "%s could not be read in time", what(f))
		}
		ok, err := t.next(cells)
		if err != nil || !ok {
			return err
		}
		if err := s.options.Limits.CheckRows(n, what(f)); err != nil {
			return err
		}
		visitor, event, ok, err := rows.Read(cells)
		if err != nil {
			return warehouse.At(t.place(), err)
		}
		if !ok {
			continue
		}
		if err := sorter.add(visitor, event); err != nil {
			return fmt.Errorf("files: sort %s: %w", f.Path, err)
		}
	}
}
