package posterior

import (
	"fmt"
	"math"
	"testing"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// sized returns factors with levels named by their indexes.
func sized(prefix string, sizes ...int) []factorial.Factor {
	var factors []factorial.Factor
	for i, n := range sizes {
		f := factorial.Factor{Name: fmt.Sprintf("%s%d", prefix, i), Type: factorial.String}
		for l := range n {
			f.Levels = append(f.Levels, factorial.StringOf(fmt.Sprint(l)))
		}
		factors = append(factors, f)
	}
	return factors
}

func space(t testing.TB, design, context []int, excluded ...factorial.Combination) *factorial.Space {
	t.Helper()
	s, err := factorial.New(factorial.Definition{Design: sized("f", design...), Context: sized("c", context...), Excluded: excluded})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fourCells are two factors of two levels with counts that tell all variants apart.
var fourCells = []factorial.Observed{
	{Variant: 0, N: 1000, Sum: 200, SumSq: 200}, {Variant: 2, N: 500, Sum: 120, SumSq: 120},
	{Variant: 1, N: 500, Sum: 105, SumSq: 105}, {Variant: 3, N: 2000, Sum: 620, SumSq: 620},
}

func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v ± %v", name, got, want, tolerance)
	}
}

func train(t testing.TB, s *factorial.Space, m Model, r Reward, observed []factorial.Observed, o Options) *Trained {
	t.Helper()
	trained, err := Train(t.Context(), s, m, r, observed, o)
	if err != nil {
		t.Fatal(err)
	}
	return trained
}
