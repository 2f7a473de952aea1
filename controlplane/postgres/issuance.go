package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Issuance is what a certificate that has come changes, all in one transaction: it is stored,
// its order is over, the domain has it, and the job is completed.
type Issuance struct {
	Domain      *controlplane.Domain // as it becomes; its Version is that of what it was made from
	Certificate *controlplane.Certificate
	Replaces    string // the domain's certificate until now, empty for none
	Order       *controlplane.Order
	Watch       RenewalWatch
	Entry       controlplane.AuditEntry
	Result      map[string]any // of the job
}

// The places of an issuance's arguments: what release takes, the job's result, the domain, its
// version, the entry, and then what is only of certificates.
const (
	issuanceDomain      = 5
	issuanceVersion     = issuanceDomain + domainArgs
	issuanceEntry       = issuanceVersion + 1
	issuanceWatch       = issuanceEntry + entryArgs
	issuanceCertificate = issuanceWatch + watchArgs
	issuanceRest        = issuanceCertificate + certificateArgs
)

var concludeIssuance = fmt.Sprintf(`
	WITH held AS MATERIALIZED (
		SELECT id FROM domains WHERE org_id = $%[1]d AND id = $%[2]d AND version = $%[3]d AND claimed_by = $1 FOR NO KEY UPDATE SKIP LOCKED
	), job AS (
		UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = $3, %[4]s
		FROM held WHERE jobs.id = $1 AND `+heldBy+`
		RETURNING jobs.id
	), dom AS (
		UPDATE domains d SET claimed_by = '', claimed_until = NULL, %[5]s, %[6]s FROM job WHERE d.id = $%[2]d
	), cert AS (
		%[7]s SELECT %[8]s FROM job
	), old AS (
		UPDATE certificates SET replaced_by = $%[9]d FROM job WHERE org_id = $%[1]d AND certificates.id = $%[10]d
	), ord AS (
		UPDATE acme_orders SET step = 'stored', certificate_url = $%[12]d, error_code = '', error_detail = '', updated_at = $3
		FROM job WHERE org_id = $%[1]d AND acme_orders.id = $%[11]d
	), removed AS (
		DELETE FROM challenges USING job WHERE org_id = $%[1]d AND order_id = $%[11]d
	), entry AS (
		%[13]s SELECT %[14]s FROM job
	)
	SELECT id FROM job`,
	issuanceDomain, issuanceDomain+1, issuanceVersion, completed.set, setDomain(issuanceDomain), setWatch(issuanceWatch),
	insertCertificate, places(issuanceCertificate, certificateArgs), issuanceCertificate, issuanceRest, issuanceRest+1, issuanceRest+2,
	insertAudit, auditPlaces(issuanceEntry))

// ConcludeIssuance is Conclude for a certificate that has come.
func (s *Store) ConcludeIssuance(ctx context.Context, c *Claim, k Issuance, now time.Time) (bool, error) {
	domain, err := saveDomainArgs(k.Domain, now)
	if err != nil {
		return false, err
	}
	args := append([]any{c.Job.ID, c.Worker, now, k.Result}, domain...)
	args = append(append(args, k.Domain.Version), auditArgs(&k.Entry)...)
	args = append(append(args, watchArgsOf(k.Watch)...), certificateArgsOf(k.Certificate)...)
	args = append(args, k.Replaces, k.Order.ID, k.Order.CertificateURL)
	return s.conclude(ctx, c, concludeIssuance, args)
}

// ConcludeIssuance is the Store's, for a domain that the transaction has locked. Errors:
// ErrClaimLost.
func (t *Tx) ConcludeIssuance(ctx context.Context, c *Claim, k Issuance, now time.Time) error {
	// First that the job is still this worker's: another may have stored what comes next.
	if err := t.CompleteJob(ctx, c, now, k.Result); err != nil {
		return err
	}
	if err := t.AddCertificate(ctx, k.Certificate, k.Replaces); err != nil {
		return err
	}
	if err := t.CloseOrder(ctx, k.Order, controlplane.StepStored, "", "", now); err != nil {
		return err
	}
	if err := t.SaveDomain(ctx, k.Domain, now); err != nil {
		return err
	}
	if err := t.BeginRenewalWatch(ctx, k.Domain.OrgID, k.Domain.ID, k.Watch); err != nil {
		return err
	}
	return t.Audit(ctx, k.Entry)
}
