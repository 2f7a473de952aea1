package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const acmednsKeyColumns = `k.id, k.org_id, k.name, k.prefix, k.registrations, k.last_used_at, k.created_by, k.created_at`

func scanACMEDNSKey(row pgx.CollectableRow) (controlplane.ACMEDNSKey, error) {
	var k controlplane.ACMEDNSKey
	err := row.Scan(&k.ID, &k.OrgID, &k.Name, &k.Prefix, &k.Registrations, &k.LastUsedAt,
		&k.CreatedBy, &k.CreatedAt)
	return k, err
}

// ACMEDNSKeyByHash returns a registration key by the hash of its secret. It does not take the
// organization: the caller learns it from the key.
func (q queries) ACMEDNSKeyByHash(
	ctx context.Context, hash []byte,
) (*controlplane.ACMEDNSKey, error) {
	return one(ctx, q, scanACMEDNSKey, "registration key", "", `SELECT `+acmednsKeyColumns+`
		FROM acmedns_keys k JOIN organizations o ON o.id = k.org_id AND o.deleted_at IS NULL WHERE k.hash = $1`, hash)
}

// ACMEDNSKey returns one registration key.
func (q queries) ACMEDNSKey(
	ctx context.Context, orgID, id string,
) (*controlplane.ACMEDNSKey, error) {
	return one(ctx, q, scanACMEDNSKey, "registration key", id, `SELECT `+acmednsKeyColumns+
		` FROM acmedns_keys k WHERE k.org_id = $1 AND k.id = $2`, orgID, id)
}

// ListACMEDNSKeys returns one page, newest first, and the cursor of the next one, nil on the last.
func (q queries) ListACMEDNSKeys(
	ctx context.Context, orgID string, after *Cursor, limit int,
) ([]controlplane.ACMEDNSKey, *Cursor, error) {
	l := newList(`SELECT `+acmednsKeyColumns+` FROM acmedns_keys k`, "k.org_id = @org_id",
		named{"org_id": orgID})
	l.newest("k.created_at", "k.id", after, limit)
	return readPage(ctx, q, l, scanACMEDNSKey,
		func(k controlplane.ACMEDNSKey) *Cursor { return at(k.CreatedAt, k.ID) })
}

// ACMEDNSKeyCount returns how many registration keys the organization has, without the one with the
// ID except.
func (q queries) ACMEDNSKeyCount(ctx context.Context, orgID, except string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx, `SELECT count(*) FROM acmedns_keys WHERE org_id = $1 AND id <> $2`,
		orgID, except).Scan(&n)
	return n, translate(err, "", "")
}

// AddACMEDNSKey stores a new registration key with the SHA-256 of its secret.
func (t *Tx) AddACMEDNSKey(ctx context.Context, k *controlplane.ACMEDNSKey, hash []byte) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO acmedns_keys (id, org_id, name, hash, prefix, created_by, created_at)
		VALUES (@id, @org_id, @name, @hash, @prefix, @created_by, @created_at)`,
		named{"id": k.ID, "org_id": k.OrgID, "name": k.Name, "hash": hash, "prefix": k.Prefix,
			"created_by": k.CreatedBy, "created_at": k.CreatedAt})
	return translate(err, "organization", k.OrgID)
}

// CountRegistration records the use of a registration key. It returns KindNotFound if the key has
// been deleted, and otherwise locks its row until the transaction ends.
func (t *Tx) CountRegistration(ctx context.Context, orgID, id string, at time.Time) error {
	tag, err := t.db.Exec(ctx, `UPDATE acmedns_keys SET registrations = registrations + 1, last_used_at = $3
		WHERE org_id = $1 AND id = $2`, orgID, id, at)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("registration key", id)
	}
	return translate(err, "registration key", id)
}

// DeleteACMEDNSKey removes a registration key. The accounts that it has registered stay.
func (t *Tx) DeleteACMEDNSKey(ctx context.Context, orgID, id string) error {
	tag, err := t.db.Exec(ctx, `DELETE FROM acmedns_keys WHERE org_id = $1 AND id = $2`, orgID, id)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("registration key", id)
	}
	return translate(err, "registration key", id)
}
