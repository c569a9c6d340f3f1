package learners

import (
	"fmt"
	"strings"

	"github.com/praetor-engine/praetor/bench"
)

// section is what one part of the measurement found: a table and remarks under
// it.
type section struct {
	heads []string // the first column is text, the others figures
	rows  [][]string
	notes []string
}

func (s *section) add(cells ...string) { s.rows = append(s.rows, cells) }

func (s *section) notef(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// markdown writes the section as a table with the notes under it.
func (s *section) markdown() string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(s.heads)
	rule := make([]string, len(s.heads))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, r := range s.rows {
		line(r)
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return b.String()
}

// The marks around a section in the documentation.
func marks(section string) (begin, end string) {
	return "<!-- begin " + section + ", made by make learners -->\n", "<!-- end " + section + " -->"
}

// replaceBetweenMarks returns the page with text between a section's marks.
func replaceBetweenMarks(page, section, text string) (string, error) {
	begin, end := marks(section)
	return bench.ReplaceBetween(page, begin, end, text)
}

// spread shows a summary: the median and, where there was more than one round,
// the least and the greatest.
func spread(s bench.Summary, format string) string {
	if s.N == 0 {
		return "—"
	}
	median := fmt.Sprintf(format, s.Median)
	if s.N == 1 {
		return median
	}
	return fmt.Sprintf("%s ("+format+" – "+format+")", median, s.Min, s.Max)
}

// seconds shows durations of some digits, long and short ones alike.
func seconds(values []float64) string {
	s := bench.Summarize(values)
	if s.Median < 1 {
		return spread(s, "%.3f")
	}
	return spread(s, "%.2f")
}

// perRound divides round by round: neighbours in time met the same machine.
func perRound(of, to []float64) bench.Summary {
	var out []float64
	for i := range min(len(of), len(to)) {
		if to[i] > 0 {
			out = append(out, of[i]/to[i])
		}
	}
	return bench.Summarize(out)
}

// against shows a ratio with the target that it must not exceed; 0 is none.
func against(s bench.Summary, most float64) string {
	text := spread(s, "%.2f")
	switch {
	case most == 0 || s.N == 0:
		return text
	case s.Median <= most:
		return fmt.Sprintf("%s, met: ≤ %g", text, most)
	}
	return fmt.Sprintf("%s, **missed: ≤ %g**", text, most)
}
