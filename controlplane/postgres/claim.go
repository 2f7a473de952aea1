package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ErrStale says that a task is obsolete: its job is finished, has been dispatched again since, or
// is held by another worker.
var ErrStale = errors.New("postgres: the task is obsolete")

// ErrClaimLost says that a worker no longer holds its job: its lease expired and another worker
// claimed the job, or the domain was deleted. Nothing of the write that returned it was stored.
var ErrClaimLost = errors.New("postgres: the claim on the job was lost")

// ErrBusy says that another job holds the domain.
var ErrBusy = errors.New("postgres: the domain is held by another job")

// Claim is a worker's hold on a job and its domain. Leases are measured by the database's clock, so
// workers' clocks do not matter.
type Claim struct {
	Job    *controlplane.Job
	Domain *controlplane.Domain // its state when it was claimed; nil for a job without a domain
	Worker string               // one per run of a handler
	Lease  time.Duration

	// Issuing says that the domain has an open job for its certificate, this one or another.
	Issuing bool

	// Shared are the checks of the domain's delegations on behalf of others, by name, which a
	// rehearsal may reuse.
	Shared map[string]controlplane.SharedCheck
}

// ClaimJob claims a job and its domain for worker with a compare-and-swap on both rows. Only the
// generation that was dispatched last can be claimed. Claims that arrive together are committed
// together, and none waits for a lock: all organizations share the connections. It returns ErrStale
// if the task is obsolete, and ErrBusy, with the job in the returned Claim, if another job holds
// the domain or another transaction has locked it.
func (s *Store) ClaimJob(
	ctx context.Context, id string, generation int, worker string, lease time.Duration,
	now time.Time,
) (*Claim, error) {
	args := named{"job": id, "generation": generation, "worker": worker, "lease": lease, "now": now}
	c := &Claim{Job: new(controlplane.Job), Domain: new(controlplane.Domain), Worker: worker,
		Lease: lease}
	dispatched := false
	for pause := firstDispatchPause; ; pause *= 2 {
		err := s.claiming.queryRow(ctx, id, c.scan, claimJob, args)
		if errors.Is(err, pgx.ErrNoRows) {
			err = s.claiming.queryRow(ctx, id, c.scanAlone, claimWithoutDomain, args)
		}
		switch {
		case err == nil:
			return c, nil
		case !errors.Is(err, pgx.ErrNoRows):
			return nil, translate(err, "job", id)
		}
		// One of the two was not available. If the job is queued at this generation, its domain is
		// held, or one of the rows is locked.
		j, err := s.oneJob(ctx, id, `SELECT `+jobColumns+
			` FROM jobs j WHERE j.id = $1 AND j.generation = $2 AND j.status = 'queued' AND NOT `+
			orgDeleted, id,
			generation)
		switch {
		case controlplane.IsKind(err, controlplane.KindNotFound):
			return nil, ErrStale
		case err != nil:
			return nil, err
		case dispatched || pause > lastDispatchPause:
			return &Claim{Job: j, Worker: worker, Lease: lease}, ErrBusy
		}
		// Its dispatch locks it, and may have been committed since the attempt.
		if dispatched = j.DispatchedAt != nil; dispatched {
			continue
		}
		if err := wait(ctx, pause); err != nil { // its dispatch is not committed
			return nil, err
		}
	}
}

// A worker may get a task before its dispatch is committed, a moment later.
const (
	firstDispatchPause = 2 * time.Millisecond
	lastDispatchPause  = 64 * time.Millisecond
)

func (c *Claim) scan(row pgx.Row) error {
	return row.Scan(append(append(jobFields(c.Job), domainFields(c.Domain)...), &c.Issuing,
		&c.Shared)...)
}

func (c *Claim) scanAlone(row pgx.Row) error {
	if err := row.Scan(jobFields(c.Job)...); err != nil {
		return err
	}
	c.Domain = nil
	return nil
}

// A job that is known by its ID has its status tested in a CASE. A plain condition would permit a
// plan by an index of open jobs. Such a plan looks cheap while few jobs are open, and reads all of
// them for each job once there are many.
const (
	claimable  = `CASE j.status WHEN 'queued' THEN true WHEN 'running' THEN j.claimed_until < now() END`
	orgDeleted = `EXISTS (SELECT FROM organizations WHERE id = j.org_id AND deleted_at IS NOT NULL)`
	heldBy     = `CASE status WHEN 'running' THEN claimed_by = @worker END`
	setClaim   = `status = 'running', reason = '', claimed_by = @worker, claimed_until = now() + @lease, updated_at = @now`
)

// claimJob claims a job and its domain. It locks the domain first, like every statement that locks
// both.
var claimJob = `
	WITH held AS MATERIALIZED (
		SELECT d.id FROM jobs j JOIN domains d ON d.id = j.domain_id
		WHERE j.id = @job AND j.generation = @generation AND ` + claimable + ` AND (d.claimed_by IN ('', @job) OR d.claimed_until < now())
			AND NOT ` + orgDeleted + `
		FOR NO KEY UPDATE OF d, j SKIP LOCKED
	), job AS (
		UPDATE jobs j SET ` + setClaim + ` FROM held
		WHERE j.id = @job AND j.domain_id = held.id AND j.generation = @generation AND ` + claimable + `
		RETURNING ` + jobColumns + `
	), dom AS (
		UPDATE domains d SET claimed_by = @job, claimed_until = now() + @lease FROM job WHERE d.id = job.domain_id
		RETURNING ` + domainColumns + `, d.rehearse_every
	)
	SELECT ` + jobColumns + `, ` + domainColumns + `, EXISTS (
		SELECT FROM jobs o WHERE o.domain_id = d.id AND o.slot = 'certificate' AND o.status IN ('queued', 'running')
	), ` + sharedChecks + `
	FROM job j, dom d`

// claimWithoutDomain claims a job that has no domain.
const claimWithoutDomain = `
	WITH held AS MATERIALIZED (
		SELECT j.id FROM jobs j WHERE j.id = @job AND j.domain_id IS NULL AND j.generation = @generation AND ` + claimable + `
		FOR NO KEY UPDATE SKIP LOCKED
	)
	UPDATE jobs j SET ` + setClaim + ` FROM held
	WHERE j.id = held.id AND j.generation = @generation AND ` + claimable + ` RETURNING ` + jobColumns

// ExtendClaim gives the worker a new lease on job and domain. It does not wait for a row that
// another transaction has locked, and extends the lease with the next call. It returns ErrClaimLost
// if the worker no longer holds both.
func (s *Store) ExtendClaim(ctx context.Context, c *Claim) error {
	extend, held := extendClaim, holdsClaim
	if c.Domain == nil {
		extend, held = extendAlone, holdsJob
	}
	args := named{"job": c.Job.ID, "worker": c.Worker}
	tag, err := s.lazy.Exec(ctx, extend, merge(args, named{"lease": c.Lease}))
	if err != nil || tag.RowsAffected() > 0 {
		return translate(err, "", "")
	}
	return s.stillHeld(ctx, held, args)
}

// stillHeld returns nil if a query of one row, which locks nothing, shows that the worker holds its
// job. Otherwise it returns ErrClaimLost.
func (q queries) stillHeld(ctx context.Context, held string, args named) error {
	err := q.db.QueryRow(ctx, held, args).Scan(new(int))
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrClaimLost
	}
	return translate(err, "", "")
}

const (
	holdsJob   = `SELECT 1 FROM jobs WHERE id = @job AND ` + heldBy
	holdsClaim = `SELECT 1 FROM jobs j JOIN domains d ON d.id = j.domain_id WHERE j.id = @job AND d.claimed_by = @job
		AND CASE j.status WHEN 'running' THEN j.claimed_by = @worker END`

	// The domain comes first, as in every statement that locks both.
	extendClaim = `
		WITH held AS MATERIALIZED (
			SELECT d.id FROM jobs j JOIN domains d ON d.id = j.domain_id
			WHERE j.id = @job AND d.claimed_by = @job AND CASE j.status WHEN 'running' THEN j.claimed_by = @worker END
			FOR NO KEY UPDATE OF d, j SKIP LOCKED
		), dom AS (
			UPDATE domains d SET claimed_until = now() + @lease FROM held WHERE d.id = held.id
		)
		UPDATE jobs j SET claimed_until = now() + @lease FROM held WHERE j.id = @job`
	extendAlone = `
		WITH held AS MATERIALIZED (SELECT id FROM jobs WHERE id = @job AND ` + heldBy + ` FOR NO KEY UPDATE SKIP LOCKED)
		UPDATE jobs j SET claimed_until = now() + @lease FROM held WHERE j.id = held.id`
)

// holdClaim starts a statement that writes only while the worker holds the job. Its CTE held has a
// row then, and nobody else can claim the job until the transaction ends. Reading the job without
// a lock would not be enough: a statement that has waited for a lock continues with the rows that
// it read before.
//
// It locks the domain first, like every statement that locks both. Rows that are written under the
// claim refer to the domain, and its deletion locks it before its jobs.
const holdClaim = `
	WITH dom AS MATERIALIZED (SELECT id FROM domains WHERE id = @domain FOR KEY SHARE SKIP LOCKED),
	held AS MATERIALIZED (
		SELECT 1 AS one FROM dom JOIN jobs j ON j.domain_id = dom.id
		WHERE j.id = @job AND CASE j.status WHEN 'running' THEN j.claimed_by = @worker END FOR NO KEY UPDATE OF j SKIP LOCKED
	)`

// newUnderClaim completes a statement that starts with holdClaim.
func newUnderClaim(rest string) string { return holdClaim + rest }

// args returns the arguments of holdClaim.
func (c *Claim) args() named {
	return named{"job": c.Job.ID, "worker": c.Worker, "domain": c.Job.DomainID}
}

// underClaim runs a statement under the claim. A durable one is committed in a group with those of
// other workers. Others do not wait for the disk. While another transaction has locked the domain
// or the job, it repeats the statement. It returns ErrClaimLost if the worker no longer holds the
// job.
func (s *Store) underClaim(
	ctx context.Context, durable bool, c *Claim, sql string, args named,
) error {
	read := func(row pgx.Row) error { return row.Scan(new(int)) }
	args = merge(c.args(), args)
	err := unlessLocked(ctx, func() (err error) {
		if durable {
			err = s.concluding.queryRow(ctx, c.Job.ID, read, sql, args)
		} else {
			err = read(s.lazy.QueryRow(ctx, sql, args))
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := s.stillHeld(ctx, holdsJobOf, c.args()); err != nil {
			return err
		}
		return unavailable(errLocked)
	})
	return translate(err, "domain", c.Job.DomainID)
}

// holdsJobOf gives a row if holdClaim does without locks.
const holdsJobOf = `SELECT 1 FROM jobs j JOIN domains d ON d.id = j.domain_id
	WHERE j.id = @job AND d.id = @domain AND CASE j.status WHEN 'running' THEN j.claimed_by = @worker END`

var holdOnly = newUnderClaim(`SELECT one FROM held`)

// HoldClaim makes sure that the worker holds the job until the transaction ends. InTx runs again
// from the start if another transaction keeps the domain or the job locked. It returns ErrClaimLost
// if the worker no longer holds it.
func (t *Tx) HoldClaim(ctx context.Context, c *Claim) error {
	err := t.db.QueryRow(ctx, holdOnly, c.args()).Scan(new(int))
	if !errors.Is(err, pgx.ErrNoRows) {
		return translate(err, "", "")
	}
	if err := t.stillHeld(ctx, holdsJobOf, c.args()); err != nil {
		return err
	}
	return unavailable(errLocked)
}

// release releases the domain and moves the job; set is the rest of the job's UPDATE, with args. It
// returns ErrClaimLost if the worker no longer holds the job.
func (t *Tx) release(ctx context.Context, c *Claim, now time.Time, set string, args named) error {
	// The domain comes first, as in every statement that locks both: the job's UPDATE reads dom.
	tag, err := t.db.Exec(ctx, `
		WITH dom AS (
			UPDATE domains SET claimed_by = '', claimed_until = NULL
			WHERE id = (SELECT domain_id FROM jobs WHERE id = @job) AND claimed_by = @job RETURNING id
		)
		UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = @now, `+set+`
		WHERE id = @job AND `+heldBy+` AND (SELECT count(*) FROM dom) >= 0`,
		merge(named{"job": c.Job.ID, "worker": c.Worker, "now": now}, args))
	if err != nil {
		return translate(err, "", "")
	}
	if tag.RowsAffected() == 0 {
		return ErrClaimLost
	}
	return nil
}

// CompleteJob releases the claim with the outcome Completed.
func (t *Tx) CompleteJob(
	ctx context.Context, c *Claim, now time.Time, result map[string]any,
) error {
	return t.EndRun(ctx, c, Completed(result), now)
}

// DeferJob releases the claim with the outcome Deferred.
func (t *Tx) DeferJob(ctx context.Context, c *Claim, now, runAt time.Time, reason string) error {
	return t.EndRun(ctx, c, Deferred(runAt, reason), now)
}

// AbandonJob releases the claim with the outcome Abandoned.
func (t *Tx) AbandonJob(ctx context.Context, c *Claim, now time.Time, code, detail string) error {
	return t.EndRun(ctx, c, Abandoned(code, detail), now)
}

// FailJob counts a failure and releases the claim, with what the claim's job knows of the CAs.
// Asynq retries the same task at runAt: the generation stays. problem is the CA's problem
// document, if the CA caused the failure.
func (t *Tx) FailJob(
	ctx context.Context, c *Claim, now, runAt time.Time, code, detail string,
	problem json.RawMessage,
) error {
	return t.release(ctx, c, now,
		`status = 'queued', reason = 'retry', waited_for = '', waits = 0, attempts = attempts + 1, run_at = @run_at,
		cas = coalesce(@cas, jobs.cas), last_error_code = @code, last_error = @detail, last_error_acme = @problem`,
		named{"run_at": runAt, "code": code, "detail": detail, "problem": problem,
			"cas": c.Job.CAs})
}

// DeadLetterJob counts the last failure and releases the claim: the job stays failed until it is
// restarted. problem is the CA's problem document, if the CA caused the failure.
func (t *Tx) DeadLetterJob(
	ctx context.Context, c *Claim, now time.Time, code, detail string, problem json.RawMessage,
) error {
	return t.release(ctx, c, now,
		`status = 'failed', reason = 'dead-lettered', attempts = attempts + 1, dead_lettered_at = @now,
		last_error_code = @code, last_error = @detail, last_error_acme = @problem`,
		named{"code": code, "detail": detail, "problem": problem})
}

// DeferBusyJob defers until runAt a queued job that could not be claimed because another job holds
// its domain, or another transaction has locked it. If the job is locked, too, it does nothing: its
// task is lost, and the job is redispatched.
func (s *Store) DeferBusyJob(ctx context.Context, j *controlplane.Job, now, runAt time.Time) error {
	_, err := s.db.Exec(ctx, `
		UPDATE jobs SET reason = 'domain-busy', run_at = @run_at, generation = generation + 1, dispatched_at = NULL, updated_at = @now
		WHERE id = (SELECT id FROM jobs WHERE id = @job AND generation = @generation AND status = 'queued' FOR NO KEY UPDATE SKIP LOCKED)`,
		named{"job": j.ID, "generation": j.Generation, "run_at": runAt, "now": now})
	return translate(err, "", "")
}

// RequeueJob releases the claim without an outcome, for another worker to claim the job at once:
// this worker is shutting down.
func (s *Store) RequeueJob(ctx context.Context, c *Claim, now time.Time) error {
	return s.InTx(ctx, func(t *Tx) error {
		return t.release(ctx, c, now,
			`status = 'queued', reason = 'handed-back', generation = generation + 1, dispatched_at = NULL`, nil)
	})
}
