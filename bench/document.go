package bench

import (
	"fmt"
	"strings"
)

// ReplaceBetween returns a page of the documentation with text between the lines
// begin and end.
func ReplaceBetween(page, begin, end, text string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	if !ok {
		return "", fmt.Errorf("got no line %q", strings.TrimSpace(begin))
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("got no %q after its beginning", end)
	}
	return before + begin + text + end + after, nil
}
