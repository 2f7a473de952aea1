package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ReportBreakers replaces a worker's reports with the circuit breakers that are open at now, and
// removes the outdated reports of all workers.
func (q queries) ReportBreakers(
	ctx context.Context, worker string, open []controlplane.CABreaker, now time.Time,
) error {
	cas, messages := make([]string, len(open)), make([]string, len(open))
	since, probes := make([]time.Time, len(open)), make([]time.Time, len(open))
	for i, b := range open {
		cas[i], messages[i], since[i], probes[i] = b.CA, b.Message, b.Since, b.ProbeAt
	}
	_, err := q.db.Exec(ctx, `
		WITH gone AS (
			DELETE FROM ca_breakers WHERE worker = @worker AND ca <> ALL(@cas) OR reported_at < @outdated
		)
		INSERT INTO ca_breakers AS b (ca, worker, since, probe_at, message, reported_at)
		SELECT ca, @worker, since, probe_at, message, @now
		FROM unnest(@cas::text[], @since::timestamptz[], @probes::timestamptz[], @messages::text[])
			AS open (ca, since, probe_at, message)
		ON CONFLICT (ca, worker) DO UPDATE SET since = EXCLUDED.since, probe_at = EXCLUDED.probe_at,
			message = EXCLUDED.message, reported_at = EXCLUDED.reported_at`,
		named{"worker": worker, "cas": cas, "since": since, "probes": probes, "messages": messages,
			"now": now, "outdated": now.Add(-time.Hour)})
	return translate(err, "", "")
}

// CAOutages returns the CAs whose circuit breaker is open in some workers, according to their
// reports at now.
func (q queries) CAOutages(ctx context.Context, now time.Time) ([]controlplane.CAOutage, error) {
	return all(ctx, q, func(row pgx.CollectableRow) (o controlplane.CAOutage, err error) {
		err = row.Scan(&o.CA, &o.Workers, &o.Since, &o.ProbeAt, &o.Message)
		return o, err
	}, `
		SELECT ca, count(*), min(since), min(probe_at), (array_agg(message ORDER BY reported_at DESC))[1]
		FROM ca_breakers WHERE reported_at > $1 GROUP BY ca ORDER BY ca`,
		now.Add(-controlplane.BreakerReportFor))
}
