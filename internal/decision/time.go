package decision

import (
	"bytes"
	"fmt"
	"time"
)

// Time is an instant in Unix milliseconds; 0 is "never" and null in JSON. The
// API writes RFC 3339 in UTC with milliseconds.
type Time int64

// timeLayout is RFC 3339 with exactly three decimals.
const timeLayout = "2006-01-02T15:04:05.000Z"

// TimeOf returns t in milliseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMilli()) }

// AppendJSON appends the time as a JSON string, or null.
func (t Time) AppendJSON(dst []byte) []byte {
	if t == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = time.UnixMilli(int64(t)).UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

// MarshalJSON writes the time as RFC 3339, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.AppendJSON(make([]byte, 0, len(timeLayout)+2)), nil
}

// UnmarshalJSON reads RFC 3339 in any zone, or null.
func (t *Time) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*t = 0
		return nil
	}
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("want a time as an RFC 3339 string, got %s", b)
	}
	v, err := ParseTime(string(b[1 : len(b)-1]))
	if err != nil {
		return err
	}
	*t = v
	return nil
}

// ParseTime reads RFC 3339 in any zone.
func ParseTime(s string) (Time, error) {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil || !isRFC3339(s) {
		return 0, fmt.Errorf("want a time such as 2026-03-14T06:00:00.000Z, got %q", s)
	}
	return TimeOf(v), nil
}

// isRFC3339 refuses what time.Parse takes and RFC 3339 does not have: an hour of
// one digit, a comma before the fraction, an offset of a day.
func isRFC3339(s string) bool {
	const hours = len("2006-01-02T15")
	if len(s) < len("2006-01-02T15:04:05Z") || s[hours] != ':' || s[len("2006-01-02T15:04:05")] == ',' {
		return false
	}
	if s[len(s)-1] == 'Z' {
		return true
	}
	offset := s[len(s)-len("+01:00"):]
	return offset[1:3] <= "23" && offset[4:] <= "59"
}

// String returns the time as RFC 3339, "never" for 0.
func (t Time) String() string {
	if t == 0 {
		return "never"
	}
	return time.UnixMilli(int64(t)).UTC().Format(timeLayout)
}
