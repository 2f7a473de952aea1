package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Conclusion is what a run of a job changes, all in one transaction.
type Conclusion struct {
	Domain *controlplane.Domain // the new state, with the Version that it was derived from
	// Checks are the results of the check of the domain's names; none if the run made no check.
	Checks  []controlplane.NameExamination
	Entries []controlplane.AuditEntry
	Outcome Outcome
}

// Outcome is how the run of a job ends.
type Outcome struct {
	how  *outcomeKind
	args named
}

// Completed is the outcome of a job that succeeded.
func Completed(result map[string]any) Outcome {
	return Outcome{&completed, named{"result": result}}
}

// Deferred is the outcome of a job that must wait until runAt, which is not a failure. The reason
// is a stable code. The job leaves the critical queue, which is for work that was just requested.
func Deferred(runAt time.Time, reason string) Outcome {
	return DeferredBy(runAt, reason, 0, nil)
}

// DeferredBy is Deferred with the number of deferrals in a row for an unavailable dependency, and
// with what is known of the CAs; nil keeps that.
func DeferredBy(
	runAt time.Time, reason string, waits int, cas map[string]controlplane.CAWait,
) Outcome {
	return Outcome{&deferred, named{"reason": reason, "run_at": runAt, "waits": waits, "cas": cas}}
}

// Abandoned is the outcome of a job that failed without a dead letter: there is nothing to inspect
// or to retry.
func Abandoned(code, detail string) Outcome {
	return Outcome{&abandoned, named{"code": code, "detail": detail}}
}

// Unrecorded is Completed for a job in the queue bulk that nobody has asked for and that found
// nothing new: its row is removed. If somebody has asked for it meanwhile, the row is kept.
func Unrecorded(result map[string]any) Outcome {
	return Outcome{&unrecorded, named{"result": result}}
}

// outcomeKind holds the statements of an outcome. They are built once, because prepared statements
// are cached by their text.
type outcomeKind struct {
	set      string // of the job's UPDATE
	conclude string
	logged   string // with an entry of the log
}

var (
	completed = newOutcomeKind(`status = 'succeeded', reason = '', result = @result`)
	deferred  = newOutcomeKind(
		`status = 'queued', reason = @reason, waited_for = @reason, run_at = @run_at, waits = @waits, cas = coalesce(@cas, jobs.cas),
		generation = generation + 1, dispatched_at = NULL, queue = CASE queue WHEN 'critical' THEN 'default' ELSE queue END`)
	abandoned = newOutcomeKind(
		`status = 'failed', reason = @code, last_error_code = @code, last_error = @detail, last_error_acme = NULL`)
)

// unrecorded removes the row instead of completing the job, unless the job has an entry.
var unrecorded = outcomeKind{set: completed.set, logged: completed.logged,
	conclude: `WITH ` + holdDomain + `
		, kept AS (
			UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = @now, ` + completed.set + `
			FROM held WHERE jobs.id = @job AND queue <> 'bulk' AND ` + heldBy + `
			RETURNING jobs.id
		), gone AS (
			DELETE FROM jobs USING held WHERE jobs.id = @job AND queue = 'bulk' AND ` + heldBy + `
			RETURNING jobs.id
		), job AS (SELECT id FROM kept UNION ALL SELECT id FROM gone)
		, dom AS (` + concludeDomain + `), ` + concludeDelegation + `
		SELECT id FROM job`}

func newOutcomeKind(set string) outcomeKind {
	sql := `WITH ` + holdDomain + `, ` + endJob(set, "held") + `
		, dom AS (` + concludeDomain + `), ` + concludeDelegation
	return outcomeKind{set: set,
		conclude: sql + ` SELECT id FROM job`,
		logged:   sql + `, entry AS (` + insertEntry + ` FROM job) SELECT id FROM job`,
	}
}

// The statements that conclude a run are assembled from these parts, with concludeArgs. Each gives
// a row, and writes anything at all, only if the domain is still at the version that the conclusion
// was derived from, and the worker holds it and the job.
var (
	// holdDomain skips a domain that is locked by others: a group must not wait for it, and what
	// holds the lock is likely to change the domain. A domain that its own transaction has locked
	// is not skipped.
	holdDomain = `held AS MATERIALIZED (
			SELECT id FROM domains WHERE org_id = @org_id AND id = @domain_id AND version = @version AND claimed_by = @job
			FOR NO KEY UPDATE SKIP LOCKED
		)`

	concludeDomain = `UPDATE domains d SET claimed_by = '', claimed_until = NULL, ` + setDomain +
		` FROM job WHERE d.id = @domain_id`
)

// endJob releases the job if the CTE named from has a row; set is the rest of its UPDATE.
func endJob(set, from string) string {
	return `job AS (
			UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = @now, ` + set + `
			FROM ` + from + ` WHERE jobs.id = @job AND ` + heldBy + `
			RETURNING jobs.id
		)`
}

func concludeArgs(c *Claim, d *controlplane.Domain, now time.Time, more ...named) (named, error) {
	args, err := saveDomainArgs(d, now)
	more = append(more, args, named{"job": c.Job.ID, "worker": c.Worker, "version": d.Version})
	return merge(more...), err
}

// statement returns the statement that writes the conclusion, with its first entry.
func (k *Conclusion) statement(c *Claim, now time.Time) (string, named, error) {
	sql, entry := k.Outcome.how.conclude, named(nil)
	if len(k.Entries) > 0 {
		sql, entry = k.Outcome.how.logged, entryArgs(&k.Entries[0])
	}
	args, err := concludeArgs(c, k.Domain, now, k.Outcome.args, k.checksArgs(), entry)
	return sql, args, err
}

// Conclude writes a conclusion if the domain has not changed since it was derived and is not
// locked, the worker holds the domain and the job, and there is at most one entry. Otherwise it
// writes nothing and returns false: derive the conclusion again under the domain's lock, and call
// Tx.Conclude. The conclusions of many workers are committed together.
func (s *Store) Conclude(ctx context.Context, c *Claim, k Conclusion, now time.Time) (bool, error) {
	sql, args, err := k.statement(c, now)
	if err != nil || len(k.Entries) > 1 {
		return false, err
	}
	return s.conclude(ctx, c, sql, args)
}

// Conclude writes a conclusion for a domain that the transaction has locked. It returns
// ErrClaimLost if the worker no longer holds the domain and the job.
func (t *Tx) Conclude(ctx context.Context, c *Claim, k Conclusion, now time.Time) error {
	sql, args, err := k.statement(c, now)
	if err != nil {
		return err
	}
	if err := t.conclude(ctx, c, sql, args); err != nil || len(k.Entries) == 0 {
		return err
	}
	return t.Audit(ctx, k.Entries[1:]...)
}

// conclude sends a statement that concludes a run, together with those of other workers. It returns
// false if the statement wrote nothing.
func (s *Store) conclude(ctx context.Context, c *Claim, sql string, args named) (bool, error) {
	var id string
	err := s.concluding.queryRow(ctx, c.Job.ID, func(row pgx.Row) error { return row.Scan(&id) },
		sql, args)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, translate(err, "job", c.Job.ID)
}

func (t *Tx) conclude(ctx context.Context, c *Claim, sql string, args named) error {
	var id string
	err := t.db.QueryRow(ctx, sql, args).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrClaimLost
	}
	return translate(err, "job", c.Job.ID)
}

// EndRun releases the claim on the job and its domain with the outcome o. It returns ErrClaimLost
// if the worker no longer holds it.
func (t *Tx) EndRun(ctx context.Context, c *Claim, o Outcome, now time.Time) error {
	return t.release(ctx, c, now, o.how.set, o.args)
}
