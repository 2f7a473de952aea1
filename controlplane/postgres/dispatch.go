package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// DispatchDue selects jobs that are due at now, as many as the lanes have room for, passes them to
// enqueue, and marks them as dispatched, in one transaction. If enqueue fails, nothing is marked.
// If the process dies before the commit, the jobs are enqueued again under the same task IDs. In
// each lane the organizations take turns, each with its oldest jobs first, and enqueue gets the
// jobs in that order. It returns how many it dispatched. Any number of replicas may call it at the
// same time.
func (s *Store) DispatchDue(
	ctx context.Context, now time.Time, lanes []Lane, enqueue func([]controlplane.Job) error,
) (int, error) {
	n := 0
	err := pgx.BeginTxFunc(ctx, s.lazy, pgx.TxOptions{BeginQuery: beginByIndex},
		func(tx pgx.Tx) error {
			t := &Tx{queries: queries{tx}}
			next, err := t.turns(ctx, now, lanes)
			if err != nil {
				return err
			}
			jobs, err := t.dispatch(ctx, now, next)
			if err != nil {
				return err
			}
			next.tellNext(lanes, jobs, now)
			if n = len(jobs); n == 0 {
				return nil
			}
			return enqueue(jobs)
		})
	return n, translate(err, "", "")
}

// dispatch marks the jobs of the given turns and returns them in the order of the turns.
func (t *Tx) dispatch(ctx context.Context, now time.Time, next turns) ([]controlplane.Job, error) {
	if len(next.orgs) == 0 {
		return nil, nil
	}
	rows, err := t.db.Query(ctx, dispatchSQL, now, next.queues, next.orgs, next.shares)
	if err != nil {
		return nil, err
	}
	jobs, err := pgx.CollectRows(rows, scanJob)
	return next.inOrder(jobs), err
}

// dispatchSQL identifies the jobs by their physical location: by their ID, a plan could read all of
// another index. A job that another transaction has updated since the statement started is left for
// the next batch.
const dispatchSQL = `
	UPDATE jobs j SET dispatched_at = now()
	WHERE j.ctid = ANY(ARRAY(
		SELECT due.place FROM unnest($2::text[], $3::text[], $4::int[]) AS turn (queue, org_id, share)
		CROSS JOIN LATERAL (
			SELECT j.ctid AS place FROM jobs j
			WHERE j.queue = turn.queue AND j.org_id = turn.org_id AND j.status = 'queued' AND j.dispatched_at IS NULL AND j.run_at <= $1
			ORDER BY j.run_at LIMIT turn.share FOR UPDATE SKIP LOCKED
		) due
	))
	RETURNING ` + jobColumns

// RequeueLost requeues up to limit running jobs whose lease expired: their worker was killed or
// lost the network. It returns how many.
func (s *Store) RequeueLost(ctx context.Context, now time.Time, limit int) (int, error) {
	tag, err := s.db.Exec(ctx, `
		UPDATE jobs j SET status = 'queued', reason = 'worker-lost', generation = generation + 1, dispatched_at = NULL,
			claimed_by = '', claimed_until = NULL, run_at = $1, updated_at = $1
		FROM (
			SELECT id FROM jobs WHERE status = 'running' AND claimed_until < now()
			ORDER BY claimed_until LIMIT $2 FOR UPDATE SKIP LOCKED
		) lost
		WHERE j.id = lost.id`, now, limit)
	return int(tag.RowsAffected()), translate(err, "", "")
}

// Dispatched returns jobs that were dispatched more than age ago and after the given time, and are
// due and not running, in the order of dispatch. The reconciler checks for each whether the queue
// still has it.
func (s *Store) Dispatched(
	ctx context.Context, now time.Time, age time.Duration, beyond time.Time, limit int,
) ([]controlplane.Job, error) {
	return all(ctx, s.queries, scanJob, `SELECT `+jobColumns+` FROM jobs j
		WHERE j.status = 'queued' AND j.dispatched_at IS NOT NULL AND j.dispatched_at > $3 AND j.dispatched_at < now() - $2::interval AND j.run_at < $1::timestamptz - $2::interval
		ORDER BY j.dispatched_at LIMIT $4`, now, age, beyond, limit)
}

// Redispatch makes queued jobs due for dispatch again under a new generation: the queue lost their
// tasks. It skips a job whose generation differs from the given one, and one that is locked. It
// returns how many it changed.
func (s *Store) Redispatch(ctx context.Context, jobs []controlplane.Job) (int, error) {
	ids, generations := make([]string, len(jobs)), make([]int, len(jobs))
	for i, j := range jobs {
		ids[i], generations[i] = j.ID, j.Generation
	}
	tag, err := s.db.Exec(ctx, `
		UPDATE jobs j SET generation = j.generation + 1, dispatched_at = NULL
		FROM (
			SELECT id FROM jobs JOIN unnest($1::text[], $2::int[]) AS lost (id, generation) USING (id, generation)
			WHERE status = 'queued' ORDER BY id FOR NO KEY UPDATE OF jobs SKIP LOCKED
		) lost
		WHERE j.id = lost.id`, ids, generations)
	return int(tag.RowsAffected()), translate(err, "", "")
}

// RedispatchAll makes every dispatched job that is not running due for dispatch again: the queue
// lost everything. It returns how many.
func (s *Store) RedispatchAll(ctx context.Context) (int, error) {
	tag, err := s.db.Exec(WithLimit(ctx, LongLimit), `
		UPDATE jobs j SET generation = generation + 1, dispatched_at = NULL
		FROM (
			SELECT id FROM jobs WHERE status = 'queued' AND dispatched_at IS NOT NULL ORDER BY id FOR NO KEY UPDATE
		) lost
		WHERE j.id = lost.id`)
	return int(tag.RowsAffected()), translate(err, "", "")
}

// Depth describes the jobs of all organizations that are not finished.
type Depth struct {
	Due     int // queued and due
	Running int
	// how long the job that has been due for longest has waited for its dispatch; 0 without one
	Lag  time.Duration
	Held map[string]int // queued, by reason: one of controlplane.HeldReasons
}

// QueueDepth returns how many jobs are queued and due at now, running, or held, and how late the
// relay is.
func (s *Store) QueueDepth(ctx context.Context, now time.Time) (Depth, error) {
	rows, err := s.db.Query(ctx, `
		SELECT CASE WHEN status = 'queued' AND reason = ANY(@held) THEN reason ELSE '' END AS held, count(*),
			count(*) FILTER (WHERE status = 'queued' AND run_at <= @now), count(*) FILTER (WHERE status = 'running'),
			min(run_at) FILTER (WHERE status = 'queued' AND dispatched_at IS NULL AND run_at <= @now)
		FROM jobs WHERE status IN ('queued', 'running') GROUP BY held`,
		named{"now": now, "held": controlplane.HeldReasons()})
	if err != nil {
		return Depth{}, translate(err, "", "")
	}
	d := Depth{Held: map[string]int{}}
	var reason string
	var all, due, running int
	var oldest *time.Time
	_, err = pgx.ForEachRow(rows, []any{&reason, &all, &due, &running, &oldest}, func() error {
		if reason != "" {
			d.Held[reason] = all
		}
		d.Due += due
		d.Running += running
		if oldest != nil {
			d.Lag = max(d.Lag, now.Sub(*oldest))
		}
		return nil
	})
	return d, translate(err, "", "")
}
