package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var recordColumns = columns[controlplane.HostedRecord]{
	{"org_id", func(r *controlplane.HostedRecord) any { return &r.OrgID }},
	{"name", func(r *controlplane.HostedRecord) any { return &r.Name }},
	{"delegation_id", func(r *controlplane.HostedRecord) any { return &r.DelegationID }},
	{"connection_id", func(r *controlplane.HostedRecord) any { return &r.ConnectionID }},
	{"job_id", func(r *controlplane.HostedRecord) any { return &r.JobID }},
	{"zone", func(r *controlplane.HostedRecord) any { return &r.Zone }},
	{"value", func(r *controlplane.HostedRecord) any { return &r.Value }},
	{"host_id", func(r *controlplane.HostedRecord) any { return &r.ID }},
	{"state", func(r *controlplane.HostedRecord) any { return (*string)(&r.State) }},
	{"attempted", func(r *controlplane.HostedRecord) any { return &r.Attempted }},
	{"replaces", func(r *controlplane.HostedRecord) any { return &r.Replaces }},
	{"reason", func(r *controlplane.HostedRecord) any { return &r.Reason }},
	{"detail", func(r *controlplane.HostedRecord) any { return &r.Detail }},
	{"automatic", func(r *controlplane.HostedRecord) any { return &r.Automatic }},
	{"ended_at", func(r *controlplane.HostedRecord) any { return &r.EndedAt }},
}

func scanRecord(row pgx.CollectableRow) (controlplane.HostedRecord, error) {
	var r controlplane.HostedRecord
	err := row.Scan(recordColumns.fields(&r)...)
	return r, err
}

// RequestRecords stores that a job is to create records. A request for a name replaces the previous
// one of the same connection and zone, and the removal of its record, except that a write may have
// reached the host. An automatic request replaces any that no write can have reached, and is
// replaced by any in the same way. It returns the stored records: others have no delegation, or
// their name waits for another connection.
//
// Both the delegations and then the records are locked in the order of their names.
func (t *Tx) RequestRecords(
	ctx context.Context, j *controlplane.Job, wanted []controlplane.RecordRequest, now time.Time,
) ([]controlplane.HostedRecord, error) {
	return all(ctx, t.queries, scanRecord, `
		WITH wanted AS MATERIALIZED (
			SELECT w.*, g.id FROM jsonb_to_recordset(@wanted::jsonb) AS w (name text, zone text, value text, replaces jsonb, automatic boolean)
				JOIN delegations g ON g.org_id = @org_id AND '_acme-challenge.' || g.name = w.name
			WHERE g.name = ANY(@bases) ORDER BY g.name FOR KEY SHARE OF g
		)
		INSERT INTO dns_records AS r (org_id, name, delegation_id, connection_id, job_id, zone, value, state, replaces, automatic, created_at, updated_at)
		SELECT @org_id, name, id, @connection_id, @job_id, zone, value, 'pending', replaces, automatic, @now, @now FROM wanted
		ON CONFLICT (org_id, name) DO UPDATE SET delegation_id = EXCLUDED.delegation_id, connection_id = EXCLUDED.connection_id,
			job_id = EXCLUDED.job_id, automatic = EXCLUDED.automatic, zone = EXCLUDED.zone, value = EXCLUDED.value, host_id = '', state = 'pending',
			attempted = r.attempted AND r.state IN ('pending', 'removing') OR r.state = 'created' AND r.remove_at IS NOT NULL,
			replaces = EXCLUDED.replaces, reason = '', detail = '', remove_at = NULL, ended_at = NULL, updated_at = @now
		WHERE r.state <> 'pending' OR r.connection_id = EXCLUDED.connection_id
			AND r.zone IN (EXCLUDED.zone, '') AND r.value = EXCLUDED.value OR (EXCLUDED.automatic OR r.automatic) AND NOT r.attempted
		RETURNING `+recordColumns.list("r."),
		named{"org_id": j.OrgID, "connection_id": j.ConnectionID, "job_id": j.ID,
			"wanted": wanted, "bases": basesOf(wanted), "now": now})
}

func basesOf(wanted []controlplane.RecordRequest) []string {
	bases := make([]string, len(wanted))
	for i, w := range wanted {
		bases[i] = w.Name[len("_acme-challenge."):]
	}
	return bases
}

// PendingRecord returns the next record to be created through a connection.
func (q queries) PendingRecord(
	ctx context.Context, orgID, connectionID string,
) (*controlplane.HostedRecord, error) {
	return one(ctx, q, scanRecord, "DNS record", connectionID, `SELECT `+recordColumns.list("r.")+
		` FROM dns_records r WHERE r.org_id = $1 AND r.connection_id = $2 AND r.state = 'pending'
		ORDER BY r.name LIMIT 1`, orgID, connectionID)
}

// WaitingRecords returns the records of the names that wait for a job, and whose delegations have
// not ended.
func (q queries) WaitingRecords(
	ctx context.Context, j *controlplane.Job, names []string,
) ([]controlplane.HostedRecord, error) {
	return all(ctx, q, scanRecord, `SELECT `+recordColumns.list("r.")+` FROM dns_records r
		WHERE r.org_id = $1 AND r.name = ANY($2) AND r.connection_id = $3 AND r.job_id = $4 AND r.state = 'pending'
			AND EXISTS (SELECT FROM delegations g WHERE g.id = r.delegation_id)`,
		j.OrgID, names, j.ConnectionID, j.ID)
}

// AttemptRecord stores that a write is sent to the host. It returns false if the request has
// changed, and ErrClaimLost if the worker no longer holds the job.
func (s *Store) AttemptRecord(
	ctx context.Context, c *Claim, r *controlplane.HostedRecord, now time.Time,
) (bool, error) {
	tag, err := s.db.Exec(ctx, `UPDATE dns_records SET attempted = true, updated_at = @now
		WHERE `+sameRequest+` AND EXISTS (`+holdsJob+`)`,
		merge(requestArgs(r), named{"job": c.Job.ID, "worker": c.Worker, "now": now}))
	if err != nil || tag.RowsAffected() > 0 {
		return err == nil, translate(err, "DNS record", r.Name)
	}
	return false, s.stillHeld(ctx, holdsJob, named{"job": c.Job.ID, "worker": c.Worker})
}

// sameRequest is true of a record that is still requested as in requestArgs. The replaced records
// count: a request can change them.
const sameRequest = `org_id = @org_id AND name = @name AND state = 'pending' AND connection_id = @connection_id
	AND job_id = @job_id AND zone = @zone AND value = @value AND replaces = @replaces::jsonb`

func requestArgs(r *controlplane.HostedRecord) named {
	return named{"org_id": r.OrgID, "name": r.Name, "connection_id": r.ConnectionID,
		"job_id": r.JobID, "zone": r.Zone, "value": r.Value, "replaces": replaced(r)}
}

func replaced(r *controlplane.HostedRecord) []controlplane.RecordSet {
	if r.Replaces == nil {
		return []controlplane.RecordSet{}
	}
	return r.Replaces
}

// DropRecord removes a pending record that nothing needs, and that no write has reached or that is
// absent at the host: its delegation has ended or, if it is automatic, has another connection or
// none. It returns whether it did.
func (s *Store) DropRecord(
	ctx context.Context, r *controlplane.HostedRecord, absent bool,
) (bool, error) {
	tag, err := s.db.Exec(ctx, `DELETE FROM dns_records WHERE `+sameRequest+` AND (NOT attempted OR @absent)
		AND NOT EXISTS (SELECT FROM delegations g WHERE g.id = dns_records.delegation_id
			AND (NOT automatic OR dns_records.connection_id = `+connectionOf+`))`,
		merge(requestArgs(r), named{"absent": absent}))
	return tag.RowsAffected() > 0, translate(err, "DNS record", r.Name)
}

// ConcludeRecord stores the state of a pending record. It returns false if the request has changed:
// then the record stays pending.
func (t *Tx) ConcludeRecord(
	ctx context.Context, r *controlplane.HostedRecord, now time.Time,
) (bool, error) {
	tag, err := t.db.Exec(ctx, `UPDATE dns_records SET state = @state, host_id = @host_id, attempted = false,
		reason = @reason, detail = @detail, updated_at = @now WHERE `+sameRequest,
		merge(requestArgs(r), named{"state": r.State, "host_id": r.ID, "reason": r.Reason,
			"detail": r.Detail, "now": now}))
	return tag.RowsAffected() > 0, translate(err, "DNS record", r.Name)
}

// RecordResults returns what the requests of a job have led to so far, and what it removed.
func (q queries) RecordResults(
	ctx context.Context, j *controlplane.Job,
) (*controlplane.RecordResults, error) {
	var done controlplane.RecordResults
	args := named{"org_id": j.OrgID, "connection_id": j.ConnectionID, "job_id": j.ID}
	const ofJob = ` FROM dns_records r WHERE r.org_id = @org_id AND r.connection_id = @connection_id AND r.job_id = @job_id`
	err := q.db.QueryRow(ctx, `SELECT count(*) FILTER (WHERE r.state = 'created'), count(*) FILTER (WHERE r.state = 'present'),
			coalesce((SELECT (result->>'removed')::int FROM jobs WHERE id = @job_id), 0), coalesce((SELECT (result->>'left')::int FROM jobs WHERE id = @job_id), 0)`+
		ofJob, args).Scan(&done.Created, &done.Present, &done.Removed, &done.Left)
	if err != nil {
		return nil, translate(err, "", "")
	}
	done.Failed, err = all(ctx, q, scanRecord, `SELECT `+recordColumns.list("r.")+ofJob+
		` AND r.state = 'failed' ORDER BY r.name LIMIT @limit`,
		merge(args, named{"limit": controlplane.MaxFailedRecords}))
	return &done, err
}
