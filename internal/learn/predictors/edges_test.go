package predictors

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// repeat returns each value count times.
func repeat(pairs ...float64) []float64 {
	var values []float64
	for i := 0; i < len(pairs); i += 2 {
		for range int(pairs[i+1]) {
			values = append(values, pairs[i])
		}
	}
	return values
}

func TestEdges(t *testing.T) {
	thousand := make([]float64, 1000)
	for i := range thousand {
		thousand[i] = float64(i)
	}
	cases := []struct {
		name   string
		values []float64
		bins   int
		want   []float64
	}{
		{"nothing", nil, 10, nil},
		{"one value", repeat(5, 7), 10, nil},
		{"two values", repeat(0, 50, 1, 50), 10, []float64{1}},
		{"a thousand", thousand, 10, []float64{100, 200, 300, 400, 500, 600, 700, 800, 900}},
		{"as many values as bins", repeat(1, 10, 2, 10, 3, 10, 4, 10), 4, []float64{2, 3, 4}},
		{"mostly zero", repeat(0, 950, 1, 20, 2, 20, 3, 10), 10, []float64{1, 2, 3}},
		{"mostly the highest", repeat(1, 20, 2, 20, 3, 10, 9, 950), 10, []float64{2, 3, 9}},
		{"a heavy value between light ones", repeat(1, 10, 2, 10, 5, 100, 8, 10, 9, 10), 5, []float64{2, 5, 8, 9}},
		{"a rare value beside a heavy one", repeat(0, 995, 1, 5), 10, []float64{1}},
		{"a value too rare for a bin", repeat(0, 9995, 1, 5), 10, nil},
		{"too rare, below a heavy one", repeat(0, 5, 1, 5000, 2, 4995), 10, []float64{2}},
	}
	for _, c := range cases {
		values := slices.Clone(c.values)
		rand.New(rand.NewPCG(1, 1)).Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if got := edges(values, c.bins); !slices.Equal(got, c.want) {
			t.Errorf("%s: edges = %v, want %v", c.name, got, c.want)
		}
	}
}

// TestEdgesOfAnything: ascending, at most bins bins, none of them too small.
func TestEdgesOfAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 2000 {
		n, bins := 1+rng.IntN(400), 2+rng.IntN(12)
		distinct := 1 + rng.IntN(60)
		values := make([]float64, n)
		for i := range values {
			values[i] = math.Floor(float64(distinct) * math.Pow(rng.Float64(), 3))
		}
		cuts := edges(values, bins)
		if len(cuts) >= bins || !slices.IsSorted(cuts) {
			t.Fatalf("%d values of %d, %d bins: edges %v", n, distinct, bins, cuts)
		}
		count := make([]int, len(cuts)+1)
		for _, v := range values {
			count[encode.BinOf(cuts, v)]++
		}
		for k, c := range count {
			if c == 0 || float64(c) < float64(n)/float64(bins)/100 {
				t.Fatalf("%d values of %d, %d bins: bin %d of %v holds %d", n, distinct, bins, k, cuts, c)
			}
		}
	}
}
