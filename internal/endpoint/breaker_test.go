package endpoint

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// call makes one call and tells whether it was allowed.
func call(b *Breaker, o Outcome) bool {
	ticket, ok := b.Allow()
	if ok {
		b.Done(ticket, o)
	}
	return ok
}

func open(t *testing.T, b *Breaker) {
	t.Helper()
	for i := range breakerFailures {
		if !call(b, Failed) {
			t.Fatalf("call %d was not allowed", i)
		}
	}
	if _, ok := b.Allow(); ok {
		t.Fatal("five failures did not open the circuit")
	}
}

func TestBreakerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(time.Now)
		for range 3 { // four in a row do not open it, a success starts over
			for range breakerFailures - 1 {
				call(b, Failed)
			}
			call(b, Abandoned)
			if !call(b, Succeeded) {
				t.Fatal("four failures opened the circuit")
			}
		}
		open(t, b)
		time.Sleep(breakerPause - time.Nanosecond)
		if _, ok := b.Allow(); ok {
			t.Error("a call was allowed before 60 s had passed")
		}
		time.Sleep(time.Nanosecond)
		probe, ok := b.Allow()
		if !ok {
			t.Fatal("no probe was allowed after 60 s")
		}
		time.Sleep(time.Hour)
		if _, ok := b.Allow(); ok {
			t.Error("a second call was allowed beside the probe")
		}
		b.Done(probe, Failed)
		if _, ok := b.Allow(); ok {
			t.Error("a failed probe did not open the circuit again")
		}
		time.Sleep(breakerPause)
		if !call(b, Abandoned) {
			t.Fatal("no second probe")
		}
		if !call(b, Succeeded) {
			t.Fatal("an abandoned probe was not replaced")
		}
		if !b.quiet() {
			t.Error("a probe that succeeded did not close the circuit")
		}
		open(t, b) // it takes five failures again
	})
}

func TestBreakerIgnoresCallsOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(time.Now)
		late, _ := b.Allow()
		later, _ := b.Allow()
		open(t, b)
		time.Sleep(breakerPause / 2)
		b.Done(late, Failed) // does not start the pause anew
		time.Sleep(breakerPause / 2)
		probe, ok := b.Allow()
		if !ok {
			t.Fatal("no probe was allowed after 60 s")
		}
		b.Done(later, Succeeded) // does not close the circuit, nor end the probe
		if _, ok := b.Allow(); ok {
			t.Error("a call of the past ended the probe")
		}
		b.Done(probe, Succeeded)
		if !call(b, Succeeded) {
			t.Error("the probe did not close the circuit")
		}
	})
}

func TestBreakerAllowsOneProbeOfMany(t *testing.T) {
	now := time.Unix(0, 0)
	b := NewBreaker(func() time.Time { return now })
	open(t, b)
	now = now.Add(breakerPause)
	var allowed sync.Map
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if _, ok := b.Allow(); ok {
				allowed.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	allowed.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d probes, want 1", n)
	}
}

func TestOnlyFailuresAreKept(t *testing.T) {
	s := breakers{now: time.Now, byKey: make(map[string]*sharedBreaker)}
	for i := range 100 {
		key := fmt.Sprint("m", i%10, "\x00", i)
		b := s.acquire(key)
		outcome := Succeeded
		if i%10 == 3 {
			outcome = Failed
		}
		call(&b.Breaker, outcome)
		s.release(key, b)
	}
	if got := len(s.byKey); got != 10 {
		t.Errorf("%d breakers are kept, want the 10 with a failure", got)
	}
	b := s.acquire("m3\x003")
	s.forget("m3\x00")
	s.release("m3\x003", b)
	if got := len(s.byKey); got != 0 {
		t.Errorf("%d breakers are kept, want none", got)
	}
}
