package evidence

import "sync/atomic"

// View reads the evidence that was published last; any goroutine may use it at
// any time. It does not allocate but for lists.
type View struct {
	config                       Config
	half                         halfLife
	global                       *atomic.Pointer[cell]
	offers, categories, channels *table
}

// Query asks for the score of an offer.
type Query struct {
	OfferID    string
	CategoryID string // empty: the category that the offer had last
	// Score is the model's own score when Scored.
	Score  float64
	Scored bool
	// At is the time that evidence has faded to, in Unix milliseconds; 0 for that
	// of each row's last outcome.
	At int64
}

// Source says what a score is made of.
type Source string

// The sources.
const (
	SourceModel       Source = "model"        // the model's own score
	SourceOffer       Source = "offer"        // the offer's rate
	SourceOfferShrunk Source = "offer_shrunk" // the offer's rate, shrunk to what follows
	SourceCategory    Source = "category"
	SourceGlobal      Source = "global"
	SourceDefault     Source = "default" // 0.5
	SourceBlend       Source = "blend"   // the model's own score, corrected
)

// Adapted is a score under a mode.
type Adapted struct {
	Score  float64
	Source Source
	// OddsRatio is what blend multiplies the odds of the model's score by, e^δ; 0
	// in the other modes.
	OddsRatio float64
}

// Mode returns what the view does to scores.
func (v *View) Mode() Mode { return v.config.Mode }

// Score returns the score that the configured mode gives. Cost: up to three
// look-ups.
func (v *View) Score(q *Query) Adapted {
	switch {
	case v.config.Mode == Ladder:
		return v.ladder(q)
	case v.config.Mode == Blend && q.Scored:
		return v.blend(q)
	case v.config.Mode == Blend:
		return v.ladder(q)
	case q.Scored:
		return Adapted{Score: q.Score, Source: SourceModel}
	}
	return Adapted{Score: unknownRate, Source: SourceDefault}
}

// The evidence from which on the ladder takes a rate as it is.
const (
	offerEnough    = 50
	categoryEnough = 20
	globalEnough   = 10
)

// ladder is the estimate by the package's table.
func (v *View) ladder(q *Query) Adapted {
	offer, category := v.lookup(q)
	n := offer.evidence()
	if n >= offerEnough {
		return Adapted{Score: offer.rate(), Source: SourceOffer}
	}
	below := v.belowOffer(q, category)
	if n > 0 {
		m := v.config.Smoothing
		return Adapted{Score: (offer.positives + m*below.Score) / (n + m), Source: SourceOfferShrunk}
	}
	return below
}

// belowOffer is the ladder without the offer's own row.
func (v *View) belowOffer(q *Query, category string) Adapted {
	if r := v.row(v.categories, category, q.At); r.evidence() >= categoryEnough {
		return Adapted{Score: r.rate(), Source: SourceCategory}
	}
	if r := v.globalRow(q.At); r.evidence() >= globalEnough {
		return Adapted{Score: r.rate(), Source: SourceGlobal}
	}
	if q.Scored {
		return Adapted{Score: q.Score, Source: SourceModel}
	}
	return Adapted{Score: unknownRate, Source: SourceDefault}
}

// blend corrects the model's score by δ(offer). It works with odds: e^δ is their
// ratio, and no logarithm is needed.
func (v *View) blend(q *Query) Adapted {
	offer, category := v.lookup(q)
	m := v.config.Smoothing
	above, global := v.row(v.categories, category, q.At), v.globalRow(q.At)
	ratio := offer.oddsRatio(m, above.oddsRatio(m, global.oddsRatio(m, 1)))
	if ratio == 1 {
		return Adapted{Score: q.Score, Source: SourceModel, OddsRatio: 1}
	}
	return Adapted{Score: corrected(q.Score, ratio), Source: SourceBlend, OddsRatio: ratio}
}

// oddsRatio returns e^δ of the row below one whose e^δ is parent.
func (r *row) oddsRatio(m, parent float64) float64 {
	if !(r.scored > 0) {
		return parent
	}
	mean := inside(r.scoreSum / r.scored)
	rate := inside((r.scoredPositives + m*corrected(mean, parent)) / (r.scored + m))
	return rate / (1 - rate) * ((1 - mean) / mean)
}

// corrected returns sigmoid(logit p + ln ratio).
func corrected(p, ratio float64) float64 {
	odds := p * ratio
	return odds / (1 - p + odds)
}

// inside keeps a probability 2^−24 away from 0 and 1, the step that scores are
// kept in, so that its odds are finite and positive.
func inside(p float64) float64 {
	const least = 0x1p-24
	return min(max(p, least), 1-least)
}

// lookup returns the offer's row and category.
func (v *View) lookup(q *Query) (offer row, category string) {
	category = q.CategoryID
	c := load(v.offers, q.OfferID)
	if c == nil {
		return row{}, category
	}
	if category == "" {
		category = c.category
	}
	return c.asOf(q.At, v.half), category
}

func (v *View) row(t *table, id string, at int64) row {
	if c := load(t, id); c != nil {
		return c.asOf(at, v.half)
	}
	return row{}
}

func (v *View) globalRow(at int64) row { return v.global.Load().asOf(at, v.half) }

// load returns what was published of an id, nil for nothing.
func load(t *table, id string) *cell {
	if id == "" {
		return nil
	}
	if c := t.Find(id); c != nil {
		return c.Load()
	}
	return nil
}
