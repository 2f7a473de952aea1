package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Calendar has an organization's domains by the weeks in which their certificates expire and are
// renewed, as EndingWeeks returns them, at a time.
type Calendar struct {
	Weeks     []EndingWeek
	CountedAt time.Time
}

// counted is what is counted for an organization together.
type counted struct {
	Weeks        []EndingWeek
	Certificates int
	At           time.Time
}

// Calendar returns an organization's calendar, for CalendarWeeks from CalendarStart. For more than
// controlplane.CountedLive domains, it is up to controlplane.RecountEvery old.
func (s *Store) Calendar(
	ctx context.Context, o *controlplane.Organization, now time.Time,
) (Calendar, error) {
	if o.Domains <= controlplane.CountedLive {
		weeks, err := s.EndingWeeks(ctx, o.ID, now, CalendarStart(now), CalendarWeeks)
		return Calendar{weeks, now}, err
	}
	c, err := s.counted(ctx, o.ID, now)
	return Calendar{c.Weeks, c.At}, err
}

// Counts returns how many webhooks, members, and tokens an organization has, and how many
// certificates were issued for it in the last controlplane.IssuedWindow. For more than
// controlplane.CountedLive domains, the last number is up to controlplane.RecountEvery old.
func (s *Store) Counts(
	ctx context.Context, o *controlplane.Organization, now time.Time,
) (controlplane.Counts, error) {
	var c controlplane.Counts
	err := s.db.QueryRow(ctx,
		`SELECT (SELECT count(*) FROM webhooks WHERE org_id = $1 AND deleted_at IS NULL), (SELECT count(*) FROM organization_members WHERE org_id = $1),
		(SELECT count(*) FROM api_tokens WHERE org_id = $1)`,
		o.ID).Scan(&c.Webhooks, &c.Members, &c.Tokens)
	if err != nil {
		return c, translate(err, "", "")
	}
	if o.Domains <= controlplane.CountedLive {
		c.Certificates, err = s.issuedRecently(ctx, o.ID, now)
		return c, err
	}
	kept, err := s.counted(ctx, o.ID, now)
	c.Certificates = kept.Certificates
	return c, err
}

func (q queries) issuedRecently(
	ctx context.Context, orgID string, now time.Time,
) (n int, err error) {
	err = q.db.QueryRow(ctx,
		`SELECT count(*) FROM certificates WHERE org_id = $1 AND created_at >= $2`, orgID,
		now.Add(-controlplane.IssuedWindow)).Scan(&n)
	return n, translate(err, "", "")
}

// counted returns what was counted for an organization. It counts if nothing is stored, if the
// calendar starts in another week, or if the workers have not counted for long.
func (s *Store) counted(ctx context.Context, orgID string, now time.Time) (counted, error) {
	found, err := all(ctx, s.queries, pgx.RowToStructByPos[counted], `
		SELECT weeks, certificates, counted_at FROM organization_counts
		WHERE org_id = $1 AND counted_at >= greatest($2::timestamptz, $3)`,
		orgID, now.Add(-6*controlplane.RecountEvery), CalendarStart(now))
	if err != nil || len(found) > 0 {
		return append(found, counted{})[0], err
	}
	return s.count(ctx, orgID, now)
}

// count counts, and stores the result.
func (s *Store) count(ctx context.Context, orgID string, now time.Time) (counted, error) {
	weeks, err := s.EndingWeeks(ctx, orgID, now, CalendarStart(now), CalendarWeeks)
	if err != nil {
		return counted{}, err
	}
	n, err := s.issuedRecently(ctx, orgID, now)
	if err != nil {
		return counted{}, err
	}
	_, err = s.db.Exec(ctx, `
		INSERT INTO organization_counts AS c (org_id, weeks, certificates, counted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (org_id) DO UPDATE SET weeks = excluded.weeks, certificates = excluded.certificates, counted_at = excluded.counted_at
			WHERE c.counted_at < excluded.counted_at`, orgID, weeks, n, now)
	return counted{weeks, n, now}, translate(err, "organization", orgID)
}

// Recount counts again for the organizations whose counts are controlplane.RecountEvery old or have
// an earlier week, and returns how many these are. It removes the counts of organizations that have
// no more than controlplane.CountedLive domains.
func (s *Store) Recount(ctx context.Context, now time.Time) (int, error) {
	if _, err := s.db.Exec(ctx, `
		DELETE FROM organization_counts c USING organizations o WHERE o.id = c.org_id AND o.domain_count <= $1`,
		controlplane.CountedLive); err != nil {
		return 0, translate(err, "", "")
	}
	due, err := all(ctx, s.queries, pgx.RowTo[string], `
		SELECT org_id FROM organization_counts WHERE counted_at < greatest($1::timestamptz, $2) ORDER BY counted_at`,
		now.Add(-controlplane.RecountEvery), CalendarStart(now))
	if err != nil {
		return 0, err
	}
	for i, org := range due {
		if _, err := s.count(ctx, org, now); err != nil {
			return i, err
		}
	}
	return len(due), nil
}
