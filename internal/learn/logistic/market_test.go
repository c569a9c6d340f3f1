package logistic

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
)

// market draws examples of 8 fields from a known logistic model: four numbers,
// two of them missing at times, a boolean, two categories and a set. Two scans
// give the same rows.
type market struct {
	rows int
	seed uint64
}

var segments = [...]string{"bronze", "gold", "platinum", "silver"}

// effect is the true log-odds of a segment.
var effect = [...]float64{-0.8, 0.4, 1.2, 0}

func (m market) Scan(ctx context.Context, f func(*learn.Example) error) error {
	rng := rand.New(rand.NewPCG(m.seed, 1))
	row := make(decision.Row, 0, 10)
	var regions [50]string
	for i := range regions {
		regions[i] = "region-" + strconv.Itoa(i)
	}
	for i := range m.rows {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		age, income, score := 20+60*rng.Float64(), 20000+5000*rng.NormFloat64(), 600+80*rng.NormFloat64()
		region, segment, member := rng.IntN(len(regions)), rng.IntN(len(segments)), rng.IntN(2)
		row = append(row[:0], decision.Field{Name: "age", Kind: decision.Number, Num: age})
		row = append(row, decision.Field{Name: "balance", Kind: decision.Number, Num: rng.ExpFloat64()})
		row = append(row, decision.Field{Name: "creditScore", Kind: decision.Number, Num: score})
		if rng.IntN(10) > 0 {
			row = append(row, decision.Field{Name: "income", Kind: decision.Number, Num: income})
		} else {
			income = 20000
		}
		if member == 1 {
			row = append(row, decision.Field{Name: "interests", Kind: decision.Member, Text: "travel"})
		}
		row = append(row,
			decision.Field{Name: "mobile", Kind: decision.Bool, Num: float64(rng.IntN(2))},
			decision.Field{Name: "region", Kind: decision.Text, Text: regions[region]},
			decision.Field{Name: "segment", Kind: decision.Text, Text: segments[segment]})
		z := -1 + 0.03*(age-50) + 0.0001*(income-20000) + 0.01*(score-600) + effect[segment] + 0.7*float64(member)
		ex := learn.Example{
			ID: decision.InteractionID{Index: uint64(i) + 1}, Row: row,
			Positive: rng.Float64() < learn.Sigmoid(z), Weight: 1,
		}
		if err := f(&ex); err != nil {
			return err
		}
	}
	return nil
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
