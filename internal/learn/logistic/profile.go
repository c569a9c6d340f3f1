package logistic

import (
	"math"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Bounds of the one-hot encoding.
const (
	minCategoryRows = 10   // rarer values get no weight
	maxCategories   = 1000 // per field, the most frequent ones
)

// profile is what the first scan of the rows finds out about the fields, labels
// aside: how many values are numbers, their moments, how often a category occurs.
type profile struct {
	inputs *encode.Inputs
	fields map[string]*fieldProfile
	// The first row's fields in order: rows mostly have the same fields, so the
	// next field is usually the one that followed last time.
	order                        []*fieldProfile
	rows, positives, heldOutRows int
}

// fieldProfile profiles one field; an unused one only has its name.
type fieldProfile struct {
	name    string
	used    bool
	numbers int // values that are numbers or booleans
	texts   int // values that are texts or members of sets
	set     bool
	mean    float64 // of the numbers
	m2      float64 // sum of their squared deviations from the mean
	counts  encode.Counter
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
		p.heldOutRows++
	}
	for i := range ex.Row {
		f := &ex.Row[i]
		if i >= len(p.order) {
			p.order = append(p.order, p.field(f.Name))
		} else if p.order[i].name != f.Name {
			p.order[i] = p.field(f.Name)
		}
		if fp := p.order[i]; fp.used {
			fp.add(f)
		}
	}
}

func (p *profile) field(name string) *fieldProfile {
	fp := p.fields[name]
	if fp == nil {
		fp = &fieldProfile{name: strings.Clone(name), used: p.inputs.Uses(name), counts: encode.Counter{}}
		p.fields[fp.name] = fp
	}
	return fp
}

func (fp *fieldProfile) add(f *decision.Field) {
	switch f.Kind {
	case decision.Number, decision.Bool:
		fp.numbers++
		d := f.Num - fp.mean
		fp.mean += d / float64(fp.numbers)
		fp.m2 += d * (f.Num - fp.mean)
		if fp.texts > fp.numbers { // most likely a field of categories
			var text [32]byte
			fp.counts.Count(string(encode.AppendCategory(text[:0], f)))
		}
	case decision.Text, decision.Member:
		fp.texts++
		fp.set = fp.set || f.Kind == decision.Member
		fp.counts.Count(f.Text)
	}
}

// numeric reports whether most values of the field are numbers.
func (fp *fieldProfile) numeric() bool { return fp.numbers > fp.texts }

// deviation returns the standard deviation of the numbers, 0 when they cannot be
// standardised: all the same, or so far from 0 next to their spread that folding
// the mean into the bias would lose it.
func (fp *fieldProfile) deviation() float64 {
	const leastSpread = 1e-10 // of the mean; leaves six digits of a float64
	sd := math.Sqrt(fp.m2 / float64(fp.numbers))
	if !(sd > leastSpread*math.Abs(fp.mean)) || math.IsInf(sd, 0) {
		return 0
	}
	return sd
}

// categories returns the values that get a weight, in ascending order.
func (fp *fieldProfile) categories() []string {
	return fp.counts.Frequent(minCategoryRows, maxCategories)
}
