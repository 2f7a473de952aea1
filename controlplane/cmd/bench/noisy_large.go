package main

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// lockedDomains is how many of a tenant's domains are locked while they have a job.
const lockedDomains = 40

// lockedRows locks the rows of domains that have a job, as a long transaction would, until the
// noise stops.
func (n *noise) lockedRows() error {
	db, err := n.fill(lockedDomains)
	if err != nil {
		return err
	}
	holder, err := n.connect()
	if err != nil {
		return err
	}
	if _, err := holder.Exec(n.ctx, `BEGIN`); err != nil {
		return err
	}
	// A lock as strong as that of a change; new jobs can refer to the rows.
	if _, err := holder.Exec(n.ctx,
		`SELECT FROM domains WHERE org_id = $1 FOR NO KEY UPDATE`, n.org); err != nil {
		return err
	}
	_, err = db.Exec(n.ctx, `INSERT INTO jobs (id, org_id, domain_id, type, slot, queue)
		SELECT 'job' || substr(id, 4), org_id, id, 'renewal', 'certificate', 'bulk' FROM domains WHERE org_id = $1`, n.org)
	n.sleep(noiseReady)
	return err
}

// removal deletes an organization with many domains.
func (n *noise) removal() error {
	if _, err := n.fill(n.many()); err != nil {
		return err
	}
	org, err := n.o.store.Organization(n.ctx, n.org)
	if err != nil {
		return err
	}
	err = n.o.lifecycle.DeleteOrganization(n.ctx, controlplane.System("bench"), n.org, org.Name)
	n.org = "" // already deleted
	return err
}

// reachedRenewals is more than how many renewals run in a round. The domains of the others are not
// delegated.
const reachedRenewals = 2000

// renewals has the certificates of many domains due at once.
func (n *noise) renewals() error {
	db, err := n.fill(n.many())
	if err != nil {
		return err
	}
	zone := n.o.dev.Config.Zone
	var g errgroup.Group
	g.SetLimit(8)
	rows, err := db.Query(n.ctx, `SELECT name, cname_target FROM domains WHERE org_id = $1 ORDER BY id LIMIT $2`,
		n.org, reachedRenewals)
	if err != nil {
		return err
	}
	var name, target string
	if _, err := pgx.ForEachRow(rows, []any{&name, &target}, func() error {
		record := controlplane.NewRecord(name, target, zone)
		g.Go(func() error {
			return n.o.dev.Playground.Set(record.Name, record.Type, []string{record.Target}, 60)
		})
		return nil
	}); err != nil {
		return err
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := db.Exec(n.ctx, `UPDATE domains SET renew_at = now() - interval '1 hour' + substr(id, 20)::int * interval '1 ms'
		WHERE org_id = $1`, n.org); err != nil {
		return err
	}
	queued, err := n.o.lifecycle.Sweep(n.ctx)
	if err == nil && queued != n.many() {
		err = fmt.Errorf("noise: %d renewals were queued, want %d", queued, n.many())
	}
	return err
}

// many is the number of domains of a large tenant.
func (n *noise) many() int { return pick(n.o.b.options.quick, 2_000, 20_000) }

// fill gives the organization active domains with a certificate each.
func (n *noise) fill(domains int) (*pgx.Conn, error) {
	db, err := n.connect()
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO domains (id, org_id, name, cname_target, status, certificate_id, expires_at, renew_at, last_issued_at,
				rehearse_at, ari_check_at, warn_at)
			SELECT 'dom_' || lpad('%[1]d', 10, '0') || lpad(d::text, 16, '0'), '%[2]s', 'n' || d || '.noisy%[1]d.example.net', md5('noise %[1]d ' || d), 'active',
				'crt_' || lpad('%[1]d', 10, '0') || lpad(d::text, 16, '0'), now() + interval '20 days', now() + interval '9 days', now() - interval '70 days',
				now() + interval '9 days', now() + interval '9 days', now() + interval '9 days'
			FROM generate_series(1, %[3]d) d`, n.number, n.org, domains),
		fmt.Sprintf(`INSERT INTO certificates (id, org_id, domain_id, order_id, names, serial, issuer, ca, key_type, not_before, not_after,
				fingerprint_sha256, chain_pem)
			SELECT certificate_id, org_id, id, 'ord' || substr(id, 4), ARRAY[name], md5(id), 'CN=E5', 'primary', 'ec256', last_issued_at, expires_at,
				md5('f' || id) || md5('g' || id), ''
			FROM domains WHERE org_id = '%s'`, n.org),
		fmt.Sprintf(`UPDATE organizations SET domain_count = %d WHERE id = '%s'`, domains, n.org),
		`ANALYZE domains`, `ANALYZE certificates`,
	} {
		if _, err := db.Exec(n.ctx, sql); err != nil {
			return nil, fmt.Errorf("noise: %w", err)
		}
	}
	n.sleep(2 * time.Second) // the name server reads the targets
	return db, nil
}

// connect returns a connection that is closed after the noise.
func (n *noise) connect() (*pgx.Conn, error) {
	db, err := pgx.Connect(n.ctx, n.o.dev.Postgres.DSN())
	if err != nil {
		return nil, err
	}
	n.after = append(n.after, func() { _ = db.Close(n.o.b.ctx) })
	return db, nil
}
