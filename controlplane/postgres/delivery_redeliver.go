package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// setRestarted is the part of an UPDATE that restarts the job of a delivery at @now.
const setRestarted = `status = 'queued', attempts = 0, generation = jobs.generation + 1, dispatched_at = NULL, run_at = @now,
	reason = '', dead_lettered_at = NULL, result = NULL, claimed_by = '', claimed_until = NULL, updated_at = @now`

// underWay holds for a job of a delivery whose attempt is in progress, or due at @now as the first
// one: a restart would change nothing.
const underWay = `(jobs.status = 'running' OR
	jobs.status = 'queued' AND jobs.attempts = 0 AND jobs.run_at <= @now)`

// Redeliver makes a delivery pending again, to be attempted at now. It changes nothing, and returns
// false, if an attempt is in progress or already due. The caller has locked the webhook.
func (t *Tx) Redeliver(
	ctx context.Context, d *controlplane.Delivery, now time.Time,
) (bool, error) {
	args := named{"org_id": d.OrgID, "delivery_id": d.ID, "now": now}
	err := t.db.QueryRow(ctx, `
		UPDATE webhook_deliveries d SET status = 'pending', next_attempt_at = @now, updated_at = @now
		FROM jobs WHERE d.org_id = @org_id AND d.id = @delivery_id AND jobs.delivery_id = d.id AND NOT `+underWay+`
		RETURNING `+deliveryColumns, args).Scan(deliveryFields(d)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, translate(err, "delivery", d.ID)
	}
	_, err = t.db.Exec(ctx, `UPDATE jobs SET `+setRestarted+`, queue = 'critical'
		WHERE org_id = @org_id AND delivery_id = @delivery_id AND status <> 'running'`, args)
	return true, translate(err, "delivery", d.ID)
}

// Redelivery is the result of RedeliverRange.
type Redelivery struct {
	Queued  int       // events that are queued now
	Started int       // those of them that the call queued
	Until   time.Time // the range is complete before this time
}

// RedeliverRange redelivers the events of a time range, until exclusive, that the webhook
// subscribes to and that were not delivered, or all of them. It includes events that the webhook
// missed while it was disabled. It takes the first events, up to limit. It leaves alone what
// Redeliver leaves alone. The caller has locked the webhook.
func (t *Tx) RedeliverRange(
	ctx context.Context, w *controlplane.Webhook, since, until, now time.Time, all bool, limit int,
) (Redelivery, error) {
	out := Redelivery{Until: until}
	rows, err := t.db.Query(ctx, `
		SELECT a.id, a.created_at FROM audit_logs a LEFT JOIN webhook_deliveries d ON d.id = 'dlv_' || webhook_suffix(a.id, @webhook_id)
		WHERE a.org_id = @org_id AND a.created_at >= @since AND a.created_at < @until
			AND webhook_wants(@webhook_id, @events, a.action, a.entity_id, a.details)
			AND (@all OR d.status IS DISTINCT FROM 'succeeded')
		ORDER BY a.created_at, a.id LIMIT @limit`,
		named{"org_id": w.OrgID, "webhook_id": w.ID, "events": w.Events, "since": since,
			"until": until, "all": all, "limit": limit + 1})
	if err != nil {
		return out, translate(err, "", "")
	}
	type entry struct {
		ID        string
		CreatedAt time.Time
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		return out, translate(err, "", "")
	}
	if len(entries) > limit {
		out.Until = entries[limit].CreatedAt
	}
	var ids []string
	for _, e := range entries {
		if e.CreatedAt.Before(out.Until) {
			ids = append(ids, e.ID)
		}
	}
	tag, err := t.db.Exec(ctx, `
		WITH entry AS (
			SELECT a.id, a.action, a.created_at, a.request_id, webhook_suffix(a.id, @webhook_id) AS suffix FROM audit_logs a
			WHERE a.org_id = @org_id AND a.id = ANY(@event_ids)
		), delivery AS (
			INSERT INTO webhook_deliveries AS d (id, org_id, webhook_id, event_id, event_type, next_attempt_at, created_at, updated_at)
			SELECT 'dlv_' || suffix, @org_id, @webhook_id, id, action, @now, created_at, @now FROM entry ORDER BY created_at, id
			ON CONFLICT (id) DO UPDATE SET status = 'pending', next_attempt_at = @now, updated_at = @now
				WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.delivery_id = d.id AND `+underWay+`)
			RETURNING d.id
		)
		INSERT INTO jobs (id, org_id, delivery_id, type, slot, queue, run_at, request_id, created_at, updated_at)
		SELECT 'job_' || suffix, @org_id, 'dlv_' || suffix, 'webhook_delivery', 'webhook:dlv_' || suffix, 'default', @now, request_id,
			created_at, @now
		FROM entry WHERE (SELECT count(*) FROM delivery) >= 0 ORDER BY created_at, id
		ON CONFLICT (delivery_id) WHERE delivery_id IS NOT NULL DO UPDATE SET `+setRestarted+` WHERE NOT `+underWay,
		named{"org_id": w.OrgID, "webhook_id": w.ID, "event_ids": ids, "now": now})
	out.Queued, out.Started = len(ids), int(tag.RowsAffected())
	return out, translate(err, "", "")
}

// AbandonDeliveries marks up to limit pending deliveries of a webhook as failed, except those with
// an attempt in progress, and returns how many. The caller has locked the webhook.
func (t *Tx) AbandonDeliveries(
	ctx context.Context, w *controlplane.Webhook, now time.Time, limit int, code, why string,
) (int, error) {
	tag, err := t.db.Exec(ctx, `
		WITH ended AS (
			UPDATE webhook_deliveries d SET status = 'failed', next_attempt_at = NULL, last_error = $4, updated_at = $3
			FROM (
				SELECT d.id FROM webhook_deliveries d JOIN jobs j ON j.delivery_id = d.id
				WHERE d.org_id = $1 AND d.webhook_id = $2 AND d.status = 'pending' AND j.status = 'queued' ORDER BY d.id LIMIT $6 FOR NO KEY UPDATE OF d
			) waiting
			WHERE d.id = waiting.id
			RETURNING d.id
		), job AS (
			SELECT j.id FROM jobs j JOIN ended ON j.delivery_id = ended.id WHERE j.status = 'queued' ORDER BY j.id FOR NO KEY UPDATE OF j
		)
		UPDATE jobs j SET status = 'failed', reason = $5, last_error_code = $5, last_error = $4, generation = generation + 1, updated_at = $3
		FROM job WHERE j.id = job.id`, w.OrgID, w.ID, now, why, code, limit)
	return int(tag.RowsAffected()), translate(err, "webhook", w.ID)
}

// AbandonDelivery marks one delivery as failed without an attempt.
func (t *Tx) AbandonDelivery(
	ctx context.Context, d *controlplane.Delivery, now time.Time, why string,
) error {
	_, err := t.db.Exec(ctx, `
		UPDATE webhook_deliveries SET status = 'failed', next_attempt_at = NULL, last_error = $3, updated_at = $4
		WHERE org_id = $1 AND id = $2`, d.OrgID, d.ID, why, now)
	return translate(err, "delivery", d.ID)
}

// DelayDelivery records when a delivery is attempted next.
func (t *Tx) DelayDelivery(
	ctx context.Context, d *controlplane.Delivery, now, next time.Time,
) error {
	_, err := t.db.Exec(ctx,
		`UPDATE webhook_deliveries SET next_attempt_at = $3, updated_at = $4 WHERE org_id = $1 AND id = $2`, d.OrgID, d.ID, next, now)
	return translate(err, "delivery", d.ID)
}

// restartDelivery is RestartJob for the job of a delivery.
func (t *Tx) restartDelivery(
	ctx context.Context, j *controlplane.Job, now time.Time,
) (*controlplane.Job, bool, error) {
	d, w, err := t.DeliveryWithWebhook(ctx, j.OrgID, j.DeliveryID)
	if err != nil {
		return nil, false, err
	}
	// Under the webhook's lock, the check and the update are atomic.
	if w, err = t.LockWebhook(ctx, j.OrgID, w.ID); err != nil {
		return nil, false, err
	}
	if j, err = t.Job(ctx, j.OrgID, j.ID); err != nil || j.Status != controlplane.JobFailed {
		return j, false, err
	}
	if !w.Enabled && d.EventType != controlplane.EventTest {
		return nil, false, controlplane.WebhookIsDisabled(w.ID)
	}
	restarted, err := t.Redeliver(ctx, d, now)
	if err != nil {
		return nil, false, err
	}
	j, err = t.Job(ctx, j.OrgID, j.ID)
	return j, restarted, err
}
