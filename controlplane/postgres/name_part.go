package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// byPart is how a list is filtered by a part of the names of delegations.
type byPart struct {
	delegations string // condition on the IDs @delegation_ids
	contains    string // the same for the text @part
	unicode     string // the same for one or two characters in Unicode, @unicode_parts
}

// fewNames is how many delegations a part of their names may select for the rows of a list to be
// found by them. Beyond it, the list is read in its order, and its first page is found soon.
const fewNames = 1000

// wherePart limits a list to the rows with a text in a name, in A-labels or Unicode. The "*." of a
// wildcard is ignored, because it has the delegation of its base name.
func (q queries) wherePart(
	ctx context.Context, l *list, orgID, text string, by byPart,
) error {
	text = strings.TrimPrefix(strings.ToLower(text), "*.")
	if !isASCII(text) {
		text = rules.UnicodeName(text) // ASCII for text such as full-width letters
	}
	if text == "" {
		return nil
	}
	find, contains, args := q.delegationsNamed, by.contains, named{"part": text}
	if !isASCII(text) {
		find, contains, args = q.delegationsInUnicode, by.unicode,
			named{"unicode_parts": unicodeParts(text)}
	}
	ids, whole, err := find(ctx, orgID, text)
	if err != nil {
		return err
	}
	l.where(whole, by.delegations, named{"delegation_ids": ids})
	l.where(!whole, contains, args)
	return nil
}

// delegationsNamed returns the IDs of the organization's delegations with a text in their names,
// and whether these are all of them: at most fewNames. The statement is planned with the text,
// which decides between the index of parts of names and a scan that soon finds enough.
func (q queries) delegationsNamed(
	ctx context.Context, orgID, text string,
) (ids []string, whole bool, err error) {
	if strings.ContainsFunc(text, neverInName) {
		return []string{}, true, nil
	}
	sql, args := selectNamed(orgID, text)
	ids, err = all(ctx, q, pgx.RowTo[string], sql, pgx.QueryExecModeCacheDescribe, args)
	return ids, len(ids) <= fewNames, err
}

// neverInName reports whether a character of a search is in no stored name.
func neverInName(r rune) bool { return !strings.ContainsRune(".-_", r) && !isAlphanumeric(r) }

func isAlphanumeric(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }

// selectNamed returns the statement that finds a text in names. The index has three characters at a
// time, of which those before and after a word are blank. So two characters are found together with
// each possible neighbor: the next one, or the previous one if a word ends within them.
func selectNamed(orgID, text string) (sql string, args named) {
	const found = `SELECT g.id FROM delegations g WHERE g.org_id = @org_id AND `
	args = named{"org_id": orgID, "pattern": containing(text), "limit": fewNames + 1}
	quoted := strings.ReplaceAll(text, ".", "[.]")
	switch {
	case len(text) != 2 || !isAlphanumeric(rune(text[0])) && !isAlphanumeric(rune(text[1])):
		return found + `g.name LIKE @pattern LIMIT @limit`, args
	case isAlphanumeric(rune(text[1])):
		args["inside"], args["pattern"] = quoted+neighbor, "%"+text
	default:
		args["inside"], args["pattern"] = neighbor+quoted, text+"%"
	}
	return found + `(g.name ~ @inside OR g.name LIKE @pattern) LIMIT @limit`, args
}

// neighbor matches each character of a stored name.
const neighbor = `[a-z0-9._-]`

// likeLiteral escapes a text for a LIKE pattern.
var likeLiteral = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// containing returns a LIKE pattern for names that contain a text.
func containing(text string) string { return "%" + likeLiteral.Replace(text) + "%" }
