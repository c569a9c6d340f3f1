package encode

import (
	"math/rand/v2"
	"testing"
)

// TestSampleIsBounded: beyond its bound a sample keeps every second, fourth, …
// value in their order.
func TestSampleIsBounded(t *testing.T) {
	const most = 1 << 10
	for _, n := range []int{0, 1, most - 1, most, most + 1, 3 * most, 5*most + 123} {
		s := Sample{Most: most}
		for i := range n {
			s.Add(float64(i))
		}
		if len(s.Values) > most || len(s.Values) < min(n, most/2) || s.seen != n {
			t.Fatalf("%d values of %d, want at most %d", len(s.Values), n, most)
		}
		for i, v := range s.Values {
			if v != float64(i*s.stride) {
				t.Fatalf("%d values: value %d is number %v, want %d", n, i, v, i*s.stride)
			}
		}
	}
}

func TestBinOfEqualsTheCountOfEdges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 12 {
		edges := make([]float64, n)
		for i := range edges {
			edges[i] = float64(2 * i)
		}
		for range 100 {
			x, want := float64(rng.IntN(2*n+3)-1), 0
			for _, e := range edges {
				if e <= x {
					want++
				}
			}
			if got := BinOf(edges, x); got != want {
				t.Fatalf("BinOf(%v, %v) = %d, want %d", edges, x, got, want)
			}
		}
	}
}
