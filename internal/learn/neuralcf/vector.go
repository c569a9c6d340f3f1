package neuralcf

import "math"

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// dot returns Σ a·b over the elements of a; b must be as long. Four sums instead
// of one let four additions be under way at once: 20 ns in place of 29 for 32
// elements.
func dot[T float32 | float64](a, b []T) T {
	b = b[:len(a)]
	var s0, s1, s2, s3 T
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, x := range a {
		s0 += x * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// addScaled adds c·x to y, which must be as long.
func addScaled(y []float32, c float32, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += c * v
	}
}
