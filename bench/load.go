package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Load is what a server is put under: prepared requests over connections that
// are kept alive, each with one request under way at a time.
type Load struct {
	Addr     string
	Requests [][]byte // sent in turn, each connection starting elsewhere
	Conns    int
	// Units says how many units of work an answer acknowledges. An error ends
	// the run: a benchmark with failed requests measures something else.
	Units func(status int, body []byte) (int, error)
}

// Run is what one run of a load gave.
type Run struct {
	Requests, Units int64
	Elapsed         time.Duration
	Latency         *hdrhistogram.Histogram // of requests, in microseconds
}

// Rate returns units a second.
func (r *Run) Rate() float64 { return float64(r.Units) / r.Elapsed.Seconds() }

// The range and precision of latencies: a microsecond to a minute, three digits.
const (
	leastLatency, mostLatency = 1, 60_000_000
	latencyDigits             = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, latencyDigits)
}

// grace is how long the answers under way at the end of a run may take.
const grace = 30 * time.Second

// Closed runs the load in a closed loop: a connection sends its next request
// when the last is answered. It shows the throughput; its latencies are those of
// a saturated server.
func (l *Load) Closed(ctx context.Context, d time.Duration) (Run, error) {
	return l.run(ctx, d, func(start time.Time) func() (due time.Time, ok bool) {
		return func() (time.Time, bool) {
			now := time.Now()
			return now, now.Sub(start) < d
		}
	})
}

// Open runs the load in an open loop: requests are due at a fixed rate, whether
// or not the server keeps up, and a latency counts from the moment its request
// was due. A stall therefore shows in every request it held up, not only in the
// ones under way (no coordinated omission).
func (l *Load) Open(ctx context.Context, rate float64, d time.Duration) (Run, error) {
	interval := time.Duration(float64(time.Second) / rate)
	var tickets atomic.Int64
	return l.run(ctx, d, func(start time.Time) func() (time.Time, bool) {
		return func() (time.Time, bool) {
			after := time.Duration(tickets.Add(1)-1) * interval
			if after >= d {
				return time.Time{}, false
			}
			due := start.Add(after)
			time.Sleep(time.Until(due))
			return due, true
		}
	})
}

// run sends from every connection for as long as next says; next returns when
// the request counts from.
func (l *Load) run(ctx context.Context, d time.Duration, schedule func(start time.Time) func() (time.Time, bool)) (Run, error) {
	conns, err := l.dial()
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return Run{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runs := make([]Run, len(conns))
	for i := range runs {
		runs[i].Latency = newHistogram()
	}
	start := time.Now()
	next := schedule(start)
	var wg sync.WaitGroup
	for i, c := range conns {
		if err := c.conn.SetDeadline(start.Add(d + grace)); err != nil {
			return Run{}, fmt.Errorf("bench: %w", err)
		}
		wg.Go(func() {
			if err := l.drive(ctx, c, i*len(l.Requests)/len(conns), next, &runs[i]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	total := Run{Elapsed: time.Since(start), Latency: newHistogram()}
	for i := range runs {
		total.Requests += runs[i].Requests
		total.Units += runs[i].Units
		total.Latency.Merge(runs[i].Latency)
	}
	return total, context.Cause(ctx)
}

func (l *Load) dial() (conns []*Conn, err error) {
	for range l.Conns {
		c, err := Dial(l.Addr)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// drive is one connection's part of a run.
func (l *Load) drive(ctx context.Context, c *Conn, place int, next func() (time.Time, bool), r *Run) error {
	for ctx.Err() == nil {
		from, ok := next()
		if !ok {
			return nil
		}
		status, body, err := c.Do(l.Requests[place%len(l.Requests)])
		if err != nil {
			return err
		}
		if err := r.Latency.RecordValue(max(leastLatency, time.Since(from).Microseconds())); err != nil {
			return fmt.Errorf("bench: latency: %w", err)
		}
		units, err := l.Units(status, body)
		if err != nil {
			return err
		}
		r.Requests++
		r.Units += int64(units)
		place++
	}
	return nil
}

// oneUnit is a Load's Units for requests that are a unit each.
func oneUnit(status int, body []byte) (int, error) {
	if status/100 != 2 {
		return 0, errStatus(status, body)
	}
	return 1, nil
}

func errStatus(status int, body []byte) error {
	return fmt.Errorf("bench: got status %d, want 2xx: %.300s", status, body)
}

// errNoRequests is a load without requests.
var errNoRequests = errors.New("bench: got no requests, want at least one")
