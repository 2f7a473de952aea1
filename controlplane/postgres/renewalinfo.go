package postgres

import (
	"context"
	"fmt"
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
		UPDATE domains SET ari_start = coalesce($4, ari_start), ari_end = coalesce($5, ari_end), ari_checked_at = $6, ari_check_at = $7
		WHERE org_id = $1 AND id = $2 AND certificate_id = $3`,
		r.OrgID, r.DomainID, r.CertificateID, start, end, info.CheckedAt, info.CheckAgainAt)
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

// BeginRenewalWatch puts what is known of a domain's renewal in the place of what was known
// for the certificate before.
func (t *Tx) BeginRenewalWatch(ctx context.Context, orgID, domainID string, w RenewalWatch) error {
	_, err := t.db.Exec(ctx, beginWatch, append([]any{orgID, domainID}, watchArgsOf(w)...)...)
	return translate(err, "domain", domainID)
}

var beginWatch = `UPDATE domains SET ` + setWatch(3) + ` WHERE org_id = $1 AND id = $2`

// watchArgs is how many arguments watchArgsOf gives.
const watchArgs = 5

// setWatch is what BeginRenewalWatch writes, with watchArgsOf from the given place on.
func setWatch(first int) string {
	return fmt.Sprintf(`renewal_draw = $%d, ari_start = NULL, ari_end = NULL, ari_checked_at = NULL, ari_check_at = $%d,
		rehearse_at = $%d, rehearse_every = $%d, warn_at = $%d`, first, first+1, first+2, first+3, first+4)
}

func watchArgsOf(w RenewalWatch) []any {
	return []any{w.Draw, w.CheckAt, w.RehearseAt, w.RehearseEvery, w.WarnAt}
}
