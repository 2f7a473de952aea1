package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const webhookColumns = `w.id, w.org_id, w.url, w.description, w.events, w.enabled, w.disabled_reason, w.failing_since,
	w.created_by, w.created_at, w.updated_at, ` + webhookSecrets

func scanWebhook(row pgx.CollectableRow) (controlplane.Webhook, error) {
	var w controlplane.Webhook
	err := row.Scan(webhookFields(&w)...)
	return w, err
}

// webhookFields are the destinations for webhookColumns.
func webhookFields(w *controlplane.Webhook) []any {
	return []any{&w.ID, &w.OrgID, &w.URL, &w.Description, &w.Events, &w.Enabled, &w.DisabledReason,
		&w.FailingSince, &w.CreatedBy, &w.CreatedAt, &w.UpdatedAt, &w.Secrets}
}

// Webhook returns one webhook. One that was deleted is not found.
func (q queries) Webhook(ctx context.Context, orgID, id string) (*controlplane.Webhook, error) {
	return one(ctx, q, scanWebhook, "webhook", id, `SELECT `+webhookColumns+
		` FROM webhooks w WHERE w.org_id = $1 AND w.id = $2 AND w.deleted_at IS NULL`, orgID, id)
}

// LockWebhook is Webhook, with the row locked until the transaction ends. Every transaction locks a
// webhook before its secrets and deliveries, and these before their jobs.
func (t *Tx) LockWebhook(ctx context.Context, orgID, id string) (*controlplane.Webhook, error) {
	// The secrets are read by a second statement, whose snapshot is taken after the lock.
	if _, err := t.db.Exec(ctx, `SELECT FROM webhooks WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE`, orgID,
		id); err != nil {
		return nil, translate(err, "webhook", id)
	}
	return t.Webhook(ctx, orgID, id)
}

// ListWebhooks returns one page, newest first, and the cursor of the next one, nil on the last.
func (q queries) ListWebhooks(
	ctx context.Context, orgID string, after *Cursor, limit int,
) ([]controlplane.Webhook, *Cursor, error) {
	l := newList(`SELECT `+webhookColumns+` FROM webhooks w`, "w.org_id = @org_id AND w.deleted_at IS NULL",
		named{"org_id": orgID})
	l.newest("w.created_at", "w.id", after, limit)
	return readPage(ctx, q, l, scanWebhook,
		func(w controlplane.Webhook) *Cursor { return at(w.CreatedAt, w.ID) })
}

// WebhookCount returns how many webhooks the organization has, without the one with the ID except.
func (q queries) WebhookCount(ctx context.Context, orgID, except string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx, `SELECT count(*) FROM webhooks WHERE org_id = $1 AND id <> $2 AND deleted_at IS NULL`,
		orgID, except).Scan(&n)
	return n, translate(err, "", "")
}

// LockTier returns the organization's tier and locks its row until the transaction ends, so that no
// webhook is added or removed.
func (t *Tx) LockTier(ctx context.Context, orgID string) (controlplane.Tier, error) {
	var tier controlplane.Tier
	err := t.db.QueryRow(ctx,
		`SELECT subscription_tier FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE`,
		orgID).Scan(&tier)
	return tier, translate(err, "organization", orgID)
}

// AddWebhook stores a new webhook with its first secret.
func (t *Tx) AddWebhook(ctx context.Context, w *controlplane.Webhook) error {
	secret := w.Secrets[0]
	_, err := t.db.Exec(ctx, `
		WITH webhook AS (
			INSERT INTO webhooks (id, org_id, url, description, events, enabled, sealed_secret, created_by, created_at, updated_at)
			VALUES (@id, @org_id, @url, @description, @events, @enabled, @sealed, @created_by, @created_at, @created_at)
		)
		INSERT INTO webhook_secrets (webhook_id, sealed, org_id, prefix, created_at) VALUES (@id, @sealed, @org_id, @prefix, @created_at)`,
		named{"id": w.ID, "org_id": w.OrgID, "url": w.URL, "description": w.Description,
			"events": w.Events, "enabled": w.Enabled, "sealed": secret.Sealed,
			"prefix": secret.Prefix, "created_by": w.CreatedBy, "created_at": w.CreatedAt})
	return translate(err, "organization", w.OrgID)
}

// SaveWebhook writes every field of w that can change, except its secrets.
func (t *Tx) SaveWebhook(ctx context.Context, w *controlplane.Webhook) error {
	_, err := t.db.Exec(ctx, `
		UPDATE webhooks SET url = @url, description = @description, events = @events, enabled = @enabled,
			disabled_reason = @disabled_reason, failing_since = @failing_since, updated_at = @updated_at
		WHERE org_id = @org_id AND id = @id`,
		named{"id": w.ID, "org_id": w.OrgID, "url": w.URL, "description": w.Description,
			"events": w.Events, "enabled": w.Enabled,
			"disabled_reason": w.DisabledReason, "failing_since": w.FailingSince,
			"updated_at": w.UpdatedAt})
	return translate(err, "webhook", w.ID)
}

// WebhookSucceeded records that an attempt succeeded. It locks only a webhook that was failing.
func (t *Tx) WebhookSucceeded(ctx context.Context, orgID, id string) error {
	_, err := t.db.Exec(ctx,
		`UPDATE webhooks SET failing_since = NULL WHERE org_id = $1 AND id = $2 AND failing_since IS NOT NULL`, orgID, id)
	return translate(err, "webhook", id)
}

// EndWebhook marks a webhook as deleted, so that it is no longer found, gets no more events, and
// nothing is delivered to it. Its secrets are removed. Its deliveries are left to RemoveWebhook.
func (t *Tx) EndWebhook(ctx context.Context, orgID, id string, now time.Time) error {
	_, err := t.db.Exec(ctx, `
		WITH secrets AS (DELETE FROM webhook_secrets WHERE org_id = $1 AND webhook_id = $2)
		UPDATE webhooks SET deleted_at = $3, enabled = false, previous_sealed_secret = NULL, previous_until = NULL
		WHERE org_id = $1 AND id = $2`, orgID, id, now)
	return translate(err, "webhook", id)
}

// DeletedWebhooks returns the webhooks whose rows are to be removed, in the order of their
// deletion.
func (s *Store) DeletedWebhooks(ctx context.Context) ([]string, error) {
	return all(ctx, s.queries, pgx.RowTo[string],
		`SELECT id FROM webhooks WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id`)
}

// RemoveWebhook removes up to limit deliveries of a deleted webhook, with their attempts and jobs,
// in one statement. It returns whether rows are left. The last call removes the webhook.
func (s *Store) RemoveWebhook(ctx context.Context, id string, limit int) (bool, error) {
	tag, err := s.db.Exec(ctx, `
		DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM webhook_deliveries WHERE webhook_id = (SELECT id FROM webhooks WHERE id = $1 AND deleted_at IS NOT NULL)
			LIMIT $2 FOR UPDATE SKIP LOCKED
		))`, id, limit)
	if err != nil || tag.RowsAffected() > 0 {
		return true, translate(err, "webhook", id)
	}
	_, err = s.db.Exec(ctx, `DELETE FROM webhooks WHERE id = $1 AND deleted_at IS NOT NULL`, id)
	return false, translate(err, "webhook", id)
}
