package attribution

import (
	"cmp"
	"math"

	"github.com/praetor-engine/praetor/internal/decision"
)

// The types of attribution.
const (
	LastTouch  = "last_touch"
	FirstTouch = "first_touch"
)

// The limits of a conversion window.
const (
	MinWindowHours = 1
	MaxWindowHours = 720
	hourMillis     = 60 * 60 * 1000
)

// Rules are those of one optimization.
type Rules struct {
	First   bool  // the earliest exposure is credited, not the latest
	Numeric bool  // rewards are numbers that are added up
	Window  int64 // milliseconds
}

// NewRules checks what a client asked for; its error names every field at fault.
func NewRules(kind string, windowHours int, numeric bool) (Rules, error) {
	var p decision.Problems
	if kind != LastTouch && kind != FirstTouch {
		p.Addf("training_data_config.attribution.type", "must be %q or %q, got %.60q", LastTouch, FirstTouch, kind)
	}
	if windowHours < MinWindowHours || windowHours > MaxWindowHours {
		p.Addf("training_data_config.attribution.conversion_window_hours", "must be %d to %d, got %d", MinWindowHours, MaxWindowHours, windowHours)
	}
	return Rules{First: kind == FirstTouch, Numeric: numeric, Window: int64(windowHours) * hourMillis}, p.Err()
}

// Exposure is that a visitor was shown a variant.
type Exposure struct {
	At      int64  // Unix milliseconds
	Key     uint64 // KeyOf its idempotency key
	Cell    uint64 // the context
	Variant uint16
	Holdout bool // the visitor was held out
}

// compare orders exposures by time, and those of one time so that the order in which
// they come does not matter: they differ, or it makes no difference which is which.
func (e *Exposure) compare(o *Exposure) int {
	return cmp.Or(cmp.Compare(e.At, o.At), cmp.Compare(e.Key, o.Key), cmp.Compare(e.Variant, o.Variant),
		cmp.Compare(e.Cell, o.Cell), compareBool(e.Holdout, o.Holdout))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Reward is that a visitor brought something.
type Reward struct {
	At    int64  // Unix milliseconds
	Key   uint64 // KeyOf its idempotency key
	Value Amount
}

func (r *Reward) compare(o *Reward) int {
	return cmp.Or(cmp.Compare(r.At, o.At), cmp.Compare(r.Key, o.Key), cmp.Compare(r.Value, o.Value))
}

// KeyOf returns the hash that an idempotency key is remembered by: FNV-1a with the
// finalizer of splitmix64 (Steele, Lea, Flood 2014). No key is 0, and nothing has the
// same.
func KeyOf(key string) uint64 {
	if key == "" {
		return 0
	}
	return keyOf(key)
}

func keyOf[S string | []byte](key S) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * prime
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return max(h^h>>31, 1)
}

// Amount is a reward in millionths.
type Amount int64

// MaxValue bounds a reward.
const MaxValue = 1e9

const (
	millionths = 1e6
	maxAmount  = MaxValue * millionths
)

// AmountOf rounds a value to millionths. It fails on what is not finite or beyond
// MaxValue.
func AmountOf(value float64) (Amount, error) {
	if !(math.Abs(value) <= MaxValue) {
		return 0, decision.Errorf(decision.KindBadRequest, "must be a number of at most %g in magnitude, got %v", float64(MaxValue), value)
	}
	return Amount(math.RoundToEven(value * millionths)), nil
}

// value returns what an exposure brings that hits rewards of a sum were credited to,
// in units of 1 of boolean rewards, of a millionth of numbers.
func (r *Rules) value(hits uint32, sum Amount) int64 {
	if !r.Numeric {
		return int64(min(hits, 1))
	}
	return int64(min(max(sum, -maxAmount), maxAmount))
}

// unit is what value counts in.
func (r *Rules) unit() float64 {
	if r.Numeric {
		return 1 / float64(millionths)
	}
	return 1
}
