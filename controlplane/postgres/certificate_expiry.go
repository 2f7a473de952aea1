package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// DueWarning is a current certificate that is due for a check whether it expires soon.
type DueWarning struct {
	OrgID, DomainID, CertificateID string
	NotBefore, NotAfter            time.Time
	WarnAt                         *time.Time // the value that was read; nil if it was never set
}

// DueWarnings returns up to limit certificates that have not expired and are due for the check at
// now, whether they are renewed or not. It reads only certificates that are due, by index.
func (s *Store) DueWarnings(ctx context.Context, now time.Time, limit int) ([]DueWarning, error) {
	rows, err := s.db.Query(ctx, `
		SELECT d.org_id, d.id, c.id, c.not_before, c.not_after, d.warn_at
		FROM domains d JOIN certificates c ON c.id = d.certificate_id
		WHERE d.status = 'active' AND coalesce(d.warn_at, '-infinity') <= $1 AND c.not_after > $1
		ORDER BY coalesce(d.warn_at, '-infinity') LIMIT $2`, now, limit)
	if err != nil {
		return nil, translate(err, "", "")
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w DueWarning, err error) {
		err = row.Scan(&w.OrgID, &w.DomainID, &w.CertificateID, &w.NotBefore, &w.NotAfter,
			&w.WarnAt)
		return w, err
	})
	return due, translate(err, "", "")
}

// RescheduleWarnings writes when each of the certificates is checked next, if it is still its
// domain's current certificate.
func (s *Store) RescheduleWarnings(ctx context.Context, due []DueWarning, next []time.Time) error {
	orgs, domains, certs := make([]string, len(due)), make([]string, len(due)),
		make([]string, len(due))
	for i, w := range due {
		orgs[i], domains[i], certs[i] = w.OrgID, w.DomainID, w.CertificateID
	}
	_, err := s.db.Exec(ctx, `
		UPDATE domains d SET warn_at = x.next
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) x (org_id, id, certificate_id, next)
		WHERE d.org_id = x.org_id AND d.id = x.id AND d.certificate_id = x.certificate_id`, orgs, domains, certs, next)
	return translate(err, "", "")
}

// TakeWarning writes when the certificate is checked next and, with alarm, that it is inside the
// alarm line. It returns false and writes nothing if another process has done so since w was read,
// or the domain has another certificate.
func (t *Tx) TakeWarning(
	ctx context.Context, w DueWarning, next time.Time, alarm bool,
) (bool, error) {
	tag, err := t.db.Exec(ctx, `
		UPDATE domains SET warn_at = $5, expiring_certificate = CASE WHEN $6 THEN certificate_id ELSE expiring_certificate END
		WHERE org_id = $1 AND id = $2 AND certificate_id = $3 AND warn_at IS NOT DISTINCT FROM $4`,
		w.OrgID, w.DomainID, w.CertificateID, w.WarnAt, next, alarm)
	return tag.RowsAffected() == 1, translate(err, "domain", w.DomainID)
}

// Expiring is a number of current certificates that are inside the alarm line or have expired.
type Expiring struct {
	ShortLived bool // controlplane.ShortLife
	AutoRenew  bool
	Count      int
}

// CountExpiring counts the certificates of all organizations that are inside the alarm line or have
// expired. It reads only these, by index.
func (s *Store) CountExpiring(ctx context.Context) ([]Expiring, error) {
	return all(ctx, s.queries, pgx.RowToStructByPos[Expiring], `
		SELECT c.not_after - c.not_before < $1::interval, d.auto_renew, count(*)
		FROM domains d JOIN certificates c ON c.id = d.certificate_id
		WHERE d.expiring_certificate = d.certificate_id AND d.expiring_certificate <> ''
		GROUP BY 1, 2`, controlplane.ShortLife)
}
