package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// turnScan is how many organizations of a queue are inspected for one batch. The others are
// inspected for the next batches, so that many organizations with nothing due cost a batch little.
const turnScan = 500

// Lane is the part of a batch that one queue has.
type Lane struct {
	Queue controlplane.Queue
	Room  int    // maximum number of jobs
	After string // the organization that had the last turn; DispatchDue advances it

	Throttled []string // organizations whose jobs hang: each gets at most Few jobs
	Few       int      // maximum number of jobs for each throttled organization

	// Next is set by DispatchDue to the time at which the next job has to be dispatched: the zero
	// time without such a job, and no later than now if a due job was left.
	Next time.Time
}

// turns holds how many jobs of each organization a batch takes.
type turns struct {
	due    []dueSample // of each lane
	queues []string
	orgs   []string
	shares []int
}

// turns determines which organizations' jobs are next. If there is room for all due jobs, it takes
// all of them. Otherwise the organizations take turns, starting with the one that follows the last.
// The cost grows with the room and with turnScan, and not with the number of due jobs.
func (t *Tx) turns(ctx context.Context, now time.Time, lanes []Lane) (turns, error) {
	var next turns
	var err error
	if next.due, err = t.dueWithin(ctx, now, lanes); err != nil {
		return next, err
	}
	for i := range lanes {
		l, sample := &lanes[i], next.due[i]
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
		for n, org := range orgs { // if the room is not divisible, the first ones get one more
			next.add(l, org, (l.Room+len(orgs)-1-n)/len(orgs))
		}
	}
	return next, nil
}

func (t *turns) add(l *Lane, org string, share int) {
	if slices.Contains(l.Throttled, org) {
		share = min(share, l.Few)
	}
	if share > 0 {
		t.queues, t.orgs, t.shares = append(t.queues, string(l.Queue)), append(t.orgs, org),
			append(t.shares, share)
	}
}

// inOrder returns the jobs of a batch round by round: the oldest of each organization, then the
// next of each.
func (t *turns) inOrder(jobs []controlplane.Job) []controlplane.Job {
	slices.SortFunc(jobs, func(a, b controlplane.Job) int { return a.RunAt.Compare(b.RunAt) })
	turn := make(map[[2]string]int, len(t.orgs))
	for n, org := range t.orgs {
		turn[[2]string{t.queues[n], org}] = n
	}
	of := make([][]controlplane.Job, len(t.orgs))
	for _, j := range jobs {
		n := turn[[2]string{string(j.Queue), j.OrgID}]
		of[n] = append(of[n], j)
	}
	ordered := make([]controlplane.Job, 0, len(jobs))
	for round := 0; len(ordered) < len(jobs); round++ {
		for _, jobs := range of {
			if round < len(jobs) {
				ordered = append(ordered, jobs[round])
			}
		}
	}
	return ordered
}

// tellNext sets each lane's Next, after the given jobs were dispatched.
func (t *turns) tellNext(lanes []Lane, dispatched []controlplane.Job, now time.Time) {
	for i := range lanes {
		left := t.due[i].jobs
		for _, j := range dispatched {
			if j.Queue == lanes[i].Queue {
				left--
			}
		}
		if lanes[i].Next = t.due[i].next; left > 0 {
			lanes[i].Next = now
		}
	}
}

// beginByIndex starts a transaction whose statements are planned once for each connection, and use
// an index regardless of the table's contents at that time: it is empty most of the time, and then
// has many jobs. Each statement that reads jobs orders its rows like the index that it is written
// for, and sorting is disabled. These settings distort the plans' estimated costs, so compilation,
// which depends on them, is off.
const beginByIndex = `BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off;
	SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off`

// turn returns the organizations whose turn it is in a lane that has no room for all due jobs, and
// advances the lane. If no inspected organization has a due job, it returns those in longest, which
// have waited longest.
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

// dueSample describes the due jobs of a lane.
type dueSample struct {
	jobs int // at most one more than the room
	orgs []string
	next time.Time // when the next job becomes due; zero for none
}

// dueWithin inspects each lane's oldest due jobs, up to one more than its room.
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
	var next *time.Time
	_, err = pgx.ForEachRow(rows, []any{&lane, &sample.jobs, &sample.orgs, &next}, func() error {
		if next != nil {
			sample.next = *next
		}
		found[lane-1], sample = sample, dueSample{}
		return nil
	})
	return found, err
}

const dueWithinSQL = `
	SELECT l.n, due.jobs, due.orgs, (
		SELECT j.run_at FROM jobs j WHERE ` + waitingIn + ` AND j.run_at > $1 ORDER BY j.run_at LIMIT 1
	)
	FROM unnest($2::text[], $3::int[]) WITH ORDINALITY AS l (queue, room, n)
	CROSS JOIN LATERAL (
		SELECT count(*) AS jobs, array_agg(DISTINCT oldest.org_id) AS orgs FROM (
			SELECT j.org_id FROM jobs j WHERE ` + waitingIn + ` AND j.run_at <= $1 ORDER BY j.run_at LIMIT l.room + 1
		) oldest
	) due`

const waitingIn = `j.queue = l.queue AND j.status = 'queued' AND j.dispatched_at IS NULL AND j.generation > 0`

// dueOrganizations returns the organizations that have a due job in a queue. It starts after the
// lane's last organization and wraps around, and inspects at most turnScan of them. whole says that
// these were all, and last is the organization inspected last.
func (t *Tx) dueOrganizations(
	ctx context.Context, l Lane, now time.Time,
) (due []string, whole bool, last string, err error) {
	looked := 0
	scan := func(after string, until *string) error {
		rows, err := t.db.Query(ctx, dueOrganizationsSQL, l.Queue, now, after, until,
			turnScan-looked)
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

// dueOrganizationsSQL finds each organization with one index lookup, regardless of its number of
// jobs.
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
	SELECT org_id, coalesce((
		SELECT j.run_at FROM jobs j
		WHERE j.queue = $1 AND j.org_id = turn.org_id AND j.status = 'queued' AND j.dispatched_at IS NULL
		ORDER BY j.run_at LIMIT 1
	) <= $2, false)
	FROM turn WHERE n > 0 AND org_id <= coalesce($4, org_id) ORDER BY n`
