package experiment

import "math"

// Comparison is the pooled two-proportion z-test of a variant against a base.
type Comparison struct {
	Z float64 // of variant − base
	P float64 // two-sided
}

// Compare tests whether two rates, x of n and baseX of baseN, are one:
//
//	z = (x/n − b/m) / √(p(1−p)(1/n + 1/m)),  p = (x + b)/(n + m)
//
// (J. L. Fleiss, Statistical Methods for Rates and Proportions, section 2.3). When
// all or none are positive there is nothing to tell apart: z = 0, p = 1.
func Compare(x, n, baseX, baseN uint64) Comparison {
	if n == 0 || baseN == 0 || x+baseX == 0 || x+baseX == n+baseN {
		return Comparison{P: 1}
	}
	fn, fm := float64(n), float64(baseN)
	pooled := float64(x+baseX) / (fn + fm)
	z := (float64(x)/fn - float64(baseX)/fm) / math.Sqrt(pooled*(1-pooled)*(1/fn+1/fm))
	return Comparison{Z: z, P: math.Erfc(math.Abs(z) / math.Sqrt2)}
}

// ChiSquare tests whether counts come from shares, which need not add up to 1.
// Cells without a share and without a count are no part of it; one without a
// share but with a count is impossible: p = 0. The degrees of freedom are the
// cells less one; with one cell or without counts there is nothing to test: p = 1.
func ChiSquare(counts []uint64, shares []float64) (statistic, p float64) {
	total, whole := 0.0, 0.0
	for i, n := range counts {
		total += float64(n)
		whole += shares[i]
	}
	if total == 0 {
		return 0, 1
	}
	cells := 0
	for i, n := range counts {
		switch expected := total * shares[i] / whole; {
		case shares[i] > 0:
			d := float64(n) - expected
			statistic += d * d / expected
			cells++
		case n > 0:
			return math.MaxFloat64, 0 // JSON has no infinity
		}
	}
	return statistic, chiSquareTail(statistic, cells-1)
}

// chiSquareTail returns P(X > x) of a χ² variate with whole degrees of freedom,
// by the recurrence over them (M. Abramowitz, I. A. Stegun, 26.4.4 and 26.4.5):
// for even ones e^(−x/2)·Σ (x/2)^k/k!, for odd ones erfc(√(x/2)) and a sum alike
// over half-integers.
func chiSquareTail(x float64, freedom int) float64 {
	if freedom < 1 || x <= 0 {
		return 1
	}
	half := x / 2
	if freedom%2 == 0 {
		return series(math.Exp(-half), 0, freedom/2, half)
	}
	tail := math.Erfc(math.Sqrt(half))
	return tail + series(math.Exp(-half)*math.Sqrt(half)*2/math.Sqrt(math.Pi), 0.5, freedom/2, half)
}

// series returns term·(1 + h/(a+1) + h²/((a+1)(a+2)) + …) of n terms.
func series(term, a float64, n int, h float64) (sum float64) {
	for range n {
		sum += term
		a++
		term *= h / a
	}
	return sum
}
