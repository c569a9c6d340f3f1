package online

import (
	"fmt"
	"math"
	"strings"

	"github.com/praetor-engine/praetor/internal/learn/encode"
	"github.com/praetor-engine/praetor/internal/wire"
)

// The binary state:
//
//	byte     version, 1
//	bool     whether it is normalised
//	byte     optimizer
//	uvarint  progressive count
//	float    progressive weight
//	float    progressive sum of log-losses
//	sums     of the bias
//	uvarint  number of fields, each, ascending by name:
//	  string   name
//	  bool     whether it has a number; if so
//	    sums     of the number
//	    float    mean, m2, weight of its values, when normalised
//	  uvarint  number of categories, each, ascending by value:
//	    string   value
//	    sums     of the category
//
// where sums are a float, the weight; n, when the optimizer is adagrad or ftrl;
// z, when it is ftrl.
const stateVersion = 1

// AppendState implements learn.Learner.
func (l *learner) AppendState(b []byte) []byte {
	b = append(b, stateVersion)
	b = wire.AppendBool(b, l.normalize)
	b = append(b, byte(l.cfg.optimizer))
	b = wire.AppendUvarint(b, l.progressive.count)
	b = wire.AppendFloat(b, l.progressive.weight)
	b = wire.AppendFloat(b, l.progressive.loss)
	var last *field
	l.each(func(f *feature, in *field, category string) {
		switch {
		case in == nil:
			b = f.appendSums(b, l.cfg.optimizer)
			b = wire.AppendUvarint(b, uint64(len(l.fields)))
			return
		case in != last:
			b = wire.AppendString(b, in.name)
			b = wire.AppendBool(b, in.number != nil)
			if in.number == nil {
				b = wire.AppendUvarint(b, uint64(len(in.categories)))
			}
			last = in
		}
		if f != in.number {
			b = wire.AppendString(b, category)
			b = f.appendSums(b, l.cfg.optimizer)
			return
		}
		b = f.appendSums(b, l.cfg.optimizer)
		if l.normalize {
			b = wire.AppendFloat(b, f.mean)
			b = wire.AppendFloat(b, f.m2)
			b = wire.AppendFloat(b, f.seen)
		}
		b = wire.AppendUvarint(b, uint64(len(in.categories)))
	})
	return b
}

func (f *feature) appendSums(b []byte, o optimizer) []byte {
	b = wire.AppendFloat(b, f.weight)
	if o != sgd {
		b = wire.AppendFloat(b, f.n)
	}
	if o == ftrl {
		b = wire.AppendFloat(b, f.z)
	}
	return b
}

// decode reads a state and tells whether it is normalised.
func (l *learner) decode(s string) (normalized bool, err error) {
	r := wire.NewReader(s)
	if v := r.Byte(); v != stateVersion {
		r.Fail("got version %d, want %d", v, stateVersion)
	}
	normalized = r.Bool()
	if l.from = optimizer(r.Byte()); l.from > ftrl {
		r.Fail("got optimizer %d, want at most %d", l.from, ftrl)
	}
	l.progressive = progressive{count: r.Uvarint(), weight: atLeast0(&r), loss: atLeast0(&r)}
	l.bias.decodeSums(&r, l.from)
	n := r.Count(3) // a field takes at least a length, a flag and a count
	for i := 0; i < n && r.Err() == nil; i++ {
		f := l.decodeField(&r, normalized)
		if i > 0 && f.name <= l.fields[i-1].name {
			r.Fail("field %q after %q, want ascending names", f.name, l.fields[i-1].name)
		}
		l.fields = append(l.fields, f)
	}
	if err := r.Close(); err != nil {
		return false, fmt.Errorf("online state: %w", err)
	}
	return normalized, nil
}

func (l *learner) decodeField(r *wire.Reader, normalized bool) field {
	f := field{name: strings.Clone(r.String())}
	if _, _, isCategory := encode.SplitKey(f.name); isCategory {
		r.Fail("field name %q holds the separator of keys", f.name)
	}
	f.learns = l.inputs.Uses(f.name)
	if r.Bool() {
		f.number = new(feature)
		l.features++
		f.number.decodeSums(r, l.from)
		if normalized {
			f.number.moments = moments{mean: r.Float(), m2: atLeast0(r), seen: atLeast0(r)}
			if math.Abs(f.number.mean) > largest {
				r.Fail("got a mean of %g, want at most %g", f.number.mean, largest)
			}
		}
	}
	n := r.Count(9) // a category takes at least a length and a float
	if n == 0 && f.number == nil {
		r.Fail("field %q has no weight", f.name)
	}
	if n > 0 {
		f.categories = make(map[string]*feature, n)
	}
	last := ""
	for i := 0; i < n && r.Err() == nil; i++ {
		value := strings.Clone(r.String())
		if i > 0 && value <= last {
			r.Fail("category %q after %q, want ascending values", value, last)
		}
		f.addCategory(value).decodeSums(r, l.from)
		l.features++
		last = value
	}
	return f
}

func (f *feature) decodeSums(r *wire.Reader, o optimizer) {
	f.weight = r.Float()
	if o != sgd {
		f.n = atLeast0(r)
	}
	if o == ftrl {
		f.z = r.Float()
	}
}

func atLeast0(r *wire.Reader) float64 {
	v := r.Float()
	if v < 0 {
		r.Fail("got %g, want at least 0", v)
	}
	return v
}
