package warehouse

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// Cell is one value of a row.
type Cell struct {
	Type  CellType
	Bool  bool
	Int   int64   // of Int; of Time in Unix milliseconds
	Float float64 // of Float
	Text  []byte  // of Text; valid until the next row
}

// CellType says what a cell holds.
type CellType uint8

// The types of cells.
const (
	Null CellType = iota
	Text
	Bool
	Int
	Float
	Time
)

// String returns the value for a message.
func (c *Cell) String() string {
	switch c.Type {
	case Text:
		return clip(c.Text)
	case Bool:
		return strconv.FormatBool(c.Bool)
	case Int:
		return strconv.FormatInt(c.Int, 10)
	case Float:
		return strconv.FormatFloat(c.Float, 'g', -1, 64)
	case Time:
		return fmt.Sprintf("the time %d ms", c.Int)
	}
	return "nothing"
}

// empty: there is no value. A file of text cannot tell no value from no text.
func (c *Cell) empty() bool { return c.Type == Null || c.Type == Text && len(c.Text) == 0 }

// appendText appends the value as text; times have none.
func (c *Cell) appendText(b []byte) []byte {
	switch c.Type {
	case Text:
		return append(b, c.Text...)
	case Bool:
		return strconv.AppendBool(b, c.Bool)
	case Int:
		return strconv.AppendInt(b, c.Int, 10)
	case Float:
		return strconv.AppendFloat(b, c.Float, 'g', -1, 64)
	}
	return b
}

// boolean returns the value as true or false.
func (c *Cell) boolean() (v, ok bool) {
	switch c.Type {
	case Bool:
		return c.Bool, true
	case Int:
		return c.Int == 1, c.Int == 0 || c.Int == 1
	case Float:
		return c.Float == 1, c.Float == 0 || c.Float == 1
	case Text:
		switch {
		case bytes.EqualFold(c.Text, []byte("true")), bytes.EqualFold(c.Text, []byte("t")), bytes.Equal(c.Text, []byte("1")):
			return true, true
		case bytes.EqualFold(c.Text, []byte("false")), bytes.EqualFold(c.Text, []byte("f")), bytes.Equal(c.Text, []byte("0")):
			return false, true
		}
	}
	return false, false
}

// number returns the value as a number; what is not finite is none.
func (c *Cell) number() (v float64, ok bool) {
	switch c.Type {
	case Bool:
		if c.Bool {
			v = 1
		}
		return v, true
	case Int:
		return float64(c.Int), true
	case Float:
		v = c.Float
	case Text:
		for _, ch := range c.Text { // of what is parsed below, decimal numbers alone
			if ch-'0' > 9 && ch != '.' && ch != '-' && ch != '+' && ch != 'e' && ch != 'E' {
				return 0, false
			}
		}
		var err error
		if v, err = strconv.ParseFloat(string(c.Text), 64); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	return v, !math.IsNaN(v) && !math.IsInf(v, 0)
}

// integer returns the value as a whole number.
func (c *Cell) integer() (v int64, ok bool) {
	switch c.Type {
	case Int:
		return c.Int, true
	case Float:
		v = int64(c.Float)
		return v, math.Abs(c.Float) <= 1<<53 && float64(v) == c.Float
	case Text:
		for i, ch := range c.Text { // an error would cost memory, and times are not rare
			if ch-'0' > 9 && (i > 0 || ch != '-') {
				return 0, false
			}
		}
		v, err := strconv.ParseInt(string(c.Text), 10, 64)
		return v, err == nil
	}
	return 0, false
}
