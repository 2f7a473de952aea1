package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

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
}

// ClaimJob takes a job and its domain for a worker: a compare-and-swap on both rows. Only
// the generation that was dispatched last can be claimed. Errors: ErrStale; ErrBusy, with
// the job in the claim that is returned.
func (s *Store) ClaimJob(ctx context.Context, id string, generation int, worker string, lease time.Duration, now time.Time) (*Claim, error) {
	c := &Claim{Job: new(controlplane.Job), Domain: new(controlplane.Domain), Worker: worker, Lease: lease}
	// The domain comes first, as everywhere where both are locked: job reads dom.
	err := s.lazy.QueryRow(ctx, `
		WITH dom AS (
			UPDATE domains d SET claimed_by = $1, claimed_until = now() + $4
			FROM jobs j
			WHERE j.id = $1 AND j.generation = $2 AND (j.status = 'queued' OR j.status = 'running' AND j.claimed_until < now())
				AND d.id = j.domain_id AND (d.claimed_by IN ('', $1) OR d.claimed_until < now())
			RETURNING `+domainColumns+`
		), job AS (
			UPDATE jobs j SET status = 'running', reason = '', claimed_by = $3, claimed_until = now() + $4, updated_at = $5
			FROM dom
			WHERE j.id = $1 AND j.domain_id = dom.id AND j.generation = $2 AND (j.status = 'queued' OR j.status = 'running' AND j.claimed_until < now())
			RETURNING `+jobColumns+`
		)
		SELECT `+jobColumns+`, `+domainColumns+` FROM job j, dom d`, id, generation, worker, lease, now).
		Scan(append(jobFields(c.Job), domainFields(c.Domain)...)...)
	if err = translate(err, "job", id); !controlplane.IsKind(err, controlplane.KindNotFound) {
		return c, err
	}
	c.Domain = nil
	if c.Job, err = s.claimAlone(ctx, id, generation, worker, lease, now); !controlplane.IsKind(err, controlplane.KindNotFound) {
		return c, err
	}
	// One of the two was not to be had. A queued job of this generation finds its domain held.
	c.Job, err = s.oneJob(ctx, id, `SELECT `+jobColumns+` FROM jobs j WHERE j.id = $1 AND j.generation = $2 AND j.status = 'queued'`, id, generation)
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		return nil, ErrStale
	case err != nil:
		return nil, err
	}
	return c, ErrBusy
}

// claimAlone takes a job that has no domain.
func (s *Store) claimAlone(ctx context.Context, id string, generation int, worker string, lease time.Duration, now time.Time) (*controlplane.Job, error) {
	var j controlplane.Job
	err := s.lazy.QueryRow(ctx, `
		UPDATE jobs j SET status = 'running', reason = '', claimed_by = $3, claimed_until = now() + $4, updated_at = $5
		WHERE j.id = $1 AND j.domain_id IS NULL AND j.generation = $2 AND (j.status = 'queued' OR j.status = 'running' AND j.claimed_until < now())
		RETURNING `+jobColumns, id, generation, worker, lease, now).Scan(jobFields(&j)...)
	return &j, translate(err, "job", id)
}

// ExtendClaim gives the worker a new lease on job and domain. Errors: ErrClaimLost.
func (s *Store) ExtendClaim(ctx context.Context, c *Claim) error {
	extend := []string{
		// The domain comes first, as everywhere where both are locked.
		`UPDATE domains SET claimed_until = now() + $3 WHERE id = (SELECT domain_id FROM jobs WHERE id = $1 AND claimed_by = $2) AND claimed_by = $1`,
		`UPDATE jobs SET claimed_until = now() + $3 WHERE id = $1 AND claimed_by = $2 AND status = 'running'`,
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
		WHERE id = $1 AND claimed_by = $2 AND status = 'running' AND (SELECT count(*) FROM dom) >= 0`, append([]any{c.Job.ID, c.Worker, now}, args...)...)
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
const holdClaim = `
	WITH dom AS MATERIALIZED (SELECT id FROM domains WHERE id = $3 FOR KEY SHARE),
	held AS MATERIALIZED (
		SELECT 1 AS one FROM dom JOIN jobs j ON j.domain_id = dom.id
		WHERE j.id = $1 AND j.claimed_by = $2 AND j.status = 'running' FOR NO KEY UPDATE OF j
	)`

// HoldClaim makes sure, until the transaction ends, that the worker still holds the job.
func (t *Tx) HoldClaim(ctx context.Context, c *Claim) error {
	var one int
	err := t.db.QueryRow(ctx, holdClaim+`SELECT one FROM held`, c.Job.ID, c.Worker, c.Job.DomainID).Scan(&one)
	if err = translate(err, "job", c.Job.ID); controlplane.IsKind(err, controlplane.KindNotFound) {
		return ErrClaimLost
	}
	return err
}

// JobDone ends a job with success.
func (t *Tx) JobDone(ctx context.Context, c *Claim, now time.Time, result map[string]any) error {
	return t.release(ctx, c, now, `status = 'succeeded', reason = '', result = $4`, result)
}

// JobWaits puts a job back until runAt: no failure, only not yet. The reason is a stable code.
// What has to wait goes on behind what a person has just asked for.
func (t *Tx) JobWaits(ctx context.Context, c *Claim, now, runAt time.Time, reason string) error {
	return t.release(ctx, c, now, `status = 'queued', reason = $4, waited_for = $4, run_at = $5, generation = generation + 1, dispatched_at = NULL,
		queue = CASE queue WHEN 'critical' THEN 'default' ELSE queue END`, reason, runAt)
}

// JobGaveUp ends a job without success and without its being anybody's fault to look into:
// what it waited for did not come.
func (t *Tx) JobGaveUp(ctx context.Context, c *Claim, now time.Time, code, detail string) error {
	return t.release(ctx, c, now, `status = 'failed', reason = $4, last_error_code = $4, last_error = $5, last_error_acme = NULL`, code, detail)
}

// JobFails counts a failure. The queue runs the job again at runAt; the dispatch stands. problem
// is the CA's word, where the failure is the CA's.
func (t *Tx) JobFails(ctx context.Context, c *Claim, now, runAt time.Time, code, detail string, problem json.RawMessage) error {
	return t.release(ctx, c, now, `status = 'queued', reason = 'retry', waited_for = '', attempts = attempts + 1, run_at = $4, last_error_code = $5, last_error = $6, last_error_acme = $7`,
		runAt, code, detail, problem)
}

// JobDies counts the last failure: the job is dead until somebody restarts it. problem is the
// CA's word, where the failure is the CA's.
func (t *Tx) JobDies(ctx context.Context, c *Claim, now time.Time, code, detail string, problem json.RawMessage) error {
	return t.release(ctx, c, now, `status = 'failed', reason = 'dead-lettered', attempts = attempts + 1, dead_lettered_at = $3, last_error_code = $4, last_error = $5, last_error_acme = $6`,
		code, detail, problem)
}

// JobBusy puts back, until runAt, a job that found its domain held by another. It is not
// claimed.
func (s *Store) JobBusy(ctx context.Context, j *controlplane.Job, now, runAt time.Time) error {
	_, err := s.db.Exec(ctx, `
		UPDATE jobs SET reason = 'domain-busy', run_at = $3, generation = generation + 1, dispatched_at = NULL, updated_at = $4
		WHERE id = $1 AND generation = $2 AND status = 'queued'`, j.ID, j.Generation, runAt, now)
	return translate(err, "", "")
}

// HandBack gives a job up so that another worker can take it at once: the worker is stopping.
func (s *Store) HandBack(ctx context.Context, c *Claim, now time.Time) error {
	return s.InTx(ctx, func(t *Tx) error {
		return t.release(ctx, c, now, `status = 'queued', reason = 'handed-back', generation = generation + 1, dispatched_at = NULL`)
	})
}
