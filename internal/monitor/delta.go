package monitor

import (
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Counts are the bins of a histogram that are not empty, each with its count.
type Counts [][2]uint32

func (c Counts) addTo(h *Histogram) {
	for _, pair := range c {
		h.Add(int(pair[0]), pair[1])
	}
}

func countsOf(bins *[Bins]uint32) (c Counts) {
	for bin, n := range bins {
		if n > 0 {
			c = append(c, [2]uint32{uint32(bin), n})
		}
	}
	return c
}

// Delta is what a node learned of a model's day since it last told.
type Delta struct {
	Tenant string `json:"tenant"`
	Model  string `json:"model"`
	Day    int32  `json:"day"` // a Date
	// Scores were served; Positives and Negatives are those that an outcome
	// followed.
	Scores    Counts  `json:"scores,omitempty"`
	Positives Counts  `json:"positives,omitempty"`
	Negatives Counts  `json:"negatives,omitempty"`
	LogLoss   float64 `json:"logLoss,omitempty"` // summed
	// Responses named no model.
	Responses         uint64 `json:"responses,omitempty"`
	ResponsePositives uint64 `json:"responsePositives,omitempty"`
	// Arms are those that a bandit chose or could have chosen.
	Arms []ArmCount `json:"arms,omitempty"`
}

// check refuses what would not fit.
func (d *Delta) check() error {
	for _, c := range []Counts{d.Scores, d.Positives, d.Negatives} {
		for _, pair := range c {
			if pair[0] >= Bins {
				return decision.Errorf(decision.KindInternal, "want a bin below %d, got %d", Bins, pair[0])
			}
		}
	}
	if len(d.Arms) > MaxArms+1 {
		return decision.Errorf(decision.KindInternal, "want at most %d arms, got %d", MaxArms+1, len(d.Arms))
	}
	if math.IsNaN(d.LogLoss) || d.LogLoss < 0 || math.IsInf(d.LogLoss, 0) || d.ResponsePositives > d.Responses {
		return decision.Errorf(decision.KindInternal, "a delta of model %q is not in order", d.Model)
	}
	return nil
}
