package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// tokenSecrets is the column of a token's secrets, as controlplane.Secrets in JSON.
const tokenSecrets = `(SELECT json_agg(json_build_object('Prefix', s.prefix, 'CreatedAt', s.created_at, 'ValidUntil', s.valid_until)
	ORDER BY s.valid_until DESC NULLS FIRST, s.created_at DESC) FROM token_secrets s WHERE s.org_id = t.org_id AND s.token_id = t.id)`

// webhookSecrets is the column of a webhook's secrets, as controlplane.Secrets in JSON. encode
// breaks lines.
const webhookSecrets = `(SELECT json_agg(json_build_object('Prefix', s.prefix, 'CreatedAt', s.created_at, 'ValidUntil', s.valid_until,
	'Sealed', translate(encode(s.sealed, 'base64'), E'\n', ''))
	ORDER BY s.valid_until DESC NULLS FIRST, s.created_at DESC) FROM webhook_secrets s WHERE s.org_id = w.org_id AND s.webhook_id = w.id)`

// NewTokenSecret is a token's next secret.
type NewTokenSecret struct {
	Hash         []byte // SHA-256 of the whole secret
	Prefix       string
	ExpiresAt    *time.Time // new expiry of the token
	CurrentUntil time.Time  // expiry of the secret that was current before
}

// endedSecrets is how many expired secrets of a token are kept after a rotation.
const endedSecrets = 5

// RotateToken gives a token a new secret and a new expiry. The caller has locked the token.
func (t *Tx) RotateToken(
	ctx context.Context, orgID, id string, in NewTokenSecret, now time.Time,
) error {
	err := t.steps(ctx, []statement{
		{`UPDATE token_secrets SET valid_until = @until WHERE org_id = @org_id AND token_id = @id AND valid_until IS NULL`,
			named{"org_id": orgID, "id": id, "until": in.CurrentUntil}},
		{`DELETE FROM token_secrets WHERE org_id = @org_id AND hash IN (
			SELECT hash FROM token_secrets WHERE org_id = @org_id AND token_id = @id AND valid_until <= @now
			ORDER BY valid_until DESC, created_at DESC OFFSET @kept)`,
			named{"org_id": orgID, "id": id, "now": now, "kept": endedSecrets}},
		{`INSERT INTO token_secrets (hash, org_id, token_id, prefix, created_at) VALUES (@hash, @org_id, @id, @prefix, @now)`,
			named{"org_id": orgID, "id": id, "hash": in.Hash, "prefix": in.Prefix, "now": now}},
		// After the secret is stored, so that the trigger does not add it.
		{`UPDATE api_tokens SET previous_hash = token_hash, previous_until = @until, token_hash = @hash, token_prefix = @prefix,
			expires_at = @expires_at, rotated_at = @now WHERE org_id = @org_id AND id = @id`,
			named{"org_id": orgID, "id": id, "hash": in.Hash, "prefix": in.Prefix,
				"until": in.CurrentUntil, "expires_at": in.ExpiresAt, "now": now}},
	})
	return translate(err, "token", id)
}

// EndPreviousTokenSecrets expires the previous secrets of a token at now, and returns how many were
// valid.
func (t *Tx) EndPreviousTokenSecrets(
	ctx context.Context, orgID, id string, now time.Time,
) (int, error) {
	tag, err := t.db.Exec(ctx, `UPDATE token_secrets SET valid_until = $3
		WHERE org_id = $1 AND token_id = $2 AND valid_until > $3`, orgID, id, now)
	if err == nil && tag.RowsAffected() > 0 {
		_, err = t.db.Exec(ctx, `UPDATE api_tokens SET previous_hash = NULL, previous_until = NULL
			WHERE org_id = $1 AND id = $2`, orgID, id)
	}
	return int(tag.RowsAffected()), translate(err, "token", id)
}

// SetWebhookSecret makes a sealed secret the current one of a webhook: a new one, or one of its
// previous ones. The secret that was current before remains valid until the given time. The caller
// has locked the webhook.
func (t *Tx) SetWebhookSecret(
	ctx context.Context, orgID, id string, s controlplane.Secret, currentUntil, now time.Time,
) error {
	err := t.steps(ctx, []statement{
		{`UPDATE webhook_secrets SET valid_until = @until WHERE org_id = @org_id AND webhook_id = @id AND valid_until IS NULL`,
			named{"org_id": orgID, "id": id, "until": currentUntil}},
		{`INSERT INTO webhook_secrets (webhook_id, sealed, org_id, prefix, created_at) VALUES (@id, @sealed, @org_id, @prefix, @now)
			ON CONFLICT (webhook_id, sealed) DO UPDATE SET valid_until = NULL`,
			named{"org_id": orgID, "id": id, "sealed": s.Sealed, "prefix": s.Prefix, "now": now}},
		// After the secret is stored, so that the trigger does not add it.
		{`UPDATE webhooks SET previous_sealed_secret = sealed_secret, previous_until = @until, sealed_secret = @sealed
			WHERE org_id = @org_id AND id = @id`,
			named{"org_id": orgID, "id": id, "sealed": s.Sealed, "until": currentUntil}},
	})
	return translate(err, "webhook", id)
}

// EndPreviousWebhookSecrets removes the previous secrets of a webhook, and returns how many were
// valid at now.
func (t *Tx) EndPreviousWebhookSecrets(
	ctx context.Context, orgID, id string, now time.Time,
) (int, error) {
	tag, err := t.db.Exec(ctx, `DELETE FROM webhook_secrets
		WHERE org_id = $1 AND webhook_id = $2 AND valid_until > $3`, orgID, id, now)
	if err == nil && tag.RowsAffected() > 0 {
		_, err = t.db.Exec(ctx, `UPDATE webhooks SET previous_sealed_secret = NULL, previous_until = NULL
			WHERE org_id = $1 AND id = $2`, orgID, id)
	}
	return int(tag.RowsAffected()), translate(err, "webhook", id)
}

// SweepSecrets removes the secrets of webhooks that have expired at now, and those of tokens that
// have expired controlplane.EndedSecretsKept before.
func (q queries) SweepSecrets(ctx context.Context, now time.Time) error {
	return translate(q.steps(ctx, []statement{
		{`DELETE FROM webhook_secrets WHERE valid_until <= @now`, named{"now": now}},
		{`DELETE FROM token_secrets WHERE valid_until <= @before`,
			named{"before": now.Add(-controlplane.EndedSecretsKept)}},
		{`UPDATE webhooks SET previous_sealed_secret = NULL, previous_until = NULL WHERE previous_until <= @now`,
			named{"now": now}},
	}), "", "")
}

// statement is one of several statements.
type statement struct {
	sql  string
	args named
}

// steps executes statements in their order, up to the first error.
func (q queries) steps(ctx context.Context, all []statement) error {
	for _, s := range all {
		if _, err := q.db.Exec(ctx, s.sql, s.args); err != nil {
			return err
		}
	}
	return nil
}
