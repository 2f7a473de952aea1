package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const tokenColumns = `id, org_id, name, token_hash, token_prefix, scopes, domain_ids, expires_at, last_used_at, created_by, created_at, rotated_at, previous_until`

func scanToken(row pgx.CollectableRow) (controlplane.Token, error) {
	var t controlplane.Token
	err := row.Scan(tokenFields(&t)...)
	return t, err
}

// tokenFields are the places for tokenColumns.
func tokenFields(t *controlplane.Token) []any {
	return []any{&t.ID, &t.OrgID, &t.Name, &t.Hash, &t.Prefix, &t.Scopes, &t.DomainIDs, &t.ExpiresAt, &t.LastUsedAt, &t.CreatedBy, &t.CreatedAt,
		&t.RotatedAt, &t.PreviousUntil}
}

func (q queries) oneToken(ctx context.Context, id, where string, args ...any) (*controlplane.Token, error) {
	rows, err := q.db.Query(ctx, `SELECT `+tokenColumns+` FROM api_tokens WHERE `+where, args...)
	if err != nil {
		return nil, translate(err, "token", id)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanToken)
	if err != nil {
		return nil, translate(err, "token", id)
	}
	return &t, nil
}

// TokenByHash finds a token by the hash of its secret, or of the one before: who it admits to
// what until when, when it was used last, and its organization's tier, which is all that the
// look-up of every call reads. It is the one query that does not begin with the organization:
// it finds it. The caller checks when token and secret end.
func (q queries) TokenByHash(ctx context.Context, hash []byte) (*controlplane.Token, error) {
	var t controlplane.Token
	// The second part runs only where the first finds nothing.
	err := q.db.QueryRow(ctx, `
		SELECT t.*, o.subscription_tier FROM (
			SELECT id, org_id, scopes, domain_ids, expires_at, last_used_at, created_by, NULL::timestamptz AS secret_until FROM api_tokens WHERE token_hash = $1
			UNION ALL
			SELECT id, org_id, scopes, domain_ids, expires_at, last_used_at, created_by, previous_until FROM api_tokens WHERE previous_hash = $1
			LIMIT 1) t
		JOIN organizations o ON o.id = t.org_id`, hash).
		Scan(&t.ID, &t.OrgID, &t.Scopes, &t.DomainIDs, &t.ExpiresAt, &t.LastUsedAt, &t.CreatedBy, &t.SecretUntil, (*string)(&t.Tier))
	if err != nil {
		return nil, translate(err, "token", "")
	}
	return &t, nil
}

// Token returns one token.
func (q queries) Token(ctx context.Context, orgID, id string) (*controlplane.Token, error) {
	return q.oneToken(ctx, id, `org_id = $1 AND id = $2`, orgID, id)
}

// ListTokens returns one page, newest first, and the cursor of the next one, nil on the last.
// With a creator, it returns only what that user created, and what such a token created.
func (q queries) ListTokens(ctx context.Context, orgID, creator string, after *Cursor, limit int) ([]controlplane.Token, *Cursor, error) {
	key, id := after.after()
	rows, err := q.db.Query(ctx, `SELECT `+tokenColumns+` FROM api_tokens
		WHERE org_id = $1 AND ($5 = '' OR creator_user_id = $5) AND ($2::text IS NULL OR (created_at, id) < ($2::text::timestamptz, $3::text))
		ORDER BY created_at DESC, id DESC LIMIT $4`, orgID, key, id, limit+1, creator)
	if err != nil {
		return nil, nil, translate(err, "", "")
	}
	items, err := pgx.CollectRows(rows, scanToken)
	if err != nil {
		return nil, nil, translate(err, "", "")
	}
	items, next := page(items, limit, func(t controlplane.Token) *Cursor { return at(t.CreatedAt, t.ID) })
	return items, next, nil
}

// TokenNames returns what tokens are called, by their ids. Of one that is no longer there the
// name is not known.
func (q queries) TokenNames(ctx context.Context, orgID string, ids []string) (map[string]string, error) {
	rows, err := q.db.Query(ctx, `SELECT id, name FROM api_tokens WHERE org_id = $1 AND id = ANY($2)`, orgID, ids)
	if err != nil {
		return nil, translate(err, "", "")
	}
	names := make(map[string]string, len(ids))
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, translate(err, "", "")
}

// TokensOf returns the tokens that a user created, and those created by them, newest first.
func (q queries) TokensOf(ctx context.Context, orgID, userID string) ([]controlplane.Token, error) {
	rows, err := q.db.Query(ctx, `SELECT `+tokenColumns+` FROM api_tokens
		WHERE org_id = $1 AND creator_user_id = $2 AND creator_user_id <> '' ORDER BY created_at DESC, id DESC`, orgID, userID)
	if err != nil {
		return nil, translate(err, "", "")
	}
	all, err := pgx.CollectRows(rows, scanToken)
	return all, translate(err, "", "")
}

// TokenCount returns how many tokens the organization has, expired ones included.
func (q queries) TokenCount(ctx context.Context, orgID string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx, `SELECT count(*) FROM api_tokens WHERE org_id = $1`, orgID).Scan(&n)
	return n, translate(err, "", "")
}

// AddToken stores a new token.
func (q queries) AddToken(ctx context.Context, t *controlplane.Token) error {
	if t.DomainIDs == nil {
		t.DomainIDs = []string{}
	}
	_, err := q.db.Exec(ctx, `INSERT INTO api_tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, $10, NULL, NULL)`,
		t.ID, t.OrgID, t.Name, t.Hash, t.Prefix, t.Scopes, t.DomainIDs, t.ExpiresAt, t.CreatedBy, t.CreatedAt)
	if violates(err) == "api_tokens_org_id_fkey" {
		return controlplane.NotFound("organization", t.OrgID)
	}
	return translate(err, "organization", t.OrgID)
}

// RenameToken changes a token's name.
func (q queries) RenameToken(ctx context.Context, orgID, id, name string) error {
	tag, err := q.db.Exec(ctx, `UPDATE api_tokens SET name = $3 WHERE org_id = $1 AND id = $2`, orgID, id, name)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("token", id)
	}
	return translate(err, "token", id)
}

// RotateToken gives a token the secret of hash and prefix, and an end; the one that it had
// works on until the given time, the one before that no more. It returns the token as it is
// then.
func (q queries) RotateToken(ctx context.Context, orgID, id string, hash []byte, prefix string, expiresAt *time.Time, previousUntil, now time.Time) (*controlplane.Token, error) {
	rows, err := q.db.Query(ctx, `
		UPDATE api_tokens SET previous_hash = token_hash, previous_until = $6, token_hash = $3, token_prefix = $4, expires_at = $5, rotated_at = $7
		WHERE org_id = $1 AND id = $2 RETURNING `+tokenColumns, orgID, id, hash, prefix, expiresAt, previousUntil, now)
	if err != nil {
		return nil, translate(err, "token", id)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanToken)
	return &t, translate(err, "token", id)
}

// TouchToken records a token's use, at most once a minute.
func (q queries) TouchToken(ctx context.Context, orgID, id string, at time.Time) error {
	_, err := q.db.Exec(ctx, `UPDATE api_tokens SET last_used_at = $3
		WHERE org_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3::timestamptz - interval '1 minute')`, orgID, id, at)
	return translate(err, "token", id)
}

// DeleteToken removes a token; its secret stops working at once.
func (q queries) DeleteToken(ctx context.Context, orgID, id string) error {
	tag, err := q.db.Exec(ctx, `DELETE FROM api_tokens WHERE org_id = $1 AND id = $2`, orgID, id)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("token", id)
	}
	return translate(err, "token", id)
}

// DeleteTokens removes every token of the organization but the one with the id keep, and
// returns how many.
func (q queries) DeleteTokens(ctx context.Context, orgID, keep string) (int, error) {
	tag, err := q.db.Exec(ctx, `DELETE FROM api_tokens WHERE org_id = $1 AND id <> $2`, orgID, keep)
	return int(tag.RowsAffected()), translate(err, "", "")
}
