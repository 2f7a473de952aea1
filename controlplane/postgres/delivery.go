package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const deliveryColumns = `d.id, d.org_id, d.webhook_id, d.event_id, d.event_type, d.body, d.status, d.attempts_made,
	d.last_status_code, d.last_error, d.next_attempt_at, d.created_at, d.updated_at`

func scanDelivery(row pgx.CollectableRow) (controlplane.Delivery, error) {
	var d controlplane.Delivery
	err := row.Scan(deliveryFields(&d)...)
	return d, err
}

// deliveryFields are the destinations for deliveryColumns.
func deliveryFields(d *controlplane.Delivery) []any {
	return []any{&d.ID, &d.OrgID, &d.WebhookID, &d.EventID, &d.EventType, &d.Body, &d.Status,
		&d.Attempts,
		&d.LastStatusCode, &d.LastError, &d.NextAttemptAt, &d.CreatedAt, &d.UpdatedAt}
}

// Delivery returns one delivery of a webhook. Those of a deleted webhook are not found.
func (q queries) Delivery(
	ctx context.Context, orgID, webhookID, id string,
) (*controlplane.Delivery, error) {
	var d controlplane.Delivery
	err := q.db.QueryRow(ctx, `SELECT `+deliveryColumns+
		` FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.deleted_at IS NULL
		WHERE d.org_id = $1 AND d.webhook_id = $2 AND d.id = $3`,
		orgID, webhookID, id).Scan(deliveryFields(&d)...)
	if err != nil {
		return nil, translate(err, "delivery", id)
	}
	return &d, nil
}

// DeliveryWithWebhook returns a delivery and its webhook.
func (q queries) DeliveryWithWebhook(
	ctx context.Context, orgID, id string,
) (*controlplane.Delivery, *controlplane.Webhook, error) {
	var d controlplane.Delivery
	var w controlplane.Webhook
	err := q.db.QueryRow(ctx, `SELECT `+deliveryColumns+`, `+webhookColumns+
		` FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.deleted_at IS NULL
		WHERE d.org_id = $1 AND d.id = $2`, orgID, id).Scan(append(deliveryFields(&d), webhookFields(&w)...)...)
	if err != nil {
		return nil, nil, translate(err, "delivery", id)
	}
	return &d, &w, nil
}

// DeliveryFilter selects the deliveries to list. The zero value lists all, newest first.
type DeliveryFilter struct {
	Status    controlplane.DeliveryStatus
	EventType string
	After     *Cursor
	Limit     int
}

// ListDeliveries returns one page, newest first, and the cursor of the next one, nil on the last.
func (q queries) ListDeliveries(
	ctx context.Context, orgID, webhookID string, f DeliveryFilter,
) ([]controlplane.Delivery, *Cursor, error) {
	l := newList(`SELECT `+deliveryColumns+` FROM webhook_deliveries d`,
		"d.org_id = @org_id AND d.webhook_id = @webhook_id",
		named{"org_id": orgID, "webhook_id": webhookID})
	l.where(f.Status != "", "d.status = @status", named{"status": f.Status})
	// the conditions of their indexes
	l.where(f.Status == controlplane.DeliveryFailed, "d.status = 'failed'", nil)
	l.where(f.Status == controlplane.DeliveryPending, "d.status = 'pending'", nil)
	l.where(f.EventType != "", "d.event_type = @event_type", named{"event_type": f.EventType})
	l.newest("d.created_at", "d.id", f.After, f.Limit)
	return readPage(ctx, q, l, scanDelivery,
		func(d controlplane.Delivery) *Cursor { return at(d.CreatedAt, d.ID) })
}

// EventDomains returns the domains that events are about, by the ID of the event. An event about no
// domain is missing from the map.
func (q queries) EventDomains(
	ctx context.Context, orgID string, eventIDs []string,
) (map[string]string, error) {
	found := make(map[string]string, len(eventIDs))
	rows, err := q.db.Query(ctx, `SELECT id, `+aboutDomain+` FROM audit_logs
		WHERE org_id = $1 AND id = ANY($2) AND starts_with(`+aboutDomain+`, 'dom_')`, orgID, eventIDs)
	if err != nil {
		return nil, translate(err, "", "")
	}
	var event, domain string
	_, err = pgx.ForEachRow(rows, []any{&event, &domain}, func() error {
		found[event] = domain
		return nil
	})
	return found, translate(err, "", "")
}

// LastDeliveries returns the newest delivery of each of the webhooks, by the webhook's ID. A
// webhook without deliveries is missing from the map.
func (q queries) LastDeliveries(
	ctx context.Context, orgID string, webhookIDs []string,
) (map[string]controlplane.Delivery, error) {
	newest, err := all(ctx, q, scanDelivery, `SELECT `+deliveryColumns+
		` FROM unnest($2::text[]) hook (id), LATERAL (
			SELECT * FROM webhook_deliveries WHERE org_id = $1 AND webhook_id = hook.id ORDER BY created_at DESC, id DESC LIMIT 1
		) d`, orgID, webhookIDs)
	if err != nil {
		return nil, err
	}
	last := make(map[string]controlplane.Delivery, len(newest))
	for _, d := range newest {
		last[d.WebhookID] = d
	}
	return last, nil
}

// Attempts returns the attempts of a delivery, oldest first.
func (q queries) Attempts(
	ctx context.Context, orgID, deliveryID string,
) ([]controlplane.Attempt, error) {
	rows, err := q.db.Query(ctx,
		`SELECT at, duration, status_code, error, request_headers, response_headers, response_body
		FROM webhook_attempts WHERE org_id = $1 AND delivery_id = $2 ORDER BY number`, orgID, deliveryID)
	if err != nil {
		return nil, translate(err, "", "")
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (controlplane.Attempt, error) {
		var a controlplane.Attempt
		err := row.Scan(&a.At, &a.Duration, &a.StatusCode, &a.Error, &a.RequestHeaders,
			&a.ResponseHeaders, &a.ResponseBody)
		return a, err
	})
	return all, translate(err, "", "")
}

// AuditEntry returns one entry of the log.
func (q queries) AuditEntry(
	ctx context.Context, orgID, id string,
) (*controlplane.AuditEntry, error) {
	return one(ctx, q, scanAudit, "event", id, `SELECT `+auditColumns+
		` FROM audit_logs WHERE org_id = $1 AND id = $2`, orgID, id)
}

// AddTest stores the delivery of a test, with its body and its job. The database creates all other
// deliveries, together with their entries of the log (00013_webhooks.sql).
func (t *Tx) AddTest(ctx context.Context, d *controlplane.Delivery, j *controlplane.Job) error {
	_, err := t.db.Exec(ctx, `
		WITH delivery AS (
			INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, event_type, body, next_attempt_at, created_at, updated_at)
			VALUES (@delivery_id, @org_id, @webhook_id, @event_id, @event_type, @body, @created_at, @created_at, @created_at)
		)
		INSERT INTO jobs (id, org_id, delivery_id, type, slot, queue, run_at, request_id, created_at, updated_at)
		VALUES (@job_id, @org_id, @delivery_id, @type, @slot, @queue, @created_at, @request_id, @created_at, @created_at)`,
		named{"delivery_id": d.ID, "org_id": d.OrgID, "webhook_id": d.WebhookID,
			"event_id": d.EventID, "event_type": d.EventType,
			"body": d.Body, "created_at": d.CreatedAt,
			"job_id": j.ID, "type": j.Type, "slot": j.Slot(), "queue": j.Queue,
			"request_id": j.RequestID})
	return translate(err, "webhook", d.WebhookID)
}

// KeepBody stores the body of a delivery before its first attempt. It keeps a body that is stored.
func (s *Store) KeepBody(ctx context.Context, orgID, id string, body []byte) error {
	_, err := s.lazy.Exec(ctx,
		`UPDATE webhook_deliveries SET body = $3 WHERE org_id = $1 AND id = $2 AND body IS NULL`,
		orgID, id, body)
	return translate(err, "delivery", id)
}

// AddAttempt stores an attempt and the delivery's new state.
func (t *Tx) AddAttempt(
	ctx context.Context, d *controlplane.Delivery, a *controlplane.Attempt, now time.Time,
) error {
	_, err := t.db.Exec(ctx, `
		WITH d AS (
			UPDATE webhook_deliveries SET attempts_made = attempts_made + 1, status = @status, last_status_code = @status_code,
				last_error = @error, next_attempt_at = @next_attempt_at, updated_at = @now
			WHERE org_id = @org_id AND id = @delivery_id
			RETURNING id, org_id, attempts_made
		)
		INSERT INTO webhook_attempts (delivery_id, number, org_id, at, duration, status_code, error,
			request_headers, response_headers, response_body)
		SELECT d.id, d.attempts_made, d.org_id, @at, @duration, @status_code, @error,
			@request_headers, @response_headers, @response_body FROM d`,
		named{"org_id": d.OrgID, "delivery_id": d.ID, "status": d.Status,
			"next_attempt_at": d.NextAttemptAt, "now": now,
			"status_code": a.StatusCode, "error": a.Error, "at": a.At, "duration": a.Duration,
			"request_headers":  orEmpty(a.RequestHeaders),
			"response_headers": orEmpty(a.ResponseHeaders), "response_body": a.ResponseBody})
	return translate(err, "delivery", d.ID)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// SweepDeliveries removes up to limit deliveries of events before the given time that are not
// pending, with their attempts and jobs. It returns how many it removed.
func (s *Store) SweepDeliveries(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.db.Exec(ctx, `
		DELETE FROM webhook_deliveries WHERE id IN (
			SELECT id FROM webhook_deliveries WHERE created_at < $1 AND status <> 'pending' ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
		)`, before, limit)
	return int(tag.RowsAffected()), translate(err, "", "")
}
