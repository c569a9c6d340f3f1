package warehouse

import (
	"context"

	"github.com/praetor-engine/praetor/internal/attribution"
	"github.com/praetor-engine/praetor/internal/factorial"
)

// Request says what a training wants to know.
type Request struct {
	Optimization string // its id
	Space        *factorial.Space
	Rules        attribution.Rules
	Reward       string // its name
	// Holdout is the percentage of the visitors that are held out: of exposures that
	// do not say whether their visitor was, those count as held out whose visitor is
	// by it and saw the baseline.
	Holdout float64
	// Start is the least time of the events that count, Now that as of which they
	// are counted; Unix milliseconds both. No event after Now counts.
	Start, Now int64
}

// Source gives observations. Its methods may be called by several goroutines.
type Source interface {
	// Observations reads and counts the events of an optimization. It changes
	// nothing; an error means that nothing was counted.
	Observations(ctx context.Context, r *Request) (*attribution.Table, error)
	// Test tells whether the source can be reached and may be read.
	Test(ctx context.Context) error
	// Close lets go of what the source holds.
	Close() error
}

// Limits bound what one reading may take.
type Limits struct {
	// MaxRows bounds the rows of each of the two kinds of events, the ones that are
	// left out included.
	MaxRows int64
	// MaxVisitorRows bounds those of one visitor, whose events are in memory at a
	// time.
	MaxVisitorRows int
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits { return Limits{MaxRows: 50_000_000, MaxVisitorRows: 1_000_000} }

// MaxRow bounds one row, in bytes.
const MaxRow = 1 << 20

// MaxVisitor bounds a visitor's id, in bytes: 255 characters have no more.
const MaxVisitor = 4 * maxVisitorRunes

const maxVisitorRunes = 255
