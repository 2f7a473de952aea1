package postgres

import (
	"context"
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

// SealedWith returns how many values each key has sealed, of any organizations. It opens nothing,
// and reads all sealed columns.
func (s *Store) SealedWith(ctx context.Context) ([]SealedWith, error) {
	var parts []string
	for _, t := range sealedTables() {
		for _, column := range t.columns {
			where := column + " <> ''"
			if t.where != "" {
				where += " AND " + t.where
			}
			parts = append(parts, `SELECT '`+t.name+`', '`+column+`', substr(`+column+`, 1, `+prefixLength+
				`), count(*) FROM `+t.name+` WHERE `+where+` GROUP BY 3`)
		}
	}
	return all(WithLimit(ctx, LongLimit), s.queries,
		func(row pgx.CollectableRow) (x SealedWith, err error) {
			err = row.Scan(&x.Table, &x.Column, &x.Prefix, &x.Count)
			return x, err
		}, strings.Join(parts, ` UNION ALL `)+` ORDER BY 1, 2, 3`)
}
