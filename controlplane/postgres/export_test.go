package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ExplainDomains returns the plan of the statement behind ListDomains.
func (s *Store) ExplainDomains(ctx context.Context, orgID string, f DomainFilter) (string, error) {
	sql, args, err := f.query(orgID)
	if err != nil {
		return "", err
	}
	rows, err := s.db.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}
