package postgres

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cursor is a position in a list: the sort key's value as text, and the ID that breaks ties.
type Cursor struct {
	Key string
	ID  string
}

const timeKey = "2006-01-02T15:04:05.000000Z"

// at returns the position of a row in a list that is sorted by time.
func at(t time.Time, id string) *Cursor {
	return &Cursor{Key: t.UTC().Format(timeKey), ID: id}
}

// list is a SELECT whose rows meet all of its conditions. It is sorted and read page by page.
type list struct {
	sql   string // SELECT … FROM …
	conds []string
	args  named
	order string
	limit int
}

// newList returns a list of the rows of sql, SELECT … FROM …, that meet cond, which is the
// condition of the tenant.
func newList(sql, cond string, args named) *list {
	return &list{sql: sql, conds: []string{cond}, args: args}
}

// where adds a condition and the arguments that it names, if wanted.
func (l *list) where(wanted bool, cond string, args named) {
	if wanted {
		l.conds = append(l.conds, cond)
		maps.Copy(l.args, args)
	}
}

// sortKey is the expression that a list is sorted by, the column that breaks ties, and the type of
// the expression.
type sortKey struct{ key, id, cast string }

// newest sorts the list by a time, newest first, and starts it after the cursor, if any.
func (l *list) newest(key, id string, after *Cursor, limit int) {
	l.sorted(sortKey{key, id, "timestamptz"}, true, after, limit)
}

// sorted sorts the list and starts it after the cursor, if any. The list has one row more than
// limit, which tells whether another page follows.
func (l *list) sorted(s sortKey, descending bool, after *Cursor, limit int) {
	direction, beyond := "ASC", ">"
	if descending {
		direction, beyond = "DESC", "<"
	}
	if after != nil {
		l.where(true, fmt.Sprintf("(%s, %s) %s (@after_key::text::%s, @after_id::text)", s.key,
			s.id, beyond, s.cast),
			named{"after_key": after.Key, "after_id": after.ID})
	}
	l.order, l.limit = fmt.Sprintf("%s %s, %s %s", s.key, direction, s.id, direction), limit
}

// statement returns the statement that reads the list's first page.
func (l *list) statement() (string, named) {
	return l.sql + ` WHERE ` + strings.Join(l.conds, " AND ") + ` ORDER BY ` + l.order +
			` LIMIT @limit`,
		merge(l.args, named{"limit": l.limit + 1})
}

// unsorted returns the statement that reads the first page of the list in any order.
func (l *list) unsorted() (string, named) {
	return l.sql + ` WHERE ` + strings.Join(l.conds, " AND ") + ` LIMIT @limit`,
		merge(l.args, named{"limit": l.limit + 1})
}

// readPage reads the list's first page. It returns the cursor of the next page, nil on the last.
//
// The statement is planned for its arguments each time. A plan for any arguments supposes that all
// organizations are of the same size, and that each value of a filter is as frequent as any other.
func readPage[T any](
	ctx context.Context, q queries, l *list, scan pgx.RowToFunc[T], position func(T) *Cursor,
) ([]T, *Cursor, error) {
	sql, args := l.statement()
	items, err := all(ctx, q, scan, sql, pgx.QueryExecModeCacheDescribe, args)
	if err != nil {
		return nil, nil, err
	}
	if len(items) <= l.limit {
		return items, nil, nil
	}
	items = items[:l.limit]
	return items, position(items[l.limit-1]), nil
}
