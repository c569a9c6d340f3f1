package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/warehouse"
)

// What a query may ask for.
const (
	startDate    = "start_date"      // a timestamp: events before it do not count
	optimization = "optimization_id" // text
)

// bind puts numbers in the places of named parameters.
func bind(sql, id string, start int64) (text string, args []any, err error) {
	named := pgx.NamedArgs{startDate: time.UnixMilli(start).UTC(), optimization: id}
	text, args, err = named.RewriteQuery(context.Background(), nil, sql, nil)
	if err != nil {
		return "", nil, err
	}
	for _, a := range args {
		if a == nil {
			return "", nil, fmt.Errorf("the parameters are @%s and @%s, there is another", startDate, optimization)
		}
	}
	return text, args, nil
}

// CheckSQL names what is wrong with a query as far as its text tells.
func CheckSQL(p *decision.Problems, path, sql string) {
	if _, _, err := bind(sql, "", 0); err != nil {
		p.Addf(path, "%s", err.Error())
	}
	switch first, _, _ := strings.Cut(strings.ToLower(strings.TrimLeft(sql, " \t\r\n(")), " "); strings.TrimSpace(first) {
	case "insert", "update", "delete", "merge", "drop", "create", "alter", "truncate", "grant", "copy", "set", "begin", "call", "do":
		p.Addf(path, "must be a SELECT, got %.20q", first)
	}
	if strings.ContainsRune(sql, 0) {
		p.Addf(path, "must have no zero bytes")
	}
}

// wrap makes one sorted SELECT of a query.
func wrap(text string, m *warehouse.Mapping) string {
	return "SELECT m.* FROM (\n" + strings.TrimRight(strings.TrimSpace(text), "; \t\r\n") + "\n) AS m ORDER BY (m." +
		pgx.Identifier{m.AnonymousID}.Sanitize() + `)::text COLLATE "C", m.` + pgx.Identifier{m.Timestamp}.Sanitize()
}

// probe makes a SELECT without rows of a query, to see its columns.
func probe(text string) string {
	return "SELECT m.* FROM (\n" + strings.TrimRight(strings.TrimSpace(text), "; \t\r\n") + "\n) AS m LIMIT 0"
}
