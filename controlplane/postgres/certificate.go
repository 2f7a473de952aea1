package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const certificateColumns = `c.id, c.org_id, c.domain_id, c.order_id, c.names, c.serial, c.issuer, c.ca, c.profile, c.key_type, c.not_before, c.not_after,
	c.fingerprint_sha256, c.chain_pem, c.leaf, ` + chainAbove + `, c.sealed_key, c.key_removed_at, c.ari_id, c.replaced_by, c.revoked_at, c.revocation_reason, c.created_at, c.options_revision, c.account`

// chainAbove is the text of a chain above its leaf. Null, an error, means that it is missing.
const chainAbove = `CASE WHEN c.issuers IS NULL THEN '' ELSE (SELECT i.pem FROM issuer_chains i WHERE i.sha256 = c.issuers) END`

func scanCertificate(row pgx.CollectableRow) (controlplane.Certificate, error) {
	var c controlplane.Certificate
	var text, above string
	var leaf []byte
	err := row.Scan(&c.ID, &c.OrgID, &c.DomainID, &c.OrderID, &c.Names, &c.Serial, &c.Issuer, &c.CA,
		&c.Profile, &c.KeyType, &c.NotBefore, &c.NotAfter,
		&c.FingerprintSHA256, &text, &leaf, &above, &c.SealedKey, &c.KeyRemovedAt, &c.ARIID,
		&c.ReplacedBy,
		&c.RevokedAt, &c.RevocationReason, &c.CreatedAt, &c.OptionsRevision,
		&c.Account)
	c.ChainPEM = joinChain(text, leaf, above)
	return c, err
}

// Certificate returns one certificate, with its sealed key.
func (q queries) Certificate(
	ctx context.Context, orgID, id string,
) (*controlplane.Certificate, error) {
	return one(ctx, q, scanCertificate, "certificate", id, `SELECT `+certificateColumns+
		` FROM certificates c WHERE c.org_id = $1 AND c.id = $2`, orgID, id)
}

// CertificateFilter selects the certificates to list. The zero value lists all, newest first.
type CertificateFilter struct {
	DomainID  string
	DomainIDs []string // only these domains'; nil: all
	After     *Cursor
	Limit     int
}

// ListCertificates returns one page, newest first, and the cursor of the next one, nil on the last.
func (q queries) ListCertificates(
	ctx context.Context, orgID string, f CertificateFilter,
) ([]controlplane.Certificate, *Cursor, error) {
	l := newList(`SELECT `+certificateColumns+` FROM certificates c`, "c.org_id = @org_id",
		named{"org_id": orgID})
	l.where(f.DomainID != "", "c.domain_id = @domain_id", named{"domain_id": f.DomainID})
	l.where(f.DomainIDs != nil, "c.domain_id = ANY(@domain_ids)", named{"domain_ids": f.DomainIDs})
	l.newest("c.created_at", "c.id", f.After, f.Limit)
	return readPage(ctx, q, l, scanCertificate,
		func(c controlplane.Certificate) *Cursor { return at(c.CreatedAt, c.ID) })
}

// ReplacedCertificate returns the ID of the domain's certificate that the given one replaced, "" if
// it replaced none.
func (q queries) ReplacedCertificate(
	ctx context.Context, orgID, domainID, id string,
) (string, error) {
	found, err := all(ctx, q, pgx.RowTo[string],
		`SELECT id FROM certificates WHERE org_id = $1 AND domain_id = $2 AND replaced_by = $3
		ORDER BY created_at DESC, id DESC LIMIT 1`, orgID, domainID, id)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// AddCertificate stores a new certificate, and records it in the one that it replaces, if any.
func (t *Tx) AddCertificate(
	ctx context.Context, c *controlplane.Certificate, replaces string,
) error {
	_, err := t.db.Exec(ctx, `WITH `+lockedOrder+insertCertificate, certificateArgs(c, chainParts{text: c.ChainPEM}))
	if err == nil && replaces != "" {
		return t.ReplaceCertificate(ctx, c.OrgID, replaces, c.ID)
	}
	return translate(err, "domain", c.DomainID)
}

// ReplaceCertificate records the certificate that replaced another one.
func (t *Tx) ReplaceCertificate(ctx context.Context, orgID, id, by string) error {
	_, err := t.db.Exec(ctx,
		`UPDATE certificates c SET replaced_by = $3, key_until = (SELECT `+keyUntil("n.created_at", "c.not_after")+
			` FROM certificates n WHERE n.id = $3)
		WHERE c.org_id = $1 AND c.id = $2`, orgID, id, by)
	return translate(err, "certificate", id)
}

// lockedOrder locks the order of a certificate, with certificateArgs. The certificate gets the
// order's sealed key as it is stored, because it can have been resealed since the order was read.
const lockedOrder = `sealing AS MATERIALIZED (
		SELECT o.sealed_key FROM acme_orders o WHERE o.org_id = @cert_org_id AND o.id = @cert_order_id FOR NO KEY UPDATE
	)`

// insertCertificate stores one certificate, with certificateArgs, after lockedOrder. A FROM clause
// may follow it.
const insertCertificate = `INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, profile, key_type,
		not_before, not_after, fingerprint_sha256, chain_pem, leaf, issuers, sealed_key, ari_id, created_at, options_revision, account)
	SELECT @cert_id, @cert_org_id, @cert_domain_id, @cert_order_id, @names, @serial, @issuer, @cert_ca, @cert_profile, @cert_key_type,
		@not_before, @not_after, @fingerprint, @chain_pem, @leaf, @issuers, coalesce((SELECT sealed_key FROM sealing), @sealed_key), @ari_id, @cert_created_at, @cert_revision, @cert_account`

func certificateArgs(c *controlplane.Certificate, chain chainParts) named {
	return named{"cert_id": c.ID, "cert_org_id": c.OrgID, "cert_domain_id": c.DomainID,
		"cert_order_id": c.OrderID,
		"names":         c.Names, "serial": c.Serial, "issuer": c.Issuer, "cert_ca": c.CA,
		"cert_profile":  c.Profile,
		"cert_key_type": c.KeyType, "not_before": c.NotBefore, "not_after": c.NotAfter,
		"fingerprint": c.FingerprintSHA256, "chain_pem": chain.text, "leaf": chain.leaf,
		"issuers": chain.issuers, "sealed_key": c.SealedKey,
		"ari_id": c.ARIID, "cert_created_at": c.CreatedAt, "cert_revision": c.OptionsRevision,
		"cert_account": controlplane.AccountOf(c.Account)}
}

// RequestRevocation records that a certificate is to be revoked, and the reason. The last reason
// before the request to the CA counts.
func (t *Tx) RequestRevocation(ctx context.Context, orgID, id, reason string) error {
	_, err := t.db.Exec(ctx,
		`UPDATE certificates SET revocation_requested = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL`, orgID, id, reason)
	return translate(err, "certificate", id)
}

// RenewedAt returns when a certificate that renews another was stored, nil for a certificate that
// renews none.
func (q queries) RenewedAt(ctx context.Context, orgID, id string) (*time.Time, error) {
	var at *time.Time
	err := q.db.QueryRow(ctx,
		`SELECT max(c.created_at) FROM certificates c WHERE c.org_id = $1 AND c.id = $2
		AND EXISTS (SELECT FROM certificates b WHERE b.domain_id = c.domain_id AND b.replaced_by = c.id)`, orgID, id).Scan(&at)
	return at, translate(err, "certificate", id)
}

// RevocationRequested returns the reason for which a certificate is to be revoked, "" if its
// revocation was not requested.
func (q queries) RevocationRequested(
	ctx context.Context, orgID, id string,
) (reason string, err error) {
	err = q.db.QueryRow(ctx,
		`SELECT revocation_requested FROM certificates WHERE org_id = $1 AND id = $2`, orgID,
		id).Scan(&reason)
	return reason, translate(err, "certificate", id)
}

// CertificateRevoked records that the CA has revoked a certificate.
func (t *Tx) CertificateRevoked(ctx context.Context, orgID, id, reason string, at time.Time) error {
	_, err := t.db.Exec(ctx,
		`UPDATE certificates SET revoked_at = $4, revocation_reason = $3 WHERE org_id = $1 AND id = $2`, orgID, id, reason, at)
	return translate(err, "certificate", id)
}

// IssuedBefore returns when the domain got the n-th of its newest certificates, counted from 1. It
// returns the zero time if it has fewer.
func (q queries) IssuedBefore(
	ctx context.Context, orgID, domainID string, n int,
) (at time.Time, err error) {
	err = q.db.QueryRow(ctx, `SELECT created_at FROM certificates
		WHERE org_id = $1 AND domain_id = $2 ORDER BY created_at DESC OFFSET $3 LIMIT 1`,
		orgID, domainID, n-1).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return at, translate(err, "certificate", "")
}
