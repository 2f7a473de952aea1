package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// afresh is what the job of a delivery becomes that is made again: all attempts anew, at $1.
const afresh = `status = 'queued', attempts = 0, generation = jobs.generation + 1, dispatched_at = NULL, run_at = $1, reason = '',
	dead_lettered_at = NULL, result = NULL, claimed_by = '', claimed_until = NULL, updated_at = $1`

// Redeliver makes a delivery again at now, unless it is being tried at this moment. The
// caller has locked the webhook.
func (t *Tx) Redeliver(ctx context.Context, d *controlplane.Delivery, now time.Time) error {
	err := t.db.QueryRow(ctx, `
		UPDATE webhook_deliveries d SET status = 'pending', next_attempt_at = $3, updated_at = $3
		WHERE d.org_id = $1 AND d.id = $2 RETURNING `+deliveryColumns, d.OrgID, d.ID, now).Scan(deliveryFields(d)...)
	if err != nil {
		return translate(err, "delivery", d.ID)
	}
	_, err = t.db.Exec(ctx, `UPDATE jobs SET `+afresh+`, queue = 'critical' WHERE org_id = $2 AND delivery_id = $3 AND status <> 'running'`, now, d.OrgID, d.ID)
	return translate(err, "delivery", d.ID)
}

// RedeliverRange makes deliveries of the events from since until the given time that the
// webhook wants and that were not delivered, or of all of them: those that it missed while it
// was disabled, too. It takes the first ones, up to limit, and returns how many, and the time
// before which all were looked at. The caller has locked the webhook.
func (t *Tx) RedeliverRange(ctx context.Context, w *controlplane.Webhook, since, until, now time.Time, all bool, limit int) (int, time.Time, error) {
	rows, err := t.db.Query(ctx, `
		SELECT a.id, a.created_at FROM audit_logs a LEFT JOIN webhook_deliveries d ON d.id = 'dlv_' || webhook_suffix(a.id, @webhook_id)
		WHERE a.org_id = @org_id AND a.created_at >= @since AND a.created_at < @until
			AND webhook_wants(@webhook_id, @events, a.action, a.entity_id, a.details)
			AND (@all OR d.status IS DISTINCT FROM 'succeeded')
		ORDER BY a.created_at, a.id LIMIT @limit`,
		named{"org_id": w.OrgID, "webhook_id": w.ID, "events": w.Events, "since": since, "until": until, "all": all, "limit": limit + 1})
	if err != nil {
		return 0, until, translate(err, "", "")
	}
	type entry struct {
		ID        string
		CreatedAt time.Time
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		return 0, until, translate(err, "", "")
	}
	if len(entries) > limit {
		until = entries[limit].CreatedAt
	}
	var ids []string
	for _, e := range entries {
		if e.CreatedAt.Before(until) {
			ids = append(ids, e.ID)
		}
	}
	_, err = t.db.Exec(ctx, `
		WITH entry AS (
			SELECT a.id, a.action, a.created_at, a.request_id, webhook_suffix(a.id, $3) AS suffix FROM audit_logs a WHERE a.org_id = $2 AND a.id = ANY($4)
		), delivery AS (
			INSERT INTO webhook_deliveries AS d (id, org_id, webhook_id, event_id, event_type, next_attempt_at, created_at, updated_at)
			SELECT 'dlv_' || suffix, $2, $3, id, action, $1, created_at, $1 FROM entry ORDER BY created_at, id
			ON CONFLICT (id) DO UPDATE SET status = 'pending', next_attempt_at = $1, updated_at = $1
			RETURNING d.id
		)
		INSERT INTO jobs (id, org_id, delivery_id, type, slot, queue, run_at, request_id, created_at, updated_at)
		SELECT 'job_' || suffix, $2, 'dlv_' || suffix, 'webhook_delivery', 'webhook:dlv_' || suffix, 'default', $1, request_id, created_at, $1
		FROM entry WHERE (SELECT count(*) FROM delivery) >= 0 ORDER BY created_at, id
		ON CONFLICT (delivery_id) WHERE delivery_id IS NOT NULL DO UPDATE SET `+afresh+` WHERE jobs.status <> 'running'`,
		now, w.OrgID, w.ID, ids)
	return len(ids), until, translate(err, "", "")
}

// AbandonDeliveries makes the deliveries fail that a webhook still has to get, but those that are
// being tried at this moment. The caller has locked the webhook.
func (t *Tx) AbandonDeliveries(ctx context.Context, w *controlplane.Webhook, now time.Time, code, why string) error {
	_, err := t.db.Exec(ctx, `
		WITH ended AS (
			UPDATE webhook_deliveries d SET status = 'failed', next_attempt_at = NULL, last_error = $4, updated_at = $3
			FROM (
				SELECT d.id FROM webhook_deliveries d JOIN jobs j ON j.delivery_id = d.id
				WHERE d.org_id = $1 AND d.webhook_id = $2 AND d.status = 'pending' AND j.status = 'queued' ORDER BY d.id FOR NO KEY UPDATE OF d
			) waiting
			WHERE d.id = waiting.id
			RETURNING d.id
		), job AS (
			SELECT j.id FROM jobs j JOIN ended ON j.delivery_id = ended.id WHERE j.status = 'queued' ORDER BY j.id FOR NO KEY UPDATE OF j
		)
		UPDATE jobs j SET status = 'failed', reason = $5, last_error_code = $5, last_error = $4, generation = generation + 1, updated_at = $3
		FROM job WHERE j.id = job.id`, w.OrgID, w.ID, now, why, code)
	return translate(err, "webhook", w.ID)
}

// AbandonDelivery makes one delivery fail without an attempt.
func (t *Tx) AbandonDelivery(ctx context.Context, d *controlplane.Delivery, now time.Time, why string) error {
	_, err := t.db.Exec(ctx, `
		UPDATE webhook_deliveries SET status = 'failed', next_attempt_at = NULL, last_error = $3, updated_at = $4
		WHERE org_id = $1 AND id = $2`, d.OrgID, d.ID, why, now)
	return translate(err, "delivery", d.ID)
}

// DelayDelivery says when a delivery is tried next.
func (t *Tx) DelayDelivery(ctx context.Context, d *controlplane.Delivery, now, next time.Time) error {
	_, err := t.db.Exec(ctx, `UPDATE webhook_deliveries SET next_attempt_at = $3, updated_at = $4 WHERE org_id = $1 AND id = $2`, d.OrgID, d.ID, next, now)
	return translate(err, "delivery", d.ID)
}

// restartDelivery is RestartJob for the job of a delivery.
func (t *Tx) restartDelivery(ctx context.Context, j *controlplane.Job, now time.Time) (*controlplane.Job, bool, error) {
	d, w, err := t.DeliveryWithWebhook(ctx, j.OrgID, j.DeliveryID)
	if err != nil {
		return nil, false, err
	}
	// The webhook's lock makes the look and the update one step.
	if w, err = t.LockWebhook(ctx, j.OrgID, w.ID); err != nil {
		return nil, false, err
	}
	if j, err = t.Job(ctx, j.OrgID, j.ID); err != nil || j.Status != controlplane.JobFailed {
		return j, false, err
	}
	if !w.Enabled && d.EventType != controlplane.EventTest {
		return nil, false, controlplane.WebhookIsDisabled(w.ID)
	}
	if err := t.Redeliver(ctx, d, now); err != nil {
		return nil, false, err
	}
	j, err = t.Job(ctx, j.OrgID, j.ID)
	return j, err == nil, err
}
