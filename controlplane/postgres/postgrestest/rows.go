package postgrestest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Rows are the rows of one organization as JSON, by table, without the times of last use and the
// expiry of sessions, which each request changes.
type Rows map[string][]string

// RowsOf returns all rows of an organization in the tables that have a column org_id, according to
// the catalog, and in organizations.
func RowsOf(t testing.TB, dsn, orgID string) Rows {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	found, err := conn.Query(ctx,
		`SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND a.attname = 'org_id' AND NOT a.attisdropped`)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	rows := Rows{}
	for _, table := range append(tables, "organizations") {
		column, moves := "org_id", ""
		switch table {
		case "organizations":
			column = "id"
		case "sessions":
			moves = ` - 'expires_at'` // changed by a use a minute after the last one
		}
		found, err := conn.Query(ctx,
			fmt.Sprintf(
				`SELECT (to_jsonb(r) - 'last_used_at' - 'last_seen_at'%s)::text FROM %s r WHERE %s = $1 ORDER BY 1`, moves, pgx.Identifier{table}.Sanitize(), column), orgID)
		if err != nil {
			t.Fatalf("postgrestest: %v", err)
		}
		if rows[table], err = pgx.CollectRows(found, pgx.RowTo[string]); err != nil {
			t.Fatalf("postgrestest: %s: %v", table, err)
		}
	}
	return rows
}

// Naming returns the rows that contain text.
func (r Rows) Naming(text string) Rows {
	return r.filter(func(row string) bool { return strings.Contains(row, text) })
}

// NotNaming returns the rows that do not contain text.
func (r Rows) NotNaming(text string) Rows {
	return r.filter(func(row string) bool { return !strings.Contains(row, text) })
}

func (r Rows) filter(keep func(string) bool) Rows {
	out := Rows{}
	for table, rows := range r {
		for _, row := range rows {
			if keep(row) {
				out[table] = append(out[table], row)
			}
		}
	}
	return out
}

// Diff describes the rows that differ from those before, empty if none does.
func (r Rows) Diff(before Rows) string {
	var b strings.Builder
	all := maps.Clone(before)
	maps.Copy(all, r)
	for _, table := range slices.Sorted(maps.Keys(all)) {
		for _, row := range before[table] {
			if !slices.Contains(r[table], row) {
				fmt.Fprintf(&b, "- %s %s\n", table, row)
			}
		}
		for _, row := range r[table] {
			if !slices.Contains(before[table], row) {
				fmt.Fprintf(&b, "+ %s %s\n", table, row)
			}
		}
	}
	return b.String()
}

// minText is the minimum length of a text that identifies an organization. Shorter ones are words
// of the service.
const minText = 6

var instant = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)

// Texts returns the texts in the rows that do not occur in the others, such as IDs, names,
// addresses, and digests, but not times.
func (r Rows) Texts(others Rows) []string {
	known, found := others.texts(), r.texts()
	maps.DeleteFunc(found, func(text string, _ bool) bool {
		return known[text] || len(text) < minText || instant.MatchString(text)
	})
	return slices.Sorted(maps.Keys(found))
}

func (r Rows) texts() map[string]bool {
	found := map[string]bool{}
	for _, rows := range r {
		for _, row := range rows {
			var v any
			_ = json.Unmarshal([]byte(row), &v) // Postgres wrote it
			addTexts(v, found)
		}
	}
	return found
}

func addTexts(v any, to map[string]bool) {
	switch v := v.(type) {
	case string:
		to[v] = true
	case []any:
		for _, one := range v {
			addTexts(one, to)
		}
	case map[string]any:
		for name, one := range v {
			to[name] = true
			addTexts(one, to)
		}
	}
}
