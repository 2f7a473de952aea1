package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// budgetSpan is the precision to which the time of an order is kept. It bounds the number of rows
// of an organization, regardless of how much it orders.
const budgetSpan = 5 * time.Minute

// SpendOrder counts an order against its organization's budget, unless at now the budget's most
// orders are used up by the orders that count and the orders that earlier jobs wait for. It returns
// the time at which the order no longer counts, or false and the time at which to retry the job.
// Calls for one organization run one at a time, so that no two spend the last order of the budget.
func (s *Store) SpendOrder(
	ctx context.Context, j *controlplane.Job, most int, now time.Time,
) (ok bool, until time.Time, err error) {
	// one transaction: the second statement sees what others spent before the first got the lock
	b := &pgx.Batch{}
	b.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('dcvaas-order-budget:' || $1, 0))`,
		j.OrgID)
	b.Queue(spendOrder, named{"org_id": j.OrgID, "now": now, "job_created_at": j.CreatedAt,
		"job_id": j.ID,
		"until":  now.Add(controlplane.BudgetPeriod + budgetSpan).Truncate(budgetSpan),
		"most":   most})
	results := s.lazy.SendBatch(ctx, b)
	_, lock := results.Exec()
	err = errors.Join(lock, results.QueryRow().Scan(&until))
	if closing := results.Close(); err == nil {
		err = closing
	}
	switch {
	case err == nil:
		return true, until, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return false, until, translate(err, "organization", j.OrgID)
	}
	until, err = s.nextInBudget(ctx, j, most, now)
	return false, until, err
}

const (
	spendOrder = `
		INSERT INTO order_budget AS b (org_id, until, orders, founder_id)
		SELECT id, @until, 1, founder_id FROM organizations
		WHERE id = @org_id AND (SELECT coalesce(sum(orders), 0) FROM order_budget WHERE org_id = @org_id AND until > @now)
			+ ` + aheadInBudget + ` < @most
		ON CONFLICT (org_id, until) DO UPDATE SET orders = b.orders + 1
		RETURNING until`

	// aheadInBudget is the number of jobs that wait for the budget and were created before the
	// given job.
	aheadInBudget = `(SELECT count(*) FROM jobs WHERE org_id = @org_id AND status = 'queued'
			AND reason = '` + controlplane.ReasonOrderBudget + `' AND (created_at, id) < (@job_created_at, @job_id))`
)

// nextInBudget returns when to retry the job: earlier jobs take the orders that become free first.
func (s *Store) nextInBudget(
	ctx context.Context, j *controlplane.Job, most int, now time.Time,
) (time.Time, error) {
	rows, err := s.db.Query(ctx, `SELECT until, orders, `+aheadInBudget+` FROM order_budget
		WHERE org_id = @org_id AND until > @now AND orders > 0 ORDER BY until`,
		named{"org_id": j.OrgID, "now": now, "job_created_at": j.CreatedAt, "job_id": j.ID})
	if err != nil {
		return time.Time{}, translate(err, "", "")
	}
	var spans []span
	free := most
	var one span
	var ahead int
	_, err = pgx.ForEachRow(rows, []any{&one.until, &one.orders, &ahead}, func() error {
		spans = append(spans, one)
		free -= one.orders
		return nil
	})
	if err != nil {
		return time.Time{}, translate(err, "", "")
	}
	return turn(spans, ahead+1-free, now), nil
}

// span is a number of orders that count until the same time.
type span struct {
	until  time.Time
	orders int
}

// turn returns the time at which needed orders of spans no longer count. Earlier jobs take the
// orders that become free at once; these become free again a period later.
func turn(spans []span, needed int, now time.Time) time.Time {
	if len(spans) == 0 || needed <= 0 {
		return now.Add(time.Second) // an order was returned a moment ago
	}
	for later := time.Duration(0); ; later += controlplane.BudgetPeriod {
		for _, s := range spans {
			if needed -= s.orders; needed <= 0 {
				return s.until.Add(later)
			}
		}
	}
}

// UnspendOrder returns an order, which SpendOrder counted until the given time, to the budget.
func (s *Store) UnspendOrder(ctx context.Context, orgID string, until time.Time) error {
	_, err := s.lazy.Exec(ctx,
		`UPDATE order_budget SET orders = orders - 1 WHERE org_id = $1 AND until = $2 AND orders > 0`, orgID, until)
	return translate(err, "", "")
}

// FoundOrganization records the user whose sign-in created an organization. The orders of the
// organizations that this user founded before count in it, unless another one has inherited them.
func (t *Tx) FoundOrganization(ctx context.Context, orgID, userID string, now time.Time) error {
	_, err := t.db.Exec(ctx, `
		WITH founded AS (
			UPDATE organizations SET founder_id = $2 WHERE id = $1
		), before AS (
			UPDATE order_budget SET founder_id = '' WHERE founder_id = $2 AND until > $3 RETURNING until, orders
		)
		INSERT INTO order_budget (org_id, until, orders, founder_id) SELECT $1, until, sum(orders), $2 FROM before GROUP BY until`, orgID, userID, now)
	return translate(err, "organization", orgID)
}

// SweepBudgets removes orders that no longer count at now.
func (s *Store) SweepBudgets(ctx context.Context, now time.Time) error {
	_, err := s.db.Exec(ctx, `DELETE FROM order_budget WHERE until <= $1`, now)
	return translate(err, "", "")
}
