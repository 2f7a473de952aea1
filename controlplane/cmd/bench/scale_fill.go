package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// scaleTables are the tables that fill writes.
var scaleTables = []string{"organizations", "domains", "targets", "delegations",
	"domain_delegations", "certificates", "audit_logs", "jobs", "webhook_deliveries",
	"webhook_attempts"}

// fill writes the domains of all organizations, with their history, directly into the database. The
// rows depend only on the size. Everything due is in the future. A few rows in ten thousand have a
// rare status, label, type, or actor, so that filters match little.
func (s *scaled) fill() error {
	db, err := pgx.Connect(s.b.ctx, s.dev.Postgres.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(s.b.ctx)) }()
	indexes, err := scaleIndexes(s.b.ctx, db)
	if err != nil {
		return err
	}
	// Indexes are faster to build at the end, and need no triggers and no checks of foreign keys.
	steps := []string{`SET session_replication_role = replica`, `SET synchronous_commit = off`,
		`SET maintenance_work_mem = '512MB'`}
	for name := range indexes {
		steps = append(steps, "DROP INDEX "+name)
	}
	steps = append(steps, s.rows()...)
	for _, definition := range indexes {
		steps = append(steps, definition)
	}
	for _, table := range scaleTables {
		steps = append(steps, "VACUUM (ANALYZE) "+table)
	}
	for _, sql := range append(steps, "CHECKPOINT") {
		if _, err := db.Exec(s.b.ctx, sql); err != nil {
			return fmt.Errorf("%w in %.200s", err, sql)
		}
	}
	return nil
}

// scaleIndexes returns the definitions of the indexes that are not part of a constraint.
func scaleIndexes(ctx context.Context, db *pgx.Conn) (map[string]string, error) {
	rows, err := db.Query(ctx, `
		SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY($1)
			AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)`, scaleTables)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var name, definition string
	_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		out[name] = definition
		return nil
	})
	return out, err
}

// rows returns the statements that write the rows. d is a domain's number; the IDs of its rows
// follow from it.
func (s *scaled) rows() []string {
	n := s.size
	values := strings.NewReplacer("@n", fmt.Sprint(n.domains()), "@history", fmt.Sprint(n.history),
		"@big_org", "'"+s.big.Org+"'", "@small_org", "'"+s.small.Org+"'",
		"@big_hook", "'"+s.big.Webhook+"'", "@small_hook", "'"+s.small.Webhook+"'",
		"@of", scaleOrg(n, s.big.Org, s.small.Org),
		"@medium", fmt.Sprint(n.medium), "@smalls", fmt.Sprint(n.smalls),
		"@small_first", fmt.Sprint(s.small.First), "@size", fmt.Sprint(n.small),
		"@big", fmt.Sprint(n.big))
	var out []string
	for _, sql := range []string{scaleOrganizations, scaleDomains, scaleCounts, scaleTargets,
		scaleDelegations, scaleUses, scaleIssuers, scaleCertificates, scaleLog, scaleJobs,
		scaleDeliveries, scaleAttempts} {
		out = append(out, values.Replace(sql))
	}
	return out
}

// scaleOrg returns an expression for the organization of domain d.
func scaleOrg(n scaleSize, big, small string) string {
	first := n.big + 50*n.medium
	return fmt.Sprintf(`CASE WHEN d <= %d THEN '%s' WHEN d <= %d THEN 'org_m' || lpad(((d - %d - 1) / %d)::text, 25, '0')
		WHEN d <= %d THEN '%s' ELSE 'org_s' || lpad(((d - %d - 1) / %d)::text, 25, '0') END`,
		n.big, big, first, n.big, n.medium, first+n.small, small, first, n.small)
}

const (
	scaleOrganizations = `
		INSERT INTO organizations (id, name, subscription_tier)
		SELECT 'org_m' || lpad(i::text, 25, '0'), 'Medium ' || i, 'agency' FROM generate_series(0, 49) i
		UNION ALL SELECT 'org_s' || lpad(i::text, 25, '0'), 'Small ' || i, 'pro' FROM generate_series(1, @smalls - 1) i`

	scaleDomains = `
		INSERT INTO domains (id, org_id, name, cname_target, status, labels, certificate_id, expires_at, renew_at, last_issued_at,
			rehearse_at, ari_check_at, warn_at, summary_state, created_at, updated_at)
		SELECT 'dom_' || lpad(d::text, 26, '0'), @of, 'n' || d || '-' || substr(md5(d::text), 1, 6) || '.example.com', md5('t' || d),
			CASE d % 100 WHEN 0 THEN 'pending_cname' WHEN 1 THEN CASE WHEN d % 1000 = 1 THEN 'error' ELSE 'active' END ELSE 'active' END,
			CASE WHEN d % 1000 = 3 THEN '{"team": "rare"}' WHEN d % 2 = 0 THEN '{"env": "production"}' ELSE '{}' END::jsonb,
			CASE WHEN d % 100 = 0 THEN '' ELSE 'crt_' || lpad((d * 10)::text, 26, '0') END,
			CASE WHEN d % 100 = 0 THEN NULL WHEN d % 1000 = 5 THEN now() + interval '5 days' ELSE now() + (20 + d % 50) * interval '1 day' END,
			CASE WHEN d % 100 = 0 THEN NULL ELSE now() + (1 + d % 19) * interval '1 day' END,
			CASE WHEN d % 100 = 0 THEN NULL ELSE now() - (1 + d % 20) * interval '1 day' END,
			now() + interval '1 hour' + d % 1440 * interval '1 minute', now() + interval '2 hours' + d % 360 * interval '1 minute',
			now() + (1 + d % 9) * interval '1 day',
			CASE WHEN d % 100 = 0 THEN 'waiting' WHEN d % 1000 IN (1, 5) THEN 'at_risk' ELSE 'active' END, now() - d * interval '1 second', now() - d * interval '1 second'
		FROM generate_series(1, @n) d`

	scaleCounts = `UPDATE organizations SET domain_count = n FROM (SELECT org_id, count(*) AS n FROM domains GROUP BY 1) c WHERE id = org_id`

	// What the triggers of domains do otherwise.
	scaleTargets = `INSERT INTO targets (label, org_id) SELECT cname_target, org_id FROM domains ORDER BY 1`

	scaleDelegations = `
		INSERT INTO delegations (id, org_id, name, target, state, check_since, last_checked_at, created_at, updated_at)
		SELECT 'dlg' || substr(id, 4), org_id, name, cname_target, CASE WHEN certificate_id = '' THEN 'unchecked' ELSE 'delegated' END,
			created_at, CASE WHEN certificate_id <> '' THEN created_at END, created_at, created_at FROM domains`

	scaleUses = `INSERT INTO domain_delegations (domain_id, delegation_id) SELECT id, 'dlg' || substr(id, 4) FROM domains`

	scaleIssuers = `INSERT INTO issuer_chains (sha256, pem) VALUES (sha256('issuers'), repeat(md5('issuers'), 60))`

	// The leaf has the size of one with an ECDSA key.
	scaleCertificates = `
		INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after,
			fingerprint_sha256, chain_pem, leaf, issuers, sealed_key, replaced_by, key_removed_at, created_at)
		SELECT 'crt_' || lpad((d * 10 + g)::text, 26, '0'), @of, 'dom_' || lpad(d::text, 26, '0'), 'ord_' || lpad((d * 10 + g)::text, 26, '0'),
			ARRAY['n' || d || '-' || substr(md5(d::text), 1, 6) || '.example.com'], md5('s' || d || g), 'CN=E5', 'primary', 'ec256',
			now() - (g * 60 + 20) * interval '1 day', now() + (70 - g * 60) * interval '1 day', md5('f' || d || g) || md5('g' || d || g),
			'', decode(repeat(md5('p' || d || g), 61), 'hex'), sha256('issuers'), CASE WHEN g = 0 THEN decode(repeat(md5('k' || d), 5), 'hex') END,
			CASE WHEN g = 0 THEN '' ELSE 'crt_' || lpad((d * 10 + g - 1)::text, 26, '0') END,
			CASE WHEN g > 0 THEN now() END, now() - (g * 60 + 20) * interval '1 day' - d * interval '1 millisecond'
		FROM generate_series(1, @n) d, generate_series(0, @history - 1) g WHERE d % 100 <> 0`

	scaleLog = `
		INSERT INTO audit_logs (id, seq, org_id, actor_type, actor_id, action, entity_type, entity_id, details, created_at)
		OVERRIDING SYSTEM VALUE
		SELECT 'evt_' || lpad((d * 10 + g)::text, 26, '0'), (d::bigint - 1) * (@history + 2) + g + 1000, @of,
			CASE WHEN d % 1000 = 7 AND g = 0 THEN 'token' ELSE 'system' END,
			CASE WHEN d % 1000 = 7 AND g = 0 THEN 'tok_rare' ELSE 'worker' END,
			CASE WHEN d % 1000 = 7 AND g = 0 THEN 'domain.updated' WHEN g = 1 THEN 'domain.certificate_issued' ELSE 'domain.renewed' END,
			'domain', 'dom_' || lpad(d::text, 26, '0'), jsonb_build_object('certificate_id', 'crt_' || lpad((d * 10 + g)::text, 26, '0')),
			now() - ((@n - d) * interval '1 second' / (@history + 2)) - interval '1 hour' + g * interval '1 millisecond'
		FROM generate_series(1, @n) d, generate_series(0, @history + 1) g`

	scaleJobs = `
		INSERT INTO jobs (id, org_id, domain_id, type, slot, status, queue, last_error_code, result, created_at, updated_at)
		SELECT 'job_' || lpad((d * 10 + g)::text, 26, '0'), @of, 'dom_' || lpad(d::text, 26, '0'),
			CASE WHEN g = 0 AND d % 1000 = 9 THEN 'revocation' WHEN g = 0 THEN 'dns_check' ELSE 'renewal' END, 'work',
			CASE WHEN g = 1 AND d % 1000 = 11 THEN 'failed' ELSE 'succeeded' END, 'bulk',
			CASE WHEN g = 1 AND d % 1000 = 11 THEN 'caa-forbids' ELSE '' END, '{"ca": "primary"}',
			now() - (1 + (d + g) % 20) * interval '1 day' - d * interval '1 millisecond',
			now() - (1 + (d + g) % 20) * interval '1 day'
		FROM generate_series(1, @n) d, generate_series(0, @history - 2) g`

	// Only the webhooks of the two organizations that are asked have deliveries.
	scaleDeliveries = `
		INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, event_type, body, status, attempts_made, last_status_code, created_at, updated_at)
		SELECT 'whd_' || lpad(d::text, 26, '0'), @of, CASE WHEN d <= @big THEN @big_hook ELSE @small_hook END,
			'evt_' || lpad((d * 10 + 1)::text, 26, '0'), 'domain.certificate_issued', decode(repeat(md5('b' || d), 20), 'hex'),
			CASE WHEN d % 1000 = 13 THEN 'failed' ELSE 'succeeded' END, 1, CASE WHEN d % 1000 = 13 THEN 500 ELSE 204 END,
			now() - d * interval '5 seconds', now() - d * interval '5 seconds'
		FROM generate_series(1, @small_first + @size - 1) d WHERE d <= @big OR d >= @small_first`

	scaleAttempts = `
		INSERT INTO webhook_attempts (delivery_id, number, org_id, at, duration, status_code, request_headers)
		SELECT id, 1, org_id, created_at, interval '20 ms', last_status_code, '{}' FROM webhook_deliveries`
)

// disk returns the size of the installation's database, in total and by table, with indexes.
func (s *scaled) disk() (string, error) {
	var total int64
	var tables string
	db, err := pgx.Connect(s.b.ctx, s.dev.Postgres.DSN())
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close(context.WithoutCancel(s.b.ctx)) }()
	err = db.QueryRow(s.b.ctx, `
		SELECT pg_database_size(current_database()), (
			SELECT string_agg(t || ' ' || pg_size_pretty(pg_total_relation_size(t::regclass)), ', ') FROM unnest($1::text[]) t)`,
		scaleTables).Scan(&total, &tables)
	per := float64(total) / 1024 / float64(s.size.domains())
	return fmt.Sprintf("%d MB on disk, %.1f KB per domain (%s)", total>>20, per, tables), err
}
