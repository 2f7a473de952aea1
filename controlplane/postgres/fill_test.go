package postgres_test

// fill adds active domains of the organization by SQL, each with its place in the order as $n. They
// have no delegations, whose triggers take longer than everything else.
func (d *db) fill(org string, n int, columns, values string) {
	d.t.Helper()
	d.exec(`ALTER TABLE domains DISABLE TRIGGER domains_delegate`)
	defer d.exec(`ALTER TABLE domains ENABLE TRIGGER domains_delegate`)
	d.exec(`INSERT INTO domains (id, org_id, name, cname_target, status, `+columns+`)
		SELECT 'dom_' || md5($1::text || n), $1::text, 'd' || n || '.example.com', md5($1::text || n), 'active', `+values+`
		FROM generate_series(1, $2::int) n`, org, n)
}

// delegate adds the delegations of all domains, as the triggers of domains do.
func (d *db) delegate() {
	d.t.Helper()
	for _, table := range []string{"targets", "delegations", "domain_delegations"} {
		d.exec(`ALTER TABLE ` + table + ` DISABLE TRIGGER ALL`) // also the checks of foreign keys
		defer d.exec(`ALTER TABLE ` + table + ` ENABLE TRIGGER ALL`)
	}
	d.exec(`INSERT INTO targets SELECT cname_target, org_id FROM domains`)
	d.exec(`INSERT INTO delegations (id, org_id, name, target) SELECT 'dlg' || substr(id, 4), org_id, name, cname_target FROM domains`)
	d.exec(`INSERT INTO domain_delegations SELECT id, 'dlg' || substr(id, 4) FROM domains`)
}
