package audit

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
)

// WriteNDJSON writes a line of JSON for each entry.
func WriteNDJSON(w io.Writer, entries iter.Seq2[*Entry, error]) error {
	buffered := bufio.NewWriter(w)
	enc := json.NewEncoder(buffered)
	enc.SetEscapeHTML(false)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("audit: export: %w", err)
		}
	}
	return buffered.Flush()
}

// header names the columns as the JSON does.
var header = []string{
	"id", "action", "entityType", "entityId", "entityName", "before", "after",
	"actor", "keyId", "tenantId", "requestId", "timestamp", "prevHash", "integrityHash",
}

// WriteCSV writes a header and a row for each entry (RFC 4180, with \n). A text
// that a spreadsheet would take for a formula gets an apostrophe in front, so to
// verify a chain NDJSON is the one to use.
func WriteCSV(w io.Writer, entries iter.Seq2[*Entry, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	for e, err := range entries {
		if err != nil {
			return err
		}
		row := []string{
			e.ID, e.Action, e.EntityType, e.EntityID, e.EntityName, string(e.Before), string(e.After),
			e.Actor, e.KeyID, e.TenantID, e.RequestID, e.Timestamp.String(), e.PrevHash.String(), e.IntegrityHash.String(),
		}
		for i := range row {
			row[i] = plain(row[i])
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("audit: export: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// plain keeps a text from being a formula.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
