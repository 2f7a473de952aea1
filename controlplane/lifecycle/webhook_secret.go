package lifecycle

import (
	"context"
	"crypto/hmac"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// RotateWebhookSecret gives the webhook a new secret, which is not shown again. The current secret
// also signs for controlplane.WebhookOverlap, and previous ones as long as before. It returns
// KindConflict if the webhook has too many valid secrets.
func (s *Service) RotateWebhookSecret(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) (*controlplane.Webhook, string, error) {
	secret := controlplane.NewWebhookSecret()
	w, err := s.changeWebhook(ctx, orgID, id,
		func(
			t *postgres.Tx, w *controlplane.Webhook, now time.Time,
		) (controlplane.AuditEntry, error) {
			entry := s.audit(orgID, actor, controlplane.ActionWebhookRotated, "webhook", w.ID, now)
			_, err := s.setSecret(ctx, t, w, secret, now)
			entry.Details = map[string]any{"previous_secret_until": w.Secrets.PreviousUntil(now)}
			return entry, err
		})
	return w, secret, err
}

// RevokePreviousWebhookSecrets revokes the previous secrets of a webhook: deliveries are signed
// only with the current one after it. Without previous secrets it changes nothing.
func (s *Service) RevokePreviousWebhookSecrets(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	_, err := s.changeWebhook(ctx, orgID, id,
		func(
			t *postgres.Tx, w *controlplane.Webhook, now time.Time,
		) (controlplane.AuditEntry, error) {
			entry := s.audit(orgID, actor, controlplane.ActionHookSecretsRevoked, "webhook", w.ID,
				now)
			n, err := t.EndPreviousWebhookSecrets(ctx, orgID, id, now)
			if err == nil && n == 0 {
				err = errUnchanged
			}
			entry.Details = map[string]any{"revoked": n}
			return entry, err
		})
	return err
}

// setSecret makes secret the current one, and reports whether it was not. The secret that was
// current remains valid for controlplane.WebhookOverlap. One of the previous secrets becomes the
// current one again, rather than being stored twice.
func (s *Service) setSecret(
	ctx context.Context, t *postgres.Tx, w *controlplane.Webhook, secret string, now time.Time,
) (bool, error) {
	next := controlplane.Secret{Prefix: controlplane.WebhookSecretPrefix(secret), CreatedAt: now}
	for i, known := range w.Secrets.Valid(now) {
		if !s.isSecret(known, w.ID, secret) {
			continue
		}
		if i == 0 {
			return false, nil
		}
		next = known
	}
	if next.Sealed == nil {
		if err := w.Secrets.RoomForSecret("webhook", w.ID, now); err != nil {
			return false, err
		}
		var err error
		if next.Sealed, err = s.Sealer.Seal([]byte(secret), w.ID); err != nil {
			return false, wrap("seal a webhook secret", err)
		}
	}
	if err := t.SetWebhookSecret(ctx, w.OrgID, w.ID, next, now.Add(controlplane.WebhookOverlap),
		now); err != nil {
		return false, err
	}
	changed, err := t.Webhook(ctx, w.OrgID, w.ID)
	if err == nil {
		w.Secrets = changed.Secrets
	}
	return true, err
}

// isSecret reports whether a stored secret of the webhook has the key of the given one. It returns
// false for one that can't be opened, so that it can be replaced.
func (s *Service) isSecret(known controlplane.Secret, webhookID, secret string) bool {
	text, err := s.Sealer.Open(known.Sealed, webhookID)
	if err != nil {
		return false
	}
	have, err := controlplane.WebhookKey(string(text))
	if err != nil {
		return false
	}
	want, err := controlplane.WebhookKey(secret)
	return err == nil && hmac.Equal(have, want)
}
