package postgres

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// delegationsInUnicode returns the IDs of the organization's delegations whose names contain a text
// in Unicode, in the form of rules.UnicodeName, and whether these are all of them. Names are stored
// in A-labels, and the A-label of a part of a label is not a part of the label's A-label. So an
// index has the characters of international names. A name with all of those of a text contains the
// text if it has one or two characters.
func (q queries) delegationsInUnicode(
	ctx context.Context, orgID, text string,
) (ids []string, whole bool, err error) {
	sql, args := selectInUnicode(orgID, text)
	rows, err := q.db.Query(ctx, sql, pgx.QueryExecModeCacheDescribe, args)
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
	return ids, !isPair(text) || len(ids) <= fewNames, translate(err, "", "")
}

func selectInUnicode(orgID, text string) (sql string, args named) {
	sql = `SELECT g.id, g.name FROM delegations g WHERE g.org_id = @org_id AND ` +
		hasUnicodeParts("g.name")
	args = named{"org_id": orgID, "unicode_parts": unicodeParts(text)}
	if isPair(text) {
		args["limit"] = fewNames + 1
		return sql + ` LIMIT @limit`, args
	}
	args["pattern"] = containing(asciiPart(text))
	return sql + ` AND g.name LIKE @pattern`, args
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

// hasUnicodeParts returns the condition that a name has all characters in @unicode_parts. Its first
// part is that of the index.
func hasUnicodeParts(name string) string {
	return name + ` LIKE '%xn--%' AND unicode_parts(` + name + `) @> @unicode_parts::bigint[]`
}

// isPair reports whether a text has at most two characters.
func isPair(text string) bool { return utf8.RuneCountInString(text) <= 2 }

// unicodeParts returns the characters of a text that are not ASCII, and each two adjacent ones of
// which one is not, like the function unicode_parts of the database.
func unicodeParts(text string) []int64 {
	const shift = 21 // bits of a code point
	var parts []int64
	var last rune
	for i, r := range text {
		if r > unicode.MaxASCII {
			parts = append(parts, int64(r))
		}
		if i > 0 && max(last, r) > unicode.MaxASCII {
			parts = append(parts, int64(last)<<shift+int64(r))
		}
		last = r
	}
	return parts
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
