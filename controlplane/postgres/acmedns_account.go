package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const acmednsAccountColumns = `a.id, a.org_id, a.username::text, a.subdomain, a.target, a.description, a.allow_from,
	coalesce(a.delegation_id, ''), coalesce((SELECT g.name FROM delegations g WHERE g.org_id = a.org_id AND g.id = a.delegation_id), ''),
	coalesce(a.key_id, ''), a.updates, a.last_used_at, a.rotated_at, a.created_by, a.created_at, a.updated_at`

func scanACMEDNSAccount(row pgx.CollectableRow) (controlplane.ACMEDNSAccount, error) {
	var a controlplane.ACMEDNSAccount
	err := row.Scan(&a.ID, &a.OrgID, &a.Username, &a.Subdomain, &a.Target, &a.Description,
		&a.AllowFrom, &a.DelegationID, &a.DelegationName, &a.KeyID, &a.Updates, &a.LastUsedAt,
		&a.RotatedAt, &a.CreatedBy, &a.CreatedAt, &a.UpdatedAt)
	return a, err
}

// ACMEDNSAccount returns one account of the acme-dns API.
func (q queries) ACMEDNSAccount(
	ctx context.Context, orgID, id string,
) (*controlplane.ACMEDNSAccount, error) {
	return q.acmednsAccount(ctx, orgID, id, "")
}

// LockACMEDNSAccount is ACMEDNSAccount, with the row locked until the transaction ends.
func (t *Tx) LockACMEDNSAccount(
	ctx context.Context, orgID, id string,
) (*controlplane.ACMEDNSAccount, error) {
	return t.acmednsAccount(ctx, orgID, id, " FOR NO KEY UPDATE OF a")
}

func (q queries) acmednsAccount(
	ctx context.Context, orgID, id, lock string,
) (*controlplane.ACMEDNSAccount, error) {
	return one(ctx, q, scanACMEDNSAccount, "acme-dns account", id, `SELECT `+acmednsAccountColumns+
		` FROM acmedns_accounts a WHERE a.org_id = $1 AND a.id = $2`+lock, orgID, id)
}

// ListACMEDNSAccounts returns one page, newest first, and the cursor of the next one, nil on the
// last.
func (q queries) ListACMEDNSAccounts(
	ctx context.Context, orgID string, after *Cursor, limit int,
) ([]controlplane.ACMEDNSAccount, *Cursor, error) {
	l := newList(`SELECT `+acmednsAccountColumns+` FROM acmedns_accounts a`, "a.org_id = @org_id",
		named{"org_id": orgID})
	l.newest("a.created_at", "a.id", after, limit)
	return readPage(ctx, q, l, scanACMEDNSAccount,
		func(a controlplane.ACMEDNSAccount) *Cursor { return at(a.CreatedAt, a.ID) })
}

// ACMEDNSAccountCount returns how many accounts the organization has, without the one with the ID
// except.
func (q queries) ACMEDNSAccountCount(ctx context.Context, orgID, except string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx,
		`SELECT count(*) FROM acmedns_accounts WHERE org_id = $1 AND id <> $2`,
		orgID, except).Scan(&n)
	return n, translate(err, "", "")
}

// ACMEDNSAccountsAt returns up to limit accounts that use the target of a delegation, oldest first.
func (q queries) ACMEDNSAccountsAt(
	ctx context.Context, orgID, delegationID string, limit int,
) ([]controlplane.ACMEDNSAccount, error) {
	return all(ctx, q, scanACMEDNSAccount, `SELECT `+acmednsAccountColumns+` FROM acmedns_accounts a
		WHERE a.org_id = $1 AND a.delegation_id = $2 ORDER BY a.id LIMIT $3`,
		orgID, delegationID, limit)
}

// AddACMEDNSAccount stores a new account with its own target. hash is the SHA-256 of its password.
func (t *Tx) AddACMEDNSAccount(
	ctx context.Context, a *controlplane.ACMEDNSAccount, hash []byte,
) error {
	_, err := t.db.Exec(ctx, `
		WITH label AS (INSERT INTO targets (label, org_id) VALUES (@subdomain, @org_id))
		INSERT INTO acmedns_accounts (id, org_id, username, password_hash, subdomain, target, delegation_id, key_id,
			description, allow_from, created_by, created_at, updated_at)
		VALUES (@id, @org_id, @username::uuid, @hash, @subdomain, @target, nullif(@delegation_id, ''), nullif(@key_id, ''),
			@description, @allow_from, @created_by, @created_at, @created_at)`,
		named{"id": a.ID, "org_id": a.OrgID, "username": a.Username, "hash": hash,
			"subdomain": a.Subdomain, "target": a.Target, "delegation_id": a.DelegationID,
			"key_id": a.KeyID, "description": a.Description, "allow_from": texts(a.AllowFrom),
			"created_by": a.CreatedBy, "created_at": a.CreatedAt})
	return translate(err, "organization", a.OrgID)
}

// SaveACMEDNSAccount writes what a request can change of an account. With another target, its
// values are removed: they were published for other names.
func (t *Tx) SaveACMEDNSAccount(ctx context.Context, a *controlplane.ACMEDNSAccount) error {
	tag, err := t.db.Exec(ctx, `
		WITH moved AS (
			DELETE FROM acmedns_values v USING acmedns_accounts a
			WHERE a.org_id = @org_id AND a.id = @id AND v.account_id = a.id AND v.target <> @target
		)
		UPDATE acmedns_accounts SET target = @target, delegation_id = nullif(@delegation_id, ''), description = @description,
			allow_from = @allow_from, updated_at = @updated_at
		WHERE org_id = @org_id AND id = @id`,
		named{"org_id": a.OrgID, "id": a.ID, "target": a.Target, "delegation_id": a.DelegationID,
			"description": a.Description, "allow_from": texts(a.AllowFrom),
			"updated_at": a.UpdatedAt})
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("acme-dns account", a.ID)
	}
	return translate(err, "acme-dns account", a.ID)
}

// SetACMEDNSPassword replaces the password of an account by one with the SHA-256 hash.
func (t *Tx) SetACMEDNSPassword(
	ctx context.Context, orgID, id string, hash []byte, now time.Time,
) error {
	tag, err := t.db.Exec(ctx, `UPDATE acmedns_accounts SET password_hash = $3, rotated_at = $4
		WHERE org_id = $1 AND id = $2`, orgID, id, hash, now)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("acme-dns account", id)
	}
	return translate(err, "acme-dns account", id)
}

// DeleteACMEDNSAccount removes an account with its values and its own target.
func (t *Tx) DeleteACMEDNSAccount(ctx context.Context, orgID, id string) error {
	tag, err := t.db.Exec(ctx, `DELETE FROM acmedns_accounts WHERE org_id = $1 AND id = $2`,
		orgID, id)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("acme-dns account", id)
	}
	return translate(err, "acme-dns account", id)
}

// texts returns an empty array instead of NULL.
func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
