package posterior

import (
	"errors"
	"math"
)

// symmetric is the lower half of a symmetric matrix, or a lower triangle: row i has
// the columns 0 to i. Products are converted before they are added, which keeps the
// compiler from fusing them: all machines compute the same bits.
type symmetric struct {
	n    int
	data []float64
}

func newSymmetric(n int) *symmetric { return &symmetric{n, make([]float64, n*(n+1)/2)} }

func (m *symmetric) row(i int) []float64 {
	at := i * (i + 1) / 2
	return m.data[at : at+i+1 : at+i+1]
}

func (m *symmetric) clear() { clear(m.data) }

var errNotPositive = errors.New("the matrix is not positive definite")

// factorize turns the matrix A into the L of A = L·Lᵀ, in place, row by row (G. H.
// Golub, C. F. Van Loan, Matrix Computations, 4.2). Cost: n³/3 multiplications.
func (m *symmetric) factorize() error {
	for i := range m.n {
		a := m.row(i)
		for j := range i {
			b := m.row(j)
			a[j] = (a[j] - dot(a[:j], b[:j])) / b[j]
		}
		d := a[i] - dot(a[:i], a[:i])
		if !(d > 0) || math.IsInf(d, 1) {
			return errNotPositive
		}
		a[i] = math.Sqrt(d)
	}
	return nil
}

// solveLower replaces b by the x of L·x = b, from the element first on: those
// before it must be 0.
func (m *symmetric) solveLower(b []float64, first int) {
	for i := first; i < m.n; i++ {
		r := m.row(i)
		b[i] = (b[i] - dot(r[first:i], b[first:i])) / r[i]
	}
}

// solveUpper replaces b by the x of Lᵀ·x = b.
func (m *symmetric) solveUpper(b []float64) {
	for i := m.n - 1; i >= 0; i-- {
		r := m.row(i)
		x := b[i] / r[i]
		b[i] = x
		for j, l := range r[:i] {
			b[j] -= float64(l * x)
		}
	}
}

// inverseDiagonal returns the diagonal of (L·Lᵀ)⁻¹. Cost: n³/6 multiplications.
func (m *symmetric) inverseDiagonal() []float64 {
	diagonal, x := make([]float64, m.n), make([]float64, m.n)
	for j := range m.n {
		clear(x)
		x[j] = 1
		m.solveLower(x, j)
		diagonal[j] = dot(x[j:], x[j:])
	}
	return diagonal
}

// dot returns Σ aᵢ·bᵢ, in four sums that a processor can keep apart.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}
