package experiment

import "github.com/praetor-engine/praetor/internal/learn"

// Count is what was seen of one variant.
type Count struct {
	// Assigned are its settled customers, each counted once.
	Assigned uint64
	// Samples are the labelled outcomes, or customers, and Positives the positive
	// ones among them.
	Samples, Positives uint64
}

// MinSamples is how many samples a variant needs before it is judged.
const MinSamples = 100

// alpha is the chance of a false alarm that all comparisons share; srmAlpha that
// of the split's check, which is made at every look.
const (
	alpha    = 0.05
	srmAlpha = 0.001
)

// VariantResult is what came of one variant; its JSON is the API's. The champion
// is the base of the comparison, and equal to itself.
type VariantResult struct {
	Variant   string  `json:"variant"`
	ModelID   string  `json:"modelId"`
	Samples   uint64  `json:"samples"`
	Positives uint64  `json:"positives"`
	Rate      float64 `json:"rate"` // 0 without samples
	CILower   float64 `json:"ciLower"`
	CIUpper   float64 `json:"ciUpper"`
	Uplift    float64 `json:"uplift"` // of the rates
	// RelativeUplift is uplift over the champion's rate, null where that is 0.
	RelativeUplift *float64 `json:"relativeUplift"`
	ZScore         float64  `json:"zScore"`
	PValue         float64  `json:"pValue"`
	// Significant: p is below 0.05 over the number of challengers, and both this
	// variant and the champion have enough samples.
	Significant      bool `json:"significant"`
	InsufficientData bool `json:"insufficientData"` // less than MinSamples
}

// SRM is the check of the split, the sample ratio mismatch.
type SRM struct {
	ChiSquare float64 `json:"chiSquare"`
	PValue    float64 `json:"pValue"`
	Warning   bool    `json:"warning"`
}

// Results are what came of an experiment.
type Results struct {
	Variants []VariantResult `json:"variants"` // in the plan's order, without an empty holdout
	SRM      SRM             `json:"srm"`
}

// Evaluate returns the results; counts[i] is that of Variants[i].
func (p *Plan) Evaluate(counts []Count) Results {
	const champion = 1
	base := counts[champion]
	level := alpha / float64(max(len(p.Variants)-2, 1))
	results := Results{Variants: make([]VariantResult, 0, len(counts))}
	assigned, shares := make([]uint64, len(counts)), make([]float64, len(counts))
	for i, c := range counts {
		v := &p.Variants[i]
		assigned[i], shares[i] = c.Assigned, float64(v.settled)
		if v.Name == Holdout && v.First == v.End && c == (Count{}) {
			continue
		}
		r := c.against(base)
		r.Variant, r.ModelID = v.Name, v.ModelID
		r.Significant = i != champion && r.PValue < level && min(c.Samples, base.Samples) >= MinSamples
		results.Variants = append(results.Variants, r)
	}
	results.SRM.ChiSquare, results.SRM.PValue = ChiSquare(assigned, shares)
	results.SRM.Warning = results.SRM.PValue < srmAlpha
	return results
}

// against compares the counts with those of the champion.
func (c Count) against(base Count) VariantResult {
	r := VariantResult{
		Samples: c.Samples, Positives: c.Positives, Rate: rate(c), InsufficientData: c.Samples < MinSamples,
		Uplift: rate(c) - rate(base),
	}
	r.CILower, r.CIUpper = learn.Wilson(float64(c.Positives), float64(c.Samples))
	if b := rate(base); b > 0 {
		relative := r.Uplift / b
		r.RelativeUplift = &relative
	}
	test := Compare(c.Positives, c.Samples, base.Positives, base.Samples)
	r.ZScore, r.PValue = test.Z, test.P
	return r
}

func rate(c Count) float64 {
	if c.Samples == 0 {
		return 0
	}
	return float64(c.Positives) / float64(c.Samples)
}
