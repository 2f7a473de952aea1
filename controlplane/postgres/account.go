package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Account returns the account at the CA with the given directory, nil if the service has none
// there. Accounts belong to the service, not to organizations.
func (q queries) Account(ctx context.Context, directoryURL string) (*controlplane.Account, error) {
	rows, err := q.db.Query(ctx,
		`SELECT id, directory_url, email, url, sealed_key, created_at, updated_at FROM acme_accounts WHERE directory_url = $1`, directoryURL)
	if err != nil {
		return nil, translate(err, "", "")
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a controlplane.Account,
		err error) {
		err = row.Scan(&a.ID, &a.DirectoryURL, &a.Email, &a.URL, &a.SealedKey, &a.CreatedAt,
			&a.UpdatedAt)
		return a, err
	})
	if err != nil || len(found) == 0 {
		return nil, translate(err, "", "")
	}
	return &found[0], nil
}

// CreateAccount stores a unless its directory has an account already, and returns the stored
// account: two workers that start at the same time use one key.
func (q queries) CreateAccount(
	ctx context.Context, a *controlplane.Account,
) (*controlplane.Account, error) {
	_, err := q.db.Exec(ctx, `
		INSERT INTO acme_accounts (id, directory_url, email, url, sealed_key, created_at, updated_at)
		VALUES (@id, @directory_url, @email, @url, @sealed_key, @created_at, @created_at) ON CONFLICT (directory_url) DO NOTHING`,
		named{"id": a.ID, "directory_url": a.DirectoryURL, "email": a.Email, "url": a.URL,
			"sealed_key": a.SealedKey, "created_at": a.CreatedAt})
	if err != nil {
		return nil, translate(err, "", "")
	}
	return q.Account(ctx, a.DirectoryURL)
}

// SetAccountURL records the account's URL at the CA; "" means that the CA no longer knows the
// account.
func (q queries) SetAccountURL(ctx context.Context, directoryURL, url string) error {
	_, err := q.db.Exec(ctx,
		`UPDATE acme_accounts SET url = $2, updated_at = now() WHERE directory_url = $1`,
		directoryURL, url)
	return translate(err, "", "")
}

// PlannedAccountKey returns the sealed key that the account is planned to get, nil if none is
// planned.
func (q queries) PlannedAccountKey(ctx context.Context, directoryURL string) ([]byte, error) {
	var next []byte
	err := q.db.QueryRow(ctx, `SELECT next_sealed_key FROM acme_accounts WHERE directory_url = $1`,
		directoryURL).Scan(&next)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return next, translate(err, "", "")
}

// PlanAccountKey plans next as the account's key, if its current key is still sealed and no key is
// planned. It returns the planned key, nil if the account has another current key by now.
func (q queries) PlanAccountKey(
	ctx context.Context, directoryURL string, sealed, next []byte,
) ([]byte, error) {
	var planned []byte
	err := q.db.QueryRow(ctx, `
		UPDATE acme_accounts SET next_sealed_key = coalesce(next_sealed_key, $3), updated_at = now()
		WHERE directory_url = $1 AND sealed_key = $2 RETURNING next_sealed_key`, directoryURL, sealed, next).Scan(&planned)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return planned, translate(err, "", "")
}

// TakeAccountKey makes the planned key the account's current key, if its current key is still
// sealed. It reports whether it did.
func (q queries) TakeAccountKey(
	ctx context.Context, directoryURL string, sealed []byte, url string,
) (bool, error) {
	tag, err := q.db.Exec(ctx, `
		UPDATE acme_accounts SET sealed_key = next_sealed_key, next_sealed_key = NULL, url = $3, updated_at = now()
		WHERE directory_url = $1 AND sealed_key = $2 AND next_sealed_key IS NOT NULL`, directoryURL, sealed, url)
	return tag.RowsAffected() > 0, translate(err, "", "")
}
