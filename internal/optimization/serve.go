package optimization

import (
	"github.com/praetor-engine/praetor/internal/factorial"
	"github.com/praetor-engine/praetor/internal/factorial/posterior"
)

// Serve decides what a visitor in a context cell gets now. It takes no lock but a
// short one for what the visitor keeps, and does not allocate.
func (o *Optimization) Serve(p *Plan, v *View, visitor string, cell uint64, now int64) posterior.Served {
	visit := posterior.Visit{
		Optimization: o.ID, Visitor: visitor, Cell: cell, HoldoutPercent: o.HoldoutPercentage, Completed: o.Status == Completed,
		Now: now, Window: p.Rules.Window,
	}
	if !visit.Completed {
		visit.Last = v.Kept.Of(factorial.DrawKey(o.ID, visitor))
		if visit.Last.At != 0 && p.Space.Excluded(visit.Last.Variant) {
			visit.Last = factorial.Assignment{}
		}
	}
	return posterior.Serve(p.Space, v.Trained, &visit)
}

// Exposed is the event of a variant that was served. One that is served because the
// optimization is completed does not bind.
func (o *Optimization) Exposed(s posterior.Served, visitor string, cell uint64) Event {
	e := Event{Visitor: visitor, Sequence: o.Sequence, Binds: !s.Holdout && !s.Kept && o.Status != Completed, Propensity: s.Propensity}
	e.Exposure.Variant, e.Exposure.Cell, e.Exposure.Holdout = uint16(s.Variant), cell, s.Holdout
	return e
}

// Propensity returns the chance with which a visitor in a context cell is given a
// variant.
func (o *Optimization) Propensity(p *Plan, v *View, variant int, cell uint64) float64 {
	held, chance := o.HoldoutPercentage/100, 1/float64(len(p.Space.Allowed()))
	if v.Trained != nil {
		chance = v.Trained.Chance(cell, variant)
	}
	if variant == factorial.Baseline {
		return held + (1-held)*chance
	}
	return (1 - held) * chance
}
