package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// sealedTable is a table with columns that package seal has sealed. The list of these tables is
// sealedTables. Every column of the type bytea is in it, or a test lists it as not sealed.
type sealedTable struct {
	name    string
	key     []string // columns of the type text that identify a row
	columns []string // sealed; null or empty if there is nothing to seal
	where   string   // condition of the rows whose columns are sealed; empty for all

	owner string // column with the associated data; empty if owners returns them
	// owners returns the possible associated data of a row with the given key. The one that opens
	// the data is kept.
	owners func(key []string) []string

	// copies is the table with rows whose data the columns repeat, of the same owner: its column
	// sealed. Its first key column refers to this table's key. Empty for none.
	copies string
}

// sealedTables returns the tables with sealed columns, in the order in which they are resealed: a
// certificate takes its key from its order, so orders come first.
func sealedTables() []sealedTable {
	return []sealedTable{
		{name: "acme_accounts", key: []string{"id"}, owner: "directory_url",
			columns: []string{"sealed_key", "next_sealed_key"}},
		{name: "acme_orders", key: []string{"id"}, owner: "id", columns: []string{"sealed_key"}},
		{name: "certificates", key: []string{"id"}, owner: "order_id",
			columns: []string{"sealed_key"}},
		{name: "webhooks", key: []string{"id"}, owner: "id", copies: "webhook_secrets",
			columns: []string{"sealed_secret", "previous_sealed_secret"}},
		{name: "webhook_secrets", key: []string{"webhook_id"}, columns: []string{"sealed"}},
		{name: "dns_connections", key: []string{"id"}, owner: "id",
			columns: []string{"sealed_credentials"}},
		{name: "idempotency_keys", key: []string{"org_id", "key"}, columns: []string{"body"},
			owners: func(key []string) []string {
				k := AnswerKey{OrgID: key[0], Key: key[1]}
				return []string{k.SealedForCall(), k.SealedForPage()}
			}},
		{name: "canaries", key: []string{"name"}, owner: "name", columns: []string{"value"},
			where: "name = '" + KeysetCanary + "'"},
	}
}

// KeysetCanary is the name of the canary that is sealed, with its name as associated data.
const KeysetCanary = "keyset"

// SealedForCall returns the associated data of the response to an API call.
func (k AnswerKey) SealedForCall() string { return "idempotency " + k.OrgID + " " + k.Key }

// SealedForPage returns the associated data of what a page of the dashboard keeps.
func (k AnswerKey) SealedForPage() string { return k.Key + " " + k.OrgID }

// SealedWith is how many values of a column a key has sealed.
type SealedWith struct {
	Table, Column string
	Prefix        []byte // of the sealed data: it identifies the key
	Count         int
}

// prefixLength is the length of the start of sealed data that identifies its key.
const prefixLength = "5"

// SealedWith returns how many values each key has sealed, of any organizations, in the order of the
// columns and keys. It opens nothing, and reads all sealed columns in short statements.
func (s *Store) SealedWith(ctx context.Context) ([]SealedWith, error) {
	var sums []SealedWith
	for _, t := range sealedTables() {
		counts := make([]map[string]int, len(t.columns))
		for i := range counts {
			counts[i] = map[string]int{}
		}
		for after := []string(nil); ; {
			last, err := s.countSealed(ctx, t, after, counts)
			if err != nil {
				return nil, translate(err, "", "")
			}
			if after = last; after == nil {
				break
			}
		}
		for i, column := range t.columns {
			for _, prefix := range slices.Sorted(maps.Keys(counts[i])) {
				sums = append(sums, SealedWith{Table: t.name, Column: column,
					Prefix: []byte(prefix), Count: counts[i][prefix]})
			}
		}
	}
	return sums, nil
}

// countSealed counts the values of each column by their prefix, in the next rows of a table. It
// returns the key of the last row, and nil after the end of the table. A table of copies has
// several rows with one key. It is small, and is counted at once.
func (s *Store) countSealed(
	ctx context.Context, t sealedTable, after []string, counts []map[string]int,
) (last []string, err error) {
	limit := pagedRows
	if t.isCopy() {
		limit = 0
	}
	prefixes := make([]string, len(t.columns))
	for i, column := range t.columns {
		prefixes[i] = `substr(` + column + `, 1, ` + prefixLength + `)`
	}
	sql, args := t.page(strings.Join(prefixes, ", "), after, limit)
	rows, _ := s.pool.Query(ctx, sql, args...)
	into := make([]any, 1+len(t.columns))
	values := make([][]byte, len(t.columns))
	into[0] = &last
	for i := range values {
		into[1+i] = &values[i]
	}
	n := 0
	_, err = pgx.ForEachRow(rows, into, func() error {
		n++
		for i, prefix := range values {
			if len(prefix) > 0 {
				counts[i][string(prefix)]++
			}
		}
		return nil
	})
	if n < limit || limit == 0 {
		last = nil
	}
	return last, err
}

// isCopy reports whether the table contains the copies of another one.
func (t sealedTable) isCopy() bool { return t.owner == "" && t.owners == nil }

// page returns a statement that selects the key, as an array, and the expressions in the rows after
// the one with the given key, in the order of the keys. With nil, it starts with the first row.
// Without a limit, it selects all. Arguments of the expressions come first.
func (t sealedTable) page(
	expressions string, after []string, limit int, args ...any,
) (string, []any) {
	where, key := "true", strings.Join(t.key, ", ")
	if t.where != "" {
		where = t.where
	}
	if after != nil {
		var places []string
		for _, part := range after {
			args = append(args, part)
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		where += " AND (" + key + ") > (" + strings.Join(places, ", ") + ")"
	}
	sql := `SELECT ARRAY[` + key + `], ` + expressions + ` FROM ` + t.name + ` WHERE ` + where +
		` ORDER BY ` + key
	if limit > 0 {
		sql += fmt.Sprintf(" LIMIT %d", limit)
	}
	return sql, args
}
