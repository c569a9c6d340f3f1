package thompson

import (
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn"
	"github.com/praetor-engine/praetor/internal/learn/arms"
)

// The bounds of α and β. Below the lower one a draw is 0 or 1 in every digit.
const (
	minShape = 1e-9
	maxShape = arms.MaxMass
)

// seedShape is the least α or β that a rate and a mass make: a hundredth of an
// outcome, so that an arm reset to a rate of 0 is still tried now and then.
const seedShape = 0.01

// config is the model's configuration: {priorAlpha 1, priorBeta 1, discount 1,
// maxArms 10000, bootstrap {offerId: {rate, weight}}}.
type config struct {
	priorAlpha, priorBeta float64
	log2Discount          float64 // per day; 0 is none
	maxArms               int
	bootstrap             []seed // ascending by offer
}

// seed starts an arm where nothing was observed.
type seed struct {
	offerID      string
	rate, weight float64
}

func parseConfig(spec *learn.Spec, problems *decision.Problems) config {
	o := arms.ParseObject(problems, "config", spec.Config)
	c := config{
		priorAlpha: o.Number("priorAlpha", 1, minShape, maxShape),
		priorBeta:  o.Number("priorBeta", 1, minShape, maxShape),
		// The least discount forgets all within a day; 0 would forget within
		// the same millisecond.
		log2Discount: math.Log2(o.Number("discount", 1, 1e-6, 1)),
		maxArms:      o.Int("maxArms", arms.DefaultMax, 1, arms.LimitMax),
	}
	bootstrap := o.Object("bootstrap")
	for _, id := range bootstrap.Names() {
		if id == "" {
			o.Problemf("bootstrap", "has an empty offer id")
			continue
		}
		b := bootstrap.Object(id)
		c.bootstrap = append(c.bootstrap, seed{id, b.Required("rate", 0, 1), b.Required("weight", minShape, maxShape)})
	}
	if len(c.bootstrap) > c.maxArms {
		o.Problemf("bootstrap", "got %d offers, want at most maxArms, %d", len(c.bootstrap), c.maxArms)
	}
	return c
}

// shapes returns α = rate·mass and β = (1−rate)·mass, or the prior for a mass
// of 0.
func (c *config) shapes(rate, mass float64) (alpha, beta float64) {
	if !(mass > 0) {
		return c.priorAlpha, c.priorBeta
	}
	rate = min(max(rate, 0), 1)
	return bounded(max(float64(rate*mass), seedShape)), bounded(max(float64((1-rate)*mass), seedShape))
}

func bounded(shape float64) float64 { return min(max(shape, minShape), maxShape) }
