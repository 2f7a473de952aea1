package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

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

// ExplainJobs returns the plan of the statement behind ListJobs.
func (s *Store) ExplainJobs(ctx context.Context, orgID string, f JobFilter) (string, error) {
	sql, args := f.query(orgID)
	rows, err := s.db.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}

// ExplainDispatch returns the plans of the statements behind DispatchDue, where each lane has
// more due than room.
func (s *Store) ExplainDispatch(ctx context.Context, now time.Time, lanes []Lane) (string, error) {
	var out []string
	err := s.InTx(ctx, func(t *Tx) error {
		next, err := t.turns(ctx, now, lanes)
		if err != nil {
			return err
		}
		explain := func(sql string, args ...any) error {
			rows, err := t.db.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			out = append(out, lines...)
			return err
		}
		for _, l := range lanes {
			if err := explain(dueWithinSQL, now, []string{string(l.Queue)}, []int{l.Room}); err != nil {
				return err
			}
			if err := explain(dueOrganizationsSQL, l.Queue, now, "", nil, turnScan); err != nil {
				return err
			}
		}
		if err := explain(dispatchSQL, now, next.queues, next.orgs, next.shares); err != nil {
			return err
		}
		return errExplained
	})
	if !errors.Is(err, errExplained) {
		return "", err
	}
	return strings.Join(out, "\n"), nil
}

var errExplained = errors.New("nothing is kept")

// DecodeDirectly is what the store does to each of its connections.
var DecodeDirectly = decodeDirectly
