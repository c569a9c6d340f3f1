package evidence

import (
	"math"
	"strings"
	"sync/atomic"

	"github.com/praetor-engine/praetor/internal/learn/arms"
)

// Outcome is what evidence needs of one labelled outcome.
type Outcome struct {
	OfferID    string
	CategoryID string // empty: the category that the offer had last
	ChannelID  string
	At         int64 // Unix milliseconds
	Positive   bool
	Weight     float64 // > 0
	// Score is the model's own score of what was offered, before any correction,
	// when Scored.
	Score  float64
	Scored bool
}

// score returns the rounded score; ok is false when there is none in [0, 1].
func (o *Outcome) score() (score float64, ok bool) {
	const steps = 1 << 24
	if !o.Scored || !(o.Score >= 0 && o.Score <= 1) {
		return 0, false
	}
	return math.Round(o.Score*steps) / steps, true
}

// cell is one row with what belongs to its scope; published as it is.
type cell struct {
	row
	category string // of an offer: the last one seen
	paused   bool
}

type table = arms.Table[cell, cell]

// Set is the evidence of one model. One goroutine owns it.
type Set struct {
	config     Config
	half       halfLife
	global     cell
	globalView atomic.Pointer[cell]
	offers     *table
	categories *table
	channels   *table
	ignored    uint64 // rows that were not made because there are MaxRows
	changed    bool   // of global, since the last Publish
	view       *View
}

// New returns an empty set.
func New(c Config) *Set {
	s := &Set{
		offers: arms.NewTable[cell, cell](), categories: arms.NewTable[cell, cell](), channels: arms.NewTable[cell, cell](),
		changed: true,
	}
	s.Configure(c)
	s.Publish()
	return s
}

// Configure sets another configuration; what was counted stays, and fades by the
// new half-life from its last outcome on.
func (s *Set) Configure(c Config) {
	s.config, s.half = c, halfLifeOf(&c)
	s.view = &View{
		config: c, half: s.half, global: &s.globalView,
		offers: s.offers, categories: s.categories, channels: s.channels,
	}
}

// Config returns the configuration.
func (s *Set) Config() Config { return s.config }

// Publish returns a view of everything so far. It is the same one until
// Configure. Cost: O(rows that changed).
func (s *Set) Publish() *View {
	for _, t := range [...]*table{s.offers, s.categories, s.channels} {
		t.Publish(copyOf)
	}
	if s.changed {
		s.globalView.Store(copyOf(&s.global))
		s.changed = false
	}
	return s.view
}

func copyOf(c *cell) *cell { published := *c; return &published }

// Admits reports whether an outcome of the offer, category and channel teaches
// the model anything: none of its scopes is paused. An empty category is that
// which the offer had last.
func (s *Set) Admits(offerID, categoryID, channelID string) bool {
	if s.global.paused {
		return false
	}
	if c := s.offers.Find(offerID); c != nil && offerID != "" {
		if c.State.paused {
			return false
		}
		if categoryID == "" {
			categoryID = c.State.category
		}
	}
	return !pausedIn(s.categories, categoryID) && !pausedIn(s.channels, channelID)
}

func pausedIn(t *table, id string) bool {
	c := t.Find(id)
	return c != nil && c.State.paused
}

// Observe counts an outcome in every scope it belongs to and notes the category
// of its offer. It returns false, and changes nothing, when one of its scopes is
// paused. Strings are copied where they are kept.
func (s *Set) Observe(o *Outcome) bool {
	if !s.Admits(o.OfferID, o.CategoryID, o.ChannelID) {
		return false
	}
	category := o.CategoryID
	if c := s.find(s.offers, o.OfferID); c != nil {
		if category == "" {
			category = c.State.category
		} else if category != c.State.category {
			c.State.category = strings.Clone(category)
		}
		s.count(s.offers, c, o)
	}
	if c := s.find(s.categories, category); c != nil {
		s.count(s.categories, c, o)
	}
	if c := s.find(s.channels, o.ChannelID); c != nil {
		s.count(s.channels, c, o)
	}
	s.global.add(o, s.half)
	s.changed = true
	return true
}

func (s *Set) count(t *table, c *arms.Cell[cell, cell], o *Outcome) {
	c.State.add(o, s.half)
	t.Touch(c)
}

// ForgetScores forgets what the model predicted, for when its scores come from
// another state: a training's, a restored version's. Blend then corrects nothing
// until outcomes come with scores of the new state, whose errors are others. The
// evidence stays. Cost: O(rows).
func (s *Set) ForgetScores() {
	for _, t := range [...]*table{s.offers, s.categories, s.channels} {
		for _, c := range t.Owned() {
			c.State.forgetScores()
			t.Touch(c)
		}
	}
	s.global.forgetScores()
	s.changed = true
}

// find returns the row of an id, a new one if there is room; nil without an id.
func (s *Set) find(t *table, id string) *arms.Cell[cell, cell] {
	if id == "" {
		return nil
	}
	c := t.Find(id)
	if c == nil {
		if t.Len() >= s.config.MaxRows {
			s.ignored++
			return nil
		}
		c = t.Add(id)
	}
	return c
}
