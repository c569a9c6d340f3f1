package epsilon

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/praetor-engine/praetor/internal/learn"
)

// testdata/reference.py says how the figures were made. The formulas are the
// same, so that only rounding differs.
func TestDecisionsEqualThoseOfTheReference(t *testing.T) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Epsilon, DecayRate, TotalPulls, Now float64
		TotalReward, Pulls                  []float64
		Rates, Propensities                 []float64
		Intervals                           [][2]float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	const tolerance = 1e-12
	for n, c := range cases {
		arms := make(map[string]map[string]float64)
		for i, reward := range c.TotalReward {
			arms[fmt.Sprintf("offer-%03d", i)] = map[string]float64{"totalReward": reward, "pulls": c.Pulls[i]}
		}
		state, err := json.Marshal(map[string]any{"arms": arms, "totalPulls": c.TotalPulls})
		if err != nil {
			t.Fatal(err)
		}
		l := mustNew(t, fmt.Sprintf(`{"epsilon":%g,"decayRate":%g}`, c.Epsilon, c.DecayRate), string(state))
		if got := l.epsilon(); !(math.Abs(got-c.Now) <= tolerance) {
			t.Errorf("case %d: ε = %.15g, want %.15g", n, got, c.Now)
		}
		for i, got := range l.Publish().(learn.ArmView).ScoreArms(nil, rand.New(rand.NewPCG(1, 2)), nil) {
			for _, v := range []struct {
				name      string
				got, want float64
			}{
				{"mean", got.Mean, c.Rates[i]}, {"propensity", got.Propensity, c.Propensities[i]},
				{"lower", got.Lower, c.Intervals[i][0]}, {"upper", got.Upper, c.Intervals[i][1]},
			} {
				if !(math.Abs(v.got-v.want) <= tolerance) {
					t.Errorf("case %d, %s: %s = %.15g, want %.15g", n, got.OfferID, v.name, v.got, v.want)
				}
			}
			if c.Now == 0 && got.Score != got.Mean {
				t.Errorf("case %d, %s: score without exploring = %v, want %v", n, got.OfferID, got.Score, got.Mean)
			}
		}
	}
}
