package httpapi

import (
	"fmt"
	"testing"
	"time"
)

func TestLimiterSlides(t *testing.T) {
	l := newLimiter(ClassScore, RateLimit{Requests: 3, Window: 10 * time.Second})
	start := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		at        time.Duration
		ok        bool
		remaining int
		wait      time.Duration
	}{
		{0, true, 2, 10 * time.Second},
		{4 * time.Second, true, 1, 6 * time.Second},
		{5 * time.Second, true, 0, 5 * time.Second},
		{9 * time.Second, false, 0, time.Second},
		{10 * time.Second, true, 0, 4 * time.Second}, // the first has left the window
		{13 * time.Second, false, 0, time.Second},
		{14 * time.Second, true, 0, time.Second},
		{60 * time.Second, true, 2, 10 * time.Second},
	} {
		ok, remaining, wait := l.allow("a", start.Add(tc.at))
		if ok != tc.ok || remaining != tc.remaining || wait != tc.wait {
			t.Errorf("at %v: got %v, %d, %v, want %v, %d, %v", tc.at, ok, remaining, wait, tc.ok, tc.remaining, tc.wait)
		}
	}
	if ok, _, _ := l.allow("b", start.Add(5*time.Second)); !ok {
		t.Error("another tenant was limited too")
	}
}

// In no span of one window are more requests admitted than the limit.
func TestLimiterNeverExceeds(t *testing.T) {
	const limit = 7
	window := time.Second
	l := newLimiter(ClassRead, RateLimit{Requests: limit, Window: window})
	var admitted []time.Time
	now := time.Unix(0, 0)
	for i := range 5000 {
		now = now.Add(time.Duration(i*7919%90) * time.Millisecond)
		if ok, _, _ := l.allow("t", now); ok {
			admitted = append(admitted, now)
		}
	}
	for i := limit; i < len(admitted); i++ {
		if d := admitted[i].Sub(admitted[i-limit]); d < window {
			t.Fatalf("%d requests admitted within %v", limit+1, d)
		}
	}
}

func TestLimiterMemory(t *testing.T) {
	l := newLimiter(ClassRead, RateLimit{Requests: 2, Window: time.Second})
	now := time.Unix(0, 0)
	for i := range 3 * maxWindows {
		l.allow(fmt.Sprint(i), now)
	}
	if n := len(l.windows); n > maxWindows {
		t.Errorf("got %d windows, want at most %d", n, maxWindows)
	}
}
