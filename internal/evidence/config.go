package evidence

import (
	"encoding/json"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/learn/arms"
	"github.com/praetor-engine/praetor/internal/learn/encode"
)

// Mode says what evidence does to a model's scores.
type Mode string

// The modes.
const (
	Off    Mode = "off"    // nothing
	Ladder Mode = "ladder" // the estimate of the ladder replaces the score
	Blend  Mode = "blend"  // the score is corrected by what the offer's outcomes say
)

// DefaultSmoothing is the smoothing weight where none is configured: a prior
// counts as much as ten outcomes.
const DefaultSmoothing = 10

// Config is the part of a model's learningConfig that evidence reads.
type Config struct {
	Mode Mode
	// Smoothing is the number of outcomes that a prior counts for; positive.
	Smoothing float64
	// HalfLifeDays is the time in which evidence loses half its weight; 0 is
	// never.
	HalfLifeDays float64
	// MaxRows bounds the rows of each scope; outcomes of further offers,
	// categories or channels count in the scopes that have a row.
	MaxRows int
}

// DefaultConfig counts and leaves scores alone.
func DefaultConfig() Config {
	return Config{Mode: Off, Smoothing: DefaultSmoothing, MaxRows: arms.DefaultMax}
}

// The bounds of what is configured: from practically no prior to one that an
// offer's outcomes never outweigh, and from a minute to a century.
const (
	minSmoothing = 1e-3
	maxSmoothing = 1e6
	minHalfLife  = 1.0 / (24 * 60)
	maxHalfLife  = 36_500
)

// ReadConfig reads {adaptive, smoothingWeight, evidenceHalfLifeDays,
// maxEvidenceRows} of a learningConfig and notes what is wrong. A half-life of 0
// or null is none.
func ReadConfig(learningConfig json.RawMessage, problems *decision.Problems) Config {
	o := encode.ReadObject(learningConfig, "learningConfig", problems)
	d := DefaultConfig()
	c := Config{
		Mode:         Mode(o.Choice("adaptive", string(d.Mode), string(Off), string(Ladder), string(Blend))),
		Smoothing:    o.Float("smoothingWeight", d.Smoothing, minSmoothing, maxSmoothing),
		HalfLifeDays: o.Float("evidenceHalfLifeDays", d.HalfLifeDays, 0, maxHalfLife),
		MaxRows:      int(o.Int("maxEvidenceRows", int64(d.MaxRows), 1, arms.LimitMax)),
	}
	if h := c.HalfLifeDays; h > 0 && h < minHalfLife {
		problems.Addf(o.Path("evidenceHalfLifeDays"), "got %g, want 0 for none, or at least a minute, %.5f", h, minHalfLife)
		c.HalfLifeDays = d.HalfLifeDays
	}
	return c
}
