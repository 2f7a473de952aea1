package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// RemoveJobsOf removes up to limit finished jobs of a domain, without its newest thousand jobs, and
// returns how many.
func (s *Store) RemoveJobsOf(
	ctx context.Context, orgID, domainID string, limit int,
) (int, error) {
	tag, err := s.db.Exec(ctx, `
		DELETE FROM jobs WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM jobs WHERE org_id = $1 AND domain_id = $2 AND status IN ('succeeded', 'failed')
				AND created_at < (SELECT created_at FROM jobs WHERE domain_id = $2 ORDER BY created_at DESC, id DESC OFFSET 1000 LIMIT 1)
			ORDER BY created_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
		))`, orgID, domainID, limit)
	return int(tag.RowsAffected()), translate(err, "domain", domainID)
}

// RemoveJobs removes up to limit jobs with the status that finished before the given time, and
// returns how many. Jobs of deliveries are removed with these.
func (s *Store) RemoveJobs(
	ctx context.Context, status controlplane.JobStatus, before time.Time, limit int,
) (int, error) {
	// The status is in the text: it is the condition of the index.
	finished := `'succeeded'`
	if status == controlplane.JobFailed {
		finished = `'failed'`
	}
	tag, err := s.db.Exec(ctx, `
		DELETE FROM jobs WHERE id = ANY(ARRAY(
			SELECT id FROM jobs WHERE status = `+finished+` AND delivery_id IS NULL AND updated_at < $1
			ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
		))`, before, limit)
	return int(tag.RowsAffected()), translate(err, "", "")
}

// withoutSecrets is the part of an UPDATE that removes the secrets of an order that is over. Its
// certificate keeps the key.
const withoutSecrets = `sealed_key = NULL, csr = ''`

// RemoveOrderSecrets removes the keys and CSRs of up to limit orders that are over and were closed
// by a version that kept them. It returns how many.
func (s *Store) RemoveOrderSecrets(ctx context.Context, limit int) (int, error) {
	tag, err := s.db.Exec(ctx, `
		UPDATE acme_orders SET `+withoutSecrets+` WHERE id = ANY(ARRAY(
			SELECT id FROM acme_orders WHERE step IN ('stored', 'failed') AND csr <> ''
			LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
		))`, limit)
	return int(tag.RowsAffected()), translate(err, "", "")
}

// RemoveOrders removes up to limit orders that were over before the given time, and returns how
// many.
func (s *Store) RemoveOrders(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.db.Exec(ctx, `
		DELETE FROM acme_orders WHERE id = ANY(ARRAY(
			SELECT id FROM acme_orders WHERE step IN ('stored', 'failed') AND updated_at < $1
			ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
		))`, before, limit)
	return int(tag.RowsAffected()), translate(err, "", "")
}

// keyUntil returns an expression for the time until which a certificate keeps its key after its
// replacement: KeyKept, or until it expires.
func keyUntil(replaced, expires string) string {
	kept := strconv.Itoa(int(controlplane.KeyKept / time.Second))
	return `least(` + replaced + ` + interval '` + kept + ` seconds', ` + expires + `)`
}

// RemoveKeys removes the keys of up to limit certificates that were replaced and whose time has
// come at now, and returns how many.
func (s *Store) RemoveKeys(ctx context.Context, now time.Time, limit int) (int, error) {
	// The previous version does not determine the time.
	if _, err := s.db.Exec(ctx, `
		UPDATE certificates c SET key_until = coalesce((
			SELECT `+keyUntil("n.created_at", "c.not_after")+` FROM certificates n WHERE n.id = c.replaced_by
		), c.not_after)
		WHERE c.id = ANY(ARRAY(
			SELECT id FROM certificates WHERE replaced_by <> '' AND sealed_key IS NOT NULL
				AND coalesce(key_until, '-infinity') = '-infinity'
			LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
		))`, limit); err != nil {
		return 0, translate(err, "", "")
	}
	tag, err := s.db.Exec(ctx, `
		UPDATE certificates SET sealed_key = NULL, key_removed_at = $1 WHERE id = ANY(ARRAY(
			SELECT id FROM certificates WHERE replaced_by <> '' AND sealed_key IS NOT NULL
				AND coalesce(key_until, '-infinity') <= $1 AND key_until IS NOT NULL
			ORDER BY coalesce(key_until, '-infinity') LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
		))`, now, limit)
	return int(tag.RowsAffected()), translate(err, "", "")
}
