package encode

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/praetor-engine/praetor/internal/learn"
)

// SortExplanations orders contributions by magnitude, largest first, equal ones
// by name.
func SortExplanations(e []learn.Explanation) {
	slices.SortFunc(e, func(a, b learn.Explanation) int {
		if c := cmp.Compare(math.Abs(b.Value), math.Abs(a.Value)); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// Finite returns v, or the largest finite number of its sign. Products of a
// weight and a value go through it, so that a sum of them is never NaN and a
// state never holds what JSON cannot say. v must not be NaN.
func Finite(v float64) float64 {
	if math.Abs(v) <= math.MaxFloat64 {
		return v
	}
	return math.Copysign(math.MaxFloat64, v)
}
