package posterior

import "github.com/praetor-engine/praetor/internal/factorial"

// Visit is who asks for a variant, and under which rules.
type Visit struct {
	Optimization, Visitor string
	Cell                  uint64  // the context
	HoldoutPercent        float64 // 0 to 90
	// Completed optimizations give everyone the winner, the held out included.
	Completed bool
	// Last is what the visitor was given last; it is kept for Window milliseconds.
	Last        factorial.Assignment
	Now, Window int64
}

// Served is what the visitor gets.
type Served struct {
	Variant int
	Holdout bool
	Kept    bool // it is what the visitor was given before
	// Propensity is the probability of the variant for a visitor in this context,
	// over who is held out and which draw is picked; of what is kept, the one at
	// which it was given.
	Propensity float64
}

// Serve decides. A nil t is a model that was never trained: every allowed variant
// has the same chance.
//
//	completed                the winner in the context
//	held out                 the baseline
//	within the window        what was given before
//	else                     the table's, or uniform
//
// Cost: some 200 ns, no allocation. It is a function of its arguments.
func Serve(s *factorial.Space, t *Trained, v *Visit) Served {
	if v.Completed {
		if t == nil {
			return Served{Variant: factorial.Baseline, Propensity: 1}
		}
		return Served{Variant: t.Winner(v.Cell), Propensity: 1}
	}
	held := v.HoldoutPercent / 100
	if factorial.HeldOut(v.Optimization, v.Visitor, v.HoldoutPercent) {
		return Served{Variant: factorial.Baseline, Holdout: true, Propensity: held + (1-held)*chance(s, t, v.Cell, factorial.Baseline)}
	}
	if v.Last.Holds(v.Now, v.Window) {
		return Served{Variant: v.Last.Variant, Kept: true, Propensity: v.Last.Propensity}
	}
	key := factorial.DrawKey(v.Optimization, v.Visitor)
	served := Served{}
	if t == nil {
		allowed := s.Allowed()
		served.Variant = int(allowed[(key>>32)*uint64(len(allowed))>>32])
		served.Propensity = (1 - held) / float64(len(allowed))
	} else {
		p := 0.0
		served.Variant, p = t.Choose(v.Cell, key)
		served.Propensity = (1 - held) * p
	}
	if served.Variant == factorial.Baseline {
		served.Propensity += held
	}
	return served
}

// chance returns a variant's chance of those who are not held out.
func chance(s *factorial.Space, t *Trained, cell uint64, variant int) float64 {
	if t == nil {
		return 1 / float64(len(s.Allowed()))
	}
	return t.Chance(cell, variant)
}
