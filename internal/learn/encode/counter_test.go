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
