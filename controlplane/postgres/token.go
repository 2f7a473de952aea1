package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const tokenColumns = `t.id, t.org_id, t.name, t.scopes, t.domain_ids, t.expires_at, t.last_used_at, t.created_by, t.created_at, t.rotated_at, ` + tokenSecrets

func scanToken(row pgx.CollectableRow) (controlplane.Token, error) {
	var t controlplane.Token
	err := row.Scan(tokenFields(&t)...)
	return t, err
}

// tokenFields are the destinations for tokenColumns.
func tokenFields(t *controlplane.Token) []any {
	return []any{&t.ID, &t.OrgID, &t.Name, &t.Scopes, &t.DomainIDs, &t.ExpiresAt, &t.LastUsedAt,
		&t.CreatedBy, &t.CreatedAt, &t.RotatedAt, &t.Secrets}
}

// TokenByHash returns a token by the hash of one of its secrets, with the fields that the
// authentication of each request needs: its organization and its tier, scopes, expiry, creator, and
// last use. It does not take the organization: the caller learns it from the token. The caller
// checks the expiry of the token and of the secret.
func (q queries) TokenByHash(ctx context.Context, hash []byte) (*controlplane.Token, error) {
	var t controlplane.Token
	err := q.db.QueryRow(ctx, `
		SELECT t.id, t.org_id, t.scopes, t.domain_ids, t.expires_at, t.last_used_at, t.created_by, s.valid_until, o.subscription_tier
		FROM token_secrets s JOIN api_tokens t ON t.id = s.token_id JOIN organizations o ON o.id = t.org_id AND o.deleted_at IS NULL
		WHERE s.hash = $1`, hash).
		Scan(&t.ID, &t.OrgID, &t.Scopes, &t.DomainIDs, &t.ExpiresAt, &t.LastUsedAt, &t.CreatedBy,
			&t.SecretUntil, (*string)(&t.Tier))
	if err != nil {
		return nil, translate(err, "token", "")
	}
	return &t, nil
}

// Token returns one token.
func (q queries) Token(ctx context.Context, orgID, id string) (*controlplane.Token, error) {
	return one(ctx, q, scanToken, "token", id, `SELECT `+tokenColumns+
		` FROM api_tokens t WHERE t.org_id = $1 AND t.id = $2`, orgID, id)
}

// LockToken is Token, with the row locked until the transaction ends. The secrets of a token change
// only under this lock.
func (t *Tx) LockToken(ctx context.Context, orgID, id string) (*controlplane.Token, error) {
	// The secrets are read by a second statement, whose snapshot is taken after the lock.
	if _, err := t.db.Exec(ctx, `SELECT FROM api_tokens WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE`, orgID,
		id); err != nil {
		return nil, translate(err, "token", id)
	}
	return t.Token(ctx, orgID, id)
}

// ListTokens returns one page, newest first, and the cursor of the next one, nil on the last. With
// a creator, it returns only the tokens that this user created, and those that such a token
// created.
func (q queries) ListTokens(
	ctx context.Context, orgID, creator string, after *Cursor, limit int,
) ([]controlplane.Token, *Cursor, error) {
	l := newList(`SELECT `+tokenColumns+` FROM api_tokens t`, "t.org_id = @org_id",
		named{"org_id": orgID})
	l.where(creator != "", "t.creator_user_id = @creator", named{"creator": creator})
	l.newest("t.created_at", "t.id", after, limit)
	return readPage(ctx, q, l, scanToken,
		func(t controlplane.Token) *Cursor { return at(t.CreatedAt, t.ID) })
}

// TokenNames returns the names of tokens, by their IDs. A token that was deleted is missing from
// the map.
func (q queries) TokenNames(
	ctx context.Context, orgID string, ids []string,
) (map[string]string, error) {
	rows, err := q.db.Query(ctx,
		`SELECT id, name FROM api_tokens WHERE org_id = $1 AND id = ANY($2)`, orgID, ids)
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

// TokensOf returns the tokens that a user created, and those that were created with such tokens,
// newest first.
func (q queries) TokensOf(ctx context.Context, orgID, userID string) ([]controlplane.Token, error) {
	return all(ctx, q, scanToken, `SELECT `+tokenColumns+` FROM api_tokens t
		WHERE t.org_id = $1 AND t.creator_user_id = $2 AND t.creator_user_id <> '' ORDER BY t.created_at DESC, t.id DESC`, orgID, userID)
}

// TokenCount returns how many tokens the organization has, expired ones included, without the one
// with the ID except.
func (q queries) TokenCount(ctx context.Context, orgID, except string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx, `SELECT count(*) FROM api_tokens WHERE org_id = $1 AND id <> $2`,
		orgID, except).Scan(&n)
	return n, translate(err, "", "")
}

// AddToken stores a new token with its first secret, whose hash is the SHA-256 of the whole secret.
func (q queries) AddToken(ctx context.Context, t *controlplane.Token, hash []byte) error {
	if t.DomainIDs == nil {
		t.DomainIDs = []string{}
	}
	_, err := q.db.Exec(ctx, `
		WITH token AS (
			INSERT INTO api_tokens (id, org_id, name, token_hash, token_prefix, scopes, domain_ids, expires_at, created_by, created_at)
			VALUES (@id, @org_id, @name, @hash, @prefix, @scopes, @domain_ids, @expires_at, @created_by, @created_at)
		)
		INSERT INTO token_secrets (hash, org_id, token_id, prefix, created_at) VALUES (@hash, @org_id, @id, @prefix, @created_at)`,
		named{"id": t.ID, "org_id": t.OrgID, "name": t.Name, "hash": hash,
			"prefix":     t.Secrets.Prefix(),
			"scopes":     t.Scopes,
			"domain_ids": t.DomainIDs, "expires_at": t.ExpiresAt, "created_by": t.CreatedBy,
			"created_at": t.CreatedAt})
	if violates(err) == "api_tokens_org_id_fkey" {
		return controlplane.NotFound("organization", t.OrgID)
	}
	return translate(err, "organization", t.OrgID)
}

// RenameToken changes a token's name.
func (q queries) RenameToken(ctx context.Context, orgID, id, name string) error {
	tag, err := q.db.Exec(ctx, `UPDATE api_tokens SET name = $3 WHERE org_id = $1 AND id = $2`,
		orgID, id, name)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("token", id)
	}
	return translate(err, "token", id)
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

// DeleteTokens removes every token of the organization except the one with the ID keep, and returns
// how many.
func (q queries) DeleteTokens(ctx context.Context, orgID, keep string) (int, error) {
	tag, err := q.db.Exec(ctx, `DELETE FROM api_tokens WHERE org_id = $1 AND id <> $2`, orgID, keep)
	return int(tag.RowsAffected()), translate(err, "", "")
}
