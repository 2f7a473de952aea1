package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Issuance is what an issued certificate changes, all in one transaction: the certificate is
// stored, its order is closed, the domain refers to it, and the job is completed.
type Issuance struct {
	Domain      *controlplane.Domain // the new state, with the Version that it was derived from
	Certificate *controlplane.Certificate
	Replaces    string // the domain's previous certificate, empty for none
	Order       *controlplane.Order
	Watch       RenewalWatch
	Entry       controlplane.AuditEntry
	Result      map[string]any // of the job
}

var concludeIssuance = `
	WITH ` + holdDomain + `
	, ` + endJob(completed.set, "held") + `
	, dom AS (
		UPDATE domains d SET claimed_by = '', claimed_until = NULL, ` + setDomain + `, ` + setWatch + ` FROM job WHERE d.id = @domain_id
	)
	, ` + lockedOrder + `
	, cert AS (` + insertCertificate + ` FROM job)
	, old AS (
		UPDATE certificates SET replaced_by = @cert_id, key_until = ` + keyUntil("@now::timestamptz", "certificates.not_after") + ` FROM job WHERE org_id = @org_id AND certificates.id = @replaces
	)
	, ord AS (
		UPDATE acme_orders SET step = 'stored', certificate_url = @certificate_url, error_code = '', error_detail = '', updated_at = @now, ` + withoutSecrets + `
		FROM job LEFT JOIN sealing ON true WHERE org_id = @org_id AND acme_orders.id = @order_id -- after it is locked
	)
	, ` + releaseValues(releasedOrder, "EXISTS (SELECT FROM job)") + `
	, entry AS (` + insertEntry + ` FROM job)
	SELECT id FROM job`

func (k *Issuance) args(c *Claim, chain chainParts, now time.Time) (named, error) {
	return concludeArgs(c, k.Domain, now, entryArgs(&k.Entry), watchArgs(k.Watch),
		certificateArgs(k.Certificate, chain),
		named{"result": k.Result, "replaces": k.Replaces, "order_id": k.Order.ID,
			"certificate_url": k.Order.CertificateURL})
}

// ConcludeIssuance is Conclude for an issued certificate.
func (s *Store) ConcludeIssuance(
	ctx context.Context, c *Claim, k Issuance, now time.Time,
) (bool, error) {
	chain, err := s.splitKnown(ctx, k.Certificate.ChainPEM)
	if err != nil {
		return false, err
	}
	args, err := k.args(c, chain, now)
	if err != nil {
		return false, err
	}
	return s.conclude(ctx, c, concludeIssuance, args)
}

// ConcludeIssuance writes what an issued certificate changes for a domain that the transaction has
// locked. It returns ErrClaimLost if the worker no longer holds the domain and the job.
func (t *Tx) ConcludeIssuance(ctx context.Context, c *Claim, k Issuance, now time.Time) error {
	args, err := k.args(c, chainParts{text: k.Certificate.ChainPEM}, now)
	if err != nil {
		return err
	}
	return t.conclude(ctx, c, concludeIssuance, args)
}
