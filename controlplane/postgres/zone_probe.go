package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// PublishProbe changes the value of the probe's record, for every name server.
func (s *Store) PublishProbe(ctx context.Context, value string, expires time.Time) error {
	_, err := s.db.Exec(ctx, `
		INSERT INTO zone_probe (label, value, expires_at) VALUES (@label, @value, @expires)
		ON CONFLICT (single) DO UPDATE SET label = excluded.label, value = excluded.value, expires_at = excluded.expires_at`,
		named{"label": controlplane.ProbeTarget, "value": value, "expires": expires})
	return translate(err, "", "")
}

// lookupProbe is LookupTarget for the probe's record.
func (s *Store) lookupProbe(
	ctx context.Context, now time.Time,
) (bool, []controlplane.Challenge, error) {
	found, err := all(ctx, s.queries,
		func(row pgx.CollectableRow) (c controlplane.Challenge, err error) {
			err = row.Scan(&c.Target, &c.Value, &c.ExpiresAt)
			return c, err
		}, `SELECT label, value, expires_at FROM zone_probe`)
	if err != nil || len(found) == 0 {
		return false, nil, err
	}
	if !found[0].ExpiresAt.After(now) {
		return true, nil, nil
	}
	return true, found, nil
}

// ZoneState returns what the last probes found out, the zero value before the first.
func (s *Store) ZoneState(ctx context.Context) (z controlplane.ZoneState, err error) {
	found, err := all(ctx, s.queries, scanZoneState, `SELECT failures, since, problems, checked_at, CASE WHEN isfinite(next_at) THEN next_at ELSE 'epoch' END FROM zone_probe`)
	if len(found) > 0 {
		z = found[0]
	}
	return z, err
}

func scanZoneState(row pgx.CollectableRow) (z controlplane.ZoneState, err error) {
	var since, checked *time.Time
	err = row.Scan(&z.Failures, &since, &z.Problems, &checked, &z.NextAt)
	if since != nil {
		z.Since = *since
	}
	if checked != nil {
		z.CheckedAt = *checked
	}
	return z, err
}

// SaveZoneState stores what a probe found out.
func (t *Tx) SaveZoneState(ctx context.Context, z controlplane.ZoneState) error {
	var since *time.Time
	if !z.Since.IsZero() {
		since = &z.Since
	}
	if z.Problems == nil {
		z.Problems = []controlplane.ZoneProblem{}
	}
	_, err := t.db.Exec(ctx, `
		UPDATE zone_probe SET failures = @failures, since = @since, problems = @problems, checked_at = @checked, next_at = @next`,
		named{"failures": z.Failures, "since": since, "problems": z.Problems, "checked": z.CheckedAt,
			"next": z.NextAt})
	return translate(err, "", "")
}

// ExpediteUnserved makes the jobs due that wait for the validation zone, of all organizations.
func (t *Tx) ExpediteUnserved(ctx context.Context, now time.Time) error {
	_, err := t.db.Exec(ctx, `
		UPDATE jobs SET run_at = @now, generation = generation + 1, dispatched_at = NULL, updated_at = @now
		WHERE id IN (`+unservedJobs("id")+`) AND status = 'queued' AND run_at > @now`, named{"now": now})
	return translate(err, "", "")
}

// ProbeZoneNow makes the next probe due.
func (s *Store) ProbeZoneNow(ctx context.Context, now time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE zone_probe SET next_at = $1 WHERE next_at > $1`, now)
	return translate(err, "", "")
}
