package decision

import "testing"

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-14T06:00:00.000Z":       "2026-03-14T06:00:00.000Z",
		"2026-03-14T06:00:00Z":           "2026-03-14T06:00:00.000Z",
		"2026-03-29T02:30:00+01:00":      "2026-03-29T01:30:00.000Z",
		"2026-03-14T00:10:00-23:59":      "2026-03-15T00:09:00.000Z",
		"2026-03-14T06:00:00.999999999Z": "2026-03-14T06:00:00.999Z",
		"2024-02-29T23:59:59Z":           "2024-02-29T23:59:59.000Z",
	} {
		if got, err := ParseTime(text); err != nil || got.String() != want {
			t.Errorf("ParseTime(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "now", "2026-03-14", "2026-03-14T06:00:00", "2026-03-14 06:00:00Z", "2026-03-14T6:00:00Z", "2026-03-14T24:00:00Z",
		"2026-02-29T06:00:00Z", "2026-13-14T06:00:00Z", "2026-03-14T06:00:00,5Z", "2026-03-14T06:00:00+24:00", "2026-03-14T06:00:00+01:60",
		"2026-03-14T06:00:00.Z", "2026-03-14T06:00:00ZZ", "1773468000",
	} {
		if got, err := ParseTime(text); err == nil {
			t.Errorf("ParseTime(%q) = %s, want an error", text, got)
		}
	}
}
