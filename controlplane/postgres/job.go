package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const jobColumns = `j.id, j.org_id, coalesce(j.domain_id, '') AS domain_id, j.certificate_id, coalesce(j.delivery_id, '') AS delivery_id, coalesce(j.delegation_id, '') AS delegation_id, coalesce(j.connection_id, '') AS connection_id, j.type, j.status, j.queue, j.reason, j.attempts, j.generation, j.run_at, j.dispatched_at,
	j.last_error_code, j.last_error, j.last_error_acme, j.waited_for, j.dead_lettered_at, j.result, j.request_id, j.created_at, j.updated_at,
	j.waits, j.cas, j.round, j.round_since`

func scanJob(row pgx.CollectableRow) (controlplane.Job, error) {
	var j controlplane.Job
	err := row.Scan(jobFields(&j)...)
	return j, err
}

// jobFields are the destinations for jobColumns.
func jobFields(j *controlplane.Job) []any {
	return []any{&j.ID, &j.OrgID, &j.DomainID, &j.CertificateID, &j.DeliveryID,
		&j.DelegationID, &j.ConnectionID, &j.Type, &j.Status, &j.Queue, &j.Reason,
		&j.Attempts, &j.Generation, &j.RunAt, &j.DispatchedAt, &j.LastErrorCode, &j.LastError,
		&j.LastErrorACME, &j.WaitedFor, &j.DeadLetteredAt, &j.Result, &j.RequestID,
		&j.CreatedAt, &j.UpdatedAt, &j.Waits, &j.CAs, &j.Round, &j.RoundSince}
}

func (q queries) oneJob(
	ctx context.Context, id, sql string, args ...any,
) (*controlplane.Job, error) {
	return one(ctx, q, scanJob, "job", id, sql, args...)
}

// Job returns one job.
func (q queries) Job(ctx context.Context, orgID, id string) (*controlplane.Job, error) {
	return q.oneJob(ctx, id, `SELECT `+jobColumns+` FROM jobs j WHERE j.org_id = $1 AND j.id = $2`,
		orgID, id)
}

// JobFilter selects the jobs to list. The zero value lists all, newest first.
type JobFilter struct {
	DomainID   string
	Delegation string // ID of the delegation that the job is about
	Status     controlplane.JobStatus
	Type       controlplane.JobType
	DomainIDs  []string // only these domains'; nil: all
	Work       bool     // without deliveries to webhooks
	After      *Cursor
	Limit      int
}

// ListJobs returns one page, newest first, and the cursor of the next one, nil on the last.
func (q queries) ListJobs(
	ctx context.Context, orgID string, f JobFilter,
) ([]controlplane.Job, *Cursor, error) {
	return readPage(ctx, q, f.list(orgID), scanJob,
		func(j controlplane.Job) *Cursor { return at(j.CreatedAt, j.ID) })
}

func (f JobFilter) list(orgID string) *list {
	l := newList(`SELECT `+jobColumns+` FROM jobs j`, "j.org_id = @org_id", named{"org_id": orgID})
	l.where(f.DomainID != "", "j.domain_id = @domain_id", named{"domain_id": f.DomainID})
	l.where(f.Delegation != "", "j.delegation_id = @delegation_id",
		named{"delegation_id": f.Delegation})
	l.where(f.Status != "", "j.status = @status", named{"status": f.Status})
	l.where(f.Type != "", "j.type = @type", named{"type": f.Type})
	// the conditions of their indexes
	l.where(f.Status == controlplane.JobFailed, "j.status = 'failed'", nil)
	l.where(f.Status == controlplane.JobQueued || f.Status == controlplane.JobRunning,
		"j.status IN ('queued', 'running')", nil)
	l.where(f.Type == controlplane.JobStartIssuance || f.Type == controlplane.JobRevocation,
		"j.type IN ('start_issuance', 'revocation')", nil)
	l.where(f.DomainIDs != nil, "j.domain_id = ANY(@domain_ids)", named{"domain_ids": f.DomainIDs})
	l.where(f.Work, "j.delivery_id IS NULL", nil)
	l.newest("j.created_at", "j.id", f.After, f.Limit)
	return l
}

// AddJob stores a job, unless the domain has an open one in the same slot: then it returns that job
// and false.
func (q queries) AddJob(ctx context.Context, j *controlplane.Job) (*controlplane.Job, bool, error) {
	rows, err := q.db.Query(ctx, insertJob+`
		ON CONFLICT (domain_id, slot) WHERE status IN ('queued', 'running') DO NOTHING
		RETURNING `+jobColumns, jobArgs(j))
	if err != nil {
		return nil, false, translate(err, "domain", j.DomainID)
	}
	added, err := pgx.CollectRows(rows, scanJob)
	if violates(err) == "jobs_domain_id_fkey" {
		return nil, false, controlplane.NotFound("domain", j.DomainID)
	}
	if err != nil {
		return nil, false, translate(err, "domain", j.DomainID)
	}
	if len(added) == 1 {
		return &added[0], true, nil
	}
	open, err := q.OpenJob(ctx, j.OrgID, j.DomainID, j.Slot())
	return open, false, err
}

// insertJob stores one job, with jobArgs. A FROM clause may follow it.
const insertJob = `INSERT INTO jobs AS j (id, org_id, domain_id, certificate_id, type, slot, queue, reason, run_at, request_id,
		created_at, updated_at, round, round_since)
	SELECT @new_job, @job_org_id, @job_domain_id, @job_certificate_id, @job_type, @job_slot, @job_queue, @job_reason, @job_run_at,
		@job_request_id, @job_created_at, @job_created_at, @job_round, @job_round_since`

func jobArgs(j *controlplane.Job) named {
	return named{"new_job": j.ID, "job_org_id": j.OrgID, "job_domain_id": j.DomainID,
		"job_certificate_id": j.CertificateID,
		"job_type":           j.Type, "job_slot": j.Slot(), "job_queue": j.Queue,
		"job_reason": j.Reason, "job_run_at": j.RunAt,
		"job_request_id": j.RequestID, "job_created_at": j.CreatedAt, "job_round": j.Round,
		"job_round_since": j.RoundSince}
}

// OpenJob returns the domain's queued or running job in the slot.
func (q queries) OpenJob(
	ctx context.Context, orgID, domainID, slot string,
) (*controlplane.Job, error) {
	return q.oneJob(ctx, domainID, `SELECT `+jobColumns+` FROM jobs j
		WHERE j.org_id = $1 AND j.domain_id = $2 AND j.slot = $3 AND j.status IN ('queued', 'running')`, orgID, domainID, slot)
}

// ExpediteJob makes a queued job that is scheduled for later due now, in the critical queue, and
// forgets what it waited for. It returns false if the job is due already, running, or over.
func (q queries) ExpediteJob(
	ctx context.Context, orgID, id string, now time.Time,
) (*controlplane.Job, bool, error) {
	return q.AdvanceJob(ctx, orgID, id, now, now)
}

// AdvanceJob is ExpediteJob for a job that becomes due at the given time.
func (q queries) AdvanceJob(
	ctx context.Context, orgID, id string, at, now time.Time,
) (*controlplane.Job, bool, error) {
	j, err := q.oneJob(ctx, id, `
		UPDATE jobs j SET run_at = $3, queue = 'critical', generation = generation + 1, dispatched_at = NULL, waits = 0, cas = '{}', round = 0, round_since = NULL, updated_at = $4
		WHERE j.org_id = $1 AND j.id = $2 AND j.status = 'queued' AND j.run_at > $3
		RETURNING `+jobColumns, orgID, id, at, now)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		if err := q.keepJob(ctx, orgID, id); err != nil {
			return nil, false, err
		}
		j, err = q.Job(ctx, orgID, id)
		return j, false, err
	}
	return j, err == nil, err
}

// keepJob makes sure that the row of a check remains after it: somebody has asked for it.
func (q queries) keepJob(ctx context.Context, orgID, id string) error {
	_, err := q.db.Exec(ctx, `UPDATE jobs SET queue = 'critical'
		WHERE org_id = $1 AND id = $2 AND type = 'dns_check' AND queue = 'bulk' AND status IN ('queued', 'running')`,
		orgID, id)
	return translate(err, "job", id)
}

// RestartJob restarts a failed job and resets its attempts, in place of a job that follows it and
// has not started. If the domain has another open job in the same slot, it returns that job and
// false. If the job is not failed, it returns the job and
// false.
func (t *Tx) RestartJob(
	ctx context.Context, orgID, id string, now time.Time,
) (*controlplane.Job, bool, error) {
	j, err := t.Job(ctx, orgID, id)
	if err != nil {
		return nil, false, err
	}
	if j.DeliveryID != "" {
		return t.restartDelivery(ctx, j, now)
	}
	// Under the lock of what the job is about, the check for another job and the update are
	// atomic. It is locked first, as in every transaction that locks both.
	switch {
	case j.DelegationID != "":
		_, err = t.LockDelegation(ctx, orgID, j.DelegationID)
	case j.ConnectionID != "":
		_, err = t.LockConnection(ctx, orgID, j.ConnectionID)
	default:
		_, err = t.LockDomain(ctx, orgID, j.DomainID)
	}
	if err != nil {
		return nil, false, err
	}
	if j, err = t.Job(ctx, orgID, id); err != nil || j.Status != controlplane.JobFailed {
		return j, false, err
	}
	open, err := t.openInPlaceOf(ctx, j)
	if err == nil {
		replaced, err := t.DropJob(ctx, open, controlplane.ReasonFollowUp)
		if err != nil || !replaced {
			return open, false, err
		}
	} else if !controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil, false, err
	}
	j, err = t.oneJob(ctx, id, `
		UPDATE jobs j SET status = 'queued', attempts = 0, generation = generation + 1, dispatched_at = NULL, run_at = $3,
			queue = 'critical', reason = '', waited_for = '', waits = 0, cas = '{}', round = 0, round_since = NULL, dead_lettered_at = NULL, result = NULL, claimed_by = '', claimed_until = NULL, updated_at = $3
		WHERE j.org_id = $1 AND j.id = $2
		RETURNING `+jobColumns, orgID, id, now)
	return j, err == nil, err
}

// openInPlaceOf returns the open job that does the work of a finished one.
func (t *Tx) openInPlaceOf(
	ctx context.Context, j *controlplane.Job,
) (*controlplane.Job, error) {
	if j.DelegationID != "" {
		return t.OpenDelegationCheck(ctx, j.OrgID, j.DelegationID)
	}
	if j.ConnectionID != "" {
		return t.OpenConnectionJob(ctx, j.OrgID, j.ConnectionID)
	}
	return t.OpenJob(ctx, j.OrgID, j.DomainID, j.Slot())
}

// DropJob removes a job that was added with the reason, unless it has started. It returns whether
// it did.
func (t *Tx) DropJob(
	ctx context.Context, j *controlplane.Job, reason controlplane.Reason,
) (bool, error) {
	tag, err := t.db.Exec(ctx,
		`DELETE FROM jobs WHERE org_id = $1 AND id = $2 AND status = 'queued' AND reason = $3`,
		j.OrgID, j.ID, reason)
	return tag.RowsAffected() > 0, translate(err, "job", j.ID)
}

// PostponeJob moves a queued job that waits for the reason to a later time.
func (q queries) PostponeJob(
	ctx context.Context, orgID, id, reason string, at, now time.Time,
) error {
	_, err := q.db.Exec(ctx, `UPDATE jobs SET run_at = $4, generation = generation + 1, dispatched_at = NULL, updated_at = $5
		WHERE org_id = $1 AND id = $2 AND reason = $3 AND status = 'queued' AND run_at < $4`,
		orgID, id, reason, at, now)
	return translate(err, "job", id)
}

// addUnlessOpen stores a job about a delegation or a connection. If its search for an open one did
// not end with KindNotFound, it returns what that found, and false.
func (t *Tx) addUnlessOpen(
	ctx context.Context, j, open *controlplane.Job, searched error,
) (*controlplane.Job, bool, error) {
	if !controlplane.IsKind(searched, controlplane.KindNotFound) {
		return open, false, searched
	}
	added, err := t.oneJob(ctx, j.ID, `
		INSERT INTO jobs AS j (id, org_id, delegation_id, connection_id, type, slot, queue, reason, run_at, request_id, created_at, updated_at)
		VALUES (@id, @org_id, nullif(@delegation_id, ''), nullif(@connection_id, ''), @type, @slot, @queue, @reason, @run_at, @request_id, @now, @now)
		RETURNING `+jobColumns,
		named{"id": j.ID, "org_id": j.OrgID, "delegation_id": j.DelegationID,
			"connection_id": j.ConnectionID, "type": j.Type, "slot": j.Slot(), "queue": j.Queue,
			"reason": j.Reason, "run_at": j.RunAt, "request_id": j.RequestID, "now": j.CreatedAt})
	return added, err == nil, err
}
