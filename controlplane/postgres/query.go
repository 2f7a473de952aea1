package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// one returns the row of a query. It returns KindNotFound, with noun and id, if the query is empty.
func one[T any](
	ctx context.Context, q queries, scan pgx.RowToFunc[T], noun, id, sql string, args ...any,
) (*T, error) {
	rows, _ := q.db.Query(ctx, sql, args...) // the rows report its error, too
	v, err := pgx.CollectExactlyOneRow(rows, scan)
	if err != nil {
		return nil, translate(err, noun, id)
	}
	return &v, nil
}

// all returns the rows of a query.
func all[T any](
	ctx context.Context, q queries, scan pgx.RowToFunc[T], sql string, args ...any,
) ([]T, error) {
	rows, _ := q.db.Query(ctx, sql, args...) // the rows report its error, too
	items, err := pgx.CollectRows(rows, scan)
	return items, translate(err, "", "")
}
