package evidence

import (
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/arms"
)

// Result is what a request did.
type Result struct {
	// PreviousEvidence is what the scope had: an offer's, a channel's and the
	// global row's evidence, or the sum over the offers of a category.
	PreviousEvidence float64
	// NewPrior is the rate that the scope starts from, or its present rate when
	// it was paused or resumed.
	NewPrior float64
	// Mass is the number of pseudo-outcomes at that rate, 0 for no evidence.
	Mass float64
	// Offers are the offers that were reset, ascending: a bandit resets their
	// arms alike, and all its arms in the global scope.
	Offers []string
	// Paused reports whether the scope is paused now.
	Paused bool
}

// Apply resets, pauses or resumes a scope at a time, in Unix milliseconds. known
// says that the scope exists although no outcome of it may have been seen: a
// bandit's arm. It fails with decision.KindNotFound when the scope is unknown, and
// then changes nothing.
//
// A reset replaces the rows of the scope: by Smoothing pseudo-outcomes at the
// prior's rate, or by nothing. The rate of a category that has no evidence is the
// global one, and that is 0.5 without evidence. What the model predicted of the
// scope's outcomes is forgotten, so that blend corrects it as the row above until
// new ones come. A category's reset takes in the offers that had the category
// last, and its own row; a global one every row. Pauses stay.
func (s *Set) Apply(r Request, at int64, known bool) (Result, error) {
	c, err := s.scope(r, known)
	if err != nil {
		return Result{}, err
	}
	members := s.members(r)
	result := Result{PreviousEvidence: s.previous(r, c, members, at)}
	switch r.Action {
	case ActionReset:
		s.reset(r, c, members, at, &result)
	default:
		c.paused = r.Action == ActionPause
		result.NewPrior = c.rate()
		s.touch(r)
	}
	result.Paused = c.paused
	return result, nil
}

// scope returns the cell of the request's scope; an absent one is made when it is
// known to exist.
func (s *Set) scope(r Request, known bool) (*cell, error) {
	t := s.tableOf(r.Scope)
	if t == nil {
		return &s.global, nil
	}
	c := t.Find(r.ScopeID)
	if c == nil {
		if !known {
			return nil, decision.Errorf(decision.KindNotFound, "the model has seen no outcome of %s %q", r.Scope, r.ScopeID)
		}
		c = t.Add(r.ScopeID)
	}
	return &c.State, nil
}

// tableOf returns the scope's table, nil for the global scope.
func (s *Set) tableOf(scope Scope) *table {
	switch scope {
	case ScopeOffer:
		return s.offers
	case ScopeCategory:
		return s.categories
	case ScopeChannel:
		return s.channels
	}
	return nil
}

func (s *Set) touch(r Request) {
	if t := s.tableOf(r.Scope); t != nil {
		t.Touch(t.Find(r.ScopeID))
		return
	}
	s.changed = true
}

// members returns the offers that the scope takes in, ascending.
func (s *Set) members(r Request) (members []*arms.Cell[cell, cell]) {
	switch r.Scope {
	case ScopeOffer:
		return []*arms.Cell[cell, cell]{s.offers.Find(r.ScopeID)}
	case ScopeGlobal:
		return s.offers.Owned()
	case ScopeCategory:
		for _, c := range s.offers.Owned() {
			if c.State.category == r.ScopeID {
				members = append(members, c)
			}
		}
	}
	return members
}

func (s *Set) previous(r Request, c *cell, members []*arms.Cell[cell, cell], at int64) (sum float64) {
	if r.Scope != ScopeCategory {
		faded := c.asOf(at, s.half)
		return faded.evidence()
	}
	for _, m := range members {
		faded := m.State.asOf(at, s.half)
		sum += faded.evidence()
	}
	return sum
}

func (s *Set) reset(r Request, c *cell, members []*arms.Cell[cell, cell], at int64, result *Result) {
	result.NewPrior, result.Mass = s.prior(r, c), s.config.Smoothing
	if r.ResetTo == Zero {
		result.NewPrior, result.Mass = unknownRate, 0
	}
	fresh := pseudo(result.NewPrior, result.Mass, at)
	for _, m := range members {
		m.State.row = fresh
		s.offers.Touch(m)
		result.Offers = append(result.Offers, m.ID)
	}
	c.row = fresh
	s.touch(r)
	if r.Scope != ScopeGlobal {
		return
	}
	for _, t := range [...]*table{s.categories, s.channels} {
		for _, other := range t.Owned() {
			other.State.row = fresh
			t.Touch(other)
		}
	}
}

// prior is the rate that the scope is reset to.
func (s *Set) prior(r Request, c *cell) float64 {
	if r.Scope == ScopeOffer && r.ResetTo == CategoryPrior && c.category != "" {
		if category := s.categories.Find(c.category); category != nil && category.State.evidence() > 0 {
			return category.State.rate()
		}
	}
	return s.global.rate()
}
