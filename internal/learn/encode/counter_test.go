package encode

import (
	"fmt"
	"slices"
	"testing"
)

func TestCounterKeepsTheMostFrequent(t *testing.T) {
	c := Counter{}
	for i := range 2 * CountedValues {
		c.Count(fmt.Sprintf("id%d", i))
		c.Count([]string{"b", "a", "c"}[i%3])
	}
	if len(c) > CountedValues {
		t.Errorf("%d values are counted, want at most %d", len(c), CountedValues)
	}
	if got, want := c.Frequent(10, 2), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("Frequent(10, 2) = %v, want %v", got, want)
	}
	if got, want := c.Frequent(10, 9), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Frequent(10, 9) = %v, want %v", got, want)
	}
}

func TestCountWithinBoundsTheErrorToo(t *testing.T) {
	const size, rows = 10, 5000
	c := Counter{}
	for i := range rows {
		c.CountWithin(size, fmt.Sprintf("id%d", i))
		if i%2 == 0 {
			c.CountWithin(size, "half")
		}
	}
	const seen = rows + rows/2
	if got := *c["half"]; len(c) > size || got > rows/2 || got < rows/2-seen/size {
		t.Errorf("%d values are counted, one that came %d times as %d", len(c), rows/2, got)
	}
}
