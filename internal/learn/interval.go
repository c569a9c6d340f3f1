package learn

import "math"

// Wilson returns the Wilson score interval at 95 % of a rate of positives among
// n, both of which may be weighted (E. B. Wilson, JASA 22, 1927), all of [0, 1]
// without any.
func Wilson(positives, n float64) (lower, upper float64) {
	const z = 1.959963984540054 // 97.5 % quantile of the normal distribution
	if !(n > 0) {
		return 0, 1
	}
	p := positives / n
	center := (positives + z*z/2) / (n + z*z)
	half := z / (n + z*z) * math.Sqrt(positives*(1-p)+z*z/4)
	return max(center-half, 0), min(center+half, 1)
}
