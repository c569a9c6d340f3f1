package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
)

// printJSON writes a value as indented JSON.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// printTable writes aligned columns under their titles.
func printTable(w io.Writer, titles []string, rows [][]string) error {
	const padding = 2
	t := tabwriter.NewWriter(w, 0, 0, padding, ' ', 0)
	fmt.Fprintln(t, strings.Join(titles, "\t"))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// printList writes a list as a table, one row for each item, or as a JSON array.
func printList[T any](w io.Writer, asJSON bool, items iter.Seq2[T, error], titles []string, row func(T) []string) error {
	all := []T{}
	var rows [][]string
	for item, err := range items {
		if err != nil {
			return err
		}
		all = append(all, item)
		rows = append(rows, row(item))
	}
	if asJSON {
		return printJSON(w, all)
	}
	return printTable(w, titles, rows)
}

// moment writes a time for a table, "never" for none.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
