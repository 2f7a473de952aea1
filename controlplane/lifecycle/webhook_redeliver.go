package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// redeliverMost is how many events are sent again by one call.
const redeliverMost = 10_000

// TestWebhook sends an event of the type controlplane.EventTest, also where the webhook is
// disabled. It is tried once, and is in no log.
func (s *Service) TestWebhook(ctx context.Context, actor controlplane.Actor, orgID, id string) (*controlplane.Delivery, error) {
	now := s.now()
	event := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: orgID, Actor: actor, Action: controlplane.EventTest,
		EntityType: "webhook", EntityID: id, Details: map[string]any{"message": "This is a test."}, CreatedAt: now}
	body, err := event.Payload()
	if err != nil {
		return nil, wrap("writing a test", err)
	}
	d := &controlplane.Delivery{ID: controlplane.NewID(controlplane.PrefixDelivery), OrgID: orgID, WebhookID: id, EventID: event.ID, EventType: event.Action,
		Body: body, Status: controlplane.DeliveryPending, NextAttemptAt: &now, CreatedAt: now, UpdatedAt: now}
	j := &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: orgID, DeliveryID: d.ID, Type: controlplane.JobDelivery,
		Queue: controlplane.QueueCritical, RequestID: actor.RequestID}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := t.LockWebhook(ctx, orgID, id); err != nil {
			return err
		}
		return t.AddTest(ctx, d, j)
	})
	return d, err
}

// Redeliver sends an event again, with all attempts anew and under the same id. One that is
// still tried is tried at once. Where the webhook is disabled the error is KindConflict.
func (s *Service) Redeliver(ctx context.Context, actor controlplane.Actor, orgID, webhookID, id string) (*controlplane.Delivery, error) {
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
		if err := t.Redeliver(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionWebhookRedelivered, "webhook", webhookID, now)
		entry.Details = map[string]any{"delivery_id": d.ID, "event_id": d.EventID}
		return t.Audit(ctx, entry)
	})
	return d, err
}

// RedeliverRange sends the events of a time again that the webhook did not get, or all of
// them: those that it missed while it was disabled, too. It returns how many of the first
// ones were queued, and before which time all were looked at.
func (s *Service) RedeliverRange(ctx context.Context, actor controlplane.Actor, orgID, webhookID string, since time.Time, until *time.Time, all bool) (int, time.Time, error) {
	now := s.now()
	end := now
	set(&end, until)
	switch {
	case !since.Before(end):
		return 0, end, controlplane.Invalid("/since", "range-invalid", "The range ends before it begins.", "Send a since that is before until.")
	case since.Before(now.Add(-controlplane.DeliveriesKept)):
		return 0, end, controlplane.Invalid("/since", "range-invalid", "Deliveries are kept for 30 days, so it is not known what was delivered before.",
			"Send a since of at most 30 days ago, and read what is older from the audit log.")
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
		if queued, end, err = t.RedeliverRange(ctx, w, since, end, now, all, redeliverMost); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionWebhookRedelivered, "webhook", webhookID, now)
		entry.Details = map[string]any{"since": since.UTC(), "until": end.UTC(), "all": all, "queued": queued}
		return t.Audit(ctx, entry)
	})
	return queued, end, err
}

// tidyWebhooks forgets secrets that sign no more, and deliveries that are not kept any longer.
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
