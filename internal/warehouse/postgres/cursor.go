package postgres

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/praetor-engine/praetor/internal/warehouse"
)

// part is how many rows are fetched at a time: their events are in memory.
const part = 10_000

// cursor is a stream of the events of a metric.
type cursor[E any] struct {
	ctx    context.Context // of the transaction
	tx     pgx.Tx
	name   string
	metric *warehouse.Metric
	limits warehouse.Limits
	bind   func(columns []string) (warehouse.Rows[E], error)

	rows    warehouse.Rows[E] // nil before the first part
	cells   []warehouse.Cell
	read    int64 // rows
	events  []event[E]
	at      int
	visitor string
	done    bool
}

type event[E any] struct {
	visitor string
	event   E
}

// declare opens a cursor on a metric.
func declare[E any](ctx context.Context, s *Source, tx pgx.Tx, name string, m *warehouse.Metric, r *warehouse.Request,
	rows func([]string) (warehouse.Rows[E], error)) (*cursor[E], error) {
	text, args, err := bind(m.SQL, r.Optimization, r.Start)
	if err != nil {
		return nil, warehouse.Fault(warehouse.ReasonQuery, nil, "%s: %s", title(m), err)
	}
	if _, err := tx.Exec(ctx, "DECLARE "+name+" NO SCROLL CURSOR FOR "+wrap(text, &m.Mapping), args...); err != nil {
		return nil, fault(ctx, title(m), err)
	}
	return &cursor[E]{ctx: ctx, tx: tx, name: name, metric: m, limits: s.options.Limits, bind: rows}, nil
}

// Next gives the next event.
func (c *cursor[E]) Next() (visitor string, e E, ok bool, err error) {
	for c.at == len(c.events) {
		if c.done {
			return "", e, false, nil
		}
		if err := c.fetch(); err != nil {
			return "", e, false, err
		}
	}
	c.at++
	return c.events[c.at-1].visitor, c.events[c.at-1].event, true, nil
}

// fetch reads the next part. Values come as text, in the forms that the settings
// of the transaction give them.
func (c *cursor[E]) fetch() error {
	c.events, c.at = c.events[:0], 0
	rows, err := c.tx.Query(c.ctx, "FETCH FORWARD "+strconv.Itoa(part)+" FROM "+c.name, pgx.QueryExecModeExec)
	if err != nil {
		return fault(c.ctx, title(c.metric), err)
	}
	defer rows.Close()
	if c.rows == nil {
		columns := names(rows)
		if columns != nil {
			if c.rows, err = c.bind(columns); err != nil {
				return err
			}
			c.cells = make([]warehouse.Cell, len(columns))
		}
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := c.row(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fault(c.ctx, title(c.metric), err)
	}
	c.done = n < part
	return nil
}

func (c *cursor[E]) row(rows pgx.Rows) error {
	c.read++
	if err := c.limits.CheckRows(c.read, title(c.metric)); err != nil {
		return err
	}
	wanted, fields := c.rows.Wanted(), rows.FieldDescriptions()
	for i, raw := range rows.RawValues() {
		if !wanted[i] {
			continue
		}
		var ok bool
		if c.cells[i], ok = cellOf(raw, fields[i].DataTypeOID); !ok {
			return warehouse.Fault(warehouse.ReasonData, nil, "%s, column %.80q: %.80q is not a value in bounds", c.place(), fields[i].Name, raw)
		}
	}
	visitor, e, ok, err := c.rows.Read(c.cells)
	if err != nil {
		return warehouse.At(c.place(), err)
	}
	if !ok {
		return nil
	}
	if string(visitor) != c.visitor {
		c.visitor = string(visitor)
	}
	c.events = append(c.events, event[E]{c.visitor, e})
	return nil
}

// place names the row that was read last: in the order of the visitors.
func (c *cursor[E]) place() string {
	return fmt.Sprintf("%s, row %d of those sorted by %s", title(c.metric), c.read, c.metric.Mapping.AnonymousID)
}

// cellOf makes a cell of a value's text; nil is null. ok is false where the value
// is none that counts, such as an infinite time.
func cellOf(raw []byte, oid uint32) (c warehouse.Cell, ok bool) {
	if raw == nil {
		return c, true
	}
	switch oid {
	case pgtype.BoolOID:
		return warehouse.Cell{Type: warehouse.Bool, Bool: bytes.Equal(raw, []byte("t"))}, true
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		return warehouse.Cell{Type: warehouse.Int, Int: n}, err == nil
	case pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		v, err := strconv.ParseFloat(string(raw), 64)
		return warehouse.Cell{Type: warehouse.Float, Float: v}, err == nil
	case pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.DateOID:
		ms, ok := warehouse.ParseTime(raw)
		return warehouse.Cell{Type: warehouse.Time, Int: ms}, ok
	}
	return warehouse.Cell{Type: warehouse.Text, Text: raw}, true
}
