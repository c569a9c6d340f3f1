package chaos

import (
	"reflect"
	"testing"
	"time"
)

func outcomesOf(offer, what string, n int) []outcome {
	list := make([]outcome, n)
	for i := range list {
		list[i] = outcome{OfferID: offer, Outcome: what}
	}
	return list
}

func TestLedger(t *testing.T) {
	start := time.Unix(1000, 0)
	l := newLedger()
	l.begin(start)
	l.note(outcomesOf("a", outcomePositive, 3), acknowledged, start.Add(time.Second))
	l.note(outcomesOf("a", outcomeNegative, 2), doubtful, start.Add(2*time.Second))
	l.note(outcomesOf("b", outcomeNegative, 4), refused, start.Add(3*time.Second))
	l.note(outcomesOf("b", outcomeNegative, 1), acknowledged, start.Add(6*time.Second))
	if got, want := l.longestGap(start.Add(7*time.Second)), 5*time.Second; got != want {
		t.Errorf("longestGap() = %v, want %v", got, want)
	}
	if got, want := l.longestGap(start.Add(20*time.Second)), 14*time.Second; got != want {
		t.Errorf("longestGap() = %v, want the time since the last, %v", got, want)
	}
	if got := l.expected(1); got != 5 {
		t.Errorf("expected(1) = %d, want 4 acknowledged and 1 that landed", got)
	}
	if _, err := l.settle(); err == nil {
		t.Error("settle() with outcomes in doubt succeeded")
	}
	l.acknowledge(doubtful)
	if got := l.expected(0); got != 6 {
		t.Errorf("expected(0) = %d, want 6", got)
	}
	got, err := l.settle()
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]tally{"a": {3, 2}, "b": {0, 1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("settle() = %v, want %v", got, want)
	}
	l.note(outcomesOf("a", outcomePositive, 1), acknowledged, start)
	if got := l.expected(0); got != 7 {
		t.Errorf("expected(0) = %d in the next round, want 7", got)
	}
	if got, _ := l.settle(); got["a"] != (tally{4, 2}) {
		t.Errorf("settle() = %v in the next round, want the sums of both", got)
	}
}
