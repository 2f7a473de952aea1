package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// RenewalCheck is a certificate whose renewal information (ARI, RFC 9773) is to be fetched from its
// CA.
type RenewalCheck struct {
	OrgID, DomainID, CertificateID string
	CA, ARIID                      string
	NotBefore, NotAfter            time.Time
	Draw                           float64
	RenewAt                        *time.Time // the planned time
}

// dueWindow is how many due checks, as a multiple of the batch, the organizations take turns in.
const dueWindow = 20

// DueRenewalChecks returns up to limit certificates whose renewal information is due to be fetched
// at now, and postpones each until the given time: meanwhile no other replica gets it, and if this
// one dies, it is due again. Of the checks that have been due longest, the organizations take
// turns.
func (s *Store) DueRenewalChecks(
	ctx context.Context, now, until time.Time, limit int,
) ([]RenewalCheck, error) {
	rows, err := s.db.Query(ctx, `
		WITH longest AS MATERIALIZED (
			SELECT id, org_id, ari_check_at FROM domains
			WHERE status = 'active' AND auto_renew AND ari_check_at <= $1
			ORDER BY ari_check_at LIMIT $4
		), turn AS MATERIALIZED (
			SELECT id FROM longest
			ORDER BY row_number() OVER (PARTITION BY org_id ORDER BY ari_check_at), ari_check_at LIMIT $3
		), due AS MATERIALIZED (
			SELECT d.id FROM domains d WHERE d.id = ANY(ARRAY(SELECT id FROM turn)) AND d.ari_check_at <= $1
			FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE domains d SET ari_check_at = $2
		FROM due, certificates c
		WHERE d.id = due.id AND c.id = d.certificate_id
		RETURNING d.org_id, d.id, c.id, c.ca, c.ari_id, c.not_before, c.not_after, d.renewal_draw, d.renew_at`,
		now, until, limit, dueWindow*limit)
	if err != nil {
		return nil, translate(err, "", "")
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RenewalCheck, err error) {
		err = row.Scan(&r.OrgID, &r.DomainID, &r.CertificateID, &r.CA, &r.ARIID, &r.NotBefore,
			&r.NotAfter, &r.Draw, &r.RenewAt)
		return r, err
	})
	return due, translate(err, "", "")
}

// SaveRenewalInfo records the renewal information of the domain's certificate. If it has no window,
// an earlier window is kept.
func (q queries) SaveRenewalInfo(
	ctx context.Context, r RenewalCheck, info controlplane.RenewalInfo,
) error {
	var start, end *time.Time
	if info.HasWindow() {
		start, end = &info.WindowStart, &info.WindowEnd
	}
	_, err := q.db.Exec(ctx, `
		UPDATE domains SET ari_start = coalesce(@start, ari_start), ari_end = coalesce(@end, ari_end),
			ari_checked_at = @checked_at, ari_check_at = @check_at
		WHERE org_id = @org_id AND id = @domain_id AND certificate_id = @certificate_id`,
		named{"org_id": r.OrgID, "domain_id": r.DomainID, "certificate_id": r.CertificateID,
			"start": start, "end": end,
			"checked_at": info.CheckedAt, "check_at": info.CheckAgainAt})
	return translate(err, "domain", r.DomainID)
}

// InRenewalWindow reports whether now is in the window in which the CA suggests to renew the
// domain's certificate (RFC 9773 §4.2).
func (q queries) InRenewalWindow(
	ctx context.Context, orgID, domainID string, now time.Time,
) (bool, error) {
	var in bool
	err := q.db.QueryRow(ctx, `
		SELECT coalesce(ari_start <= $3 AND ari_end > $3, false) FROM domains WHERE org_id = $1 AND id = $2`,
		orgID, domainID, now).Scan(&in)
	return in, translate(err, "domain", domainID)
}

// StopRenewalChecks records that the renewal information of the domain's certificate is no longer
// to be fetched.
func (q queries) StopRenewalChecks(ctx context.Context, r RenewalCheck) error {
	_, err := q.db.Exec(ctx,
		`UPDATE domains SET ari_check_at = NULL WHERE org_id = $1 AND id = $2 AND certificate_id = $3`, r.OrgID, r.DomainID, r.CertificateID)
	return translate(err, "domain", r.DomainID)
}

// RenewalWatch is the schedule of checks for a domain's new certificate.
type RenewalWatch struct {
	Draw          float64       // point in the CA's window, in [0,1)
	CheckAt       time.Time     // first fetch of the renewal information
	RehearseAt    time.Time     // first check of the delegation
	RehearseEvery time.Duration // interval of the checks after it
	WarnAt        time.Time     // first check whether it expires soon
}

// setWatch is the part of an UPDATE of a domain that replaces what is known of the renewal of its
// previous certificate, with watchArgs.
const setWatch = `renewal_draw = @draw, ari_start = NULL, ari_end = NULL, ari_checked_at = NULL, ari_check_at = @ari_check_at,
	rehearse_at = @rehearse_at, rehearse_every = @rehearse_every, warn_at = @warn_at`

func watchArgs(w RenewalWatch) named {
	return named{"draw": w.Draw, "ari_check_at": w.CheckAt, "rehearse_at": w.RehearseAt,
		"rehearse_every": w.RehearseEvery, "warn_at": w.WarnAt}
}

// BeginRenewalWatch replaces what is known of the renewal of a domain's previous certificate.
func (t *Tx) BeginRenewalWatch(ctx context.Context, orgID, domainID string, w RenewalWatch) error {
	_, err := t.db.Exec(ctx, `UPDATE domains SET `+setWatch+
		` WHERE org_id = @org_id AND id = @domain_id`,
		merge(watchArgs(w), named{"org_id": orgID, "domain_id": domainID}))
	return translate(err, "domain", domainID)
}
