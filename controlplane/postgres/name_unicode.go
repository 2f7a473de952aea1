package postgres

import (
	"context"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// delegationsInUnicode returns the IDs of all of the organization's delegations whose names contain
// a text in Unicode, in the form of rules.UnicodeName. Names are stored in A-labels, which Postgres
// can't convert, and the A-label of a part of a label is not a part of the label's A-label. So it
// reads the international names that have the same ASCII characters.
func (q queries) delegationsInUnicode(
	ctx context.Context, orgID, text string,
) (ids []string, whole bool, err error) {
	rows, err := q.db.Query(ctx, `SELECT id, name FROM delegations
		WHERE org_id = @org_id AND name LIKE '%xn--%' AND name LIKE @pattern`,
		pgx.QueryExecModeCacheDescribe,
		named{"org_id": orgID, "pattern": containing(asciiPart(text))})
	if err != nil {
		return nil, false, translate(err, "", "")
	}
	ids = []string{}
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		if strings.Contains(rules.UnicodeName(name), text) {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, true, translate(err, "", "")
}

// asciiPart returns the longest text that the A-labels of every name with a text in Unicode
// contain: an A-label starts with the ASCII characters of its label, in their order
// (RFC 3492 §3.1).
func asciiPart(text string) string {
	longest := ""
	for part := range strings.SplitSeq(text, ".") {
		ascii := strings.Map(func(r rune) rune {
			if r > unicode.MaxASCII {
				return -1
			}
			return r
		}, part)
		if len(ascii) > len(longest) {
			longest = ascii
		}
	}
	return longest
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
