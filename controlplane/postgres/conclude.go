package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Conclusion is what a run of a job changes, all in one transaction.
type Conclusion struct {
	Domain  *controlplane.Domain // as it becomes; its Version is that of what it was made from
	Entries []controlplane.AuditEntry
	Outcome Outcome
}

// Outcome is how the run of a job ends.
type Outcome struct {
	how  *outcomeKind
	args []any
}

// Completed is the outcome of a job that succeeded.
func Completed(result map[string]any) Outcome { return Outcome{&completed, []any{result}} }

// Deferred is the outcome of a job that must wait until runAt, which is not a failure. The reason is
// a stable code. The job leaves the critical queue, which is for work that was just requested.
func Deferred(runAt time.Time, reason string) Outcome {
	return Outcome{&deferred, []any{reason, runAt}}
}

// Abandoned is the outcome of a job that failed without a dead letter: there is nothing to inspect
// or to retry.
func Abandoned(code, detail string) Outcome { return Outcome{&abandoned, []any{code, detail}} }

// outcomeKind holds the statements of an outcome. They are built once, because prepared statements
// are cached by their text.
type outcomeKind struct {
	set      string // of the job's UPDATE; its arguments are $4 and on
	conclude string
	logged   string // with an entry of the log
}

var (
	completed = newOutcomeKind(`status = 'succeeded', reason = '', result = $4`, 1)
	deferred  = newOutcomeKind(`status = 'queued', reason = $4, waited_for = $4, run_at = $5, generation = generation + 1, dispatched_at = NULL,
		queue = CASE queue WHEN 'critical' THEN 'default' ELSE queue END`, 2)
	abandoned = newOutcomeKind(`status = 'failed', reason = $4, last_error_code = $4, last_error = $5, last_error_acme = NULL`, 2)
)

func newOutcomeKind(set string, args int) outcomeKind {
	domain := 3 + args + 1
	entry := domain + domainArgs + 1
	// A domain that is locked is left to who comes with a lock of their own: a group must not
	// wait for it, and what holds the lock is likely to change the domain.
	conclude := fmt.Sprintf(`
		WITH held AS MATERIALIZED (
			SELECT id FROM domains WHERE org_id = $%[1]d AND id = $%[2]d AND version = $%[3]d AND claimed_by = $1 FOR NO KEY UPDATE SKIP LOCKED
		), job AS (
			UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = $3, %[4]s
			FROM held WHERE jobs.id = $1 AND `+heldBy+`
			RETURNING jobs.id
		), dom AS (
			UPDATE domains d SET claimed_by = '', claimed_until = NULL, %[5]s
			FROM job WHERE d.id = $%[2]d
		)`, domain, domain+1, domain+domainArgs, set, setDomain(domain))
	return outcomeKind{set: set,
		conclude: conclude + `SELECT id FROM job`,
		logged:   conclude + `, entry AS (` + insertAudit + ` SELECT ` + auditPlaces(entry) + ` FROM job) SELECT id FROM job`,
	}
}

// Conclude writes a conclusion if the domain is as it was when that was drawn, nobody has it
// locked, the worker holds it and the job, and there is one entry at most. Else it writes
// nothing and returns false, and the conclusion is to be drawn again under the domain's lock.
// The conclusions of many workers are committed together.
func (s *Store) Conclude(ctx context.Context, c *Claim, k Conclusion, now time.Time) (bool, error) {
	domain, err := saveDomainArgs(k.Domain, now)
	if err != nil || len(k.Entries) > 1 {
		return false, err
	}
	sql := k.Outcome.how.conclude
	args := append([]any{c.Job.ID, c.Worker, now}, k.Outcome.args...)
	args = append(append(args, domain...), k.Domain.Version)
	if len(k.Entries) == 1 {
		sql, args = k.Outcome.how.logged, append(args, auditArgs(&k.Entries[0])...)
	}
	return s.conclude(ctx, c, sql, args)
}

// conclude sends a conclusion with others'. It returns false where the statement found that it
// must not be written.
func (s *Store) conclude(ctx context.Context, c *Claim, sql string, args []any) (bool, error) {
	var id string
	err := translate(s.concluding.queryRow(ctx, c.Job.ID, func(row pgx.Row) error { return row.Scan(&id) }, sql, args...), "job", c.Job.ID)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Conclude is the Store's, for a domain that the transaction has locked. Errors: ErrClaimLost.
func (t *Tx) Conclude(ctx context.Context, c *Claim, k Conclusion, now time.Time) error {
	if err := t.SaveDomain(ctx, k.Domain, now); err != nil {
		return err
	}
	if err := t.Audit(ctx, k.Entries...); err != nil {
		return err
	}
	return t.EndRun(ctx, c, k.Outcome, now)
}

// EndRun releases the claim on the job and its domain with the outcome o. It returns ErrClaimLost if
// the worker no longer holds it.
func (t *Tx) EndRun(ctx context.Context, c *Claim, o Outcome, now time.Time) error {
	return t.release(ctx, c, now, o.how.set, o.args...)
}
