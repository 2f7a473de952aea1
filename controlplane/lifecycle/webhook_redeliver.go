package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// maxRedeliveries is how many events one call redelivers.
const maxRedeliveries = 10_000

// TestWebhook sends an event of the type controlplane.EventTest, even if the webhook is disabled.
// The event has one attempt and is not in the audit log.
func (s *Service) TestWebhook(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) (*controlplane.Delivery, error) {
	now := s.now()
	event := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: orgID,
		Actor: actor, Action: controlplane.EventTest,
		EntityType: "webhook", EntityID: id, Details: map[string]any{"message": "This is a test."},
		CreatedAt: now}
	body, err := event.Payload()
	if err != nil {
		return nil, wrap("encode a test event", err)
	}
	d := &controlplane.Delivery{ID: controlplane.NewID(controlplane.PrefixDelivery), OrgID: orgID,
		WebhookID: id, EventID: event.ID, EventType: event.Action,
		Body: body, Status: controlplane.DeliveryPending, NextAttemptAt: &now, CreatedAt: now,
		UpdatedAt: now}
	j := &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: orgID,
		DeliveryID: d.ID, Type: controlplane.JobDelivery,
		Queue: controlplane.QueueCritical, RequestID: actor.RequestID}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := t.LockWebhook(ctx, orgID, id); err != nil {
			return err
		}
		return t.AddTest(ctx, d, j)
	})
	return d, err
}

// Redeliver sends an event again with the same ID and resets its attempts. A pending delivery
// becomes due at once; one that is being attempted, or whose first attempt is due, is left alone.
// It returns KindConflict if the webhook is disabled.
func (s *Service) Redeliver(
	ctx context.Context, actor controlplane.Actor, orgID, webhookID, id string,
) (*controlplane.Delivery, error) {
	var d *controlplane.Delivery
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		w, err := t.LockWebhook(ctx, orgID, webhookID)
		if err != nil {
			return err
		}
		if d, err = t.Delivery(ctx, orgID, webhookID, id); err != nil {
			return err
		}
		if !w.Enabled && d.EventType != controlplane.EventTest {
			return controlplane.WebhookIsDisabled(w.ID)
		}
		if started, err := t.Redeliver(ctx, d, now); err != nil || !started {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionWebhookRedelivered, "webhook", webhookID,
			now)
		entry.Details = map[string]any{"delivery_id": d.ID, "event_id": d.EventID}
		return t.Audit(ctx, entry)
	})
	return d, err
}

// RedeliverRange sends the events of a time range again: all of them, or those that were not
// delivered, which includes events that occurred while the webhook was disabled. It returns the
// number of queued events, from the oldest on, and the time up to which the range was processed.
func (s *Service) RedeliverRange(
	ctx context.Context, actor controlplane.Actor, orgID, webhookID string, since time.Time,
	until *time.Time, all bool,
) (int, time.Time, error) {
	now := s.now()
	end := now
	set(&end, until)
	switch {
	case !since.Before(end):
		return 0, end, controlplane.Invalid("/since", "range-invalid",
			"The time range ends before it starts.", "Send a since that is before until.")
	case since.Before(now.Add(-controlplane.DeliveriesKept)):
		return 0, end, controlplane.Invalid("/since", "range-invalid",
			"Deliveries are kept for 30 days, so older ones can't be redelivered.",
			"Send a since within the last 30 days, and read older events in the audit log.")
	}
	queued := 0
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		w, err := t.LockWebhook(ctx, orgID, webhookID)
		if err != nil {
			return err
		}
		if !w.Enabled {
			return controlplane.WebhookIsDisabled(w.ID)
		}
		done, err := t.RedeliverRange(ctx, w, since, end, now, all, maxRedeliveries)
		queued, end = done.Queued, done.Until
		if err != nil || done.Started == 0 {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionWebhookRedelivered, "webhook", webhookID,
			now)
		entry.Details = map[string]any{"since": since.UTC(), "until": end.UTC(), "all": all,
			"queued": queued}
		return t.Audit(ctx, entry)
	})
	return queued, end, err
}

// tidyWebhooks removes expired previous secrets, and deliveries beyond their retention.
func (s *Service) tidyWebhooks(ctx context.Context, now time.Time) error {
	if err := s.Store.SweepSecrets(ctx, now); err != nil {
		return err
	}
	for {
		n, err := s.Store.SweepDeliveries(ctx, now.Add(-controlplane.DeliveriesKept), sweepBatch)
		if err != nil || n < sweepBatch {
			return err
		}
	}
}
