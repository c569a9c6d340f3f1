package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportReplacesWhatIsBetweenTheMarkers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rounds := []Round{
		{Round: 1, Fault: "kill-leader", Outcomes: counts{Acknowledged: 40, Doubtful: 2, Landed: 1}, LongestGap: 1.5},
		{Round: 2, Fault: "kill-leader", Outcomes: counts{Acknowledged: 2, Lost: 3}, LongestGap: 0.5, Findings: []Finding{{Promise: 4, What: "3 of 5 | lost", Times: 1}}},
		{Round: 3, Fault: "disk-full", Skipped: "may not mount"},
	}
	for range 2 { // the second replaces the first
		if err := WriteReport(path, rounds); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range []string{
		"before\n", "\nafter\n", "2 rounds, 1 of them with findings; 42 outcomes acknowledged",
		"| kill-leader | a new leader in seconds | 2 | 1 | 42 | 2 | 3 | 0 |", "0, not possible: may not mount", "3 of 5 / lost",
	} {
		if strings.Count(page, want) != 1 {
			t.Errorf("the page has %q %d times, want once:\n%s", want, strings.Count(page, want), page)
		}
	}
	if strings.Contains(page, "old") {
		t.Error("the page still has what was between the markers")
	}
	if err := os.WriteFile(path, []byte("no markers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteReport(path, rounds); err == nil {
		t.Error("WriteReport() into a page without markers succeeded")
	}
}
