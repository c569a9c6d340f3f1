package predictors

import (
	"context"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// maxIgnored is how many names of fields are remembered to be ignored, so that
// the usual ones cost one look-up.
const maxIgnored = 1000

// maxName is how long the name of a field may be, in bytes.
const maxName = 256

// Measure measures the predictors of a model on the labelled rows of the source;
// the package's documentation says what and how. It fails when an option is out
// of range, when the source does, and when ctx ends. No rows at all are no
// failure: the report then has the listed predictors without a value.
func Measure(ctx context.Context, src learn.Source, o Options) (*Report, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	m := newMeasurement(o)
	if err := src.Scan(ctx, func(ex *learn.Example) error { m.profile(ex); return nil }); err != nil {
		return nil, err
	}
	for _, f := range m.fields {
		if f.used {
			f.cut(&m.Options)
		}
	}
	// What the source lost or gained since the first scan does no harm: all
	// counts are of the second.
	if err := src.Scan(ctx, func(ex *learn.Example) error { m.count(ex); return nil }); err != nil {
		return nil, err
	}
	return m.report(), nil
}

// measurement is one run of Measure.
type measurement struct {
	Options
	recentFrom int64 // exclusive
	inputs     *encode.Inputs
	fields     map[string]*field
	used       int // of the fields
	truncated  bool
	// first stands before the first field of a row. A field remembers which one
	// followed it last, as rows mostly have the same fields.
	first field
	total tally
}

func newMeasurement(o Options) *measurement {
	m := &measurement{
		Options: o, recentFrom: int64(o.Now) - RecentWindow.Milliseconds(),
		inputs: encode.NewInputs(o.Spec), fields: make(map[string]*field),
	}
	for i := range o.Spec.Predictors {
		if name := o.Spec.Predictors[i].Field; m.inputs.Uses(name) {
			m.add(name)
		}
	}
	for _, name := range o.Spec.InteractionInputs {
		if m.inputs.Uses(name) {
			m.add(name)
		}
	}
	return m
}

// place is where a row counts.
type place struct {
	training int // 1 or 0
	positive int // 1 when training, too
	recent   int
	half     int // of the training rows
}

func (m *measurement) place(ex *learn.Example) (p place, counts bool) {
	if m.TrainedAt == 0 || ex.At <= int64(m.TrainedAt) {
		p.training = 1
		if ex.Positive {
			p.positive = 1
		}
		p.half = int(ex.ID.Hash() / 5 & 1) // the residue modulo 5 is that of the held-out rows
	}
	if ex.At > m.recentFrom && ex.At <= int64(m.Now) {
		p.recent = 1
	}
	return p, p.training|p.recent != 0
}

// profile shows the fields of the first scan a row.
func (m *measurement) profile(ex *learn.Example) {
	p, counts := m.place(ex)
	if !counts {
		return
	}
	at := &m.first
	for values, row := decision.Row(nil), ex.Row; len(row) > 0; {
		values, row = encode.Cut(row)
		f := m.following(at, values[0].Name)
		if f == nil {
			if f = m.add(values[0].Name); f == nil {
				continue
			}
			at.next = f
		}
		at = f
		if f.used {
			f.profile(values, p)
		}
	}
}

// count counts a row of the second scan.
func (m *measurement) count(ex *learn.Example) {
	p, counts := m.place(ex)
	if !counts {
		return
	}
	m.total.add(p)
	at := &m.first
	for values, row := decision.Row(nil), ex.Row; len(row) > 0; {
		values, row = encode.Cut(row)
		f := m.following(at, values[0].Name)
		if f == nil {
			continue
		}
		at = f
		if f.used {
			f.count(values, p)
		}
	}
}

// following returns the field of the name that comes after another one in a row,
// nil when it is not known.
func (m *measurement) following(at *field, name string) *field {
	if f := at.next; f != nil && f.name == name {
		return f
	}
	f := m.fields[name]
	if f != nil {
		at.next = f
	}
	return f
}

// add makes the field of a name that is not known yet; nil when it is to be
// ignored and not even remembered.
func (m *measurement) add(name string) *field {
	f := m.fields[name]
	if f != nil {
		return f
	}
	used := len(name) <= maxName && m.inputs.Uses(name)
	if used && m.used == m.MaxPredictors {
		used, m.truncated = false, true
	}
	switch {
	case used:
		m.used++
	case len(name) > maxName || len(m.fields)-m.used >= maxIgnored:
		return nil
	}
	f = newField(strings.Clone(name), used)
	m.fields[f.name] = f
	return f
}
