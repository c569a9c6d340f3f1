package monitor

import (
	"slices"
	"time"

	"github.com/praetor-engine/praetor/internal/decision"
)

// Date is a day in UTC, in days since 1970-01-01.
type Date int32

const millisecondsADay = int64(24 * time.Hour / time.Millisecond)

// DateOf returns the day of a time.
func DateOf(at decision.Time) Date {
	d := int64(at) / millisecondsADay
	if int64(at)%millisecondsADay < 0 {
		d--
	}
	return Date(d)
}

// Start returns the day's first instant.
func (d Date) Start() decision.Time { return decision.Time(int64(d) * millisecondsADay) }

// String returns the day as 2006-01-02.
func (d Date) String() string {
	return time.UnixMilli(int64(d.Start())).UTC().Format(time.DateOnly)
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Day is what happened to a model on one day.
type Day struct {
	Date      Date
	Responses uint64
	Positives uint64 // of the responses
	Scores    Histogram
	// Joined are the scores that an outcome followed, by its label: those of
	// negative ones, those of positive ones.
	Joined  [2]Histogram
	LogLoss float64 // summed over the joined
	// Arms are those of a bandit, ascending; kept for ArmDays.
	Arms []ArmCount

	era uint64 // see Book
}

func (d *Day) clone() *Day {
	c := *d
	c.Scores = d.Scores.clone()
	for i := range d.Joined {
		c.Joined[i] = d.Joined[i].clone()
	}
	c.Arms = slices.Clone(d.Arms)
	return &c
}

// add adds another day's counts, but for those of arms.
func (d *Day) add(o *Day) {
	d.Responses += o.Responses
	d.Positives += o.Positives
	d.Scores.Merge(&o.Scores)
	for i := range d.Joined {
		d.Joined[i].Merge(&o.Joined[i])
	}
	d.LogLoss += o.LogLoss
}
