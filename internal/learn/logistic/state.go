package logistic

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/wire"
)

// stateJSON is the API's modelState.
type stateJSON struct {
	Bias    float64            `json:"bias"`
	Weights map[string]float64 `json:"weights"`
	// Means has the value at which a missing number is taken.
	Means map[string]float64 `json:"means,omitempty"`
}

func readState(raw json.RawMessage, p *decision.Problems) *table {
	o := encode.ReadObject(raw, "modelState", p)
	b := newBuilder()
	b.bias = o.Number("bias", 0)
	means := o.Numbers("means")
	for key, w := range o.Numbers("weights") {
		if field, value, ok := encode.SplitKey(key); ok {
			b.category(field, value, w)
		} else {
			b.number(field, w, means[field])
		}
	}
	return b.table()
}

func (t *table) json() (json.RawMessage, error) {
	s := stateJSON{Bias: t.bias, Weights: make(map[string]float64), Means: make(map[string]float64)}
	for i := range t.fields {
		f := &t.fields[i]
		if f.numeric {
			s.Weights[f.name] = f.weight
			if f.mean != 0 {
				s.Means[f.name] = f.mean
			}
		}
		for value, w := range f.categories {
			s.Weights[encode.Key(f.name, value)] = w
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("logistic state: %w", err)
	}
	return raw, nil
}

// The binary state:
//
//	byte     version, 1
//	float    bias
//	uvarint  number of fields, each, ascending by name:
//	  string   name
//	  bool     whether it has a number's weight; if so
//	    float    weight
//	    float    mean
//	  uvarint  number of categories, each, ascending by value:
//	    string   value
//	    float    weight
const stateVersion = 1

func (t *table) append(b []byte) []byte {
	b = append(b, stateVersion)
	b = wire.AppendFloat(b, t.bias)
	b = wire.AppendUvarint(b, uint64(len(t.fields)))
	for i := range t.fields {
		f := &t.fields[i]
		b = wire.AppendString(b, f.name)
		b = wire.AppendBool(b, f.numeric)
		if f.numeric {
			b = wire.AppendFloat(b, f.weight)
			b = wire.AppendFloat(b, f.mean)
		}
		b = wire.AppendUvarint(b, uint64(len(f.categories)))
		for _, value := range slices.Sorted(maps.Keys(f.categories)) {
			b = wire.AppendString(b, value)
			b = wire.AppendFloat(b, f.categories[value])
		}
	}
	return b
}

func decodeState(s string) (*table, error) {
	r := wire.NewReader(s)
	if v := r.Byte(); v != stateVersion {
		r.Fail("got version %d, want %d", v, stateVersion)
	}
	t := &table{bias: r.Float()}
	n := r.Count(3) // a field takes at least a length, a flag and a count
	for i := 0; i < n && r.Err() == nil; i++ {
		f := decodeField(&r)
		if i > 0 && f.name <= t.fields[i-1].name {
			r.Fail("field %q after %q, want ascending names", f.name, t.fields[i-1].name)
		}
		t.fields = append(t.fields, f)
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("logistic state: %w", err)
	}
	return t, nil
}

func decodeField(r *wire.Reader) field {
	f := field{name: strings.Clone(r.String()), numeric: r.Bool()}
	if strings.Contains(f.name, "=") {
		r.Fail("field name %q holds the separator of keys", f.name)
	}
	if f.numeric {
		f.weight, f.mean = r.Float(), r.Float()
	}
	n := r.Count(9) // a category takes at least a length and a float
	if n > 0 {
		f.categories = make(map[string]float64, n)
	} else if !f.numeric {
		r.Fail("field %q has no weight", f.name)
	}
	last := ""
	for i := 0; i < n && r.Err() == nil; i++ {
		value := strings.Clone(r.String())
		if i > 0 && value <= last {
			r.Fail("category %q after %q, want ascending values", value, last)
		}
		f.categories[value], last = r.Float(), value
	}
	return f
}
