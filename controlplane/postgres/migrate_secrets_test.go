package postgres_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// The statements of the previous version of the program, which runs during an upgrade.
const (
	oldAddToken = `INSERT INTO api_tokens (id, org_id, name, token_hash, token_prefix, scopes, created_by, created_at)
		VALUES ($1, $2, 'old', sha256($3::text::bytea), 'dcv_' || $3, '{}', '', '2026-01-01')`
	oldRotateToken = `UPDATE api_tokens SET previous_hash = token_hash, previous_until = $3, token_hash = sha256($2::text::bytea),
		token_prefix = 'dcv_' || $2, rotated_at = '2026-01-02' WHERE id = $1`
	oldFindToken = `SELECT coalesce((SELECT 'current' FROM api_tokens WHERE token_hash = sha256($1::text::bytea)),
		(SELECT previous_until::text FROM api_tokens WHERE previous_hash = sha256($1::text::bytea)), 'none')`
	oldAddWebhook  = `INSERT INTO webhooks (id, org_id, url, sealed_secret) VALUES ($1, $2, 'https://example.com', $3::text::bytea)`
	oldSaveWebhook = `UPDATE webhooks SET failing_since = now(), sealed_secret = $2::text::bytea, previous_sealed_secret = $3::text::bytea,
		previous_until = $4 WHERE id = $1`
	oldFindWebhook = `SELECT encode(sealed_secret, 'escape') || ' ' || coalesce(encode(previous_sealed_secret, 'escape'), '-') FROM webhooks WHERE id = $1`

	storedSecrets = `SELECT coalesce(string_agg(line, ', ' ORDER BY line), '') FROM (
		SELECT token_id || ' ' || prefix || ' ' || coalesce(valid_until::date::text, '-') AS line FROM token_secrets
		UNION ALL SELECT webhook_id || ' ' || encode(sealed, 'escape') || ' ' || coalesce(valid_until::date::text, '-') FROM webhook_secrets) lines`
)

// The migration to rows keeps all secrets, and the previous version of the program goes on working
// beside this one: each finds the secrets that the other stores.
func TestMigrationToSecrets(t *testing.T) {
	t.Parallel()
	d := open(t)
	sqlDB := stdlib.OpenDB(*must(pgx.ParseConfig(d.dsn)))
	defer func() { _ = sqlDB.Close() }()
	p := must(goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations")))
	must(p.DownTo(t.Context(), 27))
	later, ctx := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), t.Context()
	d.exec(oldAddToken, "tok_a", d.org, "a1")
	d.exec(oldAddToken, "tok_b", d.org, "b1")
	d.exec(oldRotateToken, "tok_b", "b2", later)
	d.exec(oldAddWebhook, "whk_a", d.org, "s1")
	d.exec(oldSaveWebhook, "whk_a", "s2", "s1", later)
	must(d.Migrate(ctx))
	wantSecrets := func(when, want string) {
		t.Helper()
		if got := value[string](d, storedSecrets); got != want {
			t.Errorf("%s, the secrets are\n%s, want\n%s", when, got, want)
		}
	}
	wantSecrets("after the migration",
		"tok_a dcv_a1 -, tok_b dcv_ 2030-01-01, tok_b dcv_b2 -, whk_a s1 2030-01-01, whk_a s2 -")

	// The previous version adds, rotates, and saves.
	d.exec(oldAddToken, "tok_c", d.org, "c1")
	d.exec(oldRotateToken, "tok_b", "b3", later)
	d.exec(oldSaveWebhook, "whk_a", "s2", "s1", later)
	d.exec(oldSaveWebhook, "whk_a", "s3", "s2", later)
	d.exec(oldAddWebhook, "whk_b", d.org, "t1")
	wantSecrets("after changes of the previous version", "tok_a dcv_a1 -, tok_b dcv_ 2030-01-01, "+
		"tok_b dcv_b2 2030-01-01, tok_b dcv_b3 -, tok_c dcv_c1 -, whk_a s1 2030-01-01, "+
		"whk_a s2 2030-01-01, whk_a s3 -, whk_b t1 -")
	for _, secret := range []string{"a1", "b1", "b2", "b3", "c1"} {
		if _, err := d.TokenByHash(ctx, controlplane.HashSecret(secret)); err != nil {
			t.Errorf("TokenByHash(%s) = %v, want its token", secret, err)
		}
	}

	// This version does, and the previous one finds the current secret and the one before.
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		if err := tx.RotateToken(ctx, d.org, "tok_b", postgres.NewTokenSecret{
			Hash: controlplane.HashSecret("b4"), CurrentUntil: later}, start); err != nil {
			return err
		}
		return tx.SetWebhookSecret(ctx, d.org, "whk_a",
			controlplane.Secret{Sealed: []byte("s2")}, later, start)
	}))
	for secret, want := range map[string]string{"b4": "current", "b3": "2030-01-01 12:00:00+00",
		"b2": "none"} {
		if got := value[string](d, oldFindToken, secret); got != want {
			t.Errorf("the previous version finds %s as %s, want %s", secret, got, want)
		}
	}
	if got := value[string](d, oldFindWebhook, "whk_a"); got != "s2 s3" {
		t.Errorf("the previous version signs with %s, want s2 s3", got)
	}
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		if _, err := tx.EndPreviousTokenSecrets(ctx, d.org, "tok_b", start); err != nil {
			return err
		}
		_, err := tx.EndPreviousWebhookSecrets(ctx, d.org, "whk_a", start)
		return err
	}))
	if got := value[string](d, oldFindToken, "b3"); got != "none" {
		t.Errorf("the previous version finds a revoked secret as %s, want none", got)
	}
	if got := value[string](d, oldFindWebhook, "whk_a"); got != "s2 -" {
		t.Errorf("the previous version signs with %s after the revocation, want s2 -", got)
	}
}
