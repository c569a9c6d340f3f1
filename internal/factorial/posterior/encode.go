package posterior

import (
	"fmt"
	"math"

	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/wire"
)

// format is the version of the binary form.
const format = 1

// Append appends the binary form, which is canonical:
//
//	version, model, reward, draws
//	count of biases, each a float                       0 or one per design factor
//	all cells have rows (bool), else their count and distances
//	count of rows, each its share and its runs: variants' distances, lengths
//	per variant: exposures, rewards, mean, lower, upper
//	expected mean, lower, upper; per design factor its importance
func (t *Trained) Append(b []byte) []byte {
	b = append(b, format, byte(t.model), byte(t.reward))
	b = wire.AppendUvarint(b, uint64(t.draws))
	b = wire.AppendUvarint(b, uint64(len(t.bias)))
	for _, x := range t.bias {
		b = wire.AppendFloat(b, x)
	}
	b = wire.AppendBool(b, t.cells == nil)
	if t.cells != nil {
		b = wire.AppendUvarint(b, uint64(len(t.cells)))
		before := uint64(0)
		for _, c := range t.cells {
			b = wire.AppendUvarint(b, c-before)
			before = c
		}
	}
	b = wire.AppendUvarint(b, uint64(len(t.rows)))
	for i := range t.rows {
		b = t.rows[i].append(b)
	}
	for i := range t.variants {
		v := &t.variants[i]
		b = wire.AppendUvarint(b, v.Exposures)
		b = wire.AppendFloat(b, v.Rewards)
		b = v.Expected.append(b)
	}
	b = t.expected.append(b)
	for _, x := range t.importance {
		b = wire.AppendFloat(b, x)
	}
	return b
}

func (r *row) append(b []byte) []byte {
	b = wire.AppendFloat(b, r.share)
	b = wire.AppendUvarint(b, uint64(len(r.runs)))
	before := 0
	for i := range r.runs {
		v := int(r.runs[i].variant)
		b = wire.AppendUvarint(b, uint64(v-before))
		b = wire.AppendUvarint(b, uint64(r.count(i)))
		before = v
	}
	return b
}

func (e *Estimate) append(b []byte) []byte {
	b = wire.AppendFloat(b, e.Mean)
	b = wire.AppendFloat(b, e.Lower)
	return wire.AppendFloat(b, e.Upper)
}

// maxDraws bounds what a corrupt encoding may claim.
const maxDraws = 1 << 20

// Decode reads what Append wrote of a training in the space. It keeps nothing of
// state.
func Decode(s *factorial.Space, state string) (*Trained, error) {
	r := wire.NewReader(state)
	if v := r.Byte(); r.Err() == nil && v != format {
		return nil, fmt.Errorf("posterior: format %d, want %d", v, format)
	}
	t := &Trained{model: Model(r.Byte()), reward: Reward(r.Byte())}
	if t.model != MAB && t.model != CMAB || t.reward != Bool && t.reward != Numeric {
		r.Fail("model %d of reward %d", t.model, t.reward)
	}
	draws := r.Uvarint()
	if draws < 1 || draws > maxDraws {
		r.Fail("%d draws", draws)
	}
	t.draws = uint32(draws)
	t.readBias(&r, s)
	t.readRows(&r, s)
	t.variants = make([]Variant, s.Variants())
	for i := range t.variants {
		t.variants[i] = Variant{Exposures: r.Uvarint(), Rewards: r.Float(), Expected: readEstimate(&r)}
		if t.variants[i].Exposures > math.MaxUint64/factorial.MaxVariants {
			r.Fail("%d exposures", t.variants[i].Exposures)
		}
	}
	t.expected = readEstimate(&r)
	t.importance = make([]float64, len(s.Design))
	for f := range t.importance {
		t.importance[f] = r.Float()
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("posterior: %w", err)
	}
	if string(t.Append(make([]byte, 0, len(state)))) != state {
		return nil, fmt.Errorf("posterior: %w: not canonical", wire.ErrCorrupt)
	}
	t.settle(s)
	return t, nil
}

func (t *Trained) readBias(r *wire.Reader, s *factorial.Space) {
	n := r.Count(8)
	if n != 0 && n != len(s.Design) {
		r.Fail("%d biases of %d design factors", n, len(s.Design))
		return
	}
	for range n {
		b := r.Float()
		if b < 0 {
			r.Fail("bias %v", b)
		}
		t.bias = append(t.bias, b)
	}
}

func (t *Trained) readRows(r *wire.Reader, s *factorial.Space) {
	want := s.Cells()
	if !r.Bool() {
		n := r.Count(1)
		t.cells = make([]uint64, n)
		at := uint64(0)
		for i := range t.cells {
			step := r.Uvarint()
			if i > 0 && step == 0 || step >= s.Cells()-at {
				r.Fail("cells do not ascend below %d", s.Cells())
				return
			}
			at += step
			t.cells[i] = at
		}
		want = uint64(n) + 1
	}
	n := r.Count(10)
	if uint64(n) != want {
		r.Fail("%d rows, want %d", n, want)
		return
	}
	t.rows = make([]row, n)
	for i := range t.rows {
		if !t.rows[i].read(r, s, t.draws) {
			return
		}
	}
}

func (w *row) read(r *wire.Reader, s *factorial.Space, draws uint32) bool {
	w.share = r.Float()
	if !(w.share >= 0 && w.share <= 1) {
		r.Fail("share %v", w.share)
	}
	n := r.Count(2)
	w.runs = make([]run, 0, n)
	at, until := uint64(0), uint64(0)
	for i := range n {
		step, length := r.Uvarint(), r.Uvarint()
		if i > 0 && step == 0 || step >= uint64(s.Variants())-at || length == 0 || length > uint64(draws) || s.Excluded(int(at+step)) {
			r.Fail("run %d of variants %d on, of length %d", i, at, length)
			return false
		}
		at += step
		until += length
		w.runs = append(w.runs, run{uint16(at), uint32(until)})
	}
	if until != uint64(draws) {
		r.Fail("a row of %d draws, want %d", until, draws)
	}
	return r.Err() == nil
}

func readEstimate(r *wire.Reader) Estimate { return Estimate{r.Float(), r.Float(), r.Float()} }
