package warehouse

import (
	"time"
)

// The units of times that are numbers.
const (
	Seconds      = "s"
	Milliseconds = "ms" // the default
	Microseconds = "us"
	Nanoseconds  = "ns"
)

// unitNanos has the units.
var unitNanos = map[string]int64{Seconds: 1e9, Milliseconds: 1e6, Microseconds: 1e3, Nanoseconds: 1}

// maxTime bounds times: the end of the year 9999, in Unix milliseconds.
const maxTime = 253402300799999

// Millis brings a count of units to milliseconds, rounding down; ok is false beyond
// what a time may be.
func Millis(count int64, nanos int64) (ms int64, ok bool) {
	if nanos >= 1e6 {
		k := nanos / 1e6
		if count < -maxTime/k || count > maxTime/k {
			return 0, false
		}
		return count * k, true
	}
	k := 1e6 / nanos
	ms = count / k
	if count%k < 0 {
		ms--
	}
	return ms, ms >= -maxTime && ms <= maxTime
}

// millis returns the time of a cell in Unix milliseconds.
func (c *Cell) millis(nanos int64) (ms int64, ok bool) {
	switch c.Type {
	case Time:
		ms, ok = c.Int, true
	case Text:
		if n, whole := c.integer(); whole {
			ms, ok = Millis(n, nanos)
		} else {
			ms, ok = ParseTime(c.Text)
		}
	case Int, Float:
		n, whole := c.integer()
		if ms, ok = Millis(n, nanos); !whole {
			ok = false
		}
	}
	return ms, ok && ms > 0 && ms <= maxTime
}

// ParseTime reads a time as RFC 3339 and databases write it, a day alone too,
// rounded down to milliseconds:
//
//	2026-03-14
//	2026-03-14T06:00:00Z
//	2026-03-14 06:00:00.123456+05:30
//	2026-03-14 06:00:00+00
//
// Without a zone it is UTC.
func ParseTime(text []byte) (ms int64, ok bool) {
	p := timeParser{text: text, ok: true}
	year, month, day := p.digits(4), p.after('-').digits(2), p.after('-').digits(2)
	var hour, minute, second, offset int
	if p.rest() > 0 {
		if c := p.next(); c != 'T' && c != ' ' && c != 't' {
			return 0, false
		}
		hour, minute = p.digits(2), p.after(':').digits(2)
		if p.peek() == ':' {
			second = p.after(':').digits(2)
			ms = p.fraction()
		}
		offset = p.zone()
	}
	if !p.ok || p.rest() > 0 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day { // the month has no such day
		return 0, false
	}
	return t.UnixMilli() + ms - int64(offset)*1000, true
}

// timeParser reads a time from its start; ok stays false once it was not as wanted.
type timeParser struct {
	text []byte
	at   int
	ok   bool
}

func (p *timeParser) rest() int { return len(p.text) - p.at }

// peek returns the next byte, 0 at the end.
func (p *timeParser) peek() byte {
	if p.rest() == 0 {
		return 0
	}
	return p.text[p.at]
}

func (p *timeParser) next() byte {
	c := p.peek()
	p.at = min(p.at+1, len(p.text))
	return c
}

func (p *timeParser) after(c byte) *timeParser {
	if p.next() != c {
		p.ok = false
	}
	return p
}

func (p *timeParser) digits(n int) (v int) {
	for range n {
		c := p.next()
		if c < '0' || c > '9' {
			p.ok = false
		}
		v = v*10 + int(c-'0')
	}
	return v
}

// fraction reads decimals of a second, of which the first three count.
func (p *timeParser) fraction() (ms int64) {
	if p.peek() != '.' {
		return 0
	}
	p.next()
	n := 0
	for ; p.peek() >= '0' && p.peek() <= '9'; n++ {
		if d := int64(p.next() - '0'); n < 3 {
			ms = ms*10 + d
		}
	}
	if n == 0 || n > 9 {
		p.ok = false
	}
	for ; n < 3; n++ {
		ms *= 10
	}
	return ms
}

// zone reads Z or ±hh, ±hhmm, ±hh:mm; it returns the seconds east of UTC.
func (p *timeParser) zone() (seconds int) {
	sign := 1
	switch p.peek() {
	case 0:
		return 0
	case 'Z', 'z':
		p.next()
		return 0
	case '-':
		sign = -1
	case '+':
	default:
		p.ok = false
		return 0
	}
	p.next()
	hours, minutes := p.digits(2), 0
	if p.peek() == ':' {
		minutes = p.after(':').digits(2)
	} else if p.rest() > 0 {
		minutes = p.digits(2)
	}
	if hours > 23 || minutes > 59 {
		p.ok = false
	}
	return sign * (hours*3600 + minutes*60)
}
