package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// SetLeaseTime changes how long leases are valid.
func (s *Store) SetLeaseTime(d time.Duration) { s.leaseTime = d }

// ExplainDomains returns the plan of the statement behind ListDomains.
func (s *Store) ExplainDomains(ctx context.Context, orgID string, f DomainFilter) (string, error) {
	l, _, err := f.list(orgID)
	if err != nil {
		return "", err
	}
	return s.explain(ctx, l)
}

// ExplainPart returns the plan of the statement that finds a part of a name.
func (s *Store) ExplainPart(ctx context.Context, orgID, text string) (string, error) {
	find := selectNamed
	if !isASCII(text) {
		find = selectInUnicode
	}
	sql, args := find(orgID, text)
	return explain(ctx, s.db, sql, pgx.QueryExecModeCacheDescribe, args)
}

// UnicodeParts returns the characters of a text in the index of international names.
func UnicodeParts(text string) []int64 { return unicodeParts(text) }

// ExplainJobs returns the plan of the statement behind ListJobs.
func (s *Store) ExplainJobs(ctx context.Context, orgID string, f JobFilter) (string, error) {
	return s.explain(ctx, f.list(orgID))
}

// ExplainReissues returns the plan of the statement behind QueueReissues, which takes effect for no
// domain, because it is rolled back.
func (s *Store) ExplainReissues(
	ctx context.Context, now, again time.Time, limit int,
) (plan string, err error) {
	return s.explainUndone(ctx, queueReissues, reissueArgs(now, again, limit))
}

// ExplainDueLogs returns the plan with which RemoveOldLog finds the organizations to visit.
func (s *Store) ExplainDueLogs(ctx context.Context, now time.Time) (string, error) {
	return explain(ctx, s.db, dueLogs, named{"now": now, "limit": retainOrganizations})
}

// ExplainClaim returns the plan of ClaimJob, which it rolls back.
func (s *Store) ExplainClaim(
	ctx context.Context, id string, generation int,
) (plan string, err error) {
	return s.explainUndone(ctx, claimJob, named{"job": id, "generation": generation, "worker": "w",
		"lease": time.Minute, "now": time.Now()})
}

// ExplainRenewals returns the plan of QueueRenewals, which it rolls back.
func (s *Store) ExplainRenewals(
	ctx context.Context, now time.Time, limit int,
) (plan string, err error) {
	ids := make([]string, limit)
	for i := range ids {
		ids[i] = controlplane.NewID(controlplane.PrefixJob)
	}
	return s.explainUndone(ctx, queueRenewals, now, limit, ids, time.Minute,
		controlplane.JobRenewal.Slot())
}

// ExplainSpill returns the plan of the statement with which CheckWritable writes a temporary file.
func (s *Store) ExplainSpill(ctx context.Context) (plan string, err error) {
	err = s.InTx(ctx, func(t *Tx) error {
		if _, err := t.db.Exec(ctx, lessMemory); err != nil {
			return err
		}
		plan, err = explain(ctx, t.db, spillSQL)
		return err
	})
	return plan, err
}

// ExplainDueRemovals returns the plan of DueRemovals.
func (s *Store) ExplainDueRemovals(
	ctx context.Context, orgID string, now time.Time,
) (plan string, err error) {
	return explain(ctx, s.db, dueRemovals, orgID, now, dueRows)
}

func (s *Store) explainUndone(
	ctx context.Context, sql string, args ...any,
) (plan string, err error) {
	err = s.InTx(ctx, func(t *Tx) error {
		plan, err = explain(ctx, t.db, sql, args...)
		return errors.Join(err, errExplained)
	})
	if plan != "" && errors.Is(err, errExplained) {
		return plan, nil
	}
	return plan, err
}

func (s *Store) explain(ctx context.Context, l *list) (string, error) {
	sql, args := l.statement()
	return explain(ctx, s.db, sql, args)
}

func explain(ctx context.Context, db db, sql string, args ...any) (string, error) {
	rows, err := db.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}

// PlanDispatch plans the statements behind DispatchDue on a separate connection. The returned
// function executes them with these plans, as for lanes that have more due than room, rolls back,
// and returns the plans.
func (s *Store) PlanDispatch(
	ctx context.Context, t *testing.T,
) func(now time.Time, lanes []Lane) (string, error) {
	t.Helper()
	conn, err := s.lazy.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	for name, sql := range map[string]string{"due_within": dueWithinSQL,
		"due_organizations": dueOrganizationsSQL, "dispatch": dispatchSQL} {
		if _, err := conn.Conn().Prepare(ctx, name, sql); err != nil {
			t.Fatal(err)
		}
	}
	explain := func(now time.Time, lanes []Lane) (string, error) {
		var out []string
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{BeginQuery: beginByIndex},
			func(tx pgx.Tx) error {
				next, err := (&Tx{queries: queries{tx}}).turns(ctx, now, lanes)
				if err != nil {
					return err
				}
				explain := func(call string, args ...any) error {
					// EXECUTE takes no parameters, so they are interpolated into the text.
					rows, err := tx.Query(ctx,
						"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) EXECUTE "+call,
						append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
					if err != nil {
						return err
					}
					lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
					out = append(out, lines...)
					return err
				}
				for _, l := range lanes {
					if err := explain("due_within($1, $2, $3)", now, []string{string(l.Queue)},
						[]int{l.Room}); err != nil {
						return err
					}
					if err := explain("due_organizations($1, $2, $3, NULL, $4)", string(l.Queue),
						now, "", turnScan); err != nil {
						return err
					}
				}
				if err := explain("dispatch($1, $2, $3, $4)", now, next.queues, next.orgs,
					next.shares); err != nil {
					return err
				}
				return errExplained
			})
		if !errors.Is(err, errExplained) {
			return "", err
		}
		return strings.Join(out, "\n"), nil
	}
	if _, err := explain(time.Now(), []Lane{{Queue: "bulk", Room: 1}}); err != nil {
		t.Fatal(err)
	}
	return explain
}

var errExplained = errors.New("rolled back on purpose")

// DecodeDirectly configures a connection like those of the store.
var DecodeDirectly = decodeDirectly

// Settings are those of a connection, and how many prepared statements on it list certificates.
type Settings struct {
	Jit, Workers string
	Prepared     int
}

// Settings returns those of the transaction's connection.
func (t *Tx) Settings(ctx context.Context) (s Settings, err error) {
	err = t.db.QueryRow(ctx, `SELECT current_setting('jit'), current_setting('max_parallel_workers_per_gather'),
		(SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM ' || 'certificates c WHERE%')`).
		Scan(&s.Jit, &s.Workers, &s.Prepared)
	return s, err
}

// SealedColumns returns the columns with sealed data, as table.column.
func SealedColumns() []string {
	var out []string
	for _, t := range sealedTables() {
		for _, column := range t.columns {
			out = append(out, t.name+"."+column)
		}
	}
	return out
}

// TablesWithRights returns the tables whose rights are listed.
func TablesWithRights() []string {
	var out []string
	for _, r := range tableRights() {
		out = append(out, r.table)
	}
	return out
}
