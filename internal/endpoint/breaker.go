package endpoint

import (
	"strings"
	"sync"
	"time"
)

const (
	breakerFailures = 5                // in a row open the circuit
	breakerPause    = 60 * time.Second // until a probe
)

// Outcome is how a call ended.
type Outcome uint8

// The outcomes of calls.
const (
	// Abandoned says nothing about the endpoint: the caller gave up.
	Abandoned Outcome = iota
	Succeeded
	Failed
)

// Breaker stops calling what fails: five failures in a row open the circuit, and
// no call is made for 60 seconds; then one call goes through as a probe. If it
// succeeds the circuit closes, if it fails the 60 seconds start again. It is the
// circuit breaker of Nygard, Release It!, 2007, and safe for concurrent use.
type Breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int       // in a row, while closed
	until    time.Time // no call before; zero while closed
	round    uint64    // number of times the circuit changed
	probing  bool
}

// NewBreaker returns a closed breaker that takes the time from now.
func NewBreaker(now func() time.Time) *Breaker { return &Breaker{now: now} }

// Allow reports whether a call may be made. If so, the caller must end it with
// Done and the ticket.
func (b *Breaker) Allow() (ticket uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.until.IsZero() {
		if b.probing || b.now().Before(b.until) {
			return 0, false
		}
		b.probing = true
	}
	return b.round, true
}

// Done tells how an allowed call ended. Calls that were allowed before the
// circuit last changed say nothing about it now.
func (b *Breaker) Done(ticket uint64, o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ticket != b.round {
		return
	}
	probe := b.probing
	b.probing = false
	switch {
	case o == Abandoned:
	case o == Succeeded:
		b.failures = 0
		if probe {
			b.until = time.Time{}
			b.round++
		}
	case probe || b.failures+1 >= breakerFailures:
		b.failures = 0
		b.until = b.now().Add(breakerPause)
		b.round++
	default:
		b.failures++
	}
}

// quiet reports whether the breaker knows of no failure.
func (b *Breaker) quiet() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures == 0 && b.until.IsZero()
}

// breakers has a breaker for each key that is in use or has failed of late; one
// that knows of no failure is as good as a new one and is not kept.
type breakers struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]*sharedBreaker
}

type sharedBreaker struct {
	Breaker
	users int // calls under way; guarded by breakers.mu
}

func (s *breakers) acquire(key string) *sharedBreaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.byKey[key]
	if b == nil {
		b = &sharedBreaker{Breaker: Breaker{now: s.now}}
		s.byKey[key] = b
	}
	b.users++
	return b
}

func (s *breakers) release(key string, b *sharedBreaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.users--; b.users == 0 && b.quiet() && s.byKey[key] == b {
		delete(s.byKey, key)
	}
}

// forget drops the breakers whose key starts with prefix.
func (s *breakers) forget(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.byKey {
		if strings.HasPrefix(key, prefix) {
			delete(s.byKey, key)
		}
	}
}
