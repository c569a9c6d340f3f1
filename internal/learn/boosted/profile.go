package boosted

import (
	"cmp"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Bounds of the columns of one field.
const (
	maxCategories = 1000 // of a categorical field, the most frequent ones
	maxMembers    = 100  // of a field with sets, the most frequent ones
	minMemberRows = 10   // rarer members get no column
)

// profile is what the first scan finds out about the fields.
type profile struct {
	inputs *encode.Inputs
	fields map[string]*fieldProfile

	rows, positives           int
	heldOut, heldOutPositives int
}

type fieldProfile struct {
	name           string
	used           bool
	numbers, texts int // single values
	sets           int // rows with a set
	values         encode.Counter
	members        encode.Counter
}

func newProfile(spec *learn.Spec) *profile {
	return &profile{inputs: encode.NewInputs(spec), fields: make(map[string]*fieldProfile)}
}

func (p *profile) add(ex *learn.Example) {
	p.rows++
	if ex.Positive {
		p.positives++
	}
	if ex.HeldOut() {
		p.heldOut++
		if ex.Positive {
			p.heldOutPositives++
		}
	}
	for row := ex.Row; len(row) > 0; {
		var values decision.Row
		values, row = encode.Cut(row)
		if f := p.field(values[0].Name); f.used {
			f.add(values)
		}
	}
}

// fittingHasBothClasses reports whether the rows that are not held out have.
func (p *profile) fittingHasBothClasses() bool {
	positives := p.positives - p.heldOutPositives
	return positives > 0 && positives < p.rows-p.heldOut
}

func (p *profile) field(name string) *fieldProfile {
	f := p.fields[name]
	if f == nil {
		f = &fieldProfile{name: strings.Clone(name), values: encode.Counter{}, members: encode.Counter{}}
		f.used = name != "" && len(name) <= maxNameLength && p.inputs.Uses(name)
		p.fields[f.name] = f
	}
	return f
}

func (f *fieldProfile) add(values decision.Row) {
	switch v := &values[0]; v.Kind {
	case decision.Member, decision.EmptySet:
		f.sets++
		for i := range values {
			if values[i].Text != "" {
				f.members.Count(values[i].Text)
			}
		}
	case decision.Text:
		f.texts++
		f.values.Count(v.Text)
	default:
		f.numbers++
		if f.texts > f.numbers { // most likely a field of categories
			var text [32]byte
			f.values.Count(string(v.AppendCategory(text[:0])))
		}
	}
}

// columns returns the columns of all fields by ascending name and member.
func (p *profile) columns() []Column {
	var columns []Column
	for _, f := range p.fields {
		if f.used {
			columns = f.appendColumns(columns)
		}
	}
	slices.SortFunc(columns, func(a, b Column) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Member, b.Member))
	})
	return columns
}

func (f *fieldProfile) appendColumns(columns []Column) []Column {
	if f.sets > f.numbers+f.texts {
		for _, m := range f.members.Frequent(minMemberRows, maxMembers) {
			columns = append(columns, Column{Name: f.name, Member: m})
		}
		return columns
	}
	if f.numbers > f.texts {
		return append(columns, Column{Name: f.name})
	}
	return append(columns, Column{Name: f.name, Categorical: true, Categories: f.values.Frequent(1, maxCategories)})
}
