package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Account returns the account at the CA with the given directory, nil if there is none.
// Accounts are the service's own: no organization has one.
func (q queries) Account(ctx context.Context, directoryURL string) (*controlplane.Account, error) {
	rows, err := q.db.Query(ctx, `SELECT id, directory_url, email, url, sealed_key, created_at, updated_at FROM acme_accounts WHERE directory_url = $1`, directoryURL)
	if err != nil {
		return nil, translate(err, "", "")
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a controlplane.Account, err error) {
		err = row.Scan(&a.ID, &a.DirectoryURL, &a.Email, &a.URL, &a.SealedKey, &a.CreatedAt, &a.UpdatedAt)
		return a, err
	})
	if err != nil || len(found) == 0 {
		return nil, translate(err, "", "")
	}
	return &found[0], nil
}

// CreateAccount stores a unless its directory has an account already, and returns what is
// stored: two workers that begin at once end with one key.
func (q queries) CreateAccount(ctx context.Context, a *controlplane.Account) (*controlplane.Account, error) {
	_, err := q.db.Exec(ctx, `
		INSERT INTO acme_accounts (id, directory_url, email, url, sealed_key, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (directory_url) DO NOTHING`,
		a.ID, a.DirectoryURL, a.Email, a.URL, a.SealedKey, a.CreatedAt)
	if err != nil {
		return nil, translate(err, "", "")
	}
	return q.Account(ctx, a.DirectoryURL)
}

// SetAccountURL records the account's URL at the CA; "" says that the CA forgot it.
func (q queries) SetAccountURL(ctx context.Context, directoryURL, url string) error {
	_, err := q.db.Exec(ctx, `UPDATE acme_accounts SET url = $2, updated_at = now() WHERE directory_url = $1`, directoryURL, url)
	return translate(err, "", "")
}
