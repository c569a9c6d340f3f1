package attribution

import (
	"math/bits"

	"github.com/praetor-engine/praetor/internal/wire"
)

// sum is an integer of 128 bits, two's complement. Adding and taking away again
// leaves nothing behind, in any order.
type sum struct{ high, low uint64 }

func (s *sum) add(o sum) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, o.low, 0)
	s.high, _ = bits.Add64(s.high, o.high, carry)
}

func (s sum) negated() sum {
	low, carry := bits.Add64(^s.low, 1, 0)
	return sum{^s.high + carry, low}
}

func sumOf(x int64) sum { return sum{uint64(x >> 63), uint64(x)} }

func squareOf(x int64) sum {
	m := uint64(max(x, -x))
	high, low := bits.Mul64(m, m)
	return sum{high, low}
}

// float returns the nearest float, or one beside it.
func (s sum) float() float64 {
	if int64(s.high) < 0 {
		return -s.negated().float()
	}
	const limb = 1 << 32
	return float64(float64(s.high)*limb)*limb + float64(s.low)
}

func (s sum) append(b []byte) []byte {
	return wire.AppendUint64(wire.AppendUint64(b, s.high), s.low)
}

func readSum(r *wire.Reader) sum {
	high := r.Uint64()
	return sum{high, r.Uint64()}
}
