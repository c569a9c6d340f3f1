package warehouse

import (
	"slices"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// Rows makes events of rows.
type Rows[E any] interface {
	// Read returns the event of a row and its visitor, which is valid as long as the
	// row; ok is false when it does not concern the request. At completes its error.
	Read(row []Cell) (visitor []byte, event E, ok bool, err error)
	// Wanted tells which cells of a row Read looks at.
	Wanted() []bool
}

// common reads what exposures and rewards have both.
type common struct {
	request                                *Request
	columns                                []string
	wanted                                 []bool
	visitor, at, optimization, idempotency int
	nanos                                  int64
	text                                   []byte
}

func (b *binder) common(r *Request, m *Mapping) common {
	unit := m.TimestampUnit
	if unit == "" {
		unit = Milliseconds
	}
	return common{
		request: r, columns: b.columns, wanted: b.wanted, nanos: unitNanos[unit],
		visitor: b.at("anonymous_id", m.AnonymousID), at: b.at("timestamp", m.Timestamp),
		optimization: b.at("optimization_id", m.OptimizationID), idempotency: b.at("idempotency_key", m.IdempotencyKey),
	}
}

// Wanted tells which cells are looked at.
func (c *common) Wanted() []bool { return c.wanted }

// id returns the visitor.
func (c *common) id(row []Cell) ([]byte, error) {
	cell := &row[c.visitor]
	visitor := cell.Text
	if cell.Type != Text {
		c.text = cell.appendText(c.text[:0])
		visitor = c.text
	}
	switch n := len(visitor); {
	case n == 0:
		return nil, wrong(c.columns[c.visitor], "must have a visitor's id, got %s", cell)
	case n > maxVisitorRunes && utf8.RuneCount(visitor) > maxVisitorRunes:
		return nil, wrong(c.columns[c.visitor], "must be at most %d characters, got %d", maxVisitorRunes, utf8.RuneCount(visitor))
	case n > MaxVisitor || !utf8.Valid(visitor):
		return nil, wrong(c.columns[c.visitor], "must be text in UTF-8, got %s", cell)
	}
	return visitor, nil
}

// time returns when the event was; counts is false outside of the request's time.
func (c *common) time(row []Cell) (at int64, counts bool, err error) {
	at, ok := row[c.at].millis(c.nanos)
	if !ok {
		return 0, false, wrong(c.columns[c.at], "must be a time from 1970 to 9999, got %s", &row[c.at])
	}
	return at, at >= c.request.Start && at <= c.request.Now, nil
}

func (c *common) key(row []Cell) uint64 {
	if c.idempotency < 0 {
		return 0
	}
	return attribution.KeyOf(string(row[c.idempotency].appendText(nil)))
}

// is tells whether a cell has the text.
func (c *Cell) is(text string) bool { return c.Type == Text && string(c.Text) == text }

// exposures reads rows of exposures.
type exposures struct {
	common
	holdout, number int
	design          []factorColumn
	context         []factorColumn
}

// factorColumn is where a factor's level is.
type factorColumn struct {
	factor *factorial.Factor
	index  int // of the factor
	column int
	levels map[string]int
}

// NewExposures returns what makes exposures of rows with the columns. Its error
// names the columns that are not there; what is what they are of.
func NewExposures(r *Request, m *Mapping, what string, columns []string) (Rows[attribution.Exposure], error) {
	b := newBinder(columns)
	x := &exposures{common: b.common(r, m), holdout: b.at("is_holdout", m.IsHoldout), number: b.at("variant_number", m.VariantNumber)}
	for f := range r.Space.Design {
		if m.VariantNumber != "" {
			break
		}
		name := r.Space.Design[f].Name
		column, ok := m.DesignFactors[name]
		if !ok {
			column = name
		}
		if at := b.at("design_factors."+name, column); at >= 0 {
			x.design = append(x.design, newFactorColumn(&r.Space.Design[f], f, at))
		}
	}
	for f := range r.Space.Context {
		name := r.Space.Context[f].Name
		column, ok := m.ContextFactors[name]
		if !ok {
			if column = name; !slices.Contains(columns, name) {
				continue // unknown in every row
			}
		}
		if at := b.at("context_factors."+name, column); at >= 0 {
			x.context = append(x.context, newFactorColumn(&r.Space.Context[f], f, at))
		}
	}
	return x, b.err(what)
}

func newFactorColumn(f *factorial.Factor, index, column int) factorColumn {
	c := factorColumn{factor: f, index: index, column: column, levels: make(map[string]int, len(f.Levels))}
	for l, v := range f.Levels {
		c.levels[v.Text] = l
	}
	return c
}

// level returns the level of a cell; ok is false when the factor has no such.
func (f *factorColumn) level(c *Cell) (level int, ok bool) {
	if f.factor.Type == factorial.Bool {
		v, is := c.boolean()
		if !is {
			return 0, false
		}
		level, ok = f.levels[factorial.BoolOf(v).Text]
		return level, ok
	}
	switch c.Type {
	case Null, Time:
		return 0, false
	case Text:
		level, ok = f.levels[string(c.Text)]
	default:
		level, ok = f.levels[string(c.appendText(nil))]
	}
	return level, ok
}

// Read reads a row. A level that a design factor does not have is an error: the
// variant would be another. One that a context factor does not have is unknown, as
// it is when a visitor brings it.
func (x *exposures) Read(row []Cell) (visitor []byte, e attribution.Exposure, ok bool, err error) {
	if x.optimization >= 0 && !row[x.optimization].is(x.request.Optimization) {
		return nil, e, false, nil
	}
	if visitor, err = x.id(row); err != nil {
		return nil, e, false, err
	}
	var counts bool
	if e.At, counts, err = x.time(row); err != nil || !counts {
		return nil, e, false, err
	}
	if e.Variant, err = x.variant(row); err != nil {
		return nil, e, false, err
	}
	space := x.request.Space
	e.Cell = space.UnknownCell()
	for i := range x.context {
		f := &x.context[i]
		if l, known := f.level(&row[f.column]); known {
			e.Cell = space.WithLevel(e.Cell, f.index, l)
		}
	}
	e.Key = x.key(row)
	e.Holdout, err = x.heldOut(row, visitor, e.Variant)
	return visitor, e, err == nil, err
}

func (x *exposures) variant(row []Cell) (uint16, error) {
	space := x.request.Space
	if x.number >= 0 {
		cell := &row[x.number]
		n, ok := cell.integer()
		if !ok || n < 1 || n > int64(space.Variants()) {
			return 0, wrong(x.columns[x.number], "must be a variant's number from 1 to %d, got %s", space.Variants(), cell)
		}
		return uint16(n - 1), nil
	}
	variant := 0
	for i := range x.design {
		f := &x.design[i]
		l, ok := f.level(&row[f.column])
		if !ok {
			return 0, wrong(x.columns[f.column], "must be a level of the design factor %.60q, got %s", f.factor.Name, &row[f.column])
		}
		variant += l * space.Stride(f.index)
	}
	return uint16(variant), nil // below factorial.MaxVariants
}

// heldOut tells whether the visitor of an exposure was held out.
func (x *exposures) heldOut(row []Cell, visitor []byte, variant uint16) (bool, error) {
	if x.holdout < 0 {
		return variant == factorial.Baseline && x.request.Holdout > 0 &&
			factorial.HeldOut(x.request.Optimization, string(visitor), x.request.Holdout), nil
	}
	cell := &row[x.holdout]
	if cell.empty() {
		return false, nil
	}
	held, ok := cell.boolean()
	if !ok {
		return false, wrong(x.columns[x.holdout], "must be true or false, got %s", cell)
	}
	return held, nil
}
