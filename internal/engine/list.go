package engine

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/praetor-engine/praetor/internal/catalogue"
	"github.com/praetor-engine/praetor/internal/decision"
)

// The limits of a page.
const (
	DefaultLimit = 50
	maxLimit     = 100
)

// A cursor is the sequence number of the last entity shown, so it stays valid
// whatever is inserted or deleted: 'c' and 8 bytes, in base 64.

func formatCursor(sequence uint64) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64([]byte{'c'}, sequence))
}

func parseCursor(s string) (sequence uint64, err error) {
	if s == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) != 9 || raw[0] != 'c' || binary.BigEndian.Uint64(raw[1:]) == 0 {
		return 0, decision.Invalid("cursor", "want the cursor of an earlier answer, got %.40q", s)
	}
	return binary.BigEndian.Uint64(raw[1:]), nil
}

// A cursor of a list that is ordered by names is the last name shown: 'n' and the
// name, in base 64.

func formatNameCursor(name string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{'n'}, name...))
}

func parseNameCursor(s string) (name string, err error) {
	if s == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) < 2 || raw[0] != 'n' {
		return "", decision.Invalid("cursor", "want the cursor of an earlier answer, got %.40q", s)
	}
	return string(raw[1:]), nil
}

func checkLimit(limit int) error {
	if limit < 1 || limit > maxLimit {
		return decision.Invalid("limit", "want 1 to %d, got %d", maxLimit, limit)
	}
	return nil
}

// listOf reads one page of the catalogue.
func listOf[T any](e *Engine, page Page, read func(c *catalogue.Catalogue, after uint64, limit int) ([]T, []uint64, int, error)) (List[T], error) {
	if err := checkLimit(page.Limit); err != nil {
		return List[T]{}, err
	}
	after, err := parseCursor(page.Cursor)
	if err != nil {
		return List[T]{}, err
	}
	e.machine.mu.RLock()
	defer e.machine.mu.RUnlock()
	// One more than asked tells whether there is more.
	items, sequences, total, err := read(e.machine.catalogue, after, page.Limit+1)
	if err != nil {
		return List[T]{}, err
	}
	list := List[T]{Items: items, Total: int64(total)}
	if len(items) > page.Limit {
		list.Items, list.HasMore = items[:page.Limit], true
		list.Cursor = formatCursor(sequences[page.Limit-1])
	}
	return list, nil
}
