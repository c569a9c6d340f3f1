package warehouse

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// Kind says what rows are.
type Kind string

// The kinds.
const (
	KindExposures Kind = "exposures"
	KindReward    Kind = "reward"
)

// Mapping says in which columns the fields of an event are. A field without a
// column is absent, but for what its comment says.
type Mapping struct {
	AnonymousID    string `json:"anonymous_id,omitempty"`
	Timestamp      string `json:"timestamp,omitempty"`
	TimestampUnit  string `json:"timestamp_unit,omitempty"` // of times that are numbers; ms
	OptimizationID string `json:"optimization_id,omitempty"`
	IdempotencyKey string `json:"idempotency_key,omitempty"`

	// Of exposures. The variant is in the column of its number or in one for each
	// design factor; a factor without a column is in the one of its own name, a
	// context factor only where there is one.
	VariantNumber  string            `json:"variant_number,omitempty"`
	DesignFactors  map[string]string `json:"design_factors,omitempty"`
	ContextFactors map[string]string `json:"context_factors,omitempty"`
	IsHoldout      string            `json:"is_holdout,omitempty"`

	// Of rewards. Without a value each is 1.
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

const (
	maxColumnName = 128
	maxFactors    = factorial.MaxDesignFactors
)

// Check names every problem of a mapping of rows of a kind, at paths below path.
// Whoever takes columns by their own names (see Implied) needs to map none.
func (m *Mapping) Check(p *decision.Problems, path string, kind Kind, implied bool) {
	for _, f := range m.fields() {
		if n := utf8.RuneCountInString(*f.column); n > maxColumnName {
			p.Addf(path+"."+f.name, "must be at most %d characters, got %d", maxColumnName, n)
		}
		if f.kind != "" && f.kind != kind && *f.column != "" {
			p.Addf(path+"."+f.name, "is of rows of the kind %s, these are of the kind %s", f.kind, kind)
		}
		if f.required && !implied && *f.column == "" {
			p.Addf(path+"."+f.name, "is required")
		}
	}
	if _, ok := unitNanos[m.TimestampUnit]; !ok && m.TimestampUnit != "" {
		p.Addf(path+".timestamp_unit", "must be %s, %s, %s or %s, got %.40q", Seconds, Milliseconds, Microseconds, Nanoseconds, m.TimestampUnit)
	}
	if m.VariantNumber != "" && len(m.DesignFactors) > 0 {
		p.Addf(path+".design_factors", "must not be there beside variant_number")
	}
	for _, f := range []struct {
		name    string
		columns map[string]string
	}{{"design_factors", m.DesignFactors}, {"context_factors", m.ContextFactors}} {
		if kind != KindExposures && len(f.columns) > 0 {
			p.Addf(path+"."+f.name, "is of rows of the kind %s, these are of the kind %s", KindExposures, kind)
		}
		if len(f.columns) > maxFactors {
			p.Addf(path+"."+f.name, "must have at most %d factors, got %d", maxFactors, len(f.columns))
		}
		for _, name := range slices.Sorted(maps.Keys(f.columns)) {
			if n := utf8.RuneCountInString(f.columns[name]); n < 1 || n > maxColumnName {
				p.Addf(fmt.Sprintf("%s.%s.%.60s", path, f.name, name), "must be 1 to %d characters, got %d", maxColumnName, n)
			}
		}
	}
}

// mappedField is a field that one column holds.
type mappedField struct {
	name     string
	column   *string
	kind     Kind // of the rows that have it; empty: both
	required bool
}

func (m *Mapping) fields() []mappedField {
	return []mappedField{
		{name: "anonymous_id", column: &m.AnonymousID, required: true},
		{name: "timestamp", column: &m.Timestamp, required: true},
		{name: "optimization_id", column: &m.OptimizationID},
		{name: "idempotency_key", column: &m.IdempotencyKey},
		{name: "variant_number", column: &m.VariantNumber, kind: KindExposures},
		{name: "is_holdout", column: &m.IsHoldout, kind: KindExposures},
		{name: "name", column: &m.Name, kind: KindReward},
		{name: "value", column: &m.Value, kind: KindReward},
	}
}

// Implied completes the mapping of rows of a kind with the columns that have the
// names of fields: what a file of events has.
func (m Mapping) Implied(kind Kind, columns []string) Mapping {
	for _, f := range m.fields() {
		switch {
		case *f.column != "" || f.kind != "" && f.kind != kind:
		case f.required, slices.Contains(columns, f.name):
			*f.column = f.name
		}
	}
	if len(m.DesignFactors) > 0 {
		m.VariantNumber = ""
	}
	return m
}

// binder finds the columns of fields.
type binder struct {
	columns []string
	wanted  []bool
	p       decision.Problems
}

func newBinder(columns []string) *binder {
	return &binder{columns: columns, wanted: make([]bool, len(columns))}
}

// at returns the place of a field's column, −1 when it has none.
func (b *binder) at(field, column string) int {
	if column == "" {
		return -1
	}
	i := slices.Index(b.columns, column)
	switch {
	case i < 0:
		b.p.Addf(field, "there is no column %.80q", column)
		return -1
	case slices.Contains(b.columns[i+1:], column):
		b.p.Addf(field, "there are two columns %.80q", column)
	}
	b.wanted[i] = true
	return i
}

// err is nil when every column was found.
func (b *binder) err(what string) error {
	err := b.p.Err()
	if err == nil {
		return nil
	}
	text := ""
	var all *decision.Error
	if errors.As(err, &all) {
		for _, d := range all.Details {
			text += "; " + d.Path + ": " + d.Message
		}
	}
	return Fault(ReasonData, nil, "%s: the columns are not as mapped%s; there are %.40q", what, text, b.columns[:min(len(b.columns), 50)])
}

// Find tells which of the columns that the mapping names are not there; what is
// what they are of. Those of factors that are found by their own names are for
// NewExposures to look for.
func (m *Mapping) Find(what string, columns []string) error {
	b := newBinder(columns)
	for _, f := range m.fields() {
		b.at(f.name, *f.column)
	}
	for _, f := range slices.Sorted(maps.Keys(m.DesignFactors)) {
		b.at("design_factors."+f, m.DesignFactors[f])
	}
	for _, f := range slices.Sorted(maps.Keys(m.ContextFactors)) {
		b.at("context_factors."+f, m.ContextFactors[f])
	}
	return b.err(what)
}
