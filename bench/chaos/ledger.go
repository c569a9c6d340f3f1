package chaos

import (
	"fmt"
	"sync"
	"time"
)

// outcome is one that a worker sends. Its key makes it the same outcome however
// often it is sent.
type outcome struct {
	CustomerID     string         `json:"customerId"`
	OfferID        string         `json:"offerId"`
	Outcome        string         `json:"outcome"`
	IdempotencyKey string         `json:"idempotencyKey"`
	Attributes     map[string]any `json:"attributes"`
}

// positive says whether a bandit is rewarded.
func (o *outcome) positive() bool { return o.Outcome == outcomePositive }

const (
	outcomePositive = "accept"
	outcomeNegative = "dismiss"
)

// fate is what a client knows of what it sent.
type fate uint8

const (
	acknowledged fate = iota
	doubtful          // sent, and not told what became of it
	refused           // told that it never entered the log, or not sent at all
)

// tally counts what an arm has learned from.
type tally struct{ Positives, Negatives int64 }

// ledger is what the clients know of the outcomes of a cluster's life: those of
// the present round one by one, those before in sums.
type ledger struct {
	mu      sync.Mutex
	fates   [3][]outcome // of the present round
	settled map[string]tally
	total   int64 // settled

	lastAck time.Time
	gap     time.Duration // the longest time without an acknowledged write
}

func newLedger() *ledger { return &ledger{settled: map[string]tally{}} }

// begin starts a round at a time from which gaps count.
func (l *ledger) begin(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastAck, l.gap = now, 0
}

// note records what became of outcomes.
func (l *ledger) note(list []outcome, f fate, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[f] = append(l.fates[f], list...)
	if f == acknowledged {
		l.gap = max(l.gap, now.Sub(l.lastAck))
		if now.After(l.lastAck) {
			l.lastAck = now
		}
	}
}

// in returns the round's outcomes with a fate.
func (l *ledger) in(f fate) []outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fates[f]
}

// longestGap is the longest time without an acknowledged write so far; the time
// since the last one counts.
func (l *ledger) longestGap(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.gap, now.Sub(l.lastAck))
}

// acknowledge moves every outcome with a fate to the acknowledged ones: it was
// sent again and answered.
func (l *ledger) acknowledge(f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[acknowledged] = append(l.fates[acknowledged], l.fates[f]...)
	l.fates[f] = nil
}

// expected is how many interactions there must be when landed of the doubtful
// ones are.
func (l *ledger) expected(landed int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total + int64(len(l.fates[acknowledged])) + landed
}

// settle ends a round whose outcomes are all acknowledged, and returns how often
// each arm must have been rewarded or not since the life began.
func (l *ledger) settle() (map[string]tally, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.fates[doubtful]); n > 0 {
		return nil, fmt.Errorf("chaos: %d outcomes are still in doubt", n)
	}
	for i := range l.fates[acknowledged] {
		o := &l.fates[acknowledged][i]
		t := l.settled[o.OfferID]
		if o.positive() {
			t.Positives++
		} else {
			t.Negatives++
		}
		l.settled[o.OfferID] = t
	}
	l.total += int64(len(l.fates[acknowledged]))
	l.fates = [3][]outcome{}
	out := make(map[string]tally, len(l.settled))
	for offer, t := range l.settled {
		out[offer] = t
	}
	return out, nil
}
