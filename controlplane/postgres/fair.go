package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// turnScan is how many organizations of a queue are looked at for one batch. Those beyond
// are looked at for the next ones, so that many that only wait cost a batch little.
const turnScan = 500

// Lane is a queue's part of a batch.
type Lane struct {
	Queue controlplane.Queue
	Room  int    // how many jobs it takes at most
	After string // the organization whose turn was last; DispatchDue moves it on

	HeldBack []string // organizations that get less, however much room there is
	Few      int      // how many jobs each of those gets at most
}

// turns says how many jobs of which organization a batch takes.
type turns struct {
	queues []string
	orgs   []string
	shares []int
}

// turns finds whose jobs are next. Where all that is due has room nobody holds anybody up.
// Else the organizations take turns, from the one that follows the last: the cost grows with
// the room and with turnScan, and not with how much of anybody's is due.
func (t *Tx) turns(ctx context.Context, now time.Time, lanes []Lane) (turns, error) {
	var next turns
	if err := t.goByIndex(ctx); err != nil {
		return next, err
	}
	due, err := t.dueWithin(ctx, now, lanes)
	if err != nil {
		return next, err
	}
	for i := range lanes {
		l, sample := &lanes[i], due[i]
		if sample.jobs <= l.Room {
			for _, org := range sample.orgs {
				next.add(l, org, sample.jobs)
			}
			continue
		}
		orgs, err := t.turn(ctx, now, l, sample.orgs)
		if err != nil {
			return next, err
		}
		for n, org := range orgs { // where it does not come out even the first ones get one more
			next.add(l, org, (l.Room+len(orgs)-1-n)/len(orgs))
		}
	}
	return next, nil
}

func (t *turns) add(l *Lane, org string, share int) {
	if slices.Contains(l.HeldBack, org) {
		share = min(share, l.Few)
	}
	if share > 0 {
		t.queues, t.orgs, t.shares = append(t.queues, string(l.Queue)), append(t.orgs, org), append(t.shares, share)
	}
}

// goByIndex keeps the transaction from plans that were made while the table was empty and
// that read all of it once there are many jobs.
func (t *Tx) goByIndex(ctx context.Context) error {
	_, err := t.db.Exec(ctx, `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`)
	return err
}

// turn returns the organizations whose turn it is in a lane that has no room for all that is
// due, and moves the lane on. Where none of those looked at has anything due it is the turn
// of those that wait longest.
func (t *Tx) turn(ctx context.Context, now time.Time, l *Lane, longest []string) ([]string, error) {
	due, whole, last, err := t.dueOrganizations(ctx, *l, now)
	switch {
	case err != nil:
		return nil, err
	case len(due) == 0:
		due = longest[:min(len(longest), l.Room)]
	case len(due) >= l.Room:
		due = due[:l.Room]
		last = due[l.Room-1]
	case whole:
		last = due[(l.Room-1)%len(due)] // the last that gets one more
	}
	l.After = last
	return due, nil
}

// dueSample is what was found due in a lane.
type dueSample struct {
	jobs int // one more than the room where there is none for all
	orgs []string
}

// dueWithin looks at each lane's oldest jobs that are due, at one more than it has room for.
func (t *Tx) dueWithin(ctx context.Context, now time.Time, lanes []Lane) ([]dueSample, error) {
	queues, rooms := make([]string, len(lanes)), make([]int, len(lanes))
	for i, l := range lanes {
		queues[i], rooms[i] = string(l.Queue), l.Room
	}
	rows, err := t.db.Query(ctx, dueWithinSQL, now, queues, rooms)
	if err != nil {
		return nil, err
	}
	found := make([]dueSample, len(lanes))
	var lane int
	var sample dueSample
	_, err = pgx.ForEachRow(rows, []any{&lane, &sample.jobs, &sample.orgs}, func() error {
		found[lane-1], sample = sample, dueSample{}
		return nil
	})
	return found, err
}

const dueWithinSQL = `
	SELECT l.n, count(*), array_agg(DISTINCT due.org_id)
	FROM unnest($2::text[], $3::int[]) WITH ORDINALITY AS l (queue, room, n)
	CROSS JOIN LATERAL (
		SELECT j.org_id FROM jobs j
		WHERE j.queue = l.queue AND j.status = 'queued' AND j.dispatched_at IS NULL AND j.generation > 0 AND j.run_at <= $1
		ORDER BY j.run_at LIMIT l.room + 1
	) due
	GROUP BY l.n`

// dueOrganizations returns the organizations that have something due in a queue, from the
// one that follows the lane's last on, and from the beginning again. It looks at turnScan at
// most; whole says that these were all, and last is the one looked at last.
func (t *Tx) dueOrganizations(ctx context.Context, l Lane, now time.Time) (due []string, whole bool, last string, err error) {
	looked := 0
	scan := func(after string, until *string) error {
		rows, err := t.db.Query(ctx, dueOrganizationsSQL, l.Queue, now, after, until, turnScan-looked)
		if err != nil {
			return err
		}
		var org string
		var is bool
		_, err = pgx.ForEachRow(rows, []any{&org, &is}, func() error {
			looked++
			if last = org; is {
				due = append(due, org)
			}
			return nil
		})
		return err
	}
	if err = scan(l.After, nil); err == nil && looked < turnScan && l.After != "" {
		err = scan("", &l.After)
	}
	return due, looked < turnScan, last, err
}

// dueOrganizationsSQL goes from organization to organization by one step down the index
// each, over however many jobs of theirs.
const dueOrganizationsSQL = `
	WITH RECURSIVE turn AS (
		SELECT $3::text AS org_id, 0 AS n
		UNION ALL
		SELECT (
			SELECT j.org_id FROM jobs j
			WHERE j.queue = $1 AND j.status = 'queued' AND j.dispatched_at IS NULL AND j.org_id > turn.org_id
			ORDER BY j.org_id LIMIT 1
		), n + 1
		FROM turn WHERE turn.org_id <= coalesce($4, turn.org_id) AND n < $5
	)
	SELECT org_id, EXISTS (
		SELECT FROM jobs j
		WHERE j.queue = $1 AND j.org_id = turn.org_id AND j.status = 'queued' AND j.dispatched_at IS NULL AND j.run_at <= $2
	)
	FROM turn WHERE n > 0 AND org_id <= coalesce($4, org_id) ORDER BY n`
