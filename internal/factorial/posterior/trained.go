package posterior

import (
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// Trained is what a training gave: the table to serve from, and what it says of
// each variant. It is immutable; any number of goroutines may read it.
type Trained struct {
	model      Model
	reward     Reward
	draws      uint32
	bias       []float64 // by design factor; nil for none
	cells      []uint64  // see plan
	rows       []row
	variants   []Variant
	expected   Estimate
	importance []float64

	winners   []uint16 // by row
	exposures uint64
	rewards   float64
}

// Variant is what was learned of a variant.
type Variant struct {
	Exposures uint64
	Rewards   float64 // Σ of what was attributed to them
	// ProbBest is the chance of being best, over the contexts as they were seen:
	// the share of the visitors who get it, holdout aside.
	ProbBest float64
	// Expected is the reward of an exposure, over the contexts as they were seen.
	// It is zero for excluded variants.
	Expected Estimate
}

// Weight returns the share of all visitors who are given the variant by the model.
func (v *Variant) Weight(holdoutPercent float64) float64 {
	return v.ProbBest * (1 - holdoutPercent/100)
}

// settle computes what follows from the rest.
func (t *Trained) settle(s *factorial.Space) {
	t.winners = make([]uint16, len(t.rows))
	for r := range t.rows {
		row := &t.rows[r]
		t.winners[r] = uint16(row.winner())
		for i := range row.runs {
			t.variants[row.runs[i].variant].ProbBest += row.share * float64(row.count(i)) / float64(t.draws)
		}
	}
	t.exposures, t.rewards = 0, 0
	for v := range s.Variants() {
		t.exposures += t.variants[v].Exposures
		t.rewards += t.variants[v].Rewards
	}
}

// rowOf returns the row of a cell. Cost: a division's worth when all cells have a
// row, else at most twelve comparisons.
func (t *Trained) rowOf(cell uint64) int {
	if t.cells == nil {
		return int(cell)
	}
	if r, ok := slices.BinarySearch(t.cells, cell); ok {
		return r
	}
	return len(t.cells)
}

// Choose returns the variant of a visitor in a context cell, with the chance that a
// visitor there gets it. The key's high bits pick the draw; see factorial.DrawKey.
// Cost: tens of nanoseconds, no allocation.
func (t *Trained) Choose(cell, key uint64) (variant int, chance float64) {
	row := &t.rows[t.rowOf(cell)]
	variant = row.at(uint32((key >> 32) * uint64(t.draws) >> 32))
	return variant, row.chance(variant)
}

// Chance returns the chance that the variant is best in a context cell.
func (t *Trained) Chance(cell uint64, variant int) float64 {
	return t.rows[t.rowOf(cell)].chance(variant)
}

// Winner returns the variant that is most probably the best in a context cell.
func (t *Trained) Winner(cell uint64) int { return int(t.winners[t.rowOf(cell)]) }

// Model returns what was learned.
func (t *Trained) Model() Model { return t.model }

// Reward returns what the rewards were.
func (t *Trained) Reward() Reward { return t.reward }

// Bias returns the exploration bias by design factor, nil for none. It is not to be
// changed.
func (t *Trained) Bias() []float64 { return t.bias }

// Rows returns how many contexts have an allocation of their own.
func (t *Trained) Rows() int { return len(t.rows) }

// Variants returns what was learned of the variants, excluded ones included. They
// are not to be changed.
func (t *Trained) Variants() []Variant { return t.variants }

// Exposures returns how many exposures were learned from.
func (t *Trained) Exposures() uint64 { return t.exposures }

// HistoricReward returns the mean reward of the exposures that were learned from.
func (t *Trained) HistoricReward() float64 { return t.rewards / float64(t.exposures) }

// ExpectedReward returns what an exposure under the allocation is expected to bring
// to those who are not held out, over the contexts as they were seen.
func (t *Trained) ExpectedReward() Estimate { return t.expected }

// FactorImportance returns by design factor its part in what differs between
// variants; the parts add up to 1, or are all 0. It is not to be changed.
func (t *Trained) FactorImportance() []float64 { return t.importance }
