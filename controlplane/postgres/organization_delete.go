package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// EndOrganization marks an organization as deleted, so that it is no longer found, and removes all
// access to it: memberships with their sessions, tokens, registration keys, and invitations. Its
// webhooks get no more events, its challenges are no longer served, and no further DNS records are
// created. Everything else is left to RemoveOrganization.
func (t *Tx) EndOrganization(ctx context.Context, orgID string, now time.Time) error {
	b := &pgx.Batch{}
	b.Queue(`UPDATE organizations SET deleted_at = $2 WHERE id = $1`, orgID, now)
	b.Queue(`UPDATE webhooks SET enabled = false WHERE org_id = $1`, orgID)
	for _, table := range []string{"organization_members", "member_invitations", "invitations",
		"api_tokens", "acmedns_keys", "challenges"} {
		b.Queue(`DELETE FROM `+table+` WHERE org_id = $1`, orgID)
	}
	b.Queue(`DELETE FROM dns_records WHERE org_id = $1 AND state = 'pending' AND NOT attempted`, orgID)
	return translate(t.db.SendBatch(ctx, b).Close(), "organization", orgID)
}

// retractBatch is how many targets one statement retracts.
const retractBatch = 5000

// RetractTargets notifies the name servers that the targets of a deleted organization no longer
// exist, in batches. If it fails, they are notified when the targets are removed.
func (s *Store) RetractTargets(ctx context.Context, orgID string) error {
	after := ""
	for {
		n := 0
		err := s.db.QueryRow(ctx, `
			WITH batch AS MATERIALIZED (
				SELECT label FROM targets WHERE org_id = $1 AND label > $2 ORDER BY label LIMIT $3
			), told AS MATERIALIZED (
				SELECT count(pg_notify('dcvaas_zone', '-t ' || label)) AS n FROM batch
			)
			SELECT n, coalesce((SELECT max(label) FROM batch), '') FROM told`,
			orgID, after, retractBatch).Scan(&n, &after)
		if err != nil || n < retractBatch {
			return translate(err, "organization", orgID)
		}
	}
}

// DeletedOrganizations returns the organizations whose rows are to be removed, in the order of
// their deletion.
func (s *Store) DeletedOrganizations(ctx context.Context) ([]string, error) {
	return all(ctx, s.queries, pgx.RowTo[string],
		`SELECT id FROM organizations WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id`)
}

// batched are the tables whose number of rows an organization decides, each before those that its
// rows refer to. Each is read by an index on the organization.
var batched = []string{"webhook_deliveries", "acmedns_accounts", "domains", "dns_records", "delegations",
	"idempotency_keys", "webhooks"}

// RemoveOrganization removes up to limit rows of a table of a deleted organization, with the rows
// that belong to them, in one statement. It returns whether rows are left. The last call removes
// the organization. Its audit log is kept.
func (s *Store) RemoveOrganization(ctx context.Context, orgID string, limit int) (bool, error) {
	if more, err := s.removeFrom(ctx, batched, orgID, limit); more || err != nil {
		return true, err
	}
	_, err := s.db.Exec(ctx, `DELETE FROM organizations WHERE id = $1 AND deleted_at IS NOT NULL`,
		orgID)
	return false, translate(err, "organization", orgID)
}

// RemoveDelegationsOf removes up to limit domains or delegations of a deleted organization, so that
// the removal of their DNS records is due. It returns whether any are left.
func (s *Store) RemoveDelegationsOf(ctx context.Context, orgID string, limit int) (bool, error) {
	return s.removeFrom(ctx, []string{"domains", "delegations"}, orgID, limit)
}

// removeFrom removes up to limit rows of the first table that has rows of a deleted organization.
func (s *Store) removeFrom(
	ctx context.Context, tables []string, orgID string, limit int,
) (bool, error) {
	for _, table := range tables {
		// In the order of the rows' places, like every statement that locks several of them. A row
		// that is locked for a moment is removed by a later call.
		tag, err := s.db.Exec(ctx, `
			DELETE FROM `+table+` WHERE ctid = ANY(ARRAY(
				SELECT ctid FROM `+table+` WHERE org_id = (SELECT id FROM organizations WHERE id = $1 AND deleted_at IS NOT NULL)
				LIMIT $2 FOR UPDATE SKIP LOCKED
			))`, orgID, limit)
		if err != nil || tag.RowsAffected() > 0 {
			return true, translate(err, "organization", orgID)
		}
	}
	return false, nil
}
