package experiment

// minLift is the relative uplift that a promotion needs.
const minLift = 0.05

// rounding is the room that differences of decimals such as 0.82 − 0.80 need.
const rounding = 1e-9

// Standing is what a promotion depends on beside the results.
type Standing struct {
	StartedAt, Now int64 // Unix milliseconds; StartedAt 0 is never
	// AUC returns a model's AUC where it is known.
	AUC func(modelID string) (auc float64, known bool)
}

// Promote returns the challenger that is to be promoted by itself, nil when there
// is none: the experiment is active and asks for it, it has run for
// promoteAfterDays, and the challenger is significantly better than the champion,
// by 5 % of the champion's rate or more, with an AUC that is promoteThreshold
// higher where both are known. Of several the one with the highest rate, of equal
// ones the first.
func (d *Definition) Promote(r *Results, s Standing) *VariantResult {
	if !d.AutoPromote || d.Status != StatusActive || s.StartedAt == 0 ||
		s.Now-s.StartedAt < int64(d.PromoteAfterDays)*dayMillis {
		return nil
	}
	var best *VariantResult
	for i := range r.Variants {
		v := &r.Variants[i]
		if v.Variant == Champion || v.Variant == Holdout || !v.wins() || !d.gains(v.ModelID, s) {
			continue
		}
		if best == nil || v.Rate > best.Rate {
			best = v
		}
	}
	return best
}

// wins reports whether the variant is better by enough. A lift over nothing is
// enough.
func (v *VariantResult) wins() bool {
	return v.Significant && v.Uplift > 0 && (v.RelativeUplift == nil || *v.RelativeUplift >= minLift-rounding)
}

func (d *Definition) gains(modelID string, s Standing) bool {
	challenger, known := s.AUC(modelID)
	champion, also := s.AUC(d.ChampionModelID)
	return !known || !also || challenger-champion >= d.PromoteThreshold-rounding
}
