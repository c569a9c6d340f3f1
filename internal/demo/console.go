package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// lineWidth is what every line keeps to.
const lineWidth = 79

// console writes lines and, on a terminal, keeps a progress bar below them.
type console struct {
	w    io.Writer
	live bool   // a terminal: there is a bar
	bold bool   // titles are emphasised
	bar  string // what stands below the last line
}

func newConsole(w io.Writer, plain bool) *console {
	live := !plain && os.Getenv("TERM") != "dumb" && isTerminal(w)
	return &console{w: w, live: live, bold: live && os.Getenv("NO_COLOR") == ""}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

const clearLine = "\r\x1b[K"

// line writes one line above the bar.
func (c *console) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n"
	if c.bar != "" {
		text = clearLine + text + c.bar
	}
	_, _ = io.WriteString(c.w, text) // nobody to tell when the output is gone
}

// title writes a heading after an empty line.
func (c *console) title(text string) {
	c.line("")
	if c.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	c.line("%s", text)
}

// note writes a paragraph, wrapped.
func (c *console) note(format string, args ...any) {
	const indent = "  "
	words := strings.Fields(fmt.Sprintf(format, args...))
	text := indent
	for _, w := range words {
		if len(text) > len(indent) && utf8.RuneCountInString(text)+utf8.RuneCountInString(w) > lineWidth {
			c.line("%s", text)
			text = indent
		}
		text += w + " "
	}
	c.line("%s", text)
}

// progress draws the bar anew; done of total in unit, such as "visitors".
func (c *console) progress(done, total int, unit string) {
	if !c.live {
		return
	}
	const width = 36
	full := width * done / max(total, 1)
	bar := fmt.Sprintf("  %s%s %3d %%  %s of %s %s", strings.Repeat("█", full), strings.Repeat("░", width-full),
		100*done/max(total, 1), count(done), count(total), unit)
	if bar != c.bar {
		c.bar = bar
		_, _ = io.WriteString(c.w, clearLine+bar)
	}
}

// finish takes the bar away.
func (c *console) finish() {
	if c.bar != "" {
		c.bar = ""
		_, _ = io.WriteString(c.w, clearLine)
	}
}

// column is one column of a table.
type column struct {
	title string
	width int
	left  bool // text; numbers stand right
}

// heading writes the titles of a table, and under them the lines of subtitles.
func (c *console) heading(columns []column, under ...[]string) {
	titles, rules := make([]string, len(columns)), make([]string, len(columns))
	for i, col := range columns {
		titles[i] = col.title
		rules[i] = strings.Repeat("─", col.width)
	}
	c.row(columns, titles...)
	for _, subtitles := range under {
		c.row(columns, subtitles...)
	}
	c.row(columns, rules...)
}

// row writes one row of a table.
func (c *console) row(columns []column, cells ...string) {
	var b strings.Builder
	for i, col := range columns {
		if i > 0 {
			b.WriteString("  ")
		} else {
			b.WriteString(" ")
		}
		pad := strings.Repeat(" ", max(col.width-utf8.RuneCountInString(cells[i]), 0))
		if col.left {
			b.WriteString(cells[i] + pad)
		} else {
			b.WriteString(pad + cells[i])
		}
	}
	c.line("%s", b.String())
}

// table writes a whole table; a column without a width gets what it needs.
func (c *console) table(columns []column, rows [][]string) {
	for i := range columns {
		columns[i].width = max(columns[i].width, utf8.RuneCountInString(columns[i].title))
		for _, r := range rows {
			columns[i].width = max(columns[i].width, utf8.RuneCountInString(r[i]))
		}
	}
	c.heading(columns)
	for _, r := range rows {
		c.row(columns, r...)
	}
}

// count writes a whole number in groups of three.
func count(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}
