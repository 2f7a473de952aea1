package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// QueueRenewals creates a renewal job for up to limit domains that are due at now and have none,
// and returns how many. Each job runs after a random delay of up to spread, so that renewals that
// become due together do not reach the CA together. A renewal that has been due for longer than
// spread is not delayed and keeps the time at which it was due, so that the most urgent comes
// first. That happens when a CA requests the renewal of certificates that it will revoke (RFC 9773
// §4.2). It reads only domains that are due, by index.
func (s *Store) QueueRenewals(
	ctx context.Context, now time.Time, limit int, spread time.Duration,
) (int, error) {
	ids := make([]string, limit)
	for i := range ids {
		ids[i] = controlplane.NewID(controlplane.PrefixJob)
	}
	var n int
	err := s.db.QueryRow(ctx, queueRenewals, now, limit, ids, spread,
		controlplane.JobRenewal.Slot()).Scan(&n)
	return n, translate(err, "", "")
}

const queueRenewals = `
	WITH due AS (
		SELECT id FROM domains
		WHERE status IN ('active', 'error') AND auto_renew AND NOT renewal_queued AND renew_at <= $1
		ORDER BY renew_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
	), taken AS (
		UPDATE domains d SET renewal_queued = true FROM due WHERE d.id = due.id RETURNING d.id, d.org_id, d.renew_at
	), numbered AS (
		SELECT taken.*, row_number() OVER () AS n FROM taken
	), job AS (
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at, created_at, updated_at)
		SELECT ($3::text[])[n], org_id, id, 'renewal', $5, 'bulk',
			CASE WHEN renew_at <= $1::timestamptz - $4::interval THEN renew_at ELSE $1::timestamptz + random() * $4::interval END, $1, $1 FROM numbered
		ON CONFLICT (domain_id, slot) WHERE status IN ('queued', 'running') DO NOTHING
	)
	SELECT count(*) FROM taken`

// QueueReissues creates a job for up to limit domains whose certificate is outdated, whose order is
// due at now, and that have no open job for a certificate. Each is due again at the given time, in
// case its job is lost. It returns how many domains were due and how many jobs it created. It reads
// only domains that are due, by index.
func (s *Store) QueueReissues(
	ctx context.Context, now, again time.Time, limit int,
) (due, added int, err error) {
	err = s.db.QueryRow(ctx, queueReissues, reissueArgs(now, again, limit)).Scan(&due, &added)
	return due, added, translate(err, "", "")
}

const queueReissues = `
	WITH due AS (
		SELECT id FROM domains WHERE reissue_at <= @now
		ORDER BY reissue_at LIMIT @limit FOR NO KEY UPDATE SKIP LOCKED
	), taken AS (
		UPDATE domains d SET reissue_at = CASE WHEN certificate_revision < options_revision THEN @again::timestamptz END
		FROM due WHERE d.id = due.id RETURNING d.id, d.org_id, d.reissue_at
	), numbered AS (
		SELECT id, org_id, row_number() OVER () AS n FROM taken WHERE reissue_at IS NOT NULL
	), job AS (
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, reason, run_at, created_at, updated_at)
		SELECT (@ids::text[])[n], org_id, id, 'start_issuance', @slot, 'default', @reason, @now, @now, @now FROM numbered
		ON CONFLICT (domain_id, slot) WHERE status IN ('queued', 'running') DO NOTHING
		RETURNING id
	)
	SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM job)`

func reissueArgs(now, again time.Time, limit int) named {
	ids := make([]string, limit)
	for i := range ids {
		ids[i] = controlplane.NewID(controlplane.PrefixJob)
	}
	return named{"now": now, "again": again, "limit": limit, "ids": ids,
		"slot":   controlplane.JobStartIssuance.Slot(),
		"reason": controlplane.ReasonOptionsChanged}
}

// QueueRehearsals creates a job that checks the delegation for up to limit active domains whose
// check is due at now, and returns how many. Each domain has its own point in the interval of the
// RenewalWatch, at which its next check is due. So the checks stay spread, even if many are due at
// the same time after an outage.
func (s *Store) QueueRehearsals(
	ctx context.Context, now time.Time, limit int, spread time.Duration,
) (int, error) {
	ids := make([]string, limit)
	for i := range ids {
		ids[i] = controlplane.NewID(controlplane.PrefixJob)
	}
	var n int
	err := s.db.QueryRow(ctx, `
		WITH due AS (
			SELECT id FROM domains WHERE status = 'active' AND rehearse_at <= $1
			ORDER BY rehearse_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
		), taken AS (
			UPDATE domains d SET rehearse_at = `+nextAtPoint("$1::timestamptz", "d.rehearse_every", "d.id")+` FROM due WHERE d.id = due.id RETURNING d.id, d.org_id
		), numbered AS (
			SELECT taken.*, row_number() OVER () AS n FROM taken
		), job AS (
			INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at, created_at, updated_at)
			SELECT ($3::text[])[n], org_id, id, 'dns_check', $5, 'bulk', $1::timestamptz + random() * $4::interval, $1, $1 FROM numbered
			ON CONFLICT (domain_id, slot) WHERE status IN ('queued', 'running') DO NOTHING
		)
		SELECT count(*) FROM taken`, now, limit, ids, spread, controlplane.JobDNSCheck.Slot()).Scan(&n)
	return n, translate(err, "", "")
}

// nextAtPoint returns an expression for the first time after now at the row's point in the period,
// which is drawn from its ID.
func nextAtPoint(now, every, id string) string {
	seconds := `extract(epoch FROM ` + every + `)::float8`
	point := `((hashtext(` + id + `)::float8 + 2147483648) / 4294967296)`
	passed := `(extract(epoch FROM ` + now + `)::float8 / ` + seconds + ` - ` + point + `)`
	// 1e-6 makes up for rounding, if now is the row's point.
	return now + ` + ` + every + ` * (floor(` + passed + ` + 1e-6) + 1 - ` + passed + `)`
}

// Expired returns up to limit active domains whose certificate has expired at now.
func (s *Store) Expired(
	ctx context.Context, now time.Time, limit int,
) ([]controlplane.Domain, error) {
	return all(ctx, s.queries, scanDomain, `SELECT `+domainColumns+
		` FROM domains d WHERE d.status = 'active' AND d.expires_at <= $1 ORDER BY d.expires_at LIMIT $2`, now, limit)
}

// ResetRenewals is the daily backstop: domains that are marked as having a renewal queued, and have
// no such open job, become due again. It returns how many.
func (s *Store) ResetRenewals(ctx context.Context, now time.Time) (int, error) {
	tag, err := s.db.Exec(ctx, `
		UPDATE domains d SET renewal_queued = false
		WHERE d.status IN ('active', 'error') AND d.auto_renew AND d.renewal_queued AND d.renew_at <= $1
			AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.domain_id = d.id AND j.slot = $2 AND j.status IN ('queued', 'running'))`,
		now, controlplane.JobRenewal.Slot())
	return int(tag.RowsAffected()), translate(err, "", "")
}

// SweepChallenges removes challenges that have expired at now.
func (s *Store) SweepChallenges(ctx context.Context, now time.Time) error {
	return s.sweep(ctx, "challenges", "expires_at", now)
}

// sweepBatch is how many rows one statement of sweep removes.
const sweepBatch = 5000

// sweep removes all rows of a table whose time in the column is not after the given one, in
// batches: there are many after a pause of the sweeps.
func (q queries) sweep(ctx context.Context, table, column string, until time.Time) error {
	for {
		tag, err := q.db.Exec(ctx, `DELETE FROM `+table+` WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM `+table+` WHERE `+column+` <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, until,
			sweepBatch)
		if err != nil || tag.RowsAffected() < sweepBatch {
			return translate(err, "", "")
		}
	}
}
