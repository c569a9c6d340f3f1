package posterior

import (
	"context"
	"math"
	"slices"

	"github.com/praetor-engine/praetor/internal/factorial"
)

// Estimate is an expectation with the interval that has 95 % of the probability.
type Estimate struct{ Mean, Lower, Upper float64 }

// estimate sorts the draws.
func estimate(draws []float64) Estimate {
	sum := 0.0
	for _, x := range draws {
		sum += x
	}
	slices.Sort(draws)
	return Estimate{sum / float64(len(draws)), quantile(draws, 0.025), quantile(draws, 0.975)}
}

// quantile interpolates between the order statistics (R. J. Hyndman, Y. Fan, Sample
// quantiles in statistical packages, 1996, type 7).
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + float64((at-math.Floor(at))*(sorted[high]-sorted[low]))
}

const (
	// evaluationWork bounds draws · rows · variants of the variants' own estimates,
	// evaluationLeast how few draws that may leave.
	evaluationWork  = 1 << 22
	evaluationLeast = 128
)

// evaluation is what an allocation is expected to bring.
type evaluation struct {
	value    Estimate
	variants []Estimate // zero for excluded ones
}

// evaluate draws anew: in the draws of the table the best variant is the best by
// luck too. value is Σ over rows of their shares times Σ over variants of the chance
// times the expected reward; that of a variant, Σ of shares times its reward.
func evaluate(ctx context.Context, s *factorial.Space, b belief, p *plan, rows []row, v *variates, draws int) (*evaluation, error) {
	used := 0
	for r := range rows {
		if rows[r].share > 0 {
			used++
		}
	}
	own := min(draws, max(evaluationLeast, evaluationWork/(used*s.Variants())))
	values := make([]float64, draws)
	variants := make([]float64, s.Variants()*own)
	out := make([]float64, s.Variants())
	for d := range draws {
		b.draw(v, false)
		for r := range rows {
			if share := rows[r].share; share > 0 {
				b.predict(&p.places[r], out)
				for i := range rows[r].runs {
					x := &rows[r].runs[i]
					chance := float64(rows[r].count(i)) / float64(draws)
					values[d] += float64(share * chance * b.reward(out[x.variant]))
				}
				if d < own {
					for _, w := range s.Allowed() {
						variants[int(w)*own+d] += float64(share * b.reward(out[w]))
					}
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	e := &evaluation{value: estimate(values), variants: make([]Estimate, s.Variants())}
	for _, w := range s.Allowed() {
		e.variants[w] = estimate(variants[int(w)*own : (int(w)+1)*own])
	}
	return e, nil
}

// importance returns by design factor how much of what differs between variants is
// due to it: the total effect of a factor is the mean, over the levels of all others
// and over the contexts as they were seen, of the variance of the predicted value
// over its own levels (T. Homma, A. Saltelli, Importance measures in global
// sensitivity analysis, 1996), here divided by the sum of all. The values are those
// at the posterior's mean, of boolean rewards in log-odds; excluded variants count.
func importance(s *factorial.Space, b belief, p *plan) []float64 {
	b.drawMean()
	out := make([]float64, s.Variants())
	effects := make([]float64, len(s.Design))
	for r := range p.places {
		if p.shares[r] == 0 {
			continue
		}
		b.predict(&p.places[r], out)
		for f := range s.Design {
			effects[f] += float64(p.shares[r] * varianceAlong(out, s.Stride(f), len(s.Design[f].Levels)))
		}
	}
	total := 0.0
	for _, e := range effects {
		total += e
	}
	if total > 0 {
		for f := range effects {
			effects[f] /= total
		}
	}
	return effects
}

// varianceAlong returns the mean variance over the values that are stride apart.
func varianceAlong(values []float64, stride, levels int) float64 {
	sum := 0.0
	for block := 0; block < len(values); block += stride * levels {
		for v := block; v < block+stride; v++ {
			mean := 0.0
			for l := range levels {
				mean += values[v+l*stride] / float64(levels)
			}
			for l := range levels {
				d := values[v+l*stride] - mean
				sum += float64(d * d)
			}
		}
	}
	return sum / float64(len(values))
}
