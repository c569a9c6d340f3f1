package bayes

import (
	"strings"

	"github.com/praetor-engine/praetor/internal/wire"
)

// The binary state, version 1. Fields and categories are in ascending order, so
// equal states give equal bytes; numbers as package wire writes them.
//
//	version 1 | given | temperature | offset | samples
//	weight −, + | when given: prior −, +
//	fields: count, then for each
//	  name | kind | unless given: present −, +
//	  bins:  edges: count, each | for each bin: −, +
//	  else:  cells: count, then for each: name | −, +
//
// Cells hold counts, or probabilities when given (0 and 0: a bin not listed).
const stateVersion = 1

func appendPair(dst []byte, p perClass) []byte {
	return wire.AppendFloat(wire.AppendFloat(dst, p[negative]), p[positive])
}

func (m *model) append(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = wire.AppendBool(dst, m.given)
	dst = wire.AppendFloat(dst, m.calibration.temperature)
	dst = wire.AppendFloat(dst, m.calibration.offset)
	dst = wire.AppendUvarint(dst, m.samples)
	dst = appendPair(dst, m.weight)
	if m.given {
		dst = appendPair(dst, m.priors)
	}
	dst = wire.AppendUvarint(dst, uint64(len(m.fields)))
	for _, f := range m.fields {
		dst = wire.AppendString(dst, f.name)
		dst = append(dst, byte(f.kind))
		if !m.given {
			dst = appendPair(dst, f.present)
		}
		if f.kind == kindBins {
			dst = wire.AppendUvarint(dst, uint64(len(f.edges)))
			for _, e := range f.edges {
				dst = wire.AppendFloat(dst, e)
			}
		} else {
			dst = wire.AppendUvarint(dst, uint64(len(f.cells)))
		}
		for _, k := range f.sorted() {
			if f.kind != kindBins {
				dst = wire.AppendString(dst, f.names[k])
			}
			dst = appendPair(dst, f.cells[k].of)
		}
	}
	return dst
}

// decode reads into a new model what append wrote.
func (m *model) decode(state string) error {
	r := wire.NewReader(state)
	if v := r.Byte(); r.Err() == nil && v != stateVersion {
		r.Fail("state version %d, want %d", v, stateVersion)
	}
	m.given = r.Bool()
	m.calibration = calibration{r.Float(), r.Float()}
	if r.Err() == nil && m.calibration.temperature <= 0 {
		r.Fail("temperature %g, want above 0", m.calibration.temperature)
	}
	m.samples = r.Uvarint()
	m.weight = readPair(&r, maxCount)
	if m.given {
		m.priors = readPair(&r, 1)
		if r.Err() == nil && (m.priors[negative] == 0 || m.priors[positive] == 0) {
			r.Fail("prior 0")
		}
	}
	const leastField = 3 // bytes: an empty name, a kind, a count
	last := ""
	for i := range r.Count(leastField) {
		f := m.decodeField(&r)
		if r.Err() != nil {
			break
		}
		if i > 0 && f.name <= last {
			r.Fail("field %q after %q", f.name, last)
			break
		}
		if last = f.name; !m.add(f) {
			r.Fail("more than %d cells", maxCells)
			break
		}
	}
	return r.Close()
}

func readPair(r *wire.Reader, most float64) perClass {
	p := perClass{r.Float(), r.Float()}
	for _, v := range p {
		if r.Err() == nil && (v < 0 || v > most) {
			r.Fail("got %g, want from 0 to %g", v, most)
		}
	}
	return p
}

func (m *model) decodeField(r *wire.Reader) *field {
	f := &field{name: strings.Clone(r.String()), kind: kind(r.Byte())}
	most := 1.0
	if !m.given {
		most = maxCount
		f.present = readPair(r, most)
	}
	switch f.kind {
	case kindBins:
		f.edges = make([]float64, r.Count(8))
		for i := range f.edges {
			f.edges[i] = r.Float()
			if r.Err() == nil && i > 0 && f.edges[i] <= f.edges[i-1] {
				r.Fail("edges do not ascend")
			}
		}
		f.cells = make([]cell, len(f.edges)+1)
		for k := range f.cells {
			f.cells[k].of = m.checkGiven(r, readPair(r, most), true)
		}
	case kindCategories, kindNumbers, kindSet:
		f.index = make(map[string]int32)
		for k := range r.Count(17) { // a name and two numbers
			name := strings.Clone(r.String())
			of := m.checkGiven(r, readPair(r, most), false)
			if r.Err() == nil && k > 0 && name <= f.names[k-1] {
				r.Fail("category %q after %q", name, f.names[k-1])
			}
			if f.kind == kindNumbers && !isNumber(name) {
				r.Fail("category %q of a field of numbers", name)
			}
			if r.Err() != nil {
				break
			}
			f.append(name, of)
		}
	default:
		r.Fail("field kind %d", f.kind)
	}
	return f
}

// checkGiven refuses a probability of 0, except both of a bin that is not listed.
func (m *model) checkGiven(r *wire.Reader, of perClass, unlisted bool) perClass {
	if r.Err() == nil && m.given && (of[negative] == 0 || of[positive] == 0) && (!unlisted || of != perClass{}) {
		r.Fail("probability 0")
	}
	return of
}
