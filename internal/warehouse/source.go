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
