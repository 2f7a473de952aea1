package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// mostOverMinimum is the permitted ratio of placed orders to the minimum.
const mostOverMinimum = 1.05

// enoughToForce is a number of domains with which a certificate becomes due while the CAs state too
// long a limit for its domain.
const enoughToForce = 100

// report logs the events of the year.
func (w *world) report() {
	w.t.Logf("%d clock steps, %d job runs, %d of them killed with their worker; %d jobs dead-lettered",
		w.seen.leaps, w.seen.runs, w.seen.killed, w.seen.dead)
	w.t.Logf("faults: %s", listed(w.seen.kinds))
	for _, a := range w.cas {
		w.t.Logf("%s: %d orders (%d replace a certificate, %d more were reused), %d certificates, %d failed authorizations; %s; rejected over a limit after Redis lost its data: %s; forced attempts that were rejected over a limit: %s",
			a.name, a.tally.orders, a.tally.replaced, a.tally.reused, a.tally.issued,
			a.tally.failed, listed(a.tally.faults), listed(a.tally.refused),
			listed(a.tally.forced))
	}
	forced, err := w.store.ForcedAttempts(w.t.Context())
	must(w.t, err)
	w.t.Logf("attempts forced despite the limits: %s", listed(forced))
	orders, minimum := w.orders()
	w.t.Logf("%d orders, minimum %d, ratio %.4f", orders, minimum, float64(orders)/float64(minimum))
	for _, p := range w.margins() {
		w.t.Logf("%s: %d renewals, the latest with %s left", p.Profile, p.Renewals,
			p.Least.Round(time.Minute))
	}
	w.reportGrowth()
}

// progress logs the progress from time to time.
func (w *world) progress() {
	if part := int(20 * w.clock.Now().Sub(start) / w.scenario.end.Sub(start)); part > w.told {
		w.told = part
		orders := 0
		for _, a := range w.cas {
			a.mu.Lock()
			orders += a.tally.orders
			a.mu.Unlock()
		}
		w.t.Logf("%s: day %d, %d orders, %d job runs", time.Now().Format(time.TimeOnly),
			int(w.clock.Now().Sub(start)/day), orders, w.seen.runs)
	}
}

// check checks the assertions at the end of the year.
func (w *world) check() {
	for _, a := range w.cas {
		if len(a.tally.passed) > 0 {
			w.t.Errorf("%s: exceeded limits: %s", a.name, strings.Join(a.tally.passed, "; "))
		}
	}
	forced, err := w.store.ForcedAttempts(w.t.Context())
	must(w.t, err)
	if len(w.scenario.subjects) >= enoughToForce && w.seen.kinds[limitsWrong] > 0 &&
		forced["primary"] == 0 {
		w.t.Errorf("forced attempts = %s, want some although %d times CAs stated too long a limit",
			listed(forced), w.seen.kinds[limitsWrong])
	}
	if orders, minimum := w.orders(); float64(orders) > mostOverMinimum*float64(minimum) {
		w.t.Errorf("orders = %d with a minimum of %d: %.1f%% more", orders, minimum,
			100*(float64(orders)/float64(minimum)-1))
	}
	if w.seen.ended > 0 {
		w.t.Errorf("domains with an expired certificate = %d, want 0", w.seen.ended)
	}
	for text, n := range w.seen.unexpected {
		w.t.Errorf("unexpected error of %d job runs: %s", n, text)
	}
	if w.added != len(w.scenario.subjects) || w.started == 0 && !*soakCalm {
		w.t.Errorf("added %d of %d domains with %d faults, want all of them and at least one fault",
			w.added, len(w.scenario.subjects), w.started)
	}
	w.wantNone("domains without a valid certificate and a renewal time", `
		SELECT name || ' ' || status || ' ' || conditions::text FROM domains
		WHERE status <> 'active' OR certificate_id = '' OR expires_at <= $1 OR renew_at IS NULL OR renew_at > expires_at`, w.scenario.end)
	// The certificate of an order that was set aside may come late, and is replaced from the start.
	w.wantNone("domains without exactly one domain.renewed entry per renewal", `
		SELECT d.name || ': ' || renewals || ' renewals, ' || logged || ' in the log' FROM domains d,
			LATERAL (SELECT count(*) - 1 AS renewals FROM certificates c WHERE c.domain_id = d.id
				AND NOT EXISTS (SELECT FROM certificates n WHERE n.id = c.replaced_by AND n.created_at <= c.created_at)) c,
			LATERAL (SELECT count(DISTINCT a.details->>'certificate_id') AS logged, count(*) AS entries FROM audit_logs a
				WHERE a.org_id = d.org_id AND a.entity_id = d.id AND a.action = 'domain.renewed') a
		WHERE renewals <> logged OR logged <> entries`)
	w.wantNone("dead-lettered renewals without a successor", `
		SELECT d.name || ': ' || j.last_error FROM jobs j JOIN domains d ON d.id = j.domain_id
		WHERE j.dead_lettered_at IS NOT NULL AND j.slot = 'certificate'
			AND d.renew_at < $1::timestamptz - interval '1 day'
			AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.domain_id = d.id AND o.slot = j.slot AND o.status IN ('queued', 'running'))`, w.scenario.end)
}

// wantNone checks that a query returns no rows.
func (w *world) wantNone(what, sql string, args ...any) {
	rows, err := w.own.Query(w.t.Context(), sql, args...)
	must(w.t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(w.t, err)
	if len(found) > 0 {
		w.t.Errorf("%d %s, want 0; for example: %s", len(found), what,
			strings.Join(found[:min(len(found), 5)], "; "))
	}
}

// margin summarizes the renewals of a profile.
type margin struct {
	Profile  string
	Renewals int
	Least    time.Duration
}

func (w *world) margins() []margin {
	rows, err := w.own.Query(w.t.Context(), `
		SELECT old.profile, count(*) AS renewals, min(old.not_after - new.created_at) AS least
		FROM certificates old JOIN certificates new ON new.id = old.replaced_by AND new.created_at > old.created_at GROUP BY old.profile ORDER BY least`)
	must(w.t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[margin])
	must(w.t, err)
	return found
}

func listed[K ~string](counts map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
