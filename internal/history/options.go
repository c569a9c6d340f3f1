package history

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Limits bound what is kept. They decide what is dropped, so every node must
// have the same: they are part of the replicated state and change only through
// Batch.SetLimits.
type Limits struct {
	// MaxRows bounds the interactions kept per tenant.
	MaxRows int64
	// MaxAge bounds how long an interaction is kept, by the time of its entry.
	MaxAge time.Duration
	// MaxCustomers bounds the customers per tenant that have summaries.
	MaxCustomers int64
	// MaxSummaries bounds the customer × offer summaries per tenant.
	MaxSummaries int64
	// MaxOffersPerCustomer bounds the summaries of one customer.
	MaxOffersPerCustomer int64
}

// DefaultLimits hold about 3 GB of rows and 1.5 GB of summaries for a tenant
// that reaches all of them.
func DefaultLimits() Limits {
	return Limits{
		MaxRows:              20_000_000,
		MaxAge:               400 * 24 * time.Hour, // a year and a bit: last year's season is in it
		MaxCustomers:         5_000_000,
		MaxSummaries:         20_000_000,
		MaxOffersPerCustomer: 1_000,
	}
}

// maxOffersPerCustomer is what a customer's 16-bit count of summaries can hold.
const maxOffersPerCustomer = 1<<16 - 1

// Validate names every limit that is out of range.
func (l *Limits) Validate() error {
	var p decision.Problems
	check := func(path string, got, low, high int64) {
		if got < low || got > high {
			p.Addf(path, "is %d, want %d to %d", got, low, high)
		}
	}
	const most = 1 << 40
	check("maxRows", l.MaxRows, 1, most)
	check("maxAgeMs", l.MaxAge.Milliseconds(), 1, most)
	// Bounds on memory are held shard by shard, see evict.
	check("maxCustomers", l.MaxCustomers, shardCount, 1<<31)
	check("maxOffersPerCustomer", l.MaxOffersPerCustomer, 1, maxOffersPerCustomer)
	check("maxSummaries", l.MaxSummaries, shardCount*max(l.MaxOffersPerCustomer, 1), 1<<31)
	return p.Err()
}

// Options configure a Store.
type Options struct {
	// Limits of an empty store; a restored one brings its own.
	Limits Limits
	// CacheBytes is the size of the block cache.
	CacheBytes int64
	// MemTableBytes is how much is gathered in memory before it is written.
	MemTableBytes int64
	// Logger gets what goes wrong in the background.
	Logger zerolog.Logger

	fs vfs.FS // the operating system's unless a test says otherwise
}

// DefaultOptions suit a node with a few gigabytes of memory.
func DefaultOptions() Options {
	return Options{
		Limits:        DefaultLimits(),
		CacheBytes:    128 << 20,
		MemTableBytes: 64 << 20,
		Logger:        zerolog.Nop(),
	}
}

// Validate names every option that is out of range.
func (o *Options) Validate() error {
	var p decision.Problems
	p.AddError("limits", o.Limits.Validate())
	if o.CacheBytes < 1<<20 {
		p.Addf("cacheBytes", "is %d, want at least %d", o.CacheBytes, 1<<20)
	}
	if o.MemTableBytes < 1<<18 || o.MemTableBytes > 1<<30 {
		p.Addf("memTableBytes", "is %d, want %d to %d", o.MemTableBytes, 1<<18, 1<<30)
	}
	return p.Err()
}
