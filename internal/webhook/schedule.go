package webhook

import "time"

// backoff is how long an endpoint rests after so many failures in a row; after
// more the last one stays. It begins as the schedule that Standard Webhooks gives
// as an example; it does not go beyond four hours, since what waits is not one
// message but, for their order, all behind it too.
var backoff = []time.Duration{
	5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

// jitter is by which share a rest may be shorter or longer, so that endpoints that
// failed together do not come back together.
const jitter = 0.2

// Rest returns how long an endpoint rests after so many failures in a row. u is
// uniform in [0, 1).
func Rest(failures uint64, u float64) time.Duration {
	if failures == 0 {
		return 0
	}
	d := backoff[min(failures, uint64(len(backoff)))-1]
	return time.Duration(float64(d) * (1 + jitter*(2*u-1)))
}

// maxRest is the longest rest that an endpoint itself may ask for (Retry-After).
const maxRest = 4 * time.Hour

// GiveUp is for how long an endpoint may fail, without one success, until it is
// disabled.
const GiveUp = 5 * 24 * time.Hour

// DefaultOverlap is how long the secret before a rotation goes on to sign, unless
// something else is asked for, and MaxOverlap the longest that may be.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 30 * 24 * time.Hour
)
