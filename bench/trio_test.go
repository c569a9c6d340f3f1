package bench

import (
	"testing"
	"time"
)

// A gap counts from the moment on, to the next answer, and to the end.
func TestGapsOfAStream(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	s := &stream{acked: []time.Time{at(0), at(100), at(1200), at(1300)}}
	for _, c := range []struct {
		from, to int
		want     time.Duration
	}{
		{0, 1300, 1100 * time.Millisecond},
		{150, 1300, 1050 * time.Millisecond},
		{1250, 3000, 1700 * time.Millisecond},
		{2000, 2500, 500 * time.Millisecond},
	} {
		if got := s.longestGap(at(c.from), at(c.to)); got != c.want {
			t.Errorf("longestGap(%d, %d) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if got := s.between(at(100), at(1300)); got != 2 {
		t.Errorf("between() = %d, want 2: the end does not count", got)
	}
	s.failed = map[string]int64{"a": 2, "b": 3}
	if got := s.failures(); got != 5 {
		t.Errorf("failures() = %d, want 5", got)
	}
}
