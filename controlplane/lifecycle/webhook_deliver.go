package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Poster sends one attempt of a delivery to the customer's URL (package webhook). It has its own
// timeout. The returned attempt contains the error, in a text for the customer.
type Poster interface {
	Post(ctx context.Context, m controlplane.Message) controlplane.Attempt
}

const (
	codeWebhookDisabled = "webhook-disabled"
	codeNotDelivered    = "not-delivered"
	whyDisabled         = "The webhook was disabled."
	whyDeleted          = "The webhook was deleted."

	statusGone = 410 // RFC 9110 §15.5.11
)

// deliver makes one attempt of a delivery:
//
//  1. The body is stored, so that every attempt sends the same bytes.
//  2. It is posted. If the worker is killed from here on, the attempt is lost, and the event is
//     posted again with the same ID.
//  3. One transaction stores the attempt and its effect on the delivery, the webhook, and the job.
func (w *work) deliver(ctx context.Context) error {
	d, hook, err := w.Store.DeliveryWithWebhook(ctx, w.claim.Job.OrgID, w.claim.Job.DeliveryID)
	if controlplane.IsKind(err, controlplane.KindNotFound) { // the webhook was deleted
		return w.Store.InTx(ctx, func(t *postgres.Tx) error {
			return t.AbandonJob(ctx, w.claim, w.now(), codeWebhookDisabled, whyDeleted)
		})
	}
	if err != nil {
		return err
	}
	if !hook.Enabled && d.EventType != controlplane.EventTest {
		return w.abandonDelivery(ctx, d)
	}
	release, wait, ok := w.slots.acquire(w.now(), d.OrgID, hook.ID, w.claim.Job.ID)
	if !ok {
		return w.deferDelivery(ctx, d, wait)
	}
	defer func() { release(w.now()) }()
	m, err := w.message(ctx, d, hook)
	if err != nil {
		return err
	}
	a := w.Poster.Post(ctx, m)
	if ctx.Err() != nil {
		return ctx.Err() // the receiver is not the cause
	}
	if a.Delivered() {
		return w.delivered(ctx, d, &a)
	}
	return w.notDelivered(ctx, d, &a)
}

// message returns the request of this attempt, and stores its body at the first one.
func (w *work) message(
	ctx context.Context, d *controlplane.Delivery, hook *controlplane.Webhook,
) (controlplane.Message, error) {
	m := controlplane.Message{URL: hook.URL, ID: d.EventID, At: w.now(), Body: d.Body}
	for _, known := range hook.Secrets.Valid(m.At) {
		secret, err := w.Sealer.Open(known.Sealed, hook.ID)
		if err != nil {
			return m, wrap("unseal a webhook secret", err)
		}
		key, err := controlplane.WebhookKey(string(secret))
		if err != nil {
			return m, wrap("parse a webhook secret", err)
		}
		m.Keys = append(m.Keys, key)
	}
	if m.Body != nil {
		return m, nil
	}
	event, err := w.Store.AuditEntry(ctx, d.OrgID, d.EventID)
	if err != nil {
		return m, wrap("read an event", err)
	}
	if m.Body, err = event.Payload(); err != nil {
		return m, wrap("encode an event", err)
	}
	return m, w.Store.KeepBody(ctx, d.OrgID, d.ID, m.Body)
}

func (w *work) delivered(
	ctx context.Context, d *controlplane.Delivery, a *controlplane.Attempt,
) error {
	now := w.now()
	d.Status, d.NextAttemptAt = controlplane.DeliverySucceeded, nil
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.WebhookSucceeded(ctx, d.OrgID, d.WebhookID); err != nil {
			return err
		}
		if err := t.AddAttempt(ctx, d, a, now); err != nil {
			return err
		}
		return t.CompleteJob(ctx, w.claim, now,
			map[string]any{"delivery_id": d.ID, "status_code": a.StatusCode})
	})
}

// notDelivered records a failed attempt. It disables a webhook whose receiver is gone or failed for
// too long.
func (w *work) notDelivered(
	ctx context.Context, d *controlplane.Delivery, a *controlplane.Attempt,
) error {
	now, j, test := w.now(), w.claim.Job, d.EventType == controlplane.EventTest
	failures := j.Attempts + 1
	last := failures >= j.Type.MaxAttempts()
	next := now.Add(controlplane.DeliveryWait(failures, a.RetryAfter, w.Rand())).Truncate(
		time.Microsecond)
	var over, disabled bool
	err := w.Store.InTx(ctx, func(t *postgres.Tx) error {
		hook, err := t.LockWebhook(ctx, d.OrgID, d.WebhookID)
		if err != nil {
			return err
		}
		enabled := hook.Enabled
		if err := w.countFailure(ctx, t, hook, a, test, now); err != nil {
			return err
		}
		disabled = enabled && !hook.Enabled
		over = last || test || !hook.Enabled
		d.Status, d.NextAttemptAt = controlplane.DeliveryPending, &next
		if over {
			d.Status, d.NextAttemptAt = controlplane.DeliveryFailed, nil
		}
		if err := t.AddAttempt(ctx, d, a, now); err != nil {
			return err
		}
		switch {
		case !over:
			return t.FailJob(ctx, w.claim, now, next, codeNotDelivered, a.Error, nil)
		case !last:
			return t.AbandonJob(ctx, w.claim, now, codeNotDelivered, a.Error)
		}
		return w.deadLetterDelivery(ctx, t, d, codeNotDelivered, a.Error, now)
	})
	if err == nil && disabled {
		w.abandonDeliveries(ctx, d.OrgID, d.WebhookID)
	}
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		return postgres.ErrClaimLost
	case err != nil:
		return err
	case !over:
		return &RetryLater{After: next.Sub(now), Err: errors.New(a.Error)}
	case last:
		return &DeadLettered{errors.New(a.Error)}
	}
	return nil
}

// countFailure records a failed attempt in the locked webhook. A failed test does not change how
// long the webhook has been failing.
func (w *work) countFailure(
	ctx context.Context, t *postgres.Tx, hook *controlplane.Webhook, a *controlplane.Attempt,
	test bool, now time.Time,
) error {
	if !test && hook.FailingSince == nil {
		hook.FailingSince = &now
	}
	reason := ""
	switch {
	case a.StatusCode == statusGone:
		reason = controlplane.WebhookGone
	case !test && now.Sub(*hook.FailingSince) >= controlplane.WebhookPatience:
		reason = controlplane.WebhookFailing
	}
	if reason == "" || !hook.Enabled {
		return t.SaveWebhook(ctx, hook)
	}
	entry := w.audit(hook.OrgID, w.actor(), controlplane.ActionWebhookDisabled, "webhook", hook.ID,
		now)
	entry.Before = describeWebhook(hook)
	hook.Enabled, hook.DisabledReason, hook.UpdatedAt = false, reason, now
	entry.After = describeWebhook(hook)
	entry.Details = map[string]any{"reason": reason, "failing_since": hook.FailingSince,
		"error": a.Error}
	if err := t.SaveWebhook(ctx, hook); err != nil {
		return err
	}
	return t.Audit(ctx, entry)
}

// deadLetterDelivery dead-letters the job.
func (w *work) deadLetterDelivery(
	ctx context.Context, t *postgres.Tx, d *controlplane.Delivery, code, detail string,
	now time.Time,
) error {
	j := w.claim.Job
	if err := t.DeadLetterJob(ctx, w.claim, now, code, detail, nil); err != nil {
		return err
	}
	entry := w.audit(j.OrgID, w.actor(), controlplane.ActionJobDeadLettered, "job", j.ID, now)
	entry.Details = map[string]any{"type": string(j.Type), "webhook_id": d.WebhookID,
		"delivery_id": d.ID, "code": code, "detail": detail}
	return t.Audit(ctx, entry)
}

// abandonBatch is how many deliveries one statement abandons.
const abandonBatch = 1000

// abandonDeliveries abandons the pending deliveries of a webhook that was disabled, in batches that
// are each a transaction, unless the webhook is enabled again. If it fails, the run of each
// delivery's job abandons it.
func (s *Service) abandonDeliveries(ctx context.Context, orgID, webhookID string) {
	for n := abandonBatch; n == abandonBatch; {
		err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
			hook, err := t.LockWebhook(ctx, orgID, webhookID)
			if n = 0; err != nil || hook.Enabled {
				return err
			}
			n, err = t.AbandonDeliveries(ctx, hook, s.now(), abandonBatch, codeWebhookDisabled,
				whyDisabled)
			return err
		})
		if err != nil {
			s.Logger.WarnContext(ctx,
				"lifecycle: abandoning deliveries failed; their jobs abandon them",
				"webhook", webhookID, "error", err)
			return
		}
	}
}

// abandonDelivery abandons a delivery whose webhook was disabled.
func (w *work) abandonDelivery(ctx context.Context, d *controlplane.Delivery) error {
	now := w.now()
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.AbandonDelivery(ctx, d, now, whyDisabled); err != nil {
			return err
		}
		return t.AbandonJob(ctx, w.claim, now, codeWebhookDisabled, whyDisabled)
	})
}

// failDelivery counts an internal failure, which does not count against the webhook.
func (w *work) failDelivery(ctx context.Context, cause error) error {
	now, j := w.now(), w.claim.Job
	code, detail, _ := explain(cause)
	failures := j.Attempts + 1
	last := failures >= j.Type.MaxAttempts()
	next := now.Add(controlplane.DeliveryWait(failures, 0, w.Rand())).Truncate(time.Microsecond)
	w.Logger.WarnContext(ctx, "lifecycle: job failed", "job", j.ID, "type", j.Type,
		"failures", failures, "dead", last, "code", code, "error", cause)
	err := w.Store.InTx(ctx, func(t *postgres.Tx) error {
		d, _, err := t.DeliveryWithWebhook(ctx, j.OrgID, j.DeliveryID)
		if err != nil {
			return err
		}
		if !last {
			if err := t.DelayDelivery(ctx, d, now, next); err != nil {
				return err
			}
			return t.FailJob(ctx, w.claim, now, next, code, detail, nil)
		}
		if err := t.AbandonDelivery(ctx, d, now, detail); err != nil {
			return err
		}
		return w.deadLetterDelivery(ctx, t, d, code, detail, now)
	})
	if err != nil {
		return unlessGone(err)
	}
	return failed(cause, last, next.Sub(now))
}
