package postgres_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// The rights of every table are decided.
func TestRightsNameEveryTable(t *testing.T) {
	t.Parallel()
	d := open(t)
	want := strings.Split(value[string](d, `SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'`), " ")
	got := postgres.TablesWithRights()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables with rights differ from the schema (-schema +listed):\n%s\nadd a new table to tableRights", diff)
	}
}

// rolePrefix returns a prefix for the roles of the test: all databases of the server share roles.
func (d *db) rolePrefix() string {
	d.t.Helper()
	return "r" + value[string](d, `SELECT current_database()`)
}

// as returns a store that connects as the role.
func (d *db) as(role string) *postgres.Store {
	d.t.Helper()
	const password = "not-a-secret"
	d.exec(`ALTER ROLE ` + role + ` LOGIN PASSWORD '` + password + `'`)
	u, err := url.Parse(d.dsn)
	d.must(err)
	u.User = url.UserPassword(role, password)
	s, err := postgres.Open(d.t.Context(), postgres.Config{DSN: u.String(), MaxConns: 2})
	d.must(err)
	d.t.Cleanup(s.Close)
	return s
}

// Each role can do what its part does, and is refused what only others do.
func TestGrantRoles(t *testing.T) {
	t.Parallel()
	d := open(t)
	prefix := d.rolePrefix()
	roles, err := d.GrantRoles(t.Context(), prefix)
	want := []string{prefix + "_serve", prefix + "_work", prefix + "_dns"}
	if diff := cmp.Diff(want, roles); err != nil || diff != "" {
		t.Fatalf("GrantRoles differs (-want +got), %v:\n%s", err, diff)
	}
	dom, _ := d.add(d.org, "example.com")
	for role, statements := range map[string][2][]string{
		"serve": {{ // allowed
			`SELECT * FROM sessions`, `SELECT sealed_key FROM certificates`,
			`INSERT INTO used_states (hash, expires_at) VALUES (sha256('x'), now())`,
			`SELECT finished_at FROM leases`,
		}, { // refused
			`UPDATE acme_accounts SET url = ''`, `DELETE FROM audit_logs`,
			`UPDATE audit_logs SET action = ''`, `INSERT INTO leases VALUES ('x', 'x', now())`,
			`INSERT INTO ca_holds (ca) VALUES ('x')`, `DELETE FROM ca_accounts`,
			`SELECT * FROM database_roles`, `UPDATE canaries SET value = ''`,
			`TRUNCATE domains`, `DROP TABLE domains`, `CREATE TABLE public.x ()`,
			`ALTER TABLE domains DISABLE TRIGGER ALL`,
		}},
		"work": {{
			`DELETE FROM sessions WHERE expires_at < now()`, `SELECT address FROM dns_replicas`,
			`UPDATE acme_accounts SET url = url`, `SELECT sealed FROM webhook_secrets`,
			`INSERT INTO leases VALUES ('x', 'x', now())`,
		}, {
			`DELETE FROM dns_replicas`,
			`SELECT * FROM sessions`, `SELECT hash FROM sessions`, `SELECT user_id FROM sessions`,
			`INSERT INTO sessions (id) VALUES ('x')`, `UPDATE sessions SET expires_at = now()`,
			`UPDATE sessions SET hash = ''`,
			`DELETE FROM sessions WHERE hash = ''`, // would tell which hashes exist
			`SELECT hash FROM used_states`, `SELECT hash FROM invitations`,
			`SELECT hash FROM token_secrets`, `SELECT token_hash FROM api_tokens`,
			`INSERT INTO token_secrets (hash) VALUES ('')`, `SELECT login FROM users`,
			`INSERT INTO organization_members (org_id) VALUES ('x')`,
			`SELECT body FROM idempotency_keys`, `UPDATE audit_logs SET action = ''`,
			`TRUNCATE audit_logs`, `UPDATE canaries SET value = ''`, `SELECT * FROM database_roles`,
			`DROP TABLE domains`,
		}},
		"dns": {{
			`SELECT label, org_id FROM targets`, `SELECT target, value, expires_at FROM challenges`,
			`SELECT name, value FROM canaries`, `LISTEN dcvaas_zone`,
			`INSERT INTO dns_replicas (id, address, beat, received, expires_at) VALUES ('x', 'x', 1, 0, now())`,
		}, {
			`SELECT * FROM challenges`, `SELECT domain_id FROM challenges`,
			`SELECT name FROM organizations`, `SELECT name FROM domains`,
			`SELECT sealed_key FROM certificates`, `SELECT sealed_key FROM acme_accounts`,
			`SELECT * FROM jobs`, `SELECT * FROM audit_logs`, `SELECT * FROM leases`,
			`SELECT * FROM sessions`, `INSERT INTO targets VALUES ('x', 'x')`,
			`DELETE FROM challenges`, `UPDATE organizations SET deleted_at = now()`,
			`INSERT INTO leases VALUES ('x', 'x', now())`, `INSERT INTO canaries VALUES ('x', '')`,
			`CREATE TABLE public.x ()`,
		}},
	} {
		conn := d.conn()
		if _, err := conn.Exec(t.Context(), `SET ROLE `+prefix+"_"+role); err != nil {
			t.Fatal(err)
		}
		for _, sql := range statements[0] {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Errorf("%s as %s = %v, want nil", sql, role, err)
			}
		}
		for _, sql := range statements[1] {
			_, err := conn.Exec(t.Context(), sql)
			if pe, ok := err.(*pgconn.PgError); !ok || pe.Code != "42501" { //nolint:errorlint // not wrapped
				t.Errorf("%s as %s = %v, want insufficient privilege", sql, role, err)
			}
		}
	}
	dns := d.as(prefix + "_dns")
	if exists, _, err := dns.LookupTarget(t.Context(), dom.Target, time.Now()); err != nil ||
		!exists {
		t.Errorf("LookupTarget as dns = %v, %v, want true", exists, err)
	}
	if err := dns.ExtendReplica(t.Context(), postgres.Replica{ID: "a", Address: "192.0.2.1:53",
		Beat: 1}, time.Minute); err != nil {
		t.Errorf("ExtendReplica as dns = %v, want nil", err)
	}
	if err := dns.EndReplica(t.Context(), "a"); err != nil {
		t.Errorf("EndReplica as dns = %v, want nil", err)
	}
	if current, err := dns.Migrated(t.Context()); err != nil || !current {
		t.Errorf("Migrated as dns = %v, %v, want true", current, err)
	}
	if c, err := dns.Connections(t.Context()); err != nil || c.Planned < 6+8+4+2 {
		t.Errorf("Connections as dns = %+v, %v, want those of other roles, too", c, err)
	}
}

// sweeps are what a worker removes by age.
func TestSweepsAsWork(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, err := d.GrantRoles(t.Context(), d.rolePrefix())
	d.must(err)
	work := d.as(d.rolePrefix() + "_work")
	d.exec(`INSERT INTO users (id, login) VALUES ('usr_a', 'a')`)
	d.exec(`INSERT INTO organization_members (org_id, user_id, role) VALUES ($1, 'usr_a', 'owner')`, d.org)
	for _, sql := range []string{
		`INSERT INTO sessions (id, hash, user_id, org_id, created_at, last_seen_at, expires_at) SELECT 'ses', sha256('s'), 'usr_a', $1, now(), now(), now()`,
		`INSERT INTO invitations (id, org_id, role, hash, expires_at, created_by, created_at) SELECT 'inv', $1, 'member', sha256('i'), now(), '', now()`,
		`INSERT INTO idempotency_keys (org_id, key, method, path, body_hash, status, headers, body) SELECT $1, 'k', '', '', '', 200, '{}', ''`,
		`INSERT INTO used_states SELECT sha256('u'), now() WHERE $1 <> ''`,
	} {
		d.exec(sql, d.org)
	}
	later := time.Now().Add(time.Hour)
	for name, sweep := range map[string]func() error{
		"SweepSignIns":    func() error { return work.SweepSignIns(t.Context(), later) },
		"SweepAnswers":    func() error { return work.SweepAnswers(t.Context(), later) },
		"SweepSecrets":    func() error { return work.SweepSecrets(t.Context(), later) },
		"SweepChallenges": func() error { return work.SweepChallenges(t.Context(), later) },
		"SweepBudgets":    func() error { return work.SweepBudgets(t.Context(), later) },
	} {
		if err := sweep(); err != nil {
			t.Errorf("%s as work = %v, want nil", name, err)
		}
	}
	if n := value[int](d, `SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM invitations)
		+ (SELECT count(*) FROM used_states) + (SELECT count(*) FROM idempotency_keys)`); n != 0 {
		t.Errorf("rows after the sweeps = %d, want 0", n)
	}
	d.add(d.org, "example.com")
	d.webhook(d.org)
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.EndOrganization(t.Context(), d.org, start)
	}))
	for more := true; more; {
		if more, err = work.RemoveOrganization(t.Context(), d.org, 10); err != nil {
			t.Fatalf("RemoveOrganization as work = %v, want nil", err)
		}
	}
	_, err = d.Organization(t.Context(), d.org)
	wantKind(t, "Organization after its removal", err, controlplane.KindNotFound)
}

// A role that owns the database and may not create roles migrates it. It gets to know how to create
// the roles, and then gives them their rights, again after each migration.
func TestGrantRolesWithoutCreateRole(t *testing.T) {
	t.Parallel()
	d := open(t)
	prefix := d.rolePrefix()
	d.exec(`DELETE FROM database_roles`) // of the tests
	d.exec(`CREATE ROLE ` + prefix + `_owner`)
	d.exec(fmt.Sprintf(`DO $$ DECLARE o text; BEGIN
		EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' OWNER TO %[1]s';
		FOR o IN SELECT format('ALTER TABLE %%I OWNER TO %[1]s', tablename) FROM pg_tables WHERE schemaname = 'public' LOOP EXECUTE o; END LOOP;
		FOR o IN SELECT format('ALTER FUNCTION %%s OWNER TO %[1]s', oid::regprocedure) FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP EXECUTE o; END LOOP;
	END $$`, prefix+"_owner"))
	owner := d.as(prefix + "_owner")
	if _, err := owner.Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate as the owner = %v, want nil", err)
	}
	if roles, err := owner.GrantRoles(t.Context(), ""); err != nil || len(roles) != 0 {
		t.Errorf("GrantRoles without a prefix = %v, %v, want no roles", roles, err)
	}
	if _, err := owner.GrantRoles(t.Context(), prefix); err == nil ||
		!strings.Contains(err.Error(), "CREATE ROLE") {
		t.Errorf("GrantRoles without CREATEROLE = %v, want an error with CREATE ROLE", err)
	}
	if _, err := owner.GrantRoles(t.Context(), `x"; DROP`); err == nil {
		t.Error("GrantRoles with an invalid prefix = nil, want an error")
	}
	for _, part := range []string{"serve", "work", "dns"} {
		d.exec(`CREATE ROLE ` + prefix + `_` + part)
	}
	if _, err := owner.GrantRoles(t.Context(), prefix); err != nil {
		t.Fatalf("GrantRoles of existing roles = %v, want nil", err)
	}
	may := func() string {
		return value[string](d, `SELECT has_table_privilege($1 || '_work', 'jobs', 'DELETE')::text || has_table_privilege($1 || '_work', 'users', 'SELECT')`, prefix)
	}
	if got := may(); got != "truefalse" {
		t.Errorf("rights of work on jobs and users = %s, want truefalse", got)
	}
	// A table that a migration has created again has no rights; another has too many.
	d.exec(`REVOKE ALL ON jobs FROM ` + prefix + `_work`)
	d.exec(`GRANT SELECT ON users TO ` + prefix + `_work`)
	if roles, err := owner.GrantRoles(t.Context(), ""); err != nil || len(roles) != 3 {
		t.Fatalf("GrantRoles without a prefix = %v, %v, want 3 roles", roles, err)
	}
	if got := may(); got != "truefalse" {
		t.Errorf("rights of work after the next migration = %s, want truefalse", got)
	}
}
