package postgres

import (
	"context"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// inUnicode returns the IDs of an organization's rows of a table whose names contain a text in
// Unicode, in the form of rules.UnicodeName. Names are stored in A-labels, which Postgres can't
// convert, and the A-label of a part of a label is not a part of the label's A-label.
func (q queries) inUnicode(ctx context.Context, table, orgID, text string) ([]string, error) {
	rows, err := q.db.Query(ctx, `SELECT id, name FROM `+table+`
		WHERE org_id = $1 AND position('xn--' in name) > 0`, orgID)
	if err != nil {
		return nil, translate(err, "", "")
	}
	ids := []string{}
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		if strings.Contains(rules.UnicodeName(name), text) {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, translate(err, "", "")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
