package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ErrStale says that a task need not be done: its job is over, was dispatched anew since,
// or another worker holds it.
var ErrStale = errors.New("postgres: the task is stale")

// ErrClaimLost says that a worker no longer holds its job: its lease ran out and another
// took it, or the domain was deleted. What it was about to write was not written.
var ErrClaimLost = errors.New("postgres: the claim on the job was lost")

// ErrBusy says that another job holds the domain.
var ErrBusy = errors.New("postgres: the domain is held by another job")

// Claim is a worker's hold on a job and its domain. Leases are counted by the database's
// clock, so workers' clocks do not matter.
type Claim struct {
	Job    *controlplane.Job
	Domain *controlplane.Domain // as it was when it was claimed; nil for a job that has none
	Worker string               // one per run of a handler
	Lease  time.Duration

	// Issuing says that the domain's certificate has a job that is open, this one or another.
	Issuing bool
}

// ClaimJob takes a job and its domain for a worker: a compare-and-swap on both rows. Only
// the generation that was dispatched last can be claimed. Claims that come together are made
// together. Errors: ErrStale; ErrBusy, with the job in the claim that is returned.
func (s *Store) ClaimJob(ctx context.Context, id string, generation int, worker string, lease time.Duration, now time.Time) (*Claim, error) {
	args := []any{id, generation, worker, lease, now}
	c := &Claim{Job: new(controlplane.Job), Domain: new(controlplane.Domain), Worker: worker, Lease: lease}
	err := s.claiming.queryRow(ctx, id, c.scan, claimFreeSQL, args...)
	if errors.Is(err, pgx.ErrNoRows) {
		err = s.claiming.queryRow(ctx, id, c.scanAlone, claimAloneSQL, args...)
	}
	if errors.Is(err, pgx.ErrNoRows) { // or somebody has the domain locked for a moment
		err = c.scan(s.lazy.QueryRow(ctx, claimSQL, args...))
	}
	switch {
	case err == nil:
		return c, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, translate(err, "job", id)
	}
	// One of the two was not to be had. A queued job of this generation finds its domain held.
	c.Domain = nil
	c.Job, err = s.oneJob(ctx, id, `SELECT `+jobColumns+` FROM jobs j WHERE j.id = $1 AND j.generation = $2 AND j.status = 'queued'`, id, generation)
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		return nil, ErrStale
	case err != nil:
		return nil, err
	}
	return c, ErrBusy
}

func (c *Claim) scan(row pgx.Row) error {
	return row.Scan(append(append(jobFields(c.Job), domainFields(c.Domain)...), &c.Issuing)...)
}

func (c *Claim) scanAlone(row pgx.Row) error {
	if err := row.Scan(jobFields(c.Job)...); err != nil {
		return err
	}
	c.Domain = nil
	return nil
}

// A job's status is asked for by CASE where the job is known by its id. As a plain condition it
// would allow a plan by an index of open jobs: while few are open that looks cheap, and it reads
// all of them for each job once there are many.
const (
	// claimFreeSQL is claimSQL in a group, which must not wait for one of its domains.
	claimFreeSQL = claimHeld + ` SKIP LOCKED` + claimRows
	claimSQL     = claimHeld + claimRows

	// The domain comes first, as everywhere where both are locked.
	claimHeld = `
		WITH held AS MATERIALIZED (
			SELECT d.id FROM jobs j JOIN domains d ON d.id = j.domain_id
			WHERE j.id = $1 AND j.generation = $2 AND ` + claimable + ` AND (d.claimed_by IN ('', $1) OR d.claimed_until < now())
			FOR NO KEY UPDATE OF d`
	claimRows = `
		), job AS (
			UPDATE jobs j SET ` + claimSet + ` FROM held
			WHERE j.id = $1 AND j.domain_id = held.id AND j.generation = $2 AND ` + claimable + `
			RETURNING ` + jobColumns + `
		), dom AS (
			UPDATE domains d SET claimed_by = $1, claimed_until = now() + $4 FROM job WHERE d.id = job.domain_id
			RETURNING ` + domainColumns + `
		)
		SELECT ` + jobColumns + `, ` + domainColumns + `, EXISTS (
			SELECT FROM jobs o WHERE o.domain_id = d.id AND o.slot = 'certificate' AND o.status IN ('queued', 'running')
		)
		FROM job j, dom d`

	// claimAloneSQL takes a job that has no domain.
	claimAloneSQL = `UPDATE jobs j SET ` + claimSet + `
		WHERE j.id = $1 AND j.domain_id IS NULL AND j.generation = $2 AND ` + claimable + ` RETURNING ` + jobColumns

	claimable = `CASE j.status WHEN 'queued' THEN true WHEN 'running' THEN j.claimed_until < now() END`
	heldBy    = `CASE status WHEN 'running' THEN claimed_by = $2 END`
	claimSet  = `status = 'running', reason = '', claimed_by = $3, claimed_until = now() + $4, updated_at = $5`
)

// ExtendClaim gives the worker a new lease on job and domain. Errors: ErrClaimLost.
func (s *Store) ExtendClaim(ctx context.Context, c *Claim) error {
	extend := []string{
		// The domain comes first, as everywhere where both are locked.
		`UPDATE domains SET claimed_until = now() + $3 WHERE id = (SELECT domain_id FROM jobs WHERE id = $1 AND claimed_by = $2) AND claimed_by = $1`,
		`UPDATE jobs SET claimed_until = now() + $3 WHERE id = $1 AND ` + heldBy,
	}
	if c.Domain == nil {
		extend = extend[1:]
	}
	return s.inLazyTx(ctx, func(t *Tx) error {
		for _, sql := range extend {
			tag, err := t.db.Exec(ctx, sql, c.Job.ID, c.Worker, c.Lease)
			if err != nil {
				return translate(err, "", "")
			}
			if tag.RowsAffected() == 0 {
				return ErrClaimLost
			}
		}
		return nil
	})
}

// release gives the domain back and moves the job; set is the rest of its UPDATE.
func (t *Tx) release(ctx context.Context, c *Claim, now time.Time, set string, args ...any) error {
	// The domain comes first, as everywhere where both are locked: the job's update reads dom.
	tag, err := t.db.Exec(ctx, `
		WITH dom AS (
			UPDATE domains SET claimed_by = '', claimed_until = NULL
			WHERE id = (SELECT domain_id FROM jobs WHERE id = $1) AND claimed_by = $1 RETURNING id
		)
		UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = $3, `+set+`
		WHERE id = $1 AND `+heldBy+` AND (SELECT count(*) FROM dom) >= 0`, append([]any{c.Job.ID, c.Worker, now}, args...)...)
	if err != nil {
		return translate(err, "", "")
	}
	if tag.RowsAffected() == 0 {
		return ErrClaimLost
	}
	return nil
}

// holdClaim begins a statement that must write only while the worker ($2) holds the job ($1,
// of the domain $3): held has a row then, and nobody else can claim the job until the
// transaction ends. To look without a lock is not enough: a statement that waits for a lock
// goes on with what it had seen.
//
// The domain comes first, as everywhere: what is written under the claim refers to it, and its
// deletion locks it before its jobs.
const (
	holdClaim = `
	WITH dom AS MATERIALIZED (SELECT id FROM domains WHERE id = $3 FOR KEY SHARE),
	held AS MATERIALIZED (
		SELECT 1 AS one FROM dom JOIN jobs j ON j.domain_id = dom.id
		WHERE j.id = $1 AND CASE j.status WHEN 'running' THEN j.claimed_by = $2 END FOR NO KEY UPDATE OF j
	)`
	// holdClaimFree is holdClaim that waits for nobody's lock.
	holdClaimFree = `
	WITH dom AS MATERIALIZED (SELECT id FROM domains WHERE id = $3 FOR KEY SHARE SKIP LOCKED),
	held AS MATERIALIZED (
		SELECT 1 AS one FROM dom JOIN jobs j ON j.domain_id = dom.id
		WHERE j.id = $1 AND CASE j.status WHEN 'running' THEN j.claimed_by = $2 END FOR NO KEY UPDATE OF j SKIP LOCKED
	)`
)

// HoldClaim makes sure, until the transaction ends, that the worker still holds the job.
func (t *Tx) HoldClaim(ctx context.Context, c *Claim) error {
	var one int
	err := t.db.QueryRow(ctx, holdClaim+`SELECT one FROM held`, c.Job.ID, c.Worker, c.Job.DomainID).Scan(&one)
	if err = translate(err, "job", c.Job.ID); controlplane.IsKind(err, controlplane.KindNotFound) {
		return ErrClaimLost
	}
	return err
}

// CompleteJob releases the claim with the outcome Completed.
func (t *Tx) CompleteJob(ctx context.Context, c *Claim, now time.Time, result map[string]any) error {
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

// FailJob counts a failure and releases the claim. Asynq retries the same task at runAt: the
// generation stays. problem is the CA's problem document, if the CA caused the failure.
func (t *Tx) FailJob(ctx context.Context, c *Claim, now, runAt time.Time, code, detail string, problem json.RawMessage) error {
	return t.release(ctx, c, now, `status = 'queued', reason = 'retry', waited_for = '', attempts = attempts + 1, run_at = $4, last_error_code = $5, last_error = $6, last_error_acme = $7`,
		runAt, code, detail, problem)
}

// DeadLetterJob counts the last failure and releases the claim: the job stays failed until it is
// restarted. problem is the CA's problem document, if the CA caused the failure.
func (t *Tx) DeadLetterJob(ctx context.Context, c *Claim, now time.Time, code, detail string, problem json.RawMessage) error {
	return t.release(ctx, c, now, `status = 'failed', reason = 'dead-lettered', attempts = attempts + 1, dead_lettered_at = $3, last_error_code = $4, last_error = $5, last_error_acme = $6`,
		code, detail, problem)
}

// DeferBusyJob defers until runAt a queued job that could not be claimed because another job holds
// its domain.
func (s *Store) DeferBusyJob(ctx context.Context, j *controlplane.Job, now, runAt time.Time) error {
	_, err := s.db.Exec(ctx, `
		UPDATE jobs SET reason = 'domain-busy', run_at = $3, generation = generation + 1, dispatched_at = NULL, updated_at = $4
		WHERE id = $1 AND generation = $2 AND status = 'queued'`, j.ID, j.Generation, runAt, now)
	return translate(err, "", "")
}

// RequeueJob releases the claim without an outcome, for another worker to claim the job at once: this
// worker is shutting down.
func (s *Store) RequeueJob(ctx context.Context, c *Claim, now time.Time) error {
	return s.InTx(ctx, func(t *Tx) error {
		return t.release(ctx, c, now, `status = 'queued', reason = 'handed-back', generation = generation + 1, dispatched_at = NULL`)
	})
}
