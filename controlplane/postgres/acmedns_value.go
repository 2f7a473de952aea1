package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ACMEDNSCredential returns what authenticates and authorizes an update, by the username, a UUID.
// It does not take the organization: the caller learns it from the account.
func (q queries) ACMEDNSCredential(
	ctx context.Context, username string,
) (*controlplane.ACMEDNSCredential, error) {
	var c controlplane.ACMEDNSCredential
	err := q.db.QueryRow(ctx, `
		SELECT a.id, a.org_id, o.subscription_tier, a.password_hash, a.subdomain, a.target, a.allow_from
		FROM acmedns_accounts a JOIN organizations o ON o.id = a.org_id AND o.deleted_at IS NULL
		WHERE a.username = $1::uuid`, username).
		Scan(&c.AccountID, &c.OrgID, (*string)(&c.Tier), &c.PasswordHash, &c.Subdomain, &c.Target,
			&c.AllowFrom)
	if err != nil {
		return nil, translate(err, "acme-dns account", "")
	}
	return &c, nil
}

// PublishACMEDNSValue serves a value at an account's target until expires, and counts the update.
// Beyond controlplane.MaxACMEDNSValues, the values that expire first are removed. Concurrent
// updates share a transaction. It returns the target, and KindNotFound if the account does not
// exist.
func (s *Store) PublishACMEDNSValue(
	ctx context.Context, orgID, accountID, value string, expires, now time.Time,
) (target string, err error) {
	err = s.publishing.queryRow(ctx, accountID,
		func(row pgx.Row) error { return row.Scan(&target) },
		`SELECT * FROM publish_acmedns_value(@org_id, @id, @value, @expires, @now, @kept)`,
		named{"org_id": orgID, "id": accountID, "value": value, "expires": expires, "now": now,
			"kept": controlplane.MaxACMEDNSValues})
	return target, translate(err, "acme-dns account", accountID)
}

// RemoveACMEDNSValue stops serving a value of an account. A value that is not served is not an
// error.
func (s *Store) RemoveACMEDNSValue(ctx context.Context, orgID, accountID, value string) error {
	_, err := s.db.Exec(ctx,
		`DELETE FROM acmedns_values WHERE org_id = $1 AND account_id = $2 AND value = $3`,
		orgID, accountID, value)
	return translate(err, "acme-dns account", accountID)
}

// SweepACMEDNSValues removes the values that have expired at now.
func (s *Store) SweepACMEDNSValues(ctx context.Context, now time.Time) error {
	return s.sweep(ctx, "acmedns_values", "expires_at", now)
}
