package encode

import "math"

// Sigmoid returns 1/(1+e^−x), the same bits on every machine of one build. It is
// for learned state that nodes compute each for itself: math.Exp takes another
// path, with another last bit, on amd64 processors that have fused multiply-add.
// Where only one machine's result counts, learn.Sigmoid is the one to use.
//
// Error below 4 units in the last place of e^x.
func Sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + exp(-x))
	}
	e := exp(x)
	return e / (1 + e)
}

// ln 2 in two parts: the high one has 32 significant bits, so that its product
// with an integer below 2^21 is exact (Cody and Waite, Software Manual for the
// Elementary Functions, 1980, chapter 6).
const (
	ln2High = 0xb17217f7p-32
	ln2Low  = math.Ln2 - ln2High
)

// The reciprocals of the factorials from 13! down to 1!, the coefficients of the
// Taylor series; |r| ≤ ln2/2 makes the first one left out less than 5e-18.
var expSeries = [...]float64{
	1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
	1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1,
}

// exp returns e^x for x ≤ 0: x = k·ln2 + r, e^x = 2^k·e^r. The conversions keep
// the compiler from fusing a multiplication with an addition.
func exp(x float64) float64 {
	const underflow = -745.2 // below it e^x rounds to 0
	if x < underflow {
		return 0
	}
	k := math.Round(x * (1 / math.Ln2))
	r := (x - float64(k*ln2High)) - float64(k*ln2Low)
	sum := 0.0
	for _, c := range expSeries {
		sum = float64((sum + c) * r)
	}
	return math.Ldexp(1+sum, int(k))
}
