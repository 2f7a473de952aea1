package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// RenewalCheck is a certificate of which the CA is to be asked when it is best renewed.
type RenewalCheck struct {
	OrgID, DomainID, CertificateID string
	CA, ARIID                      string
	NotBefore, NotAfter            time.Time
	Draw                           float64
	RenewAt                        *time.Time // as it is planned now
}

// DueRenewalChecks returns up to limit certificates whose CA is to be asked at now, and puts
// each off until the given time: another replica does not take it meanwhile, and one that
// dies loses nothing.
func (s *Store) DueRenewalChecks(ctx context.Context, now, until time.Time, limit int) ([]RenewalCheck, error) {
	rows, err := s.db.Query(ctx, `
		WITH due AS (
			SELECT id FROM domains
			WHERE status = 'active' AND auto_renew AND ari_check_at <= $1
			ORDER BY ari_check_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE domains d SET ari_check_at = $2
		FROM due, certificates c
		WHERE d.id = due.id AND c.id = d.certificate_id
		RETURNING d.org_id, d.id, c.id, c.ca, c.ari_id, c.not_before, c.not_after, d.renewal_draw, d.renew_at`, now, until, limit)
	if err != nil {
		return nil, translate(err, "", "")
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RenewalCheck, err error) {
		err = row.Scan(&r.OrgID, &r.DomainID, &r.CertificateID, &r.CA, &r.ARIID, &r.NotBefore, &r.NotAfter, &r.Draw, &r.RenewAt)
		return r, err
	})
	return due, translate(err, "", "")
}

// SaveRenewalInfo records what the CA said of the domain's certificate. Without a window an
// earlier one stands.
func (q queries) SaveRenewalInfo(ctx context.Context, r RenewalCheck, info controlplane.RenewalInfo) error {
	var start, end *time.Time
	if info.HasWindow() {
		start, end = &info.WindowStart, &info.WindowEnd
	}
	_, err := q.db.Exec(ctx, `
		UPDATE domains SET ari_start = coalesce(@start, ari_start), ari_end = coalesce(@end, ari_end),
			ari_checked_at = @checked_at, ari_check_at = @check_at
		WHERE org_id = @org_id AND id = @domain_id AND certificate_id = @certificate_id`,
		named{"org_id": r.OrgID, "domain_id": r.DomainID, "certificate_id": r.CertificateID, "start": start, "end": end,
			"checked_at": info.CheckedAt, "check_at": info.CheckAgainAt})
	return translate(err, "domain", r.DomainID)
}

// RenewalWindowStart returns from when on the CA suggested that the domain's certificate is
// renewed, nil where it suggested nothing.
func (q queries) RenewalWindowStart(ctx context.Context, orgID, domainID string) (*time.Time, error) {
	var start *time.Time
	err := q.db.QueryRow(ctx, `SELECT ari_start FROM domains WHERE org_id = $1 AND id = $2`, orgID, domainID).Scan(&start)
	return start, translate(err, "domain", domainID)
}

// StopRenewalChecks says that the CA of the domain's certificate is not to be asked.
func (q queries) StopRenewalChecks(ctx context.Context, r RenewalCheck) error {
	_, err := q.db.Exec(ctx, `UPDATE domains SET ari_check_at = NULL WHERE org_id = $1 AND id = $2 AND certificate_id = $3`, r.OrgID, r.DomainID, r.CertificateID)
	return translate(err, "domain", r.DomainID)
}

// RenewalWatch is how a domain's new certificate is looked after.
type RenewalWatch struct {
	Draw          float64       // point of the CA's window, in [0,1)
	CheckAt       time.Time     // when the CA is asked first
	RehearseAt    time.Time     // when the delegation is looked at first
	RehearseEvery time.Duration // and from then on
	WarnAt        time.Time     // when its end is near
}

// BeginRenewalWatch replaces what is known of the renewal of a domain's previous certificate.
func (t *Tx) BeginRenewalWatch(ctx context.Context, orgID, domainID string, w RenewalWatch) error {
	_, err := t.db.Exec(ctx, `UPDATE domains SET `+setWatch+` WHERE org_id = @org_id AND id = @domain_id`,
		merge(watchArgs(w), named{"org_id": orgID, "domain_id": domainID}))
	return translate(err, "domain", domainID)
}

// setWatch is the part of an UPDATE of a domain that BeginRenewalWatch writes, with watchArgs.
const setWatch = `renewal_draw = @draw, ari_start = NULL, ari_end = NULL, ari_checked_at = NULL, ari_check_at = @ari_check_at,
	rehearse_at = @rehearse_at, rehearse_every = @rehearse_every, warn_at = @warn_at`

func watchArgs(w RenewalWatch) named {
	return named{"draw": w.Draw, "ari_check_at": w.CheckAt, "rehearse_at": w.RehearseAt,
		"rehearse_every": w.RehearseEvery, "warn_at": w.WarnAt}
}
