package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Week is the length of a calendar's steps.
const Week = 7 * 24 * time.Hour

// CalendarWeeks is the number of weeks in an organization's calendar of expiries.
const CalendarWeeks = 26

// CalendarStart returns the start of the calendar at t: Monday of its week, in UTC.
func CalendarStart(t time.Time) time.Time {
	day := t.UTC().Truncate(24 * time.Hour)
	return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
}

// EndingWeek is a number of domains whose certificates expire in the same week and are renewed in
// the same week.
type EndingWeek struct {
	Ends   int  // weeks from the calendar's start, or its length for later
	Renews *int // the same for the next renewal; nil if none is planned
	Ended  bool // the certificates have expired
	Late   bool // their renewal is overdue (controlplane.RenewalLateAt)
	Count  int
}

// EndingWeeks counts an organization's domains that have a certificate by the weeks in which it
// expires and is renewed. The weeks are counted from start. Earlier dates are in the first week,
// and dates after the last week are in one more.
func (q queries) EndingWeeks(
	ctx context.Context, orgID string, now, start time.Time, weeks int,
) ([]EndingWeek, error) {
	ends := make([]time.Time, weeks)
	for i := range ends {
		ends[i] = start.Add(time.Duration(i+1) * Week)
	}
	return all(ctx, q, pgx.RowToStructByPos[EndingWeek], endingWeeks, orgID, now, ends)
}

// endingWeeks derives from controlplane.RenewAt whether a renewal is late, because renew_at itself
// moves with every renewal that fails.
const endingWeeks = `
	SELECT width_bucket(expires_at, $3::timestamptz[]), CASE WHEN auto_renew THEN width_bucket(renew_at, $3::timestamptz[]) END,
		expires_at <= $2::timestamptz,
		auto_renew AND coalesce(expires_at - (expires_at - last_issued_at) / CASE WHEN expires_at - last_issued_at < interval '240 hours' THEN 2 ELSE 3 END
			< $2::timestamptz - interval '24 hours', false),
		count(*)::int
	FROM domains WHERE org_id = $1 AND coalesce(expires_at, 'infinity') < 'infinity'
	GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`
